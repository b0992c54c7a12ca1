//! What the page says in each state: one headline, who is safe, what to do; and never a figure that nobody has seen.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;
use unscim::model::condition::{Condition, ConditionKind, Reason, Truth};
use unscim::model::id::{GroupId, ServicePrincipalId};
use unscim::model::status::{
    AppStatus, Brake, CycleStatus, Gauges, GroupState, GroupStatus, Held, JournalEntry, LastKnown, Outlook, Phase, Progress,
    Remaining, Status, WriteOutcome,
};
use unscim::model::timeline::{Burst, Cycle, Hold, StepDone, Timeline};
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, router};

fn at(minute: i64) -> Timestamp {
    "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_mins(minute)
}

fn condition(kind: ConditionKind, status: Truth, reason: Reason, message: &str) -> Condition {
    Condition { kind, status, reason, message: message.into(), last_transition_time: at(3), expected_by: None }
}

fn group(n: u128, name: &str, state: GroupState, members: Option<u64>) -> GroupStatus {
    let members_seen_at = members.map(|_| at(10));
    GroupStatus {
        id: GroupId(uuid::Uuid::from_u128(n)),
        name: name.into(),
        state,
        members,
        members_seen_at,
        last_known: None,
        assigned_again: false,
        why: None,
    }
}

/// Forty people, five groups, in the middle of step 2.
fn status() -> Status {
    let blocked = |kind| condition(kind, Truth::Unknown, Reason::Blocked, "waits for step 2");
    let mut status = Status {
        phase: Phase::EmptyingGroups,
        conditions: vec![
            condition(ConditionKind::UsersAssigned, Truth::True, Reason::AllAssigned, "all 40 protected users"),
            condition(ConditionKind::GroupsEmptied, Truth::False, Reason::AwaitingEmptyCycle, "waits for a good cycle"),
            blocked(ConditionKind::GroupsUnassigned),
            blocked(ConditionKind::CycleCompleted),
            blocked(ConditionKind::TokenRevoked),
            condition(ConditionKind::GraphReachable, Truth::True, Reason::Reachable, "Graph answered"),
            condition(ConditionKind::TargetReachable, Truth::True, Reason::Reachable, "the target answered"),
        ],
        progress: Progress {
            users_protected: Some(40),
            users_assigned: Some(40),
            memberships: Some(12),
            groups: Some(5),
            groups_assigned: Some(3),
            target_groups: Some(5),
            users_lost: Some(0),
            users_counted: Some(40),
            users_kept: Some(40),
            users_not_known: Some(0),
            assignments_seen_at: Some(at(10)),
            memberships_seen_at: Some(at(10)),
            target_seen_at: Some(at(8)),
        },
        remaining: Remaining::default(),
        pending: Vec::new(),
        held: Vec::new(),
        cycle: CycleStatus { seen_at: Some(at(10)), ..CycleStatus::default() },
        groups: vec![group(1, "Finance", GroupState::ToBeEmptied, Some(12)), group(2, "Sales", GroupState::Gone, None)],
        journal: Vec::new(),
        notes: Vec::new(),
        last_attempt: Some(at(10)),
        last_success: Some(at(10)),
        turn: 7,
        app: Some(AppStatus { id: ServicePrincipalId(uuid::Uuid::from_u128(9)), app_id: None, name: "Uniqkey (prod)".into() }),
        decisions: None,
        ledger: None,
        timeline: Timeline::default(),
        gauges: Gauges::default(),
    };
    status.conditions[1].expected_by = Some(at(101));
    status
}

fn of(status: &mut Status, kind: ConditionKind) -> &mut Condition {
    status.conditions.iter_mut().find(|condition| condition.kind == kind).unwrap()
}

async fn ask(spec: Value, status: &Status, path: &str) -> String {
    let state = State::new("uniqkey", spec, Arc::new(Metrics::new()), Duration::from_secs(600));
    state.publish(status);
    let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    let answer = router(state, Hosts::default()).oneshot(request).await.unwrap();
    String::from_utf8(to_bytes(answer.into_body(), 1 << 22).await.unwrap().to_vec()).unwrap()
}

async fn page(status: &Status) -> String {
    ask(json!({"mode": "Enforce"}), status, "/").await
}

/// What stands between this mark and the next `</section>`.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in\n{page}"));
    rest.split_once("</section>").unwrap().0
}

fn headline(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"phase-title\">").unwrap();
    rest.split_once("</h2>").unwrap().0.replace("&#39;", "'")
}

#[tokio::test]
async fn the_headline_says_in_plain_words_what_goes_on() {
    let page = page(&status()).await;
    assert_eq!(headline(&page), "Waiting for the next provisioning cycle, expected 13:41 UTC");
    assert!(part(&page, "phase").contains("40 of 40 people keep their access"));
    assert!(part(&page, "todo").contains("Nothing. It goes on by itself."));
    let mut observing = status();
    observing.phase = Phase::Observing;
    let observing = self::page(&observing).await;
    assert!(part(&observing, "todo").contains("read what Enforce would do, and set spec.mode: Enforce"));
    assert!(part(&observing, "steps").contains("Open") && !part(&observing, "steps").contains("Under way"));
    let steps = part(&page, "steps");
    assert_eq!((steps.matches("<details").count(), steps.matches(" open data-now").count()), (5, 1), "the present one is open");
    for (kind, reason, words) in [
        (ConditionKind::GroupsEmptied, Reason::MembersRemain, "Taking people out of the groups: 12 memberships left"),
        (
            ConditionKind::GroupsEmptied,
            Reason::AwaitingOutcome,
            "Nobody answered the first removal. Reading whether it was done, until",
        ),
        (ConditionKind::GroupsEmptied, Reason::CanaryRunning, "The first removal is done."),
        (ConditionKind::GroupsEmptied, Reason::ReadingAgain, "Done so far. Watching that it stays so, until 13:41 UTC"),
        (ConditionKind::GroupsEmptied, Reason::CycleOverdue, "A provisioning cycle should have ended by now"),
    ] {
        let mut status = status();
        of(&mut status, kind).reason = reason;
        let page = self::page(&status).await;
        assert!(headline(&page).starts_with(words), "{}", headline(&page));
    }
}

/// As a failed look leaves it.
fn outage() -> Status {
    let mut status = status();
    status.last_attempt = Some(at(70));
    let why = "no connection: timed out";
    *of(&mut status, ConditionKind::GraphReachable) =
        condition(ConditionKind::GraphReachable, Truth::False, Reason::Unreachable, why);
    for condition in status.conditions.iter_mut().take(2) {
        (condition.status, condition.reason, condition.message) = (Truth::Unknown, Reason::LookFailed, why.into());
    }
    status.groups[0].state = GroupState::Unknown;
    status.groups[0].last_known = Some(LastKnown { state: GroupState::ToBeEmptied, at: at(10) });
    status
}

#[tokio::test]
async fn an_outage_stands_on_top_with_its_time_and_what_is_old_says_so() {
    let page = page(&outage()).await;
    assert_eq!(headline(&page), "Microsoft Graph can't be read, since 12:03 UTC");
    let trouble = part(&page, "trouble");
    assert!(trouble.contains("no connection: timed out") && !trouble.starts_with(" hidden"), "{trouble}");
    assert_eq!(page.matches("no connection: timed out").count(), 1, "said once");
    assert!(part(&page, "todo").contains("See what stops it."));
    assert!(page.find("id=\"trouble\"") < page.find("id=\"todo\"") && page.find("id=\"todo\"") < page.find("id=\"steps\""));
    let steps = part(&page, "steps");
    for figure in ["40 of 40 people, as of <time", "12 memberships left, as of <time", "2 of 5 groups off, as of <time"] {
        assert!(steps.contains(figure), "{figure} in {steps}");
    }
    let groups = part(&page, "groups");
    assert!(groups.contains("was: Assigned, to be emptied, <time datetime=\"2026-11-24T12:10:00Z\">12:10 UTC"), "{groups}");
    assert!(groups.contains("class=\"number old\""));
}

#[tokio::test]
async fn retired_it_stays_so_where_nothing_can_be_read_any_more_and_says_that_nobody_looks() {
    let mut status = outage();
    status.phase = Phase::Retired;
    status.remaining = Remaining { outlook: Outlook::Retired, ..Remaining::default() };
    let why = "the client secret is wrong";
    status.conditions.push(condition(ConditionKind::CredentialValid, Truth::False, Reason::CredentialRefused, why));
    status.conditions.push(condition(ConditionKind::Ready, Truth::False, Reason::LookFailed, "nobody looks any more"));
    let page = page(&status).await;
    let words = "Retired. Nobody looks any more whether it stays so: Microsoft Graph can't be read, since 12:03 UTC";
    assert_eq!(headline(&page), words);
    let todo = part(&page, "todo");
    assert!(todo.contains("Stop unscim: it is over.") && todo.contains("It is over. What is left for you"), "{todo}");
    assert!(!part(&page, "steps").contains("aria-current"));
    assert!(page.contains("nothing, when it was last read") && !page.contains("Under way"), "{page}");
}

#[tokio::test]
async fn what_stops_it_is_the_headline_where_it_is_what_holds() {
    let mut blind = outage();
    blind.phase = Phase::Held;
    for held in [
        vec![],
        vec![Held { brake: "blind".into(), message: "the assignments are not known".into(), since: None, seen_at: None }],
    ] {
        blind.held = held;
        assert!(headline(&page(&blind).await).starts_with("Microsoft Graph can't be read"));
    }
    let why = "the target can't be read: no connection: timed out";
    blind.conditions.push(condition(ConditionKind::Preflight, Truth::False, Reason::PreflightFailed, why));
    blind.held = vec![Held { brake: "preflight".into(), message: why.into(), since: None, seen_at: None }];
    let page = self::page(&blind).await;
    assert!(headline(&page).starts_with("Microsoft Graph can't be read"));
    assert_eq!(page.matches("timed out").count(), 1, "said once in\n{page}");
    blind.held = vec![Held { brake: "users-lost".into(), message: "one is gone".into(), since: None, seen_at: None }];
    assert_eq!(headline(&self::page(&blind).await), "Held: people may have lost their access");
    blind.held[0].since = Some(at(7));
    assert_eq!(headline(&self::page(&blind).await), "Held since 12:07 UTC: people may have lost their access");
    // What held the turn before says of when it is, and what stops it now stands on top.
    blind.held[0].seen_at = Some(at(9));
    let page = self::page(&blind).await;
    assert!(headline(&page).starts_with("Microsoft Graph can't be read"));
    assert!(part(&page, "todo").contains("one is gone (as last seen at 2026-11-24T12:09:00Z)"), "{page}");
}

#[tokio::test]
async fn a_ledger_that_cant_be_read_is_told_on_top_and_asks_for_a_person() {
    let mut status = status();
    let why = "the ledger can't be read: disk I/O error";
    status.conditions.push(condition(ConditionKind::BaselineRecorded, Truth::Unknown, Reason::LedgerUnreadable, why));
    let page = page(&status).await;
    assert!(headline(&page).starts_with("The ledger can't be read, since 12:03 UTC"));
    assert!(part(&page, "todo").contains("Repair or restore the ledger"));
    assert_eq!(page.matches("disk I/O error").count(), 1);
}

#[tokio::test]
async fn what_was_never_seen_is_not_known_and_no_zero() {
    let mut never = outage();
    never.phase = Phase::Preflight;
    never.progress = Progress { users_protected: Some(40), groups: Some(5), ..Progress::default() };
    (never.groups, never.last_success) = (Vec::new(), None);
    let page = page(&never).await;
    assert!(headline(&page).starts_with("Microsoft Graph can't be read"), "no calm \"checking\": {}", headline(&page));
    assert!(part(&page, "phase").contains("40 people are protected. The app could not be read"));
    let steps = part(&page, "steps");
    for figure in ["people: not known", "memberships left: not known", "groups off: not known"] {
        assert!(steps.contains(figure), "{figure} in {steps}");
    }
    for zero in ["0 of", ">0 ", "no membership", "no group still"] {
        assert!(!page.contains(zero), "{zero} in {page}");
    }
}

#[tokio::test]
async fn every_group_that_needs_a_decision_stands_under_what_to_do_once_and_can_be_copied() {
    let mut status = status();
    let whys = [
        "group \"Finance\" serves something else; set members: Remove or members: Keep for it",
        "group \"Sales\" serves something else; set members: Keep for it",
    ];
    status.phase = Phase::Held;
    of(&mut status, ConditionKind::GroupsEmptied).reason = Reason::DecisionNeeded;
    of(&mut status, ConditionKind::GroupsEmptied).message = whys.join("; ");
    status.held =
        whys.iter().map(|why| Held { brake: "refused".into(), message: (*why).into(), since: None, seen_at: None }).collect();
    for (group, why) in status.groups.iter_mut().zip(whys) {
        (group.state, group.why) = (GroupState::Refused, Some(why.into()));
    }
    let page = page(&status).await;
    assert_eq!(headline(&page), "Held: 2 groups need a decision. The others go on");
    let todo = part(&page, "todo");
    for (n, name, choice) in [(1, "Finance", "Remove   # or Keep\n"), (2, "Sales", "Keep<")] {
        let id = uuid::Uuid::from_u128(n);
        assert!(todo.contains(&format!("- id: {id}   # {name}\n        members: {choice}")), "{todo}");
        let why = format!("group &#34;{name}&#34; serves something else");
        assert!(todo.contains(&why), "{todo}");
        assert_eq!(page.matches(&why).count(), 1, "said once in\n{page}");
    }
    assert_eq!(todo.matches("Decide for the groups named").count(), 1);
}

#[tokio::test]
async fn who_is_lost_stands_before_whatever_else_is_to_do() {
    let mut status = status();
    of(&mut status, ConditionKind::GroupsEmptied).reason = Reason::DecisionNeeded;
    status.conditions.push(condition(ConditionKind::UsersKept, Truth::False, Reason::UsersLost, "Anna is inactive"));
    let page = page(&status).await;
    let todo = part(&page, "todo");
    let place = |words: &str| todo.find(words).unwrap_or_else(|| panic!("{words} in {todo}"));
    assert!(place("Users are missing or inactive") < place("Decide for the groups named"), "{todo}");
}

#[tokio::test]
async fn who_is_lost_is_somebodys_task_also_where_the_app_is_away_and_nobody_of_ours_is_meant() {
    let message = "1 of 40 protected users lost: Anna; restore her in the app";
    for (truth, reason) in [(Truth::Unknown, Reason::TargetUnread), (Truth::True, Reason::AllKept)] {
        let mut status = status();
        status.phase = Phase::Held;
        status.conditions.push(condition(ConditionKind::UsersKept, truth, reason, "the service is down"));
        status.conditions.push(condition(
            ConditionKind::TargetReachable,
            Truth::False,
            Reason::Unreachable,
            "the service is down",
        ));
        status.held = vec![Held { brake: "users-lost".into(), message: message.into(), since: None, seen_at: None }];
        let todo = part(&page(&status).await, "todo").to_owned();
        assert!(todo.contains("People have lost their access, or may have") && todo.contains(message), "{todo}");
        assert!(todo.contains("Runbook: <code class=\"reason\">users-lost") && !todo.contains("Nothing"), "{todo}");
    }
}

#[tokio::test]
async fn a_hold_never_stands_over_nothing() {
    for brake in Brake::ALL.iter().map(|brake| brake.label()).chain(["preflight", "refused", "of tomorrow"]) {
        let mut status = status();
        status.phase = Phase::Held;
        status.held = vec![Held { brake: brake.into(), message: "exactly this".into(), since: None, seen_at: None }];
        let page = page(&status).await;
        assert_eq!(page.matches("exactly this").count(), 1, "{brake}");
        assert!(headline(&page).len() > 6 && !page.contains("see below"), "{brake}: {}", headline(&page));
    }
}

#[tokio::test]
async fn at_the_end_it_says_what_comes_next() {
    let mut asked = status();
    asked.phase = Phase::AwaitingRevocation;
    let message = "waits for a person to delete the SCIM token in the app's settings";
    *of(&mut asked, ConditionKind::TokenRevoked) =
        condition(ConditionKind::TokenRevoked, Truth::False, Reason::AwaitingOperator, message);
    let page = page(&asked).await;
    assert_eq!(headline(&page), "Everything is proven. The SCIM token can be deleted now");
    assert_eq!(page.to_lowercase().matches("delete the scim token").count(), 2, "a step's name, and what to do:\n{page}");
    let mut over = status();
    over.phase = Phase::Retired;
    over.cycle.quarantined = true;
    over.cycle.seen_at = over.last_attempt;
    over.conditions.push(condition(ConditionKind::UsersKept, Truth::True, Reason::ProvenBeforeRevocation, "read at noon"));
    for condition in &mut over.conditions {
        condition.status = Truth::True;
    }
    let page = self::page(&over).await;
    let todo = part(&page, "todo");
    assert!(headline(&page).starts_with("Done"));
    assert!(part(&page, "phase").contains("40 of 40 people kept their access"), "nobody can look again");
    for word in ["quarantine now, as expected", "Stop unscim, and take its credential away", "unscim report"] {
        assert!(todo.contains(word), "{word} in {todo}");
    }
    over.cycle.seen_at = over.last_attempt.map(|at| at - Duration::from_secs(60));
    let page = self::page(&over).await;
    assert!(part(&page, "todo").contains("It was in quarantine when it was last read, as expected"), "{page}");
}

#[tokio::test]
async fn a_probe_that_shows_nothing_is_not_said_to_need_nobody() {
    let mut status = status();
    status.phase = Phase::AwaitingRevocation;
    *of(&mut status, ConditionKind::TokenRevoked) =
        condition(ConditionKind::TokenRevoked, Truth::False, Reason::ProbeInconclusive, "waits for an answer: another token");
    let page = page(&status).await;
    assert!(headline(&page).contains("don't tell whether the SCIM token is deleted"), "{}", headline(&page));
    let todo = part(&page, "todo");
    assert!(todo.contains("Do what the message says") && todo.contains("another token"), "{todo}");
}

#[tokio::test]
async fn it_says_whose_provisioning_it_is_and_links_each_reason_to_the_runbook() {
    let spec = json!({
        "mode": "Enforce",
        "entra": {"tenantId": "11111111-2222-3333-4444-555555555555"},
        "target": {"scimUrl": "https://app.example.com/scim"},
        "telemetry": {"runbookUrl": "https://wiki.example.com/reasons"},
    });
    let mut status = status();
    status.held = vec![Held { brake: "window".into(), message: "until 22:00".into(), since: None, seen_at: None }];
    let page = ask(spec, &status, "/").await;
    for part in ["Uniqkey (prod)", "00000000-0000-0000-0000-000000000009", "11111111-2222-3333-4444-555555555555", "Enforce"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    for entry in ["awaitingemptycycle", "reachable", "window"] {
        assert!(page.contains(&format!("href=\"https://wiki.example.com/reasons#{entry}\"")), "{entry} in\n{page}");
    }
    let runbook = std::fs::read_to_string("docs/reasons.md").unwrap();
    for reason in Reason::ALL {
        assert!(runbook.contains(&format!("\n### {reason}\n")), "{reason} has an entry under that anchor");
    }
    assert!(!self::page(&status).await.contains("wiki.example.com"));
}

#[tokio::test]
async fn the_groups_are_sorted_and_filtered_by_the_address_alone() {
    let mut status = status();
    status.groups = vec![
        group(1, "Alpha", GroupState::ToBeEmptied, Some(3)),
        group(2, "Beta", GroupState::Gone, None),
        group(3, "Gamma", GroupState::ToBeEmptied, Some(20)),
    ];
    let names = async |query: &str| {
        let page = ask(json!({}), &status, &format!("/?{query}")).await;
        let rows = part(&page, "groups").split("class=\"name\">").skip(1);
        rows.map(|row| row.split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Alpha", "Beta", "Gamma"]);
    assert_eq!(names("sort=-name").await, ["Gamma", "Beta", "Alpha"]);
    assert_eq!(names("sort=-members").await, ["Gamma", "Alpha", "Beta"]);
    assert_eq!(names("sort=members&show=ToBeEmptied").await, ["Alpha", "Gamma"]);
    assert_eq!(names("show=Nonsense&page=9&x=%3Cscript%3E").await, ["Alpha", "Beta", "Gamma"]);
    let page = ask(json!({}), &status, "/?sort=-members&show=ToBeEmptied").await;
    assert!(
        page.contains("aria-sort=\"descending\"") && page.contains("href=\"?sort=members&#38;show=ToBeEmptied#groups\""),
        "{page}"
    );
}

#[tokio::test]
async fn the_whole_page_is_small_however_much_there_is() {
    let mut status = status();
    status.held = vec![Held { brake: "too-much".into(), message: "m".repeat(300), since: None, seen_at: None }];
    status.notes = vec!["n".repeat(200); 5];
    status.journal = (0..20)
        .map(|line| JournalEntry {
            line,
            at: at(line),
            action: "AssignUser".into(),
            message: format!("assign {} with role \"User\" ({})", uuid::Uuid::nil(), uuid::Uuid::nil()),
            outcome: WriteOutcome::Done,
            why: None,
        })
        .collect();
    let burst = |n: i64| Burst { action: "RemoveMember".into(), count: 9, from: at(n), to: at(n + 1) };
    status.timeline = Timeline {
        began: Some(at(0)),
        until: Some(at(1000)),
        writes: (0..10).map(burst).collect(),
        put_back: 13,
        cycles: (0..24).map(|n| Cycle { began: at(n * 40), ended: at(n * 40 + 5), counts: n != 3 }).collect(),
        holds: [(600, Some(760)), (770, Some(780)), (900, None)]
            .map(|(from, to)| Hold { brake: "window".into(), from: at(from), to: to.map(at) })
            .into(),
        steps: vec![StepDone { kind: ConditionKind::UsersAssigned, at: at(60) }],
    };
    status.groups = (0..20).map(|n| group(n, &format!("Group {n}"), GroupState::ToBeEmptied, Some(3))).collect();
    let mut weight = Vec::new();
    for path in ["/", "/page.css", "/page.js"] {
        weight.push(ask(json!({"mode": "Enforce"}), &status, path).await.len());
    }
    assert!(weight.iter().sum::<usize>() < 40 * 1024, "{weight:?}");
    status.groups = (0..500).map(|n| group(n, &format!("Group {n}"), GroupState::ToBeEmptied, Some(3))).collect();
    let page = page(&status).await;
    assert_eq!(part(&page, "groups").matches("<tr data-id").count(), 50, "the others are a link away");
    assert!(page.contains("href=\"?sort=name&#38;page=10#groups\""));
    assert!(page.len() < 64 * 1024, "{}", page.len());
    let picture = part(&page, "timeline");
    assert!(
        picture.contains(
            "23 good cycles shown, 1 cycle not counted, 13 writes of a rollback, and what they put back is not counted, held 3 times"
        ),
        "{picture}"
    );
    for title in
        ["window, 2026-11-24 22:00 UTC to 2026-11-25 00:40 UTC", "window, 00:50 UTC to 01:00 UTC", "window, since 03:00 UTC"]
    {
        assert!(picture.contains(title), "{title} in {picture}");
    }
}

#[tokio::test]
async fn times_are_in_one_zone() {
    let script = ask(json!({}), &status(), "/page.js").await;
    assert!(!script.contains("toLocale") && script.contains("UTC"));
    let page = page(&status()).await;
    for time in page.split("<time ").skip(1) {
        assert!(time.split_once("</time>").unwrap().0.ends_with(" UTC"), "{time}");
    }
}
