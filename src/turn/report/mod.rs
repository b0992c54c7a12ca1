//! Turns what was done into what the world may read. Pure; keeps the times at which conditions changed.

mod book;
mod credential;
mod detail;
mod expected;
mod remaining;
mod target;
mod timeline;

use jiff::Timestamp;

use crate::judge::brakes::Approved;
use crate::judge::facts::{Cover, Facts, Person};
use crate::judge::group_plan::GroupPlan;
use crate::judge::plan::{Judged, Plan};
use crate::judge::steps::empty;
use crate::judge::{decisions, group_plan, kept};
use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::id::GroupId;
use crate::model::moment::{later, since};
use crate::model::snapshot::{ExecutionState, Job, ScheduleState};
use crate::model::spec::Mode;
use crate::model::status::{AppStatus, Brake, CycleStatus, Gauges, Held, Phase, Progress, Status};
use crate::model::words::count;
pub use book::Book;

/// `stopped` is why the plan was not carried out to its end, `trouble` what is wrong with the config on disk.
pub fn report(
    facts: &Facts,
    approved: &Approved,
    stopped: Option<&str>,
    book: Book,
    trouble: Option<&str>,
    before: Option<&Status>,
) -> Status {
    let plan = approved.plan();
    let ledger = book.extent(facts);
    let graph = reachable_graph(facts);
    let looked = graph.truth == Truth::True;
    let mut held = held(facts, approved, before);
    if !looked {
        held.extend(held_before(before, &held));
    }
    let stands = standing(facts, plan);
    let mut judged = vec![preflight(facts, plan), plan.baseline.clone()];
    judged.extend(plan.steps.iter().cloned());
    judged.extend([
        target::users_kept(facts),
        credential::valid(facts),
        graph,
        target::reachable(facts),
        config_loaded(trouble),
        is_held(&held),
        ready(facts, stopped, stands),
    ]);
    let phase = phase(facts, &held, stands);
    let cycle = cycle(facts, before);
    let blind = !looked || !plan.findings.unknowns.is_empty();
    let remaining = remaining::remaining(facts, &judged, phase, !held.is_empty(), blind, are_members_read(facts));
    let expected: Vec<_> = judged.iter().map(|judged| expected::expected(facts, judged, &cycle)).collect();
    let timeline = timeline::timeline(facts, &judged, &held, phase, before);
    let conditions = judged.into_iter().zip(expected).map(|(judged, expected)| dated(judged, expected, before, facts.now));
    let mut status = Status {
        phase,
        conditions: conditions.collect(),
        progress: progress(facts, before),
        remaining,
        pending: approved.planned().to_vec(),
        held,
        cycle,
        groups: detail::groups(facts, before),
        journal: match book.recent {
            Some(writes) => detail::journal(facts, &writes),
            None => before.map(|before| before.journal.clone()).unwrap_or_default(),
        },
        notes: plan.findings.notes.clone(),
        last_attempt: Some(facts.now),
        last_success: if looked { Some(facts.now) } else { before.and_then(|before| before.last_success) },
        turn: facts.memory.remembered.turn,
        decisions: facts.baseline().map(|baseline| decisions::digest(facts.spec, baseline)),
        ledger,
        app: app(facts).or_else(|| before?.app.clone()),
        timeline,
        gauges: gauges(facts),
    };
    status.withhold(facts.memory.names);
    status
}

/// What a brake holds, and what waits for a decision.
fn held(facts: &Facts, approved: &Approved, before: Option<&Status>) -> Vec<Held> {
    let plan = approved.plan();
    let held = |brake: &str, message: &String| {
        let last = before.and_then(|before| before.held.iter().find(|held| held.brake == brake)?.since);
        Held { brake: brake.into(), message: message.clone(), since: last.or(Some(facts.now)), seen_at: None }
    };
    let by_brakes = approved.held().iter().map(|(brake, message)| held(brake.label(), message));
    let place = |why| if plan.findings.refusals.contains(why) { "preflight" } else { "refused" };
    let refused = plan.refused.iter().map(|why| held(place(why), why));
    let baseline = Some(&plan.baseline).filter(|baseline| baseline.reason == Reason::NewBaselineNeeded);
    by_brakes.chain(refused).chain(baseline.map(|baseline| held("refused", &baseline.message))).collect()
}

/// A failed look lifts nothing: what was held stays so until one shows that it is over. But for what is known without a look.
fn held_before(before: Option<&Status>, now: &[Held]) -> Vec<Held> {
    let is_known = |held: &Held| [Brake::Frozen, Brake::Window, Brake::Blind].iter().any(|brake| held.brake == brake.label());
    let is_told = |held: &Held| now.iter().any(|now| now.brake == held.brake);
    let Some(before) = before else { return Vec::new() };
    let kept = before.held.iter().filter(|held| !is_known(held) && !is_told(held));
    kept.map(|held| Held { seen_at: held.seen_at.or(before.last_attempt), ..held.clone() }).collect()
}

fn is_held(held: &[Held]) -> Judged {
    if held.is_empty() {
        return judged_as(ConditionKind::Held, Truth::False, Reason::NothingHeld, "nothing is held".into());
    }
    let waits_for_a_word = |held: &Held| ["preflight", "refused"].contains(&held.brake.as_str());
    let reason = if held.iter().all(waits_for_a_word) { Reason::HeldByRefusal } else { Reason::HeldByBrake };
    let message = held.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect::<Vec<_>>().join("; ");
    judged_as(ConditionKind::Held, Truth::True, reason, message)
}

fn ready(facts: &Facts, stopped: Option<&str>, standing: Option<Phase>) -> Judged {
    let looked = standing.is_some();
    if let Some(last) = kept::last_seen(facts).filter(|_| standing == Some(Phase::Retired)) {
        return judged_as(ConditionKind::Ready, Truth::False, Reason::InProgress, last.told(facts));
    }
    if standing == Some(Phase::Retired) {
        let message =
            "the retirement is complete; the credential may be narrowed to read-only, or removed together with unscim".into();
        return judged_as(ConditionKind::Ready, Truth::True, Reason::Retired, message);
    }
    if facts.is_token_rejected() && !looked {
        let message = "the retirement was complete, and nobody looks any more whether it stays so, until Graph can be read again; where its credential was taken away, stop unscim".into();
        return judged_as(ConditionKind::Ready, Truth::False, Reason::LookFailed, message);
    }
    if let Some(at) = facts.memory.remembered.rolled_back {
        let message = format!("a rollback was begun at {at:.0}, and the retirement not begun anew since");
        return judged_as(ConditionKind::Ready, Truth::False, Reason::RolledBack, message);
    }
    let reason = if looked { Reason::InProgress } else { Reason::LookFailed };
    let under_way = if looked { "the retirement is under way" } else { "how far it is could not be read in this turn" };
    let message = stopped.unwrap_or(under_way).into();
    judged_as(ConditionKind::Ready, Truth::False, reason, message)
}

fn app(facts: &Facts) -> Option<AppStatus> {
    let app = facts.seen.app.known()?;
    Some(AppStatus { id: app.id, app_id: app.app_id, name: app.display_name.clone() })
}

fn config_loaded(trouble: Option<&str>) -> Judged {
    match trouble {
        None => {
            judged_as(ConditionKind::ConfigLoaded, Truth::True, Reason::ConfigInForce, "the config on disk is in force".into())
        }
        Some(why) => {
            let message = format!("the config on disk is not in force, the last good one is: {why}");
            judged_as(ConditionKind::ConfigLoaded, Truth::False, Reason::ConfigInvalid, message)
        }
    }
}

fn judged_as(condition: ConditionKind, truth: Truth, reason: Reason, message: String) -> Judged {
    Judged { condition, truth, reason, message }
}

/// A condition keeps its time for as long as its truth stays.
fn dated(judged: Judged, expected_by: Option<Timestamp>, before: Option<&Status>, now: Timestamp) -> Condition {
    let last_transition_time = before
        .and_then(|before| before.condition(judged.condition))
        .filter(|condition| condition.status == judged.truth)
        .map_or(now, |condition| condition.last_transition_time);
    Condition {
        kind: judged.condition,
        status: judged.truth,
        reason: judged.reason,
        message: judged.message,
        last_transition_time,
        expected_by,
    }
}

/// `standing`: of this turn's look; a failed one keeps the phase, also that of an earlier process.
fn phase(facts: &Facts, held: &[Held], standing: Option<Phase>) -> Phase {
    let remembered = &facts.memory.remembered;
    if facts.spec.mode == Mode::Observe {
        Phase::Observing
    } else if !held.is_empty() {
        Phase::Held
    } else if let Some(standing) = standing.or(remembered.standing) {
        // That a token answers again is seen without Graph.
        if standing == Phase::Retired && remembered.revocation_proof.is_none() { Phase::AwaitingCycle } else { standing }
    // A ledger from before this was remembered has its proofs.
    } else if remembered.revocation_proof.is_some() {
        Phase::Retired
    } else if remembered.cycle_proof.is_some() {
        Phase::AwaitingRevocation
    } else {
        Phase::Preflight
    }
}

/// The phase by the steps alone, whatever is held; `None` where the look has failed.
pub fn standing(facts: &Facts, plan: &Plan) -> Option<Phase> {
    if reachable_graph(facts).truth != Truth::True {
        return None;
    }
    if plan.baseline.truth != Truth::True {
        return Some(Phase::Preflight);
    }
    Some(match plan.steps.iter().position(|step| step.truth != Truth::True) {
        Some(0) => Phase::AssigningUsers,
        Some(1) => Phase::EmptyingGroups,
        Some(2) => Phase::UnassigningGroups,
        Some(3) => Phase::AwaitingCycle,
        Some(_) => Phase::AwaitingRevocation,
        None => Phase::Retired,
    })
}

fn preflight(facts: &Facts, plan: &Plan) -> Judged {
    let findings = &plan.findings;
    let (truth, reason, message) = if !findings.refusals.is_empty() {
        (Truth::False, Reason::PreflightFailed, findings.refusals.join("; "))
    } else if !findings.unknowns.is_empty() {
        (Truth::Unknown, Reason::LookFailed, findings.unknowns.join("; "))
    } else {
        let notes = if findings.notes.is_empty() { String::new() } else { format!("; {}", findings.notes.join("; ")) };
        // After the end no group is read any more.
        let checked = match facts.seen.groups.len() {
            0 => "no group is left to check".to_owned(),
            groups => format!("{} checked", count(groups, "group")),
        };
        (Truth::True, Reason::Passed, format!("{checked}{notes}"))
    };
    judged_as(ConditionKind::Preflight, truth, reason, message)
}

fn reachable_graph(facts: &Facts) -> Judged {
    let why = facts.seen.app.unknown().or(facts.seen.assignments.unknown()).or(facts.seen.jobs.unknown());
    match why {
        None => judged_as(ConditionKind::GraphReachable, Truth::True, Reason::Reachable, "Graph answered".into()),
        Some(why) => judged_as(ConditionKind::GraphReachable, Truth::False, Reason::Unreachable, why.to_string()),
    }
}

fn progress(facts: &Facts, before: Option<&Status>) -> Progress {
    let last = before.map(|before| before.progress.clone()).unwrap_or_default();
    let Some(baseline) = facts.baseline() else {
        // A ledger that is another's, or can't be read, says nothing of this retirement.
        return if facts.memory.baseline.is_absent() { last } else { Progress::default() };
    };
    let target = target::progress(facts);
    let mut progress = Progress {
        users_protected: Some(baseline.users.len() as u64),
        groups: Some(baseline.groups.len() as u64),
        users_assigned: last.users_assigned,
        groups_assigned: last.groups_assigned,
        assignments_seen_at: last.assignments_seen_at,
        memberships: last.memberships,
        memberships_seen_at: last.memberships_seen_at,
        ..target
    };
    if facts.rows().is_some() {
        progress.users_assigned = Some(facts.people().iter().filter(|person| is_assigned(facts, person)).count() as u64);
        progress.groups_assigned = Some(baseline.groups.keys().filter(|group| facts.is_on(**group)).count() as u64);
        progress.assignments_seen_at = Some(facts.now);
    }
    if are_members_read(facts) {
        (progress.memberships, progress.memberships_seen_at) = (Some(memberships(facts)), Some(facts.now));
    }
    progress
}

fn is_assigned(facts: &Facts, person: &Person) -> bool {
    match person.cover {
        Cover::Missing(_) | Cover::NotRead | Cover::Departed => false,
        Cover::Settling | Cover::AwaitingCycle | Cover::Settled => !facts.is_without(person),
    }
}

/// The lists of members of all managed groups that are assigned.
fn are_members_read(facts: &Facts) -> bool {
    let is_read = |group: &GroupId| facts.members(*group).is_some();
    let groups = facts.baseline().into_iter().flat_map(|baseline| baseline.groups.keys());
    facts.rows().is_some() && groups.filter(|group| facts.is_on(**group)).all(is_read)
}

/// User memberships left in managed groups that are still assigned and not to be kept.
fn memberships(facts: &Facts) -> u64 {
    let groups = facts.baseline().into_iter().flat_map(|baseline| baseline.groups.keys().copied());
    groups
        .filter(|group| facts.is_on(*group) && group_plan::plan_for(facts, *group) != GroupPlan::Keep)
        .filter_map(|group| facts.members(group))
        .map(|look| look.value.users.len() as u64)
        .sum()
}

/// Whether the engine owes us cycles at all.
fn is_due(facts: &Facts, job: &Job) -> bool {
    job.schedule == ScheduleState::Active && !facts.is_token_rejected()
}

fn cycle(facts: &Facts, before: Option<&Status>) -> CycleStatus {
    let Some(job) = facts.job() else { return before.map(|before| before.cycle.clone()).unwrap_or_default() };
    let last = job.last.as_ref();
    // Of a quarantined job Entra makes the pauses longer and longer, and tells nobody how long.
    let expected = last.and_then(|last| last.ended).filter(|_| is_due(facts, job) && job.quarantine.is_none());
    CycleStatus {
        last_began: last.map(|last| last.began),
        last_ended: last.and_then(|last| last.ended),
        last_state: last.map(|last| match &last.state {
            ExecutionState::Other(state) => state.clone(),
            known => format!("{known:?}"),
        }),
        expected_by: expected.map(|ended| later(ended, job.interval.unwrap_or(facts.spec.provisioning.cycle_timeout))),
        quarantined: job.quarantine.is_some(),
        seen_at: Some(facts.now),
    }
}

fn cycle_overdue(facts: &Facts) -> Option<bool> {
    let (look, job) = (facts.seen.jobs.known()?, facts.job()?);
    let last = job.last.as_ref()?;
    let silent = since(last.ended.unwrap_or(last.began), look.at) > facts.cycle_limit();
    Some(silent && job.quarantine.is_none() && is_due(facts, job))
}

fn gauges(facts: &Facts) -> Gauges {
    let mut gauges = Gauges {
        job_quarantined: facts.job().map(|job| job.quarantine.is_some()),
        cycle_overdue: cycle_overdue(facts),
        credential_expires: facts.seen.credential.map(|life| life.ends),
        ..Gauges::default()
    };
    let Some(baseline) = facts.baseline() else { return gauges };
    let remembered = &facts.memory.remembered;
    gauges.users_lost = target::progress(facts).users_lost;
    gauges.token_revoked = Some(facts.is_token_rejected());
    gauges.groups_assigned_again = Some(remembered.assigned_again.len() as u64);
    gauges.users_offboarded = Some(remembered.offboarded.len() as u64);
    if are_members_read(facts) {
        let (mut group_only, mut both, mut direct) = (0, 0, 0);
        for person in facts.people() {
            let is_member = |group: &GroupId| facts.is_on(*group) && facts.is_seen_in(person.id, *group);
            let through_group = person.user.groups.iter().any(is_member);
            match (person.has_row(), through_group) {
                (true, true) => both += 1,
                (true, false) => direct += 1,
                (false, true) => group_only += 1,
                (false, false) => {}
            }
        }
        (gauges.users_group_only, gauges.users_direct_and_group, gauges.users_direct_only) =
            (Some(group_only), Some(both), Some(direct));
        gauges.group_members = Some(memberships(facts));
    }
    if facts.seen.assignments.is_known() {
        let assigned = baseline.groups.keys().filter(|group| facts.is_on(**group));
        let refused =
            assigned.clone().filter(|group| matches!(empty::progress(facts, **group), empty::Progress::Refused(_))).count();
        let emptied = assigned.clone().filter(|group| remembered.empty.contains_key(group)).count();
        let assigned = assigned.count();
        gauges.groups_assigned = Some(assigned as u64);
        gauges.groups_unassigned = Some((baseline.groups.len() - assigned) as u64);
        gauges.groups_refused = Some(refused as u64);
        gauges.groups_emptied = Some(emptied as u64);
    }
    if let Some(look) = &facts.memory.target {
        let active = look.users.values().filter(|user| user.active == Some(true)).count();
        gauges.target_users_active = Some(active as u64);
        gauges.target_users_inactive = Some((look.users.len() - active) as u64);
        if let Ok(remaining) = kept::groups_remaining(facts, look) {
            gauges.target_groups_managed = Some(remaining.len() as u64);
            gauges.target_groups_unmanaged = Some(look.groups.len().saturating_sub(remaining.len()) as u64);
        }
    }
    gauges
}
