//! Which cycles are good.

use std::time::Duration;

use uuid::Uuid;

use unscim::judge::good_cycle::{good, wait};
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::{ExecutionState, Job, JobCode, Log, LogRow, Quarantine, ScheduleState};

use crate::support::*;

/// The last cycle began at minute 580 and ended at 583.
fn judged(change: impl FnOnce(&mut Job)) -> Result<(), String> {
    in_case(|_| {}, change)
}

fn in_case(about: impl FnOnce(&mut Case), change: impl FnOnce(&mut Job)) -> Result<(), String> {
    let mut case = Case::assigned();
    change(case.job());
    about(&mut case);
    let job = case.job().clone();
    let cycle = good(&case.facts(), &job).map_err(|why| why.to_string())?;
    assert_eq!((cycle.began, cycle.turn), (job.last.unwrap().began, 50));
    Ok(())
}

fn refused(verdict: Result<(), String>, words: &str) {
    assert!(verdict.as_ref().is_err_and(|why| why.contains(words)), "{words:?}: {verdict:?}");
}

#[test]
fn a_cycle_is_good_when_it_ended_in_a_steady_state_of_an_active_job() {
    assert_eq!(judged(|_| {}), Ok(()));
    refused(judged(|job| job.last = None), "no cycle has ended yet");
    refused(judged(|job| job.quarantine = Some(Quarantine { reason: "r".into(), message: "m".into() })), "quarantine");
    refused(judged(|job| job.code = JobCode::Quarantine), "quarantine");
    refused(judged(|job| job.code = JobCode::Paused), "not active");
    refused(judged(|job| job.schedule = ScheduleState::Paused), "not active");
}

#[test]
fn its_end_and_the_steady_state_do_not_lie_before_its_beginning() {
    let ended = |minute: Option<i64>| judged(move |job| job.last.as_mut().unwrap().ended = minute.map(at));
    refused(ended(None), "has not ended");
    refused(ended(Some(579)), "has not ended");
    assert_eq!(ended(Some(580)), Ok(()));
    let steady = |minute: Option<i64>| judged(move |job| job.steady_state_last = minute.map(at));
    refused(steady(None), "steady state");
    refused(steady(Some(579)), "steady state");
    assert_eq!(steady(Some(580)), Ok(()));
    for (state, words) in [(ExecutionState::Failed, "failed"), (ExecutionState::Other("Odd".into()), "not known here: Odd")] {
        refused(judged(move |job| job.last.as_mut().unwrap().state = state), words);
    }
}

#[test]
fn who_waits_for_a_cycle_is_told_why_the_last_one_does_not_count() {
    let mut case = Case::assigned();
    let told = |case: &Case, event: Option<i64>| wait(&case.facts(), event.map(at), Reason::AwaitingCycle, "a cycle");
    case.cycle(580);
    assert_eq!(told(&case, Some(599)), (Reason::AwaitingCycle, "a cycle".into()));
    case.job().code = JobCode::Quarantine;
    let quarantined = "a cycle (the last one does not count: the job is in quarantine)";
    assert_eq!(told(&case, Some(599)), (Reason::AwaitingCycle, quarantined.into()));
    // None has ended well for longer than the time-out, and what is waited for is as old.
    case.memory.remembered.cycles.clear();
    case.cycle(19);
    case.spec.provisioning.cycle_timeout = Duration::from_secs(6 * 3600);
    assert_eq!(told(&case, Some(100)), (Reason::CycleOverdue, quarantined.into()));
    assert_eq!(told(&case, Some(599)).0, Reason::AwaitingCycle);
    assert_eq!(told(&case, None).0, Reason::CycleOverdue);
}

/// Each cycle fails again for as long as nobody fixes the cause.
#[test]
fn whoever_waits_for_a_cycle_that_fails_for_ours_waits_for_a_person() {
    let failing = |case: &mut Case, source: Uuid| {
        case.job().last.as_mut().unwrap().state = ExecutionState::EntryLevelErrors;
        log(case).rows = vec![failure(581, Some(source))];
    };
    let mut settling = Case::assigned();
    settling.memory.remembered.cycles.clear();
    settling.cycle(19);
    let mut canary = Case::assigned();
    canary.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, 590);
    canary.leave(1, 1);
    let mut emptied = Case::emptied();
    emptied.memory.remembered.cycles.retain(|cycle| cycle.began < at(100));
    let mut unassigned = Case::unassigned();
    unassigned.memory.remembered.cycles.clear();
    for (step, mut case) in [(1, settling), (2, canary), (2, emptied), (4, unassigned)] {
        failing(&mut case, user(2).0);
        waits(&case.judge(step), Reason::EntriesFailed, "put them into spec.released");
        failing(&mut case, group(1).0);
        waits(&case.judge(step), Reason::EntriesFailed, "made again in the app");
    }
}

fn failure(minute: i64, source: Option<Uuid>) -> LogRow {
    LogRow {
        id: "row-3".into(),
        at: at(minute),
        action: "update".into(),
        status: "failure".into(),
        source,
        target: None,
        of_group: false,
        deactivates: false,
        reason: Some("the app said no".into()),
        redundant: false,
    }
}

fn log(case: &mut Case) -> &mut Log {
    let Listed::Known(log) = &mut case.seen.log else { panic!() };
    &mut log.value
}

fn log_read(case: &mut Case, minute: i64) {
    let Listed::Known(log) = &mut case.seen.log else { panic!() };
    log.at = at(minute);
}

#[test]
fn errors_of_single_entries_count_only_where_the_log_shows_that_they_touch_nobody_of_ours() {
    let stranger = Some(Uuid::from_u128(9));
    let with = |rows: Vec<LogRow>, about: fn(&mut Case)| {
        let change = |job: &mut Job| job.last.as_mut().unwrap().state = ExecutionState::EntryLevelErrors;
        let rows = move |case: &mut Case| {
            log(case).rows = rows;
            about(case);
        };
        in_case(rows, change)
    };
    let plain: fn(&mut Case) = |_| {};
    assert_eq!(with(vec![failure(581, stranger)], plain), Ok(()));
    for edge in [580, 583] {
        assert_eq!(with(vec![failure(edge, stranger)], plain), Ok(()), "{edge}");
    }
    for outside in [579, 584] {
        refused(with(vec![failure(outside, stranger)], plain), "does not show them yet");
    }
    refused(with(vec![], plain), "does not show them yet");
    refused(with(vec![LogRow { status: "success".into(), ..failure(581, stranger) }], plain), "does not show them yet");
    refused(with(vec![failure(581, None)], plain), "names nobody (row row-3)");
    let ours = Some(user(2).0);
    refused(with(vec![failure(581, stranger), failure(581, ours)], plain), "who is protected (row row-3: the app said no)");
    assert_eq!(with(vec![failure(581, ours)], |case| _ = case.spec.released.insert(user(2))), Ok(()));
    refused(with(vec![failure(581, Some(group(1).0))], plain), "for the managed group");
    refused(with(vec![failure(581, stranger)], |case| case.seen.log = Listed::Unknown(failed("denied"))), "can't be read");
    assert_eq!(with(vec![failure(581, stranger)], |case| log_read(case, 583)), Ok(()));
    refused(with(vec![failure(581, stranger)], |case| log_read(case, 582)), "was read before it ended");
    refused(with(vec![failure(581, stranger)], |case| case.memory.baseline = Observed::Absent), "no baseline");
}

/// Observed at a tenant whose cycles all "Succeeded": what failed in them was escrowed, to be tried again some time.
#[test]
fn a_cycle_that_succeeded_and_left_entries_over_counts_as_long_as_nobody_of_ours_is_among_them() {
    let with = |escrowed: Option<u64>, about: &dyn Fn(&mut Case)| {
        in_case(|case| about(case), move |job| job.last.as_mut().unwrap().escrowed = escrowed)
    };
    let fails = |minute: i64, source: Uuid| move |case: &mut Case| log(case).rows = vec![failure(minute, Some(source))];
    let (ours, stranger) = (user(2).0, Uuid::from_u128(9));
    refused(with(Some(1), &fails(581, ours)), "who is protected (row row-3: the app said no); mend their record");
    assert_eq!(with(Some(1), &fails(581, stranger)), Ok(()));
    assert_eq!(with(Some(1), &|_| {}), Ok(()), "what failed before the baseline shows nowhere");
    assert_eq!(with(Some(0), &fails(581, ours)), Ok(()), "nobody is waiting to be tried again");
    assert_eq!(with(None, &fails(581, ours)), Ok(()), "the job does not say, and says that it succeeded");
    refused(with(Some(1), &|case| log(case).rows = vec![failure(581, None)]), "names nobody (row row-3)");
    refused(with(Some(1), &|case| _ = log(case).unread.insert("row-8".into(), None)), "could not be read (row row-8)");
    assert_eq!(with(Some(0), &|case| _ = log(case).unread.insert("row-8".into(), None)), Ok(()));
    // An earlier cycle's failure lasts until it is cured.
    refused(with(Some(1), &fails(500, ours)), "who is protected");
    let mended = |minute: i64| {
        move |case: &mut Case| {
            log(case).rows = vec![failure(500, Some(ours))];
            log(case).went_well.insert(ours, at(minute));
        }
    };
    assert_eq!(with(Some(1), &mended(501)), Ok(()));
    refused(with(Some(1), &mended(500)), "who is protected");
    let after = |began: i64, clean: bool| {
        move |case: &mut Case| {
            log(case).rows = vec![failure(500, Some(ours))];
            case.memory.remembered.cycles.clear();
            case.cycle(began);
            case.memory.remembered.cycles[0].clean = clean;
        }
    };
    assert_eq!(with(Some(1), &after(501, true)), Ok(()));
    refused(with(Some(1), &after(501, false)), "who is protected");
    refused(with(Some(1), &after(500, true)), "who is protected");
    // Of a group the target tells by itself what became of it.
    refused(with(Some(1), &fails(581, group(1).0)), "for the managed group");
    assert_eq!(with(Some(1), &fails(500, group(1).0)), Ok(()));
    let unread = |case: &mut Case| case.seen.log = Listed::Unknown(failed("denied"));
    refused(with(Some(1), &unread), "left entries to be tried again (countEscrowed) and the provisioning log can't be read");
    assert_eq!(with(Some(0), &unread), Ok(()));
    refused(with(Some(1), &|case| log_read(case, 582)), "was read before it ended");
}

#[test]
fn an_unreadable_row_makes_a_cycle_with_errors_doubtful_and_no_other() {
    let with = |state: ExecutionState, at: Option<jiff::Timestamp>| {
        let about = move |case: &mut Case| {
            log(case).rows = vec![failure(581, Some(Uuid::from_u128(9)))];
            log(case).unread.insert("row-8".into(), at);
        };
        in_case(about, |job| job.last.as_mut().unwrap().state = state)
    };
    refused(with(ExecutionState::EntryLevelErrors, Some(at(582))), "could not be read (row row-8)");
    refused(with(ExecutionState::EntryLevelErrors, None), "could not be read (row row-8)");
    assert_eq!(with(ExecutionState::EntryLevelErrors, Some(at(500))), Ok(()));
    assert_eq!(with(ExecutionState::Succeeded, Some(at(582))), Ok(()));
}
