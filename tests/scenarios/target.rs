//! SCIM services that answer otherwise than the standard says, over the whole way.

use unscim::model::condition::{ConditionKind, Reason};
use unscim::model::spec::Acknowledgement;
use unscim::model::status::{Phase, Status};
use unscim::practice::scenario::{ActiveBy, Scenario};
use unscim::practice::scim_app::Quirk;
use unscim::practice::{Effect, Fault};

use crate::support::Rig;
use crate::walk::small;

#[tokio::test(start_paused = true)]
async fn an_app_that_says_no_in_its_own_words_is_retired_all_the_same() {
    for quirk in
        [Quirk::NotFoundAs(404, ""), Quirk::NotFoundAs(404, r#"{"title":"Not Found","status":404}"#), Quirk::NotFoundAs(401, "")]
    {
        let mut rig = Rig::new(small()).await;
        rig.practice.scim_app().unwrap().set_quirk(quirk);
        rig.retire().await;
    }
}

/// Its groups were all of them managed: in the end its list of groups is empty.
#[tokio::test(start_paused = true)]
async fn an_app_that_names_none_of_its_lists_is_retired_to_its_last_group() {
    let mut scenario = small();
    scenario.target.unmanaged = false;
    let mut rig = Rig::new(scenario).await;
    let before = rig.active_users();
    rig.practice.scim_app().unwrap().set_quirk(Quirk::NoSchemas);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

/// That may be a token that opens nothing, or a list that failed: no group is taken for missing by it.
#[tokio::test(start_paused = true)]
async fn an_empty_list_without_a_name_is_no_proof_of_a_group_whose_id_is_not_known() {
    let mut scenario = small();
    scenario.target.unmanaged = false;
    let mut rig = Rig::new(scenario).await;
    let app = rig.practice.scim_app().unwrap();
    app.set_quirk(Quirk::NoSchemas);
    for group in &rig.practice.ids().groups {
        app.delete_group(&rig.practice.scim_group(*group).unwrap().to_string());
    }
    for _ in 0..3 {
        let status = rig.turn().await.status;
        let said = format!("{:?}", status.conditions);
        assert!(said.contains("an empty list that nothing shows to be whole"), "{:#?}", status.conditions);
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes(), [], "there is no baseline to begin with");
}

/// Nothing would be left to go by at the end, after everything that can't be taken back.
#[tokio::test(start_paused = true)]
async fn an_app_that_can_not_say_no_is_refused_before_the_first_write_and_retired_by_the_operators_word() {
    for quirk in [Quirk::NotFoundAs(500, ""), Quirk::NoSingleReads] {
        let mut rig = Rig::new(small()).await;
        let before = rig.active_users();
        rig.practice.scim_app().unwrap().set_quirk(quirk.clone());
        for _ in 0..3 {
            let status = rig.turn().await.status;
            let held = format!("{:?}", status.held);
            assert!(held.contains("groups.acknowledge: [GroupsByListOnly]"), "{quirk:?}: {held}");
            tokio::time::sleep(rig.spec.timing.interval).await;
        }
        assert_eq!(rig.practice.writes(), [], "{quirk:?}");
        rig.spec.groups.acknowledge.push(Acknowledgement::GroupsByListOnly);
        rig.retire().await;
        rig.assert_nobody_hurt(&before);
    }
}

/// Entra's changes of it fail in every cycle, and only a person can end that.
#[tokio::test(start_paused = true)]
async fn a_group_that_the_app_has_lost_is_noted_and_awaits_a_person_once_cycles_fail_for_it() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    let group = rig.practice.ids().groups[0];
    let lost = rig.practice.scim_group(group).unwrap();
    rig.practice.scim_app().unwrap().delete_group(&lost.to_string());
    let noted = rig.turn().await.status;
    assert!(
        noted.notes.iter().any(|note| note.contains("the app has no record, or more than one, of 1 of")),
        "{:?}",
        noted.notes
    );
    let awaits = |status: &Status| status.conditions.iter().any(|condition| condition.reason == Reason::EntriesFailed);
    let status = rig.until(600, awaits).await;
    assert!(!status.is_true(ConditionKind::GroupsUnassigned), "{:#?}", status.conditions);
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_401_to_one_record_while_the_lists_answer_is_about_that_record() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::UnassigningGroups).await;
    for status in [401, 403] {
        let effect = Effect::Answer { status, headers: Vec::new(), body: String::new() };
        rig.practice.faults().add(Fault::once("/scim/v2/Groups/", effect).times(40));
    }
    for _ in 0..120 {
        let status = rig.turn().await.status;
        assert!(status.held.iter().all(|held| !held.message.contains("RevokedTooEarly")), "{:#?}", status.held);
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    }
    rig.practice.faults().clear();
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn a_401_to_one_list_while_the_other_answers_is_no_revocation() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::UnassigningGroups).await;
    let effect = Effect::Answer { status: 401, headers: Vec::new(), body: String::new() };
    rig.practice.faults().add(Fault::once("/scim/v2/Groups?", effect).times(6));
    for _ in 0..60 {
        let status = rig.turn().await.status;
        assert!(status.held.iter().all(|held| !held.message.contains("RevokedTooEarly")), "{:#?}", status.held);
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    }
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn either_form_of_entras_changes_leads_to_the_end() {
    let rfc = || Some("aadOptscim062020".to_owned());
    for (query, active_by, quirks) in [
        (None, ActiveBy::Value, vec![Quirk::RefusesActivePath(500), Quirk::RefusesMemberFilter]),
        // The first removal empties the group at the app, and nobody is hurt by it.
        (None, ActiveBy::Path, vec![Quirk::RemovalTakesAll]),
        (rfc(), ActiveBy::Path, vec![Quirk::RefusesStringActive, Quirk::RefusesMemberList]),
    ] {
        let mut scenario = small();
        (scenario.target.query, scenario.job.active_by) = (query, active_by);
        let mut rig = Rig::new(scenario).await;
        let app = rig.practice.scim_app().unwrap().clone();
        quirks.into_iter().for_each(|quirk| app.set_quirk(quirk));
        let before = rig.active_users();
        rig.retire().await;
        rig.assert_nobody_hurt(&before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_refuses_what_entra_sends_is_waited_for_until_it_takes_it() {
    let mut rig = Rig::new(small()).await;
    let app = rig.practice.scim_app().unwrap().clone();
    let before = rig.active_users();
    app.set_quirk(Quirk::RefusesMemberList);
    rig.until_phase(Phase::EmptyingGroups).await;
    let mut told = String::new();
    for _ in 0..120 {
        let status = rig.turn().await.status;
        assert_eq!(status.phase, Phase::EmptyingGroups);
        told.extend(status.conditions.into_iter().map(|condition| condition.message));
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    }
    let removed = rig.practice.writes().iter().filter(|write| write.method == "DELETE").count();
    assert_eq!(removed, 1, "no one after the canary");
    assert!(told.contains("the last one does not count: it failed for the managed group"), "{told}");
    app.clear_quirks();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

/// The service gives the same first records whatever is asked, and counts no others.
#[tokio::test(start_paused = true)]
async fn whom_a_list_that_repeats_itself_lacks_is_looked_up_before_anybody_is_called_without_a_record() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.practice.scim_app().unwrap().set_quirk(Quirk::FirstOnly(5));
    let status = rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let text = format!("{:?}", status.conditions);
    assert!(text.contains("8 of 8 users kept"), "{text}");
}

/// More of them than one look asks for: the baseline waits until the last one was looked up.
#[tokio::test(start_paused = true)]
async fn a_round_over_whom_a_list_lacks_takes_several_looks() {
    let mut rig = Rig::new(Scenario { users: 130, groups: 4, ..Scenario::default() }).await;
    rig.practice.scim_app().unwrap().set_quirk(Quirk::FirstOnly(21));
    let first = rig.turn().await.status;
    assert!(!first.is_true(ConditionKind::BaselineRecorded), "9 of them are still to be looked up");
    let text = format!("{:?}", first.conditions);
    assert!(text.contains("looked up one by one") && !text.contains("without a record at the app"), "{text}");
    rig.until(20, |status| status.is_true(ConditionKind::BaselineRecorded)).await;
    rig.practice.scim_app().unwrap().clear_quirks();
    let status = rig.until_phase(Phase::EmptyingGroups).await;
    assert!(status.held.is_empty(), "{:#?}", status.held);
}

#[tokio::test(start_paused = true)]
async fn where_no_filter_helps_it_is_not_known_who_has_a_record() {
    for (quirk, words) in [
        (Quirk::RefusesFilter(501), "501"),
        (Quirk::IgnoresFilter, "several records"),
        (Quirk::FilterFindsNobody, "the app's filter does not find record"),
    ] {
        let mut rig = Rig::new(small()).await;
        rig.practice.scim_app().unwrap().set_quirk(Quirk::FirstOnly(5));
        rig.practice.scim_app().unwrap().set_quirk(quirk.clone());
        for _ in 0..4 {
            let status = rig.turn().await.status;
            let text = format!("{:?} {:?}", status.held, status.conditions);
            assert!(!text.contains("without a record at the app"), "{quirk:?}: {text}");
            assert!(text.contains("could not be read") && text.contains(words), "{quirk:?}: {text}");
            tokio::time::sleep(rig.spec.timing.interval).await;
        }
        assert_eq!(rig.practice.writes(), []);
        // By the operator's word it goes on without counting them.
        rig.spec.groups.acknowledge.push(Acknowledgement::UncountedUsers);
        let before = rig.active_users();
        let status = rig.retire().await;
        rig.assert_nobody_hurt(&before);
        let text = format!("{:?}", status.conditions);
        assert!(text.contains("4 of 8 users kept, 4 not known at the app"), "{quirk:?}: {text}");
    }
}
