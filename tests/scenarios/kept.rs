//! Who counts as kept: records that are made anew, that say less than before, that get other names; and people who are none of ours.

use serde_json::json;
use unscim::evidence::{Evidence, report};
use unscim::model::condition::{ConditionKind, Reason, Truth};
use unscim::model::id::{ScimId, UserId};
use unscim::model::spec::Rollout;
use unscim::model::status::{Phase, Status};
use unscim::practice::scim_app::{Quirk, ScimApp};
use unscim::world::Ledger as _;

use crate::support::Rig;
use crate::walk::small;

impl Rig {
    /// So many turns, whatever they say; the last status.
    async fn turns(&mut self, turns: usize) -> Status {
        let mut last = None;
        for _ in 0..turns {
            last = Some(self.turn().await.status);
            tokio::time::sleep(self.spec.timing.interval).await;
        }
        last.unwrap()
    }

    fn app(&self) -> ScimApp {
        self.practice.scim_app().unwrap().clone()
    }

    fn record(&self, user: UserId) -> String {
        self.practice.scim_user(user).unwrap().to_string()
    }

    /// Deletes the user's record in the app and makes another under the same id, as an app does whose ids are names.
    fn make_anew(&self, user: UserId) {
        let (app, id) = (self.app(), self.record(user));
        let before = app.users().into_iter().find(|record| record["id"] == id.as_str()).unwrap();
        app.delete_user(&id);
        app.seed_user(json!({"id": id, "userName": before["userName"], "externalId": before["externalId"], "active": true}));
    }

    /// The sentence of `unscim report`, and what happened meanwhile.
    fn reported(&mut self) -> (String, String) {
        let ledger = &self.world().ledger;
        let evidence = Evidence {
            baseline: ledger.baseline().unwrap().known().unwrap().clone(),
            remembered: ledger.remembered().unwrap(),
            writes: ledger.writes().unwrap(),
            witnessed: ledger.history().unwrap(),
            lines: 0,
            head: String::new(),
        };
        let report = report(evidence, "2031-05-05T05:05:05Z".parse().unwrap());
        (report.result.clone(), unscim::evidence::html(&report).unwrap())
    }
}

fn kept(status: &Status) -> (Truth, Reason, String) {
    let condition = status.condition(ConditionKind::UsersKept).unwrap();
    (condition.status, condition.reason, condition.message.clone())
}

fn held(status: &Status, words: &str) -> bool {
    status.held.iter().any(|held| held.message.contains(words))
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_made_anew_under_the_same_id_is_not_the_one_of_before() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::AwaitingCycle).await;
    let (user, record) = (rig.user(4), rig.record(rig.user(4)));
    rig.make_anew(user);
    let status = rig.until(20, |status| kept(status).1 == Reason::UsersLost).await;
    assert!(kept(&status).2.contains(&format!("record {record} is another one: it was made at")), "{}", kept(&status).2);
    rig.restart();
    let status = rig.turns(60).await;
    assert!(held(&status, "is another one") && !status.is_true(ConditionKind::CycleCompleted), "{status:#?}");
    rig.spec.released.insert(user);
    let last = rig.retire().await;
    assert_eq!((last.progress.users_kept, last.progress.users_counted), (Some(7), Some(7)));
    let (result, page) = rig.reported();
    assert!(result.starts_with("7 of 7 users kept; 1 released by the operator, and not counted: "), "{result}");
    assert!(page.contains("is another one: it was made at"), "the report names them");
}

#[tokio::test(start_paused = true)]
async fn who_was_once_seen_gone_is_not_kept_again_without_a_word() {
    let mut rig = Rig::new(small()).await;
    // Nothing but what was seen tells of it.
    rig.app().set_quirk(Quirk::NoCreated);
    rig.until_phase(Phase::AwaitingCycle).await;
    let (user, record) = (rig.user(4), rig.record(rig.user(4)));
    let before = rig.app().users().into_iter().find(|one| one["id"] == record.as_str()).unwrap();
    rig.app().delete_user(&record);
    rig.until(20, |status| kept(status).1 == Reason::UsersLost).await;
    rig.app().seed_user(before);
    rig.restart();
    let status = rig.turns(60).await;
    assert!(kept(&status).2.contains("was gone from the target at"), "{:?}", kept(&status));
    assert!(held(&status, "was gone from the target at") && !status.is_true(ConditionKind::CycleCompleted), "{status:#?}");
    rig.spec.released.insert(user);
    rig.retire().await;
    let (result, page) = rig.reported();
    assert!(result.contains("of 1 user the record was gone for a time, and they are not called kept"), "{result}");
    assert!(page.contains("; the record was gone at "), "in the user's own line");
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_which_nobody_is_there_ends_by_itself() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::AwaitingCycle).await;
    let app = rig.app();
    let all = app.users();
    let empty = |app: &ScimApp| all.iter().for_each(|one| app.delete_user(one["id"].as_str().unwrap()));
    app.set_quirk(Quirk::NoCreated);
    empty(&app);
    rig.until(20, |status| kept(status).1 == Reason::UsersLost).await;
    all.iter().for_each(|one| _ = app.seed_user(one.clone()));
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_dates_its_records_anew_with_every_answer_is_known_for_it() {
    let mut rig = Rig::new(small()).await;
    rig.app().set_quirk(Quirk::MovingCreated);
    let before = rig.active_users();
    let last = rig.until_phase(Phase::AwaitingRevocation).await;
    assert!(
        last.notes.is_empty() || last.notes.iter().all(|note| !note.contains("meta.created")),
        "after step 4 there is nothing to note"
    );
    let remembered = rig.world().ledger.remembered().unwrap();
    assert!(remembered.undated && remembered.lost_since.is_empty() && remembered.doubts.is_empty(), "{remembered:?}");
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_never_says_who_is_active_is_noted_and_reported() {
    let mut rig = Rig::new(small()).await;
    rig.app().set_quirk(Quirk::NoActive);
    let status = rig.until(20, |status| status.is_true(ConditionKind::BaselineRecorded)).await;
    assert!(
        status.notes.iter().any(|note| note.contains("does not say of anybody whether they are active")),
        "{:?}",
        status.notes
    );
    rig.retire().await;
    let (result, _) = rig.reported();
    assert!(result.ends_with("the app did not say who is active, so that nobody could have seen a deactivation"), "{result}");
}

#[tokio::test(start_paused = true)]
async fn an_app_that_only_says_who_is_not_active_says_enough() {
    let mut rig = Rig::new(small()).await;
    let app = rig.app();
    app.set_quirk(Quirk::NoActive);
    rig.until_phase(Phase::AwaitingCycle).await;
    let record = rig.record(rig.user(4));
    app.clear_quirks();
    app.change_user(&record, "active", false.into());
    let status = rig.until(20, |status| kept(status).1 == Reason::UsersLost).await;
    assert!(kept(&status).2.contains("is inactive at the target, and was not so when it was first seen"), "{:?}", kept(&status));
    // The same record, as it was: that heals.
    app.change_user(&record, "active", true.into());
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn a_rename_in_entra_is_no_other_record() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.until_phase(Phase::EmptyingGroups).await;
    rig.practice.admin().rename(rig.user(4), "Ada.Lovelace@contoso.example").unwrap();
    rig.until_phase(Phase::AwaitingCycle).await;
    rig.practice.admin().rename(rig.user(5), "grace@contoso.example").unwrap();
    let last = rig.retire().await;
    assert_eq!((last.progress.users_kept, last.progress.users_counted), (Some(8), Some(8)));
    rig.assert_nobody_hurt(&before);
    let (_, page) = rig.reported();
    assert!(page.contains("is grace@contoso.example in Entra and at the target now"), "it is told");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_gets_another_name_is_a_question_for_a_person() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::AwaitingCycle).await;
    let (app, user, record) = (rig.app(), rig.user(4), rig.record(rig.user(4)));
    let name = app.users().into_iter().find(|one| one["id"] == record.as_str()).unwrap()["userName"].clone();
    app.change_user(&record, "userName", "deleted-8812@invalid.example".into());
    let status = rig.until(60, |status| kept(status).1 == Reason::UsersUncertain).await;
    assert!(kept(&status).2.contains(&format!("{user}: record {record} has another userName")), "{:?}", kept(&status));
    let status = rig.turns(60).await;
    assert!(held(&status, "has another userName") && !status.is_true(ConditionKind::CycleCompleted), "{status:#?}");
    // Its own name again: so it was a mistake of somebody's.
    app.change_user(&record, "userName", name);
    rig.until(60, |status| kept(status).1 == Reason::AllKept).await;
    app.change_user(&record, "userName", "deleted-8812@invalid.example".into());
    rig.until(60, |status| kept(status).1 == Reason::UsersUncertain).await;
    rig.spec.released.insert(user);
    let last = rig.retire().await;
    assert_eq!((last.progress.users_kept, last.progress.users_counted), (Some(7), Some(7)));
}

#[tokio::test(start_paused = true)]
async fn a_record_of_nobody_that_ends_after_the_first_removal_holds_until_somebody_knows_of_it() {
    for gone in [false, true] {
        let mut rig = Rig::new(small()).await;
        rig.spec.rollout = Rollout::AllAtOnce;
        let manual = rig.practice.ids().manual_user.clone().unwrap();
        rig.until(600, |status| status.progress.memberships == Some(0) && status.progress.groups_assigned == Some(3)).await;
        match gone {
            true => rig.app().delete_user(&manual.to_string()),
            false => rig.app().change_user(&manual.to_string(), "active", false.into()),
        }
        rig.restart();
        let status = rig.until(200, |status| held(status, "never protected")).await;
        assert!(held(&status, &format!("record:{manual}: is {} ", if gone { "gone" } else { "inactive" })), "{:#?}", status.held);
        let writes = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.method == "DELETE").count();
        let written = writes(&rig);
        rig.turns(30).await;
        assert_eq!(writes(&rig), written, "nothing more is taken away");
        rig.spec.released_records.insert(ScimId::from(manual.to_string()));
        rig.retire().await;
        let (_, page) = rig.reported();
        assert!(page.contains(&format!("record:{manual}, never protected, ended")), "the report names it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_whom_the_directory_has_ended_holds_nothing_for_good() {
    let mut rig = Rig::new(small()).await;
    rig.spec.rollout = Rollout::AllAtOnce;
    rig.until(600, |status| status.progress.memberships == Some(0) && status.progress.groups_assigned == Some(3)).await;
    rig.practice.admin().disable(rig.practice.ids().direct_only).unwrap();
    rig.retire().await;
}

#[tokio::test(start_paused = true)]
async fn who_was_never_protected_and_ended_before_the_token_went_is_not_forgotten_with_it() {
    for known_by_the_log in [true, false] {
        let mut rig = Rig::new(small()).await;
        let (stranger, role) = (rig.practice.ids().outsider, rig.practice.ids().role_user);
        let manual = rig.practice.ids().manual_user.clone().unwrap().to_string();
        if known_by_the_log {
            rig.practice.admin().assign_user(stranger, role).unwrap();
        }
        rig.until_phase(Phase::AwaitingRevocation).await;
        let who = match known_by_the_log {
            true => stranger.to_string(),
            false => format!("record:{manual}"),
        };
        match known_by_the_log {
            true => rig.practice.admin().unassign_user(stranger).unwrap(),
            false => rig.app().delete_user(&manual),
        }
        rig.until(200, |status| held(status, &who)).await;
        rig.practice.revoke_token().unwrap();
        rig.until(30, |status| status.is_true(ConditionKind::TokenRevoked)).await;
        rig.restart();
        let status = rig.turns(3).await;
        assert_eq!(status.phase, Phase::Held);
        assert!(!status.is_true(ConditionKind::Ready) && held(&status, &who), "{status:#?}");
        let protected = (kept(&status).0, kept(&status).1, status.progress.users_lost);
        assert_eq!(protected, (Truth::True, Reason::ProvenBeforeRevocation, Some(0)), "nobody of them is lost");
        match known_by_the_log {
            true => rig.practice.admin().disable(stranger).unwrap(),
            false => assert!(rig.spec.released_records.insert(ScimId::from(manual))),
        }
        let status = rig.until(30, |status| status.is_true(ConditionKind::Ready)).await;
        assert_eq!((status.phase, status.held.len()), (Phase::Retired, 0), "{:#?}", status.held);
        let why = if known_by_the_log { "disabled or deleted in Entra, too" } else { "released by the operator" };
        let (_, page) = rig.reported();
        assert!(page.contains(&format!("{who}, never protected, counts no more: {why}")), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_released_after_the_proof_counts_in_nothing_that_is_told_without_the_token() {
    for before_the_token in [true, false] {
        let mut rig = Rig::new(small()).await;
        let status = rig.until_phase(Phase::AwaitingRevocation).await;
        let (all, lost) = (status.progress.users_counted.unwrap(), rig.user(1));
        let record = rig.record(lost);
        rig.app().delete_user(&record);
        rig.until(10, |status| status.progress.users_lost == Some(1)).await;
        // One who is lost, and one who is kept.
        let released = [lost, rig.user(2)];
        if before_the_token {
            rig.spec.released.extend(released);
            rig.until_phase(Phase::AwaitingRevocation).await;
        }
        rig.practice.revoke_token().unwrap();
        rig.until(30, |status| status.is_true(ConditionKind::TokenRevoked)).await;
        rig.spec.released.extend(released);
        rig.until_phase(Phase::Retired).await;
        let counted = |status: &Status| {
            let progress = &status.progress;
            assert_eq!((progress.users_kept, progress.users_counted), (Some(all - 2), Some(all - 2)), "{before_the_token}");
            assert_eq!((progress.users_lost, status.gauges.users_lost), (Some(0), Some(0)));
            let (truth, reason, message) = kept(status);
            assert_eq!((truth, reason), (Truth::True, Reason::ProvenBeforeRevocation));
            let (now, then) =
                (format!("{0} of {0} users kept at the last read", all - 2), format!("with {all} of {all} users kept"));
            assert!(message.contains(&now) && message.ends_with(&then), "{message}");
        };
        counted(&rig.turn().await.status);
        rig.restart();
        counted(&rig.turn().await.status);
        let (result, page) = rig.reported();
        assert!(
            result.starts_with(&format!("{0} of {0} users kept; 2 released by the operator, and not counted: ", all - 2)),
            "{result}"
        );
        assert_eq!(page.matches("was released by the operator, and counts no more").count(), 2, "{page}");
        assert!(
            page.contains("released by the operator; when step 4 was proven: kept") && !page.contains("no longer counts as lost")
        );
        // Who counts again is nobody whom a read has shown.
        rig.spec.released.remove(&rig.user(2));
        let again = rig.turn().await.status;
        assert_eq!((again.progress.users_kept, again.progress.users_counted), (Some(all - 2), Some(all - 1)));
        assert!(rig.reported().0.contains("; of 1 nobody can say"), "{}", rig.reported().0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_names_whose_record_has_another_name_and_that_it_had_one() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::AwaitingRevocation).await;
    let (user, record) = (rig.user(1), rig.record(rig.user(1)));
    let name = rig.app().users().into_iter().find(|one| one["id"] == record.as_str()).unwrap()["userName"].clone();
    rig.app().change_user(&record, "userName", "deleted-123@contoso.example".into());
    rig.until(30, |status| kept(status).1 == Reason::UsersUncertain).await;
    let (result, page) = rig.reported();
    assert!(
        result.starts_with("7 of 8 users kept; of 1 nobody can say (another name at the app: user01@contoso.example)"),
        "{result}"
    );
    assert!(
        page.contains("; the record has another name at the app since ") && page.contains("nobody can say whether user01@"),
        "{page}"
    );
    rig.app().change_user(&record, "userName", name);
    rig.until(30, |status| kept(status).1 == Reason::AllKept).await;
    let (result, page) = rig.reported();
    assert!(result.starts_with("8 of 8 users kept") && !result.contains("nobody can say"), "{result}");
    assert!(page.contains("user01@contoso.example has a record under a known name again"), "{page}");
    rig.app().change_user(&record, "userName", "deleted-123@contoso.example".into());
    rig.until(30, |status| kept(status).1 == Reason::UsersUncertain).await;
    rig.spec.released.insert(user);
    rig.retire().await;
    let (result, page) = rig.reported();
    assert!(result.starts_with("7 of 7 users kept; 1 released by the operator, and not counted: user01@"), "{result}");
    assert!(
        page.contains("released by the operator; when step 4 was proven: kept; the record has another name at the app since "),
        "{page}"
    );
}
