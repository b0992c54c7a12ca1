//! The life of a resource: applied, changed, wrong, deleted in the middle, made again.

use std::path::Path;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use serde_json::json;
use unscim::model::extent::Extent;
use unscim::operator::resource::{ConditionStatus, ScimRetirement, annotation};
use unscim::world::Ledger as _;
use unscim::world::ledger::SqliteLedger;

use crate::rig::{self, Operator, Retirement, case, cluster, namespace, until};

const WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

#[test]
fn a_resource_is_applied_and_ends_retired() {
    case(async {
        let place = namespace("whole").await;
        let _operator = Operator::start("whole", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 1).await;
        retirement.apply().await;
        retirement.until_condition("WorkerReady", ConditionStatus::True, "Ready").await;
        retirement.until_retired().await;
        let events = retirement.events().await;
        for reason in ["PhaseChanged", "DeleteTheToken", "Retired"] {
            assert!(events.iter().any(|(told, _)| told == reason), "no {reason}: {events:#?}");
        }
        let seen = retirement.seen().await.unwrap();
        let status = seen.status.unwrap();
        assert_eq!(
            (status.users.as_deref(), status.groups.as_deref(), status.users_lost.as_deref()),
            (Some("6/6"), Some("2/2"), Some("0"))
        );
        assert_eq!(status.observed_generation, seen.metadata.generation);
        assert!(serde_json::to_string(&status).unwrap().len() < 32 << 10);
        let set: StatefulSet = retirement.owned().await;
        assert_eq!(set.metadata.generation, Some(1), "the worker was never rolled");
        let map: ConfigMap = retirement.owned().await;
        assert!(map.data.unwrap().contains_key("unscim.yaml.begun"), "the baseline left its mark");
    });
}

#[test]
fn a_wrong_spec_is_told_and_the_last_good_one_stays_in_force() {
    case(async {
        let place = namespace("wrong").await;
        let _operator = Operator::start("wrong", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 2).await;
        retirement.secret().await;
        // Observe first, as it is documented.
        retirement.apply_with(|manifest| manifest["spec"]["mode"] = "Observe".into()).await;
        retirement.until_phase("Observing").await;
        let before: ConfigMap = retirement.owned().await;
        // The schema lets it through, as it knows no list of groups: the daemon's own reading does not.
        let unknown = "99999999-9999-9999-9999-999999999999";
        retirement.apply_with(|manifest| manifest["spec"]["rollout"] = json!({ "waves": [[unknown]] })).await;
        let why = retirement.until_condition("ConfigLoaded", ConditionStatus::False, "ConfigInvalid").await;
        assert!(why.contains("spec.rollout"), "{why}");
        let after: ConfigMap = retirement.owned().await;
        assert_eq!(before.data, after.data, "the last good one stays");
        assert!(retirement.events().await.iter().any(|(reason, _)| reason == "ConfigInvalid"));
        // Its hold is in force all the same.
        let held = json!({ "waves": [[unknown]] });
        retirement.apply_with(|manifest| (manifest["spec"]["rollout"], manifest["spec"]["hold"]) = (held, "Held".into())).await;
        let is_held = |seen: &ScimRetirement| {
            let held = &seen.status.as_ref()?.held;
            held.iter().any(|held| held.by == "frozen").then_some(())
        };
        retirement.until("held", is_held).await;
        // And it goes on when it is right again: without a restart of the worker.
        let pid = retirement.pid().await;
        retirement.apply_with(|_| {}).await;
        retirement.until_phase("AwaitingRevocation").await;
        assert_eq!(pid, retirement.pid().await);
        retirement.assert_nobody_hurt();
    });
}

#[test]
fn what_leads_out_of_bounds_or_to_another_program_starts_no_worker() {
    case(async {
        let place = namespace("bounds").await;
        let _operator = Operator::start("bounds", &[&place], &["--leader-election=false"]).await;
        let inner = Retirement::new(&place, "inner", 3).await;
        inner.apply_with(|manifest| manifest["spec"]["target"]["scimUrl"] = "https://10.0.0.1/scim".into()).await;
        let why = inner.until_condition("ConfigLoaded", ConditionStatus::False, "ConfigInvalid").await;
        assert!(why.contains("--allow-egress 10.0.0.1"), "{why}");
        let image = Retirement::new(&place, "image", 4).await;
        image.apply_with(|manifest| manifest["spec"]["worker"] = json!({ "image": "registry.example/other:1" })).await;
        image.until_condition("Accepted", ConditionStatus::False, "ImageNotAllowed").await;
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "unscim-foreign", "namespace": place } });
        rig::apply(&cluster().await.client, account).await;
        let foreign = Retirement::new(&place, "foreign", 5).await;
        foreign.apply().await;
        let why = foreign.until_condition("Accepted", ConditionStatus::False, "ForeignObject").await;
        assert!(why.contains("ServiceAccount unscim-foreign"), "{why}");
        let label = Retirement::new(&place, "label", 6).await;
        label.apply_with(|manifest| manifest["spec"]["worker"] = json!({ "podLabels": { "a b": "c" } })).await;
        label.until_condition("Accepted", ConditionStatus::False, "ObjectRefused").await;
        for retirement in [inner, image, foreign, label] {
            assert!(retirement.is_gone::<Pod>().await, "{}", retirement.name);
            let phase = retirement.seen().await.unwrap().status.unwrap().phase;
            assert_eq!(phase.as_deref(), Some("Refused"), "{}", retirement.name);
        }
    });
}

#[test]
fn the_younger_of_two_for_one_app_has_no_worker_until_the_older_is_gone() {
    case(async {
        let (first, second) = (namespace("taken-a").await, namespace("taken-b").await);
        let _operator = Operator::start("taken", &[&first, &second], &["--leader-election=false"]).await;
        let older = Retirement::new(&first, "older", 7).await;
        older.secret().await;
        older.apply_with(|manifest| manifest["spec"]["mode"] = "Observe".into()).await;
        older.until_phase("Observing").await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let younger = Retirement::new(&second, "younger", 7).await;
        younger.apply().await;
        let why = younger.until_condition("Accepted", ConditionStatus::False, "AppTaken").await;
        assert!(why.contains("taken-a/older"), "{why}");
        assert!(younger.is_gone::<StatefulSet>().await);
        older.delete().await;
        until("the older is gone", WITHIN, async || older.seen().await.is_none().then_some(())).await;
        younger.until_condition("Accepted", ConditionStatus::True, "Accepted").await;
    });
}

#[test]
fn the_quota_of_one_client_is_divided_among_those_who_write() {
    case(async {
        let place = namespace("quota").await;
        let _operator = Operator::start("quota", &[&place], &["--leader-election=false"]).await;
        let (first, second) = (Retirement::new(&place, "first", 9).await, Retirement::new(&place, "second", 10).await);
        let divided = async |by: Option<&str>| {
            let config: ConfigMap = first.owned().await;
            let text = config.data.unwrap_or_default().remove("unscim.yaml").unwrap_or_default();
            let is_so = match by {
                Some(by) => text.contains(by),
                None => !text.contains("sharedBy"),
            };
            (!text.is_empty() && is_so).then_some(())
        };
        first.apply().await;
        first.until_phase("AwaitingRevocation").await;
        assert!(divided(None).await.is_some(), "it is alone");
        // Another app of the same tenant.
        let of_the_first = first.manifest();
        let another = |manifest: &mut serde_json::Value| {
            manifest["spec"]["entra"]["tenantId"] = of_the_first["spec"]["entra"]["tenantId"].clone();
            manifest["spec"]["entra"]["credential"]["clientId"] = of_the_first["spec"]["entra"]["credential"]["clientId"].clone();
        };
        second.apply_with(another).await;
        until("the first one has half of its share", WITHIN, async || divided(Some("\"sharedBy\": 2")).await).await;
        second.delete().await;
        until("the second one is gone", WITHIN, async || second.seen().await.is_none().then_some(())).await;
        until("the first one has all of it again", WITHIN, async || divided(None).await).await;
        first.until_retired().await;
    });
}

#[test]
fn deleted_in_the_middle_it_is_kept_back_and_goes_on_by_its_claim_when_it_is_made_again() {
    case(async {
        let place = namespace("middle").await;
        let _operator = Operator::start("middle", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 8).await;
        retirement.apply().await;
        retirement.until_phase("AwaitingRevocation").await;
        let writes = retirement.practice().writes().len();
        retirement.delete().await;
        retirement.until_condition("DeletionKeptBack", ConditionStatus::True, "InTheMiddle").await;
        assert!(retirement.events().await.iter().any(|(reason, _)| reason == "DeletionKeptBack"));
        assert!(retirement.pid().await.is_some(), "the worker goes on looking");
        retirement.annotate(annotation::ABANDON).await;
        until("the resource is gone", WITHIN, async || retirement.seen().await.is_none().then_some(())).await;
        assert!(retirement.events().await.iter().any(|(reason, note)| reason == "Ended" && note.contains("unscim-uniqkey")));
        until("the worker is gone", WITHIN, async || retirement.is_gone::<Pod>().await.then_some(())).await;
        let rest = async || (retirement.is_gone::<Service>().await && retirement.is_gone::<ServiceAccount>().await).then_some(());
        until("the rest goes with its owner", WITHIN, rest).await;
        let kept: PersistentVolumeClaim = retirement.owned().await;
        assert_eq!(kept.metadata.deletion_timestamp, None, "the ledger is the evidence");
        // Made again: without a word on the baseline, as there is one.
        retirement.apply_with(|manifest| _ = manifest["spec"].as_object_mut().unwrap().remove("baseline")).await;
        retirement.until_phase("AwaitingRevocation").await;
        assert_eq!(retirement.practice().writes().len(), writes, "nothing is done twice");
        retirement.until_retired().await;
        // Over: it is let go at once, and the ledger too, as asked for.
        retirement.annotate(annotation::DELETE_LEDGER).await;
        retirement.delete().await;
        until("the resource is gone", WITHIN, async || retirement.seen().await.is_none().then_some(())).await;
        until("the claim is gone", WITHIN, async || retirement.is_gone::<PersistentVolumeClaim>().await.then_some(())).await;
    });
}

#[test]
fn a_lost_ledger_is_never_day_one() {
    case(async {
        let place = namespace("lost").await;
        let _operator = Operator::start("lost", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 9).await;
        retirement.apply().await;
        retirement
            .until("marked", |seen| seen.metadata.annotations.as_ref()?.contains_key(annotation::BASELINE_RECORDED).then_some(()))
            .await;
        let marked = async || {
            let map: ConfigMap = retirement.owned().await;
            map.data.unwrap().contains_key("unscim.yaml.begun").then_some(())
        };
        until("the mark is in the ConfigMap", WITHIN, marked).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        // The volume is lost, and the worker with it; `baseline: Take` still stands in the resource.
        std::fs::remove_dir_all(retirement.ledger().await.join("ledger")).unwrap();
        crate::kubelet::signal(retirement.pid().await.unwrap(), "KILL");
        retirement.until_condition("BaselineRecorded", ConditionStatus::False, "NewBaselineNeeded").await;
        let writes = retirement.practice().writes().len();
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(retirement.practice().writes().len(), writes, "nothing is written by an empty ledger");
        retirement.assert_nobody_hurt();
    });
}

#[test]
fn a_volume_that_was_put_back_from_an_older_copy_is_held_until_a_person_has_had_a_look() {
    case(async {
        let place = namespace("older").await;
        let _operator = Operator::start("older", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 31).await;
        retirement.apply().await;
        let lines = |seen: &ScimRetirement| Some(seen.status.as_ref()?.ledger.as_ref()?.lines);
        retirement.until("a first write", |seen| lines(seen).filter(|lines| *lines > 0)).await;
        let copies = tempfile::tempdir().unwrap();
        let (data, copy) = (retirement.ledger().await.join("ledger"), copies.path().join("ledger"));
        let pid = retirement.pid().await.unwrap();
        crate::kubelet::signal(pid, "STOP");
        copied(&data, &copy);
        crate::kubelet::signal(pid, "CONT");
        let copied_lines = SqliteLedger::open_read_only(&copy).unwrap().last_line().unwrap().unwrap().0;
        let further = retirement.until("further", |seen| lines(seen).filter(|lines| *lines > copied_lines)).await;
        let marked = async || {
            let map: ConfigMap = retirement.owned().await;
            let mark = map.data.unwrap().remove("unscim.yaml.begun")?;
            let extent: Extent = serde_json::from_str(mark.lines().nth(1)?).unwrap();
            (extent.lines >= further).then_some(())
        };
        until("the mark beside the config says how far", WITHIN, marked).await;
        crate::kubelet::signal(pid, "STOP");
        std::fs::remove_dir_all(&data).unwrap();
        copied(&copy, &data);
        crate::kubelet::signal(pid, "KILL");
        let is_behind = |seen: &ScimRetirement| seen.status.as_ref().unwrap().held.iter().any(|held| held.by == "ledger-behind");
        retirement.until("held", |seen| is_behind(seen).then_some(())).await;
        let writes = retirement.practice().writes().len();
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(retirement.practice().writes().len(), writes, "nothing is done by an older copy");
        let seen = retirement.seen().await.unwrap();
        assert!(is_behind(&seen) && lines(&seen).unwrap() >= further, "what was seen is not forgotten: {:?}", seen.status);
        retirement.apply_with(|manifest| manifest["spec"]["mode"] = "Observe".into()).await;
        retirement.until("the word of a person", |seen| (!is_behind(seen) && lines(seen)? < further).then_some(())).await;
        retirement.apply_with(|_| {}).await;
        retirement.until_retired().await;
    });
}

/// With the rights that it has.
fn copied(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}
