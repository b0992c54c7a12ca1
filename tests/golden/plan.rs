//! What the plan makes of the steps' verdicts, of preflight's findings and of the ledger; and the words for counts.

use crate::support::*;
use unscim::judge::brakes::approve;
use unscim::judge::plan::{NewBaseline, Plan, plan};
use unscim::model::action::Action;
use unscim::model::condition::{Reason, Truth};
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::{Principal, ScheduleState};
use unscim::model::spec::{Hold, Mode};
use unscim::model::words::{part, some_of};

fn planned(case: &Case, new: NewBaseline) -> Plan {
    plan(&case.facts(), new)
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.actions.iter().map(Action::kind).collect()
}

#[test]
fn before_the_first_write_a_refusal_lets_nothing_through_and_afterwards_users_are_covered() {
    let mut case = Case::untouched();
    assert_eq!(planned(&case, NewBaseline::Forbidden).actions.len(), 4);
    case.spec.groups.acknowledge.clear();
    let refused = planned(&case, NewBaseline::Forbidden);
    assert!(!refused.refused.is_empty() && refused.actions.is_empty(), "{:?}", refused.actions);
    case.confirmed(&Action::AssignUser { user: user(1), role: role(1) }, 10);
    let kinds = kinds(&planned(&case, NewBaseline::Forbidden));
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "AssignUser"), "{kinds:?}");
}

#[test]
fn a_job_that_somebody_else_has_paused_lets_users_be_covered_from_the_start() {
    let mut case = Case::untouched();
    case.job().schedule = ScheduleState::Paused;
    assert_eq!(kinds(&planned(&case, NewBaseline::Forbidden)), ["AssignUser"; 4]);
    // Beside another refusal it is one more.
    case.spec.groups.acknowledge.clear();
    assert_eq!(kinds(&planned(&case, NewBaseline::Forbidden)), [""; 0]);
}

#[test]
fn a_look_of_preflight_that_failed_takes_nothing_away() {
    let mut case = Case::assigned();
    assert!(!planned(&case, NewBaseline::Forbidden).actions.is_empty());
    case.seen.schema = Observed::Unknown(failed("transient"));
    let plan = planned(&case, NewBaseline::Forbidden);
    assert!(plan.refused.is_empty() && !plan.findings.unknowns.is_empty() && plan.actions.is_empty(), "{:?}", plan.findings);
}

#[test]
fn a_failed_look_makes_a_step_unknown_and_a_wait_makes_it_false() {
    let mut case = Case::assigned();
    case.memory.remembered.cycles.clear();
    let steps = planned(&case, NewBaseline::Forbidden).steps;
    assert_eq!((steps[0].truth, steps[0].reason), (Truth::False, Reason::AwaitingSettleCycle));
    case.seen.assignments = Listed::Unknown(failed("transient"));
    let steps = planned(&case, NewBaseline::Forbidden).steps;
    let judged: Vec<_> = steps.iter().map(|step| (step.truth, step.reason)).collect();
    let failed = (Truth::Unknown, Reason::LookFailed);
    let blocked = (Truth::Unknown, Reason::Blocked);
    assert_eq!(judged, [failed, failed, failed, blocked, blocked]);
}

#[test]
fn what_is_proven_stands_while_nothing_can_be_read() {
    let last_two = |mut case: Case| {
        case.seen.assignments = Listed::Unknown(failed("transient"));
        let plan = planned(&case, NewBaseline::Forbidden);
        assert!(plan.actions.is_empty() && plan.steps[2].truth == Truth::Unknown, "{:?}", plan.actions);
        [3, 4].map(|step: usize| (plan.steps[step].truth, plan.steps[step].reason))
    };
    let proven = (Truth::True, Reason::CyclesVerified);
    assert_eq!(last_two(Case::retired()), [proven, (Truth::True, Reason::TokenRejected)]);
    assert_eq!(last_two(Case::cycled()), [proven, (Truth::Unknown, Reason::LookFailed)], "its turn has come");
    assert_eq!(last_two(Case::unassigned()), [(Truth::Unknown, Reason::Blocked); 2]);
    // A group that is back is no failed read.
    let mut back = Case::retired();
    back.row(Principal::Group(group(1)), role(1), 300);
    let steps = planned(&back, NewBaseline::Forbidden).steps;
    assert_eq!([&steps[3], &steps[4]].map(|step| step.reason), [Reason::Blocked; 2]);
}

#[test]
fn the_ledger_says_which_baseline_there_is() {
    let reason = |case: &Case, new| {
        let plan = planned(case, new);
        (plan.baseline.truth, plan.baseline.reason, kinds(&plan))
    };
    let mut case = Case::untouched();
    assert_eq!(reason(&case, NewBaseline::Forbidden).1, Reason::Recorded);
    case.memory.baseline = Observed::Unknown(Why::new("bound-elsewhere", "another tenant's"));
    assert_eq!(reason(&case, NewBaseline::Allowed), (Truth::False, Reason::LedgerBoundElsewhere, vec![]));
    case.memory.baseline = Observed::Unknown(failed("ledger"));
    assert_eq!(reason(&case, NewBaseline::Allowed), (Truth::Unknown, Reason::LedgerUnreadable, vec![]));
    case.memory.baseline = Observed::Absent;
    assert_eq!(reason(&case, NewBaseline::Forbidden), (Truth::False, Reason::NewBaselineNeeded, vec![]));
    assert_eq!(reason(&case, NewBaseline::Allowed), (Truth::False, Reason::NotRecordedYet, vec!["RecordBaseline"]));
    let mut observing = Case::untouched();
    observing.memory.baseline = Observed::Absent;
    observing.spec.mode = Mode::Observe;
    assert_eq!(
        reason(&observing, NewBaseline::Forbidden).1,
        Reason::NotRecordedYet,
        "only Enforce needs the word of the operator"
    );
    // What can't be taken, and why.
    let message = |case: &Case| planned(case, NewBaseline::Allowed).baseline.message;
    assert_eq!(message(&case), "it is taken in this turn");
    let mut held = Case { spec: case.spec.clone(), seen: case.seen.clone(), memory: case.memory.clone() };
    held.spec.hold = Hold::Held;
    let facts = held.facts();
    let approved = approve(&facts, plan(&facts, NewBaseline::Allowed));
    assert_eq!((approved.actions(), approved.plan().baseline.message.as_str()), (&[][..], "it is taken once nothing holds it"));
    let mut refused = Case { spec: case.spec.clone(), seen: case.seen.clone(), memory: case.memory.clone() };
    refused.spec.groups.acknowledge.clear();
    assert_eq!(reason(&refused, NewBaseline::Allowed).2, Vec::<&str>::new());
    assert_eq!(message(&refused), "preflight has not passed");
    refused.seen.schema = Observed::Unknown(failed("transient"));
    refused.spec = case.spec.clone();
    assert_eq!(message(&refused), "preflight has not passed");
    case.unrow(Principal::Group(group(1)));
    case.unrow(Principal::Group(group(2)));
    assert_eq!(message(&case), "no listed group is assigned to the app");
}

#[test]
fn a_part_is_never_told_smaller_than_it_is_and_a_long_list_is_cut() {
    assert_eq!(part(1, 3, "user"), "1 of 3 users (33.4%)");
    assert_eq!(part(5, 1000, "user"), "5 of 1000 users (0.5%)");
    assert_eq!(part(1, 1, "group"), "1 of 1 group (100.0%)");
    assert_eq!(part(0, 0, "user"), "0 of 0 users (100.0%)");
    assert_eq!(some_of(1..=5), "1, 2, 3, 4, 5");
    assert_eq!(some_of(1..=7), "1, 2, 3, 4, 5 and 2 more");
}
