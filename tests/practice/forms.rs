//! The two forms in which Entra writes to a SCIM service, and services that take one of them only.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use unscim::practice::Cycle;
use unscim::practice::scenario::ActiveBy;
use unscim::practice::scim_app::Quirk;

use crate::caller::Caller;
use crate::{MINUTE, small};

/// Unless the Tenant URL asks for another.
const OWN: Sent = (None, ActiveBy::Path);
const OWN_WITHOUT_PATH: Sent = (None, ActiveBy::Value);
const RFC: Sent = (Some("aadOptscim062020"), ActiveBy::Path);

type Sent = (Option<&'static str>, ActiveBy);

/// User 5 leaves group 2, and with it the scope; somebody new comes in.
struct Stage {
    caller: Caller,
    before: BTreeSet<String>,
    leaver: String,
}

impl Stage {
    async fn new((query, active_by): Sent, quirks: &[Quirk]) -> Stage {
        let mut scenario = small();
        (scenario.target.query, scenario.job.active_by) = (query.map(str::to_owned), active_by);
        let caller = Caller::new(scenario).await;
        let (ids, app) = (caller.practice.ids().clone(), caller.practice.scim_app().unwrap().clone());
        quirks.iter().cloned().for_each(|quirk| app.set_quirk(quirk));
        caller.practice.admin().leave(ids.users[4], ids.groups[1]).unwrap();
        caller.practice.admin().join(ids.outsider, ids.groups[1]).unwrap();
        let leaver = caller.practice.scim_user(ids.users[4]).unwrap().to_string();
        let mut stage = Stage { caller, before: BTreeSet::new(), leaver };
        stage.before = stage.members();
        assert!(stage.before.len() > 3 && stage.before.contains(&stage.leaver));
        stage.cycle().await;
        stage
    }

    async fn cycle(&self) {
        assert_eq!(self.caller.practice.run_cycle_now().await, Cycle::Ran);
        self.caller.practice.pass(3 * MINUTE).await;
    }

    /// Who the app says is in group 2.
    fn members(&self) -> BTreeSet<String> {
        let group = self.caller.practice.scim_group(self.caller.practice.ids().groups[1]).unwrap().to_string();
        let groups = self.caller.practice.scim_app().unwrap().groups();
        let group = groups.iter().find(|one| one["id"] == group.as_str()).unwrap();
        group["members"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    }

    fn joiner(&self) -> String {
        self.caller.practice.scim_user(self.caller.practice.ids().outsider).unwrap().to_string()
    }

    /// As everybody wanted it.
    fn meant(&self) -> BTreeSet<String> {
        self.before.iter().filter(|id| **id != self.leaver).cloned().chain([self.joiner()]).collect()
    }

    fn leaver_is_active(&self) -> Value {
        self.caller.target_user(self.caller.practice.ids().users[4])["active"].clone()
    }

    fn operations(&self) -> Vec<Value> {
        let calls = self.caller.practice.scim_calls();
        let bodies = calls.into_iter().filter(|call| call.method == "PATCH").filter_map(|call| call.body);
        bodies.flat_map(|body| body["Operations"].as_array().unwrap().clone()).collect()
    }

    /// State of the last cycle, and how much of it failed.
    async fn ended(&self) -> (String, u64) {
        let last = self.caller.job().await["status"]["lastExecution"].clone();
        (last["state"].as_str().unwrap().to_owned(), last["countEscrowed"].as_u64().unwrap())
    }

    /// What the log says of entries that failed.
    async fn failures(&self) -> Vec<String> {
        let log = self.caller.log().await;
        let failed = log.iter().filter(|row| row["provisioningStatusInfo"]["status"] == "failure");
        failed.map(|row| row["provisioningStatusInfo"]["errorInformation"]["reason"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_tenant_url_says_in_which_form_changes_are_sent_and_the_app_takes_them_all() {
    for sent in [OWN, OWN_WITHOUT_PATH, RFC] {
        let stage = Stage::new(sent, &[]).await;
        let url = stage.caller.practice.scim_url();
        assert_eq!(url.split_once('?').map(|(_, query)| query), sent.0, "{url}");
        stage.caller.practice.served_at("http://127.0.0.1:9000/");
        let query = sent.0.map_or_else(String::new, |flag| format!("?{flag}"));
        assert_eq!(stage.caller.practice.scim_url(), format!("http://127.0.0.1:9000/scim/v2{query}"));

        let (leaver, joiner) = (stage.leaver.as_str(), stage.joiner());
        let own = [
            json!({"op": "Add", "path": "members", "value": [{"$ref": null, "value": joiner}]}),
            json!({"op": "Remove", "path": "members", "value": [{"value": leaver}]}),
        ];
        let rfc = [
            json!({"op": "add", "path": "members", "value": [{"value": joiner}]}),
            json!({"op": "remove", "path": format!("members[value eq \"{leaver}\"]")}),
        ];
        let (members, active) = match sent {
            RFC => (rfc, json!({"op": "replace", "path": "active", "value": false})),
            OWN => (own, json!({"op": "Replace", "path": "active", "value": "False"})),
            _ => (own, json!({"op": "Replace", "value": {"active": "False"}})),
        };
        let operations = stage.operations();
        let wanted: Vec<_> = members.into_iter().chain([active]).collect();
        assert!(operations.len() == 3 && wanted.iter().all(|one| operations.contains(one)), "{operations:#?}");

        assert_eq!((stage.members(), stage.leaver_is_active()), (stage.meant(), json!(false)), "{sent:?}");
        assert_eq!((stage.ended().await, stage.failures().await), (("Succeeded".into(), 0), Vec::new()));
        assert!(!format!("{:?}", stage.caller.practice.scim_app().unwrap().groups()).contains("$ref"), "null is not kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_one_form_only_fails_entry_by_entry_in_the_other() {
    const MEMBERS: &str = "PATCH /Groups/";
    const USER: &str = "PATCH /Users/";
    let mitol = [Quirk::RefusesActivePath(500)];
    let scim_server = [Quirk::RefusesMemberFilter];
    let scim2_server = [Quirk::RefusesMemberList];
    let scimmy = [Quirk::RefusesStringActive];
    for (quirks, sent, failing) in [
        (&mitol, OWN, Some((USER, 500))),
        (&mitol, OWN_WITHOUT_PATH, None),
        (&mitol, RFC, Some((USER, 500))),
        (&scim_server, OWN, None),
        (&scim_server, RFC, Some((MEMBERS, 400))),
        (&scim2_server, OWN, Some((MEMBERS, 400))),
        (&scim2_server, RFC, None),
        (&scimmy, OWN, Some((USER, 400))),
        (&scimmy, OWN_WITHOUT_PATH, Some((USER, 400))),
        (&scimmy, RFC, None),
    ] {
        let stage = Stage::new(sent, quirks).await;
        let (state, failures) = (stage.ended().await, stage.failures().await);
        let (removed, disabled) = (!stage.members().contains(&stage.leaver), stage.leaver_is_active() == json!(false));
        let what = format!("{quirks:?} {sent:?}: {failures:?}");
        assert_eq!(
            (removed, disabled),
            match failing {
                None => (true, true),
                Some((MEMBERS, _)) => (false, true),
                Some(_) => (true, false),
            },
            "{what}"
        );
        assert!(stage.members().contains(&stage.joiner()), "{what}");
        let Some((call, status)) = failing else {
            assert_eq!((state, failures.len()), (("Succeeded".into(), 0), 0), "{what}");
            continue;
        };
        assert_eq!((state, failures.len()), (("EntryLevelErrors".into(), 1), 1), "{what}");
        assert!(
            failures[0].starts_with(call) && failures[0].ends_with(&format!("was answered with HTTP status {status}")),
            "{what}"
        );
        // The next cycle tries again; what failed is all that it has to do.
        stage.caller.practice.scim_app().unwrap().clear_quirks();
        stage.cycle().await;
        assert_eq!(
            (stage.ended().await, stage.members(), stage.leaver_is_active()),
            (("Succeeded".into(), 0), stage.meant(), json!(false))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_misreads_a_change_of_members_loses_them_without_a_word() {
    let nobody = BTreeSet::new();
    for (quirk, sent, kept) in [
        (Quirk::AddReplacesMembers, OWN, false),
        (Quirk::AddReplacesMembers, RFC, false),
        (Quirk::RemovalTakesAll, OWN, false),
        (Quirk::RemovalTakesAll, RFC, true),
    ] {
        let stage = Stage::new(sent, std::slice::from_ref(&quirk)).await;
        let (members, rest) = (stage.members(), stage.meant().iter().filter(|id| **id != stage.joiner()).cloned().collect());
        assert_eq!(
            members.intersection(&rest).cloned().collect::<BTreeSet<_>>(),
            if kept { rest } else { nobody.clone() },
            "{quirk:?} {sent:?}"
        );
        assert_eq!(stage.ended().await, ("Succeeded".into(), 0), "{quirk:?} {sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_target_says_of_an_entry_is_no_word_about_credentials() {
    for status in [400, 429, 500, 501, 503] {
        let stage = Stage::new(RFC, &[Quirk::Html(status)]).await;
        let job = stage.caller.job().await["status"].clone();
        assert_eq!((&job["code"], &job["quarantine"]), (&json!("Active"), &Value::Null), "{status}");
        assert_eq!(
            (&job["lastExecution"]["state"], &job["lastExecution"]["countExported"]),
            (&json!("EntryLevelErrors"), &json!(0))
        );
        assert!(!job.to_string().contains("credentials"), "{job:#}");
        let failures = stage.failures().await;
        assert!(!failures.is_empty() && failures.iter().all(|text| !text.contains("credentials")), "{failures:?}");
        assert!(failures.iter().any(|text| text.ends_with(&format!("HTTP status {status}"))), "{failures:?}");
        stage.caller.practice.scim_app().unwrap().clear_quirks();
        stage.cycle().await;
        assert_eq!((stage.ended().await, stage.members()), (("Succeeded".into(), 0), stage.meant()), "{status}");
    }
    for (status, word) in [(401, "credentials"), (403, "credentials"), (404, "no SCIM service")] {
        let stage = Stage::new(RFC, &[Quirk::Html(status)]).await;
        let quarantine = stage.caller.job().await["status"]["quarantine"].clone();
        assert_eq!(quarantine["reason"], "EncounteredQuarantineException");
        let message = quarantine["error"]["message"].as_str().unwrap();
        assert!(message.contains(word) && message.contains(&status.to_string()), "{message}");
        assert_eq!(stage.failures().await, Vec::<String>::new(), "no entry was tried");
    }
}

#[tokio::test(start_paused = true)]
async fn look_ups_ask_by_filter_alone() {
    let stage = Stage::new(OWN, &[]).await;
    let ids = stage.caller.practice.ids().clone();
    stage.caller.practice.admin().assign_group(ids.stranger_group, ids.role_user).unwrap();
    stage.cycle().await;
    let calls = stage.caller.practice.scim_calls();
    let asked: BTreeSet<_> = calls.iter().filter(|call| call.method == "GET").map(|call| call.path.as_str()).collect();
    assert!(asked.iter().all(|path| !path.contains("startIndex") && !path.contains("count=")), "{asked:?}");
    assert!(asked.contains("/Users?filter=userName+eq+%22outsider%40contoso.example%22"), "{asked:?}");
    assert!(asked.contains("/Groups?excludedAttributes=members&filter=displayName+eq+%22Strangers%22"), "{asked:?}");
    // One for the credentials in each cycle.
    assert_eq!(asked.len(), 4, "{asked:?}");
}
