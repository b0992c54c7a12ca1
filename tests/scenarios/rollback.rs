//! `unscim rollback` over the practice tenant: what we did is undone, nothing else is, and nobody is ever without a path.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use unscim::cli::rollback::shown;
use unscim::evidence::{Evidence, Report, report};
use unscim::model::action::{Action, Done};
use unscim::model::history::Event;
use unscim::model::id::{AppRoleId, GroupId, UserId};
use unscim::model::key::Key;
use unscim::model::observed::Observed;
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Afterwards, Hold, Mode, Spec};
use unscim::model::status::Phase;
use unscim::practice::scenario::Scenario;
use unscim::practice::{Effect, Fault};
use unscim::turn::{LoopState, Permit, turn};
use unscim::undo::Direct;
use unscim::undo::{Rollback, look};
use unscim::world::{Clock, Directory, Ledger, World};

use crate::support::Rig;
use crate::walk::small;

/// What the tenant looks like: rows on the app by holder and role, and who is in which managed group.
#[derive(Debug, PartialEq, Eq)]
struct Tenant {
    groups: BTreeSet<(GroupId, AppRoleId)>,
    direct: BTreeSet<(UserId, AppRoleId)>,
    members: BTreeMap<GroupId, BTreeSet<UserId>>,
}

async fn tenant(rig: &mut Rig) -> Tenant {
    let ids = rig.practice.ids().clone();
    let directory = &rig.world().directory;
    let rows = directory.assignments(ids.service_principal).await.unwrap().value;
    let mut now = Tenant { groups: BTreeSet::new(), direct: BTreeSet::new(), members: BTreeMap::new() };
    for row in rows {
        match row.principal {
            Principal::User(user) => _ = now.direct.insert((user, row.role)),
            Principal::Group(group) => _ = now.groups.insert((group, row.role)),
            Principal::Other(_) | Principal::Unheard(_) => {}
        }
    }
    for group in ids.groups {
        now.members.insert(group, directory.members_of(&[group]).await.remove(0).unwrap().value.users);
    }
    now
}

/// What the evidence would say now.
fn told(rig: &mut Rig) -> Report {
    let ledger = &rig.world().ledger;
    let Observed::Known(baseline) = ledger.baseline().unwrap() else { panic!("no baseline") };
    let (remembered, writes) = (ledger.remembered().unwrap(), ledger.writes().unwrap());
    let witnessed = ledger.history().unwrap();
    report(Evidence { baseline, remembered, writes, witnessed, lines: 0, head: String::new() }, rig.world().clock().now())
}

async fn looked(rig: &mut Rig, direct: Direct) -> Rollback {
    rig.world();
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    look(rig.world(), &spec, direct, &stop).await.unwrap()
}

/// Looks and does it; the number of writes that were done.
async fn rolled_back(rig: &mut Rig, direct: Direct) -> usize {
    let rollback = looked(rig, direct).await;
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    let back = rollback.carry_out(rig.world(), &spec, &stop).await.unwrap();
    assert!(back.stopped.is_none() && back.failed.is_empty(), "{back:?}");
    assert!(back.done.iter().all(|(_, done)| *done == Done::Ok), "{back:?}");
    back.done.len()
}

#[tokio::test(start_paused = true)]
async fn who_was_offboarded_by_hand_and_comes_back_with_their_groups_is_named_before() {
    let mut rig = Rig::new(small()).await;
    rig.retire().await;
    assert_eq!(looked(&mut rig, Direct::Stay).await.undo.comes, Vec::<String>::new());
    let (gone, newcomer) = (rig.user(1), rig.practice.ids().nested_only[0]);
    rig.practice.admin().unassign_user(gone).unwrap();
    let group = rig.practice.ids().groups[0];
    rig.practice.admin().join(newcomer, group).unwrap();
    let rollback = looked(&mut rig, Direct::Stay).await;
    let comes = &rollback.undo.comes;
    assert!(comes[0].contains("1 user now whom it never brought into scope before"), "{comes:?}");
    assert!(
        comes[1].starts_with("1 user whose direct assignment somebody else has taken away: ")
            && comes[1].contains(&gone.to_string())
    );
    assert!(comes.len() == 2 && shown(&rollback).plain().contains("Comes into scope with it:"), "{comes:?}");
    // Who has joined another group since is one of those, and nobody has taken anything away from them.
    let baseline = rig.world().ledger.baseline().unwrap();
    let is_out = |user: &&UserId| !baseline.known().unwrap().users[*user].groups.contains(&group) && **user != gone;
    let joins = *baseline.known().unwrap().users.keys().find(is_out).unwrap();
    rig.practice.admin().join(joins, group).unwrap();
    let comes = looked(&mut rig, Direct::Stay).await.undo.comes;
    assert!(comes[0].contains("2 users now whom it never brought into scope before"), "{comes:?}");
    assert!(comes[1].starts_with("1 user whose direct assignment") && comes.len() == 2, "{comes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_paused_at_the_end_is_named_by_the_rollback_that_it_keeps_waiting() {
    let mut rig = Rig::new(small()).await;
    rig.spec.provisioning.afterwards = Afterwards::Pause;
    rig.retire().await;
    let paused = "was paused by unscim as its last step, and nobody is provisioned until it is started in the portal";
    let is_named = |told: &[String]| told.iter().any(|told| told.contains(paused));
    assert!(is_named(&looked(&mut rig, Direct::Stay).await.undo.stays));
    rolled_back(&mut rig, Direct::Stay).await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        rig.practice.pass(Duration::from_secs(600)).await;
        let rollback = looked(&mut rig, Direct::Go).await;
        let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
        rollback.carry_out(rig.world(), &spec, &stop).await.unwrap();
        waits = rollback.undo.waits;
    }
    assert!(is_named(&waits), "{waits:?}");
    rig.practice.admin().start_job();
    assert!(!is_named(&looked(&mut rig, Direct::Go).await.undo.stays));
}

#[tokio::test(start_paused = true)]
async fn a_finished_retirement_is_undone_in_the_safe_order_and_can_be_begun_anew() {
    let mut rig = Rig::new(small()).await;
    // Who is disabled is not put back; here nobody is.
    for user in rig.practice.ids().users.clone() {
        rig.practice.admin().enable(user).unwrap();
    }
    let (kept, before) = (rig.active_users(), tenant(&mut rig).await);
    rig.retire().await;
    let after = tenant(&mut rig).await;
    assert!(after.groups.is_empty() && after.members.values().all(BTreeSet::is_empty));

    // Groups first, then members; direct rows stay.
    let rollback = looked(&mut rig, Direct::Go).await;
    let kinds: Vec<_> = rollback.undo.actions().iter().map(Action::kind).collect();
    let rows = kinds.iter().filter(|kind| **kind == "RestoreAssignment").count();
    assert!(rows > 0 && kinds[..rows].iter().all(|kind| *kind == "RestoreAssignment"), "{kinds:?}");
    assert!(kinds[rows..].iter().all(|kind| *kind == "RestoreMember"), "{kinds:?}");
    assert!(
        rollback.undo.waits.iter().any(|wait| wait.contains("direct assignments made by us stay")),
        "{:?}",
        rollback.undo.waits
    );
    assert_eq!(rolled_back(&mut rig, Direct::Stay).await, kinds.len());
    let undone = tenant(&mut rig).await;
    assert_eq!((&undone.groups, &undone.members), (&before.groups, &before.members));
    assert_eq!(undone.direct, after.direct);

    // Once more: nothing left to do.
    let again = looked(&mut rig, Direct::Stay).await;
    assert!(again.undo.actions().is_empty() && again.undo.waits.is_empty(), "{}", shown(&again).plain());
    assert_eq!(again.undo.already, kinds.len());
    let at = rig.world().ledger.remembered().unwrap().rolled_back;
    rig.practice.pass(Duration::from_secs(60)).await;
    assert_eq!(rolled_back(&mut rig, Direct::Stay).await, 0);
    assert_eq!(rig.world().ledger.remembered().unwrap().rolled_back, at, "nothing was written, so it is no other rollback");

    // The daemon stands still until the mode is set anew.
    let status = rig.turn().await.status;
    assert_eq!(status.phase, Phase::Held);
    assert!(status.held.iter().any(|held| held.message.contains("a rollback was begun at")), "{:?}", status.held);
    assert_eq!(status.timeline.put_back, kinds.len() as u64);

    // With the token gone no cycle shows that the groups carry them; with a new one it does, and our rows may go.
    let waits = looked(&mut rig, Direct::Go).await;
    assert!(waits.undo.actions().is_empty(), "{}", shown(&waits).plain());
    let token = "a-new-token";
    std::fs::write(&rig.spec.target.token_file, token).unwrap();
    rig.practice.scim_app().unwrap().set_token(token.into());
    rig.practice.admin().enter_token(token);
    rig.practice.admin().start_job();
    let mut gone = 0;
    for _ in 0..40 {
        rig.practice.pass(Duration::from_secs(600)).await;
        let rollback = looked(&mut rig, Direct::Go).await;
        let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
        let back = rollback.carry_out(rig.world(), &spec, &stop).await.unwrap();
        assert!(back.stopped.is_none() && back.failed.is_empty(), "{back:?}");
        gone += back.done.len();
        if rollback.undo.waits.is_empty() {
            break;
        }
    }
    assert_eq!(gone, after.direct.difference(&before.direct).count());
    assert_eq!(tenant(&mut rig).await, before, "as it was before the first turn");
    rig.assert_nobody_hurt(&kept);

    rig.spec.mode = Mode::Observe;
    rig.turn().await;
    rig.spec.mode = Mode::Enforce;
    let status = rig.retire().await;
    assert_eq!(status.phase, Phase::Retired);
    // What we undid ourselves nobody else undid, and each cycle is told of once.
    let told = told(&mut rig);
    assert_eq!(told.repeated, BTreeMap::new());
    let cycles = told.witnessed.iter().filter_map(|one| match &one.event {
        Event::Cycle { activity, .. } => Some(activity.as_str()),
        _ => None,
    });
    let cycles: Vec<&str> = cycles.collect();
    assert_eq!(cycles.len(), cycles.iter().collect::<BTreeSet<_>>().len(), "{cycles:?}");
    for one in &told.witnessed {
        let Event::Cycle { ended, counts, .. } = &one.event else { continue };
        assert!(!counts || *ended > told.baseline_taken, "{one:?}");
    }
    let asked = told.writes.iter().filter(|write| write.action == Action::RequestRevocation).count();
    assert_eq!(asked, 2, "each time anew: a webhook would not be called otherwise");
    let series: Vec<usize> = told.rollbacks.iter().map(|back| back.writes).collect();
    assert!(told.rolled_back.is_none());
    assert!(matches!(series[..], [one] if one >= kinds.len()), "also once it is over: {series:?}");
    // An admin did.
    let (group, role) = before.groups.iter().next().unwrap();
    rig.practice.admin().assign_group(*group, *role).unwrap();
    rig.until(50, |status| status.progress.groups_assigned == Some(1)).await;
    rig.until(200, |status| status.progress.groups_assigned == Some(0)).await;
    let again: Vec<u32> = self::told(&mut rig).repeated.into_values().collect();
    assert_eq!(again, [2]);
    assert_eq!(status.timeline.put_back, (kinds.len() + gone) as u64, "of the ledger, so that it stays");
    rig.assert_nobody_hurt(&kept);
}

#[tokio::test(start_paused = true)]
async fn a_retirement_begun_anew_takes_one_user_first_though_somebody_was_not_put_back() {
    let mut rig = Rig::new(small()).await;
    let disabled = rig.user(2);
    rig.until(900, |status| status.phase == Phase::AwaitingRevocation).await;
    rig.practice.admin().disable(disabled).unwrap();
    rolled_back(&mut rig, Direct::Stay).await;
    assert!(tenant(&mut rig).await.members.values().all(|members| !members.contains(&disabled)));

    let removals = |rig: &mut Rig| {
        let writes = rig.world().ledger.writes().unwrap();
        writes.iter().filter(|write| write.action.kind() == "RemoveMember").count()
    };
    let before = removals(&mut rig);
    rig.spec.mode = Mode::Observe;
    rig.turn().await;
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    let planned = turn(rig.world(), &spec, Permit::ReadOnly, &mut LoopState::default(), &stop).await.unwrap();
    let roadmap = planned.roadmap.unwrap();
    let calls: Vec<_> = roadmap.calls.iter().flat_map(|calls| &calls.calls).filter(|call| call.ends_with(" active")).collect();
    assert_eq!((calls, roadmap.users.not_read), (vec![], 0), "who was not put back is looked up by id: {:?}", roadmap.users);
    rig.spec.mode = Mode::Enforce;
    for _ in 0..900 {
        if removals(&mut rig) > before {
            break;
        }
        rig.until(1, |_| true).await;
        rig.practice.pass(rig.spec.timing.interval).await;
    }
    assert_eq!(removals(&mut rig) - before, 1);
    let status = rig.retire().await;
    assert_eq!(status.phase, Phase::Retired);
    assert_eq!(rig.practice.out_of_scope_moments(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_rollback_is_the_first_to_see_is_told_once() {
    let mut rig = Rig::new(small()).await;
    let (disabled, known) = (rig.user(2), rig.user(3));
    rig.practice.admin().disable(known).unwrap();
    rig.until(900, |status| status.phase == Phase::AwaitingRevocation).await;
    let before = told(&mut rig).witnessed.len();
    // The daemon is away, and a cycle ends.
    rig.restart();
    rig.practice.admin().disable(disabled).unwrap();
    rig.practice.pass(Duration::from_secs(3600)).await;
    rolled_back(&mut rig, Direct::Stay).await;
    let news = |rig: &mut Rig| {
        let news = told(rig).witnessed.split_off(before);
        let of = |event: &Event| match event {
            Event::Cycle { activity, .. } => Some(format!("cycle {activity}")),
            Event::Departed { user, .. } => Some(format!("departed {user}")),
            Event::Returned { user } => Some(format!("returned {user}")),
            _ => None,
        };
        news.iter().filter_map(|one| of(&one.event)).collect::<Vec<_>>()
    };
    let first = news(&mut rig);
    assert!(first.len() == 2 && first[0].starts_with("cycle "), "{first:?}");
    assert_eq!(first[1], format!("departed {disabled}"));
    rig.restart();
    rig.turn().await;
    assert_eq!(news(&mut rig), first, "nothing of it twice, and who was known to be disabled is no news");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_cut_short_goes_on_where_the_world_is() {
    let mut rig = Rig::new(small()).await;
    for user in rig.practice.ids().users.clone() {
        rig.practice.admin().enable(user).unwrap();
    }
    let before = tenant(&mut rig).await;
    rig.until_phase(Phase::AwaitingRevocation).await;
    let faults = [Effect::LoseAnswer, Effect::Hang, Effect::Html(502), Effect::Truncate(3)];
    let mut stops = 0;
    for nth in 1..12 {
        for path in ["/members/$ref", "/appRoleAssignedTo"] {
            let fault = Fault::once(path, faults[nth % faults.len()].clone()).on(http::Method::POST).nth(2);
            rig.practice.faults().add(fault);
        }
        let rollback = looked(&mut rig, Direct::Stay).await;
        if rollback.undo.actions().is_empty() && rollback.undo.waits.is_empty() {
            break;
        }
        let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
        let back = rollback.carry_out(rig.world(), &spec, &stop).await.unwrap();
        stops += usize::from(back.stopped.is_some());
        rig.practice.faults().clear();
        rig.restart();
        rig.practice.pass(Duration::from_secs(60)).await;
    }
    assert!(stops >= 2, "{stops}");
    let writes = rig.world().ledger.writes().unwrap();
    let restores = writes.iter().filter(|write| write.action.kind().starts_with("Restore"));
    let last: BTreeMap<Key, bool> = restores.map(|write| (write.action.key(), write.is_done())).collect();
    assert!(last.values().all(|done| *done), "each was answered in the end, so that cycles count from there: {last:?}");
    let after = tenant(&mut rig).await;
    assert_eq!((after.groups, after.members), (before.groups, before.members));
    assert_eq!(rig.practice.out_of_scope_moments(), []);
}

#[tokio::test(start_paused = true)]
async fn only_what_we_did_is_undone_and_only_for_people_who_are_there() {
    let mut rig = Rig::new(small()).await;
    let before = tenant(&mut rig).await;
    let (deleted, disabled, left) = (rig.user(1), rig.user(2), rig.user(3));
    let (group, _) = before.members.iter().find(|(_, members)| members.contains(&left)).unwrap();
    let group = *group;
    rig.until(600, |status| status.is_true(unscim::model::condition::ConditionKind::UsersAssigned)).await;
    rig.practice.admin().leave(left, group).unwrap();
    rig.until(900, |status| status.phase == Phase::AwaitingRevocation).await;
    rig.practice.admin().delete_user(deleted).unwrap();
    rig.practice.admin().disable(disabled).unwrap();

    rig.spec.mode = Mode::Observe;
    let rollback = looked(&mut rig, Direct::Stay).await;
    // Each entry of a list begins with a dash; between words it may be folded.
    let shown = shown(&rollback).plain().split_whitespace().collect::<Vec<_>>().join(" ");
    for (user, why) in [(deleted, "no longer in Entra"), (disabled, "disabled in Entra")] {
        assert!(shown.split(" - ").any(|line| line.contains(&user.to_string()) && line.contains(why)), "{shown}");
    }
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    let refused = rollback.carry_out(rig.world(), &spec, &stop).await.unwrap_err().to_string();
    assert!(refused.contains("spec.mode is Observe"), "{refused}");

    rig.spec.mode = Mode::Enforce;
    rolled_back(&mut rig, Direct::Stay).await;
    let after = tenant(&mut rig).await;
    assert_eq!(after.groups, before.groups);
    for (id, members) in &before.members {
        let mut expected = members.clone();
        expected.retain(|user| ![deleted, disabled].contains(user) && (*user != left || *id != group));
        assert_eq!(after.members[id], expected, "group {id}");
    }
    assert!(rig.practice.forbidden_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn assignments_that_nobody_answered_stay_and_the_command_says_so() {
    let mut rig = Rig::new(Scenario { users: 40, ..small() }).await;
    rig.practice.faults().add(Fault::once("/appRoleAssignedTo", Effect::LoseAnswer).on(http::Method::POST));
    rig.until(20, |status| status.progress.users_assigned == Some(40)).await;
    let doubted = "direct assignments whose writes nobody answered: ours, or somebody else's";
    for direct in [Direct::Stay, Direct::Go] {
        let shown = shown(&looked(&mut rig, direct).await).plain().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(doubted), "{shown}");
    }
    // A run that only waits holds the ledger, too, and says so to whoever asks.
    let rollback = looked(&mut rig, Direct::Go).await;
    assert!(rollback.undo.actions().is_empty() && !rollback.undo.waits.is_empty(), "{rollback:?}");
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    for forbidding in [Spec { mode: Mode::Observe, ..spec.clone() }, Spec { hold: Hold::Held, ..spec.clone() }] {
        let refused = rollback.carry_out(rig.world(), &forbidding, &stop).await.unwrap_err().to_string();
        assert!(refused.contains("nothing was written"), "{refused}");
    }
    assert!(!told(&mut rig).result.contains("rollback"), "{}", told(&mut rig).result);
    assert!(rollback.carry_out(rig.world(), &spec, &stop).await.unwrap().has_begun);
    assert!(told(&mut rig).result.contains("a rollback was begun at"), "{}", told(&mut rig).result);
    rig.restart();
    let status = rig.turn().await.status;
    assert!(status.held.iter().any(|held| held.message.contains("a rollback was begun at")), "{:?}", status.held);
}

#[tokio::test(start_paused = true)]
async fn who_was_disabled_before_it_began_is_told_also_where_it_was_observed_first() {
    for first in [Mode::Enforce, Mode::Observe] {
        // One of them is disabled.
        let mut rig = Rig::new(small()).await;
        rig.spec.mode = first;
        for _ in 0..3 {
            rig.turn().await;
        }
        rig.restart();
        rig.spec.mode = Mode::Enforce;
        rig.until(50, |status| status.is_true(unscim::model::condition::ConditionKind::BaselineRecorded)).await;
        rig.turn().await;
        let departed = told(&mut rig).witnessed.into_iter().filter(|entry| matches!(entry.event, Event::Departed { .. }));
        assert_eq!(departed.count(), 1, "{first:?}");
    }
}
