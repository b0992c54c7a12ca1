//! The `/status` document as plain text for a terminal. It reads leniently, so that another version's status shows too.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use crate::cli::terminal::{Sheet, Tone};
use crate::model::status::Remaining;
use crate::model::words::clean;

/// Lines of a screen.
const SCREEN: usize = 40;
/// Things of one kind that a screen has room for.
const FEW: usize = 3;
/// Lines for all that is held.
const HELD: usize = 10;

/// How much of it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What fits a screen: what is in the way, and how far it is.
    Screen,
    Whole,
}

/// No control characters but our own colours.
pub fn render(document: &Value, depth: Depth, mut sheet: Sheet) -> Sheet {
    let on_screen = depth == Depth::Screen;
    let status = &document["status"];
    let name = text(&document["metadata"]["name"]);
    let mode = document["spec"]["mode"].as_str().map(|mode| format!(", mode {}", clean(mode))).unwrap_or_default();
    let phase = text(&status["phase"]);
    let tone = match phase.as_str() {
        "Retired" => Tone::Good,
        "Held" => Tone::Bad,
        _ => Tone::Title,
    };
    sheet.item("", tone, &format!("{name}: {phase} "), &format!("(turn {}{mode})", text(&status["turn"])));
    sheet.say(&format!(
        "last tried to read {}, last read of Graph {}, of the app {}",
        text(&status["lastAttempt"]),
        text(&status["lastSuccess"]),
        text(&status["progress"]["targetSeenAt"])
    ));

    if on_screen {
        held_first(status, &mut sheet);
    }
    conditions(status, depth, &mut sheet);
    progress(status, &mut sheet);
    if on_screen {
        screen_ends(status, &mut sheet);
        return sheet.within(SCREEN, "unscim status --verbose tells all of it");
    }
    let cycle = &status["cycle"];
    sheet.title(Tone::Title, &format!("Provisioning cycle{}", old_cycle(status)));
    for (label, key) in [("state", "lastState"), ("began", "lastBegan"), ("ended", "lastEnded"), ("expected by", "expectedBy")] {
        sheet.item("  ", Tone::Faint, &format!("{label:<22}"), &text(&cycle[key]));
    }
    if cycle["quarantined"].as_bool() == Some(true) {
        sheet.item("  ", Tone::Open, "", "the job is in quarantine");
    }

    if items(&status["groups"]).next().is_some() {
        sheet.title(Tone::Title, "Groups");
        let row = |item: &Value| {
            let [name, id, state, members, why] = ["name", "id", "state", "members", "why"].map(|key| text_or(&item[key], ""));
            let last = &item["lastKnown"];
            let state =
                if last.is_null() { state } else { format!("{state}, {} at {}", text(&last["state"]), text(&last["at"])) };
            vec![format!("{name} ({id})"), state, members, why]
        };
        sheet.table(&["group", "state", "users in it", "why"], items(&status["groups"]).map(row));
    }
    if items(&status["journal"]).next().is_some() {
        sheet.title(Tone::Title, "Last writes");
        let row = |item: &Value| ["at", "message", "outcome", "why"].map(|key| text_or(&item[key], "")).to_vec();
        sheet.table(&["at", "what", "outcome", "why"], items(&status["journal"]).map(row));
    }
    list(&mut sheet, Tone::Title, "Pending", &status["pending"], |item| {
        format!("{} x {}", text(&item["count"]), text(&item["action"]))
    });
    list(&mut sheet, Tone::Bad, "Held", &status["held"], held);
    list(&mut sheet, Tone::Title, "Notes", &status["notes"], text);
    sheet
}

fn conditions(status: &Value, depth: Depth, sheet: &mut Sheet) {
    let on_screen = depth == Depth::Screen;
    sheet.title(Tone::Title, "Conditions");
    let well = items(&status["conditions"]).filter(|one| on_screen && is_good(one) && !is_untold(one)).count();
    if well > 0 {
        let later = items(&status["conditions"]).filter(|condition| waits(condition)).count();
        let later = match later {
            0 => String::new(),
            1 => ", 1 waits for the others".into(),
            later => format!(", {later} wait for the others"),
        };
        let untold: Vec<String> =
            items(&status["conditions"]).filter(|one| is_untold(one)).map(|one| text(&one["type"])).collect();
        let untold = if untold.is_empty() { String::new() } else { format!("; {} can't be known", untold.join(", ")) };
        let all = items(&status["conditions"]).count();
        sheet.item("  ", Tone::Good, "", &format!("{well} of {all} are as they should be{later}{untold}"));
    }
    let (mut told, mut more): (Vec<&Value>, usize) = (items(&status["conditions"]).collect(), 0);
    if on_screen {
        told.retain(|condition| is_in_the_way(condition));
        // Everything else follows from it.
        told.sort_by_key(|condition| match (condition["reason"].as_str(), condition["type"].as_str()) {
            (Some("Unreachable"), _) => 0,
            (_, Some("UsersKept")) => 1,
            _ => 2,
        });
        // Where something is held, that says it.
        let room = if items(&status["held"]).next().is_some() { FEW } else { 2 * FEW };
        more = told.len().saturating_sub(room);
        told.truncate(room);
    }
    for condition in told {
        let [kind, truth, reason] = ["type", "status", "reason"].map(|key| text(&condition[key]));
        let tone = match (kind.as_str() == "Held", truth.as_str()) {
            _ if is_good(condition) => Tone::Good,
            (true, "True") => Tone::Bad,
            _ => Tone::Open,
        };
        let since = text(&condition["lastTransitionTime"]);
        if on_screen {
            let message = text_or(&condition["message"], "");
            let room = 2 * sheet.width.saturating_sub(16);
            sheet.item(
                "  ",
                tone,
                &format!("{truth:<8}"),
                &short(&format!("{kind}: {reason} ({truth} since {since}): {message}"), room),
            );
            continue;
        }
        sheet.item("  ", tone, &format!("{truth:<8}"), &format!("{kind}: {reason} ({truth} since {since})"));
        sheet.item("          ", Tone::Plain, "", &text_or(&condition["message"], ""));
        if !condition["expectedBy"].is_null() {
            sheet.item("          ", Tone::Plain, "", &format!("expected by {}", text(&condition["expectedBy"])));
        }
    }
    if more > 0 {
        sheet.item("  ", Tone::Faint, "", &format!("and {more} more"));
    }
}

fn progress(status: &Value, sheet: &mut Sheet) {
    sheet.title(Tone::Title, "Progress");
    let count = |key: &str| text_or(&status["progress"][key], "not known");
    for (label, value, seen) in [
        ("users assigned", format!("{} of {}", count("usersAssigned"), count("usersProtected")), "assignmentsSeenAt"),
        ("memberships left", count("memberships"), "membershipsSeenAt"),
        ("groups assigned", format!("{} of {}", count("groupsAssigned"), count("groups")), "assignmentsSeenAt"),
        ("groups at the target", count("targetGroups"), "targetSeenAt"),
        ("users kept", kept(&status["progress"]), "targetSeenAt"),
        ("users without record", count("usersNotKnown"), "targetSeenAt"),
    ] {
        let age = if value.starts_with("not known") { String::new() } else { old(status, seen) };
        sheet.item("  ", Tone::Faint, &format!("{label:<22}"), &format!("{value}{age}"));
    }

    if let Ok(remaining) = Remaining::deserialize(&status["remaining"]) {
        sheet.item("  ", Tone::Faint, &format!("{:<22}", "left"), &remaining.left());
        let at = remaining.earliest_finish.map(|at| format!("{at:.0}, ")).unwrap_or_default();
        sheet.item("  ", Tone::Faint, &format!("{:<22}", "earliest finish"), &format!("{at}{}", remaining.outlook.words()));
    }
}

fn kept(progress: &Value) -> String {
    let lost = text_or(&progress["usersLost"], "nobody knows how many");
    match (progress["usersKept"].as_u64(), progress["usersCounted"].as_u64()) {
        (Some(kept), Some(counted)) => format!("{kept} of {counted}, {lost} lost"),
        _ if progress["usersLost"].is_null() => "not known".into(),
        _ => format!("not known, {lost} lost"),
    }
}

/// Of when a figure is, where it could not be read in this turn. The target is read less often than the rest.
fn old(status: &Value, seen: &str) -> String {
    let at = &status["progress"][seen];
    let answers = |condition: &Value| condition["type"] != "TargetReachable" || condition["status"] != "False";
    let is_fresh = match seen {
        "targetSeenAt" => items(&status["conditions"]).all(answers),
        _ => *at == status["lastAttempt"],
    };
    last_seen(at, is_fresh)
}

fn last_seen(at: &Value, is_fresh: bool) -> String {
    if at.is_null() || is_fresh { String::new() } else { format!(", as last seen at {}", text(at)) }
}

/// The same of the job and its last cycle.
fn old_cycle(status: &Value) -> String {
    let at = &status["cycle"]["seenAt"];
    last_seen(at, *at == status["lastAttempt"])
}

/// True is the good value for all but one. A token that is proven dead, and a credential that does not tell its end, are as they
/// should be.
fn is_good(condition: &Value) -> bool {
    let good = if condition["type"] == "Held" { "False" } else { "True" };
    let is_dead = condition["reason"] == "TokenRejected" && condition["status"] == "Unknown";
    condition["status"] == good || is_dead || is_untold(condition)
}

fn is_untold(condition: &Value) -> bool {
    condition["reason"] == "ExpiryNotKnown"
}

/// It has its turn when the others have had theirs.
fn waits(condition: &Value) -> bool {
    !is_good(condition) && (condition["reason"] == "Blocked" || condition["reason"] == "InProgress")
}

/// Neither well, nor told elsewhere, nor only waiting for the others.
fn is_in_the_way(condition: &Value) -> bool {
    !is_good(condition) && condition["type"] != "Held" && !waits(condition)
}

/// What stops it stands on top.
fn held_first(status: &Value, sheet: &mut Sheet) {
    let all: Vec<&Value> = items(&status["held"]).collect();
    if all.is_empty() {
        return;
    }
    sheet.title(Tone::Bad, "Held");
    // What to do stands at a message's end.
    let room = HELD / all.len().min(FEW) * sheet.width.saturating_sub(10);
    for item in all.iter().take(FEW) {
        sheet.item("  ", Tone::Plain, "- ", &short(&held(item), room));
    }
    if all.len() > FEW {
        sheet.item("  ", Tone::Faint, "", &format!("and {} more", all.len() - FEW));
    }
}

fn held(item: &Value) -> String {
    let age = if item["seenAt"].is_null() { String::new() } else { format!(" (as last seen at {})", text(&item["seenAt"])) };
    format!("{}{age}: {}", text(&item["brake"]), text(&item["message"]))
}

/// One line each for what has sections of its own otherwise.
fn screen_ends(status: &Value, sheet: &mut Sheet) {
    let cycle = &status["cycle"];
    let quarantined = if cycle["quarantined"].as_bool() == Some(true) { ", the job is in QUARANTINE" } else { "" };
    let next = &cycle["expectedBy"];
    let expected =
        if next.is_null() || !quarantined.is_empty() { String::new() } else { format!(", the next expected by {}", text(next)) };
    let (state, ended, old) = (text(&cycle["lastState"]), text(&cycle["lastEnded"]), old_cycle(status));
    let last = format!("{state} at {ended}{expected}{quarantined}{old}");
    let mut states: Vec<(String, usize)> = Vec::new();
    for group in items(&status["groups"]) {
        let state = text(&group["state"]);
        match states.iter_mut().find(|(known, _)| *known == state) {
            Some((_, n)) => *n += 1,
            None => states.push((state, 1)),
        }
    }
    let groups: Vec<String> = states.into_iter().map(|(state, n)| format!("{n} {state}")).collect();
    let pending: Vec<String> =
        items(&status["pending"]).map(|item| format!("{} x {}", text(&item["count"]), text(&item["action"]))).collect();
    let notes = items(&status["notes"]).count();
    let notes = if notes == 0 { Vec::new() } else { vec![format!("{notes}; --verbose has them")] };
    for (label, value) in [("last cycle", vec![last]), ("groups", groups), ("pending", pending), ("notes", notes)] {
        if !value.is_empty() {
            let value = short(&value.join(", "), 2 * sheet.width.saturating_sub(30));
            sheet.item("  ", Tone::Faint, &format!("{label:<22}"), &value);
        }
    }
}

/// Cut where the room ends.
fn short(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let cut: String = text.chars().take(room.saturating_sub(2)).collect();
    format!("{} …", cut.trim_end())
}

fn list(sheet: &mut Sheet, tone: Tone, title: &str, value: &Value, show: impl Fn(&Value) -> String) {
    sheet.titled(tone, title, &items(value).map(show).collect::<Vec<_>>());
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    text_or(value, "-")
}

fn text_or(value: &Value, absent: &str) -> String {
    match value {
        Value::Null => absent.to_owned(),
        Value::String(text) => text.parse::<Timestamp>().map_or_else(|_| clean(text), |at| format!("{at:.0}")),
        other => clean(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(document: &Value, width: usize) -> String {
        anstream::adapter::strip_str(&render(document, Depth::Whole, Sheet::of(width)).into_text()).to_string()
    }

    #[test]
    fn a_status_fits_the_terminal_and_says_everything() {
        let message = format!("{} {}", "long words ".repeat(30), "ß".repeat(300));
        let document = json!({
            "metadata": {"name": "uniqkey"},
            "spec": {"mode": "Enforce"},
            "status": {
                "phase": "Held", "turn": 42, "lastAttempt": "2026-11-24T10:00:00.123456789Z",
                "conditions": [{"type": "UsersAssigned", "status": "False", "reason": "AssignmentsMissing",
                    "message": message, "lastTransitionTime": "2026-11-24T10:00:00.123456789Z"}],
                "progress": {"usersAssigned": 3, "usersProtected": 5, "usersLost": 0},
                "remaining": {"assignments": 2, "memberRemovals": 9, "unassignments": 1, "cycles": 5, "writing": "2s",
                    "outlook": "InSight", "earliestFinish": "2026-11-24T14:30:00.25Z"},
                "cycle": {"lastState": "Succeeded", "quarantined": true, "expectedBy": "2026-11-24T10:40:00.75Z",
                    "seenAt": "2026-11-24T09:58:00.5Z"},
                "pending": [{"action": "AssignUser", "count": 2}],
                "held": [{"brake": "shrunk", "message": "a \u{1b}[31mlist shrank"},
                    {"brake": "refused", "message": "undecided", "seenAt": "2026-11-24T09:30:00.5Z"}],
                "groups": [{"id": "7", "name": "Design", "state": "Refused", "members": 9, "why": "it is shared"}],
                "journal": [{"at": "2026-11-24T09:00:00Z", "message": "assign 1", "outcome": "Done"}],
                "notes": ["a note"]}});
        let shown = plain(&document, 100);
        for part in [
            "uniqkey: Held (turn 42, mode Enforce)",
            "last tried to read 2026-11-24T10:00:00Z",
            "UsersAssigned",
            "AssignmentsMissing",
            "3 of 5",
            "2 direct assignments, 9 removals from groups, 1 assignment of a group",
            "2s of writing",
            "2026-11-24T14:30:00Z, a floor, with every cycle on time",
            "Succeeded",
            "Provisioning cycle, as last seen at 2026-11-24T09:58:00Z",
            "quarantine",
            "2 x AssignUser",
            "shrunk: a [31mlist shrank",
            "refused (as last seen at 2026-11-24T09:30:00Z): undecided",
            "a note",
            "Design (7)",
            "it is shared",
            "assign 1",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
        for depth in [Depth::Screen, Depth::Whole] {
            let shown = render(&document, depth, Sheet::of(100)).plain();
            assert!(!shown.contains("00."), "a fraction of a second in\n{shown}");
        }
        assert_eq!(shown.matches('ß').count(), 300);
        for width in [60, 100, 140] {
            let shown = plain(&document, width);
            assert!(shown.lines().all(|line| line.chars().count() <= width && !line.contains('\u{1b}')), "{shown}");
            assert_eq!(shown.matches('ß').count(), 300);
        }
    }

    #[test]
    fn a_document_of_another_shape_is_shown_as_far_as_it_goes() {
        let shown = plain(&json!({"status": {"phase": "Later", "conditions": 7}}), 100);
        assert!(shown.starts_with("-: Later (turn -)\n"), "{shown}");
        plain(&Value::Null, 100);
    }

    #[test]
    fn a_screen_has_what_is_in_the_way_and_never_more_than_40_lines() {
        let condition = |n: usize| json!({"type": format!("Step{n}"), "status": "False", "reason": "Waits", "message": "long words ".repeat(80)});
        let held: Vec<Value> = (0..9).map(|n| json!({"brake": format!("brake{n}"), "message": "no ".repeat(300)})).collect();
        let groups: Vec<Value> = (0..200).map(|n| json!({"name": format!("g{n}"), "id": n, "state": "ToBeEmptied"})).collect();
        let mut conditions: Vec<Value> = (0..13).map(condition).collect();
        conditions.push(json!({"type": "TargetReachable", "status": "True", "reason": "Reachable", "message": "answered"}));
        conditions.push(json!({"type": "GraphReachable", "status": "False", "reason": "Unreachable", "message": "a 502",
            "lastTransitionTime": "2026-11-24T10:00:00.123Z"}));
        conditions.push(json!({"type": "Step99", "status": "Unknown", "reason": "Blocked", "message": "waits"}));
        let document = json!({"metadata": {"name": "uniqkey"}, "status": {
            "phase": "Held", "turn": 42, "conditions": conditions, "held": held, "groups": groups,
            "cycle": {"lastState": "Succeeded", "quarantined": true, "seenAt": "2026-11-24T09:58:00.5Z"}, "notes": ["a", "b"],
            "pending": [{"action": "AssignUser", "count": 2}]}});
        for width in [40, 60, 80, 100, 200] {
            let shown = anstream::adapter::strip_str(&render(&document, Depth::Screen, Sheet::of(width)).into_text()).to_string();
            assert!(shown.lines().count() <= 40, "{width}: {}\n{shown}", shown.lines().count());
            assert!(shown.trim_end().ends_with("--verbose tells all of it"), "{shown}");
            for part in ["uniqkey: Held", "brake0: no", "and 6 more", "1 of 16"] {
                assert!(shown.contains(part), "{width}: {part} in\n{shown}");
            }
        }
        let shown = anstream::adapter::strip_str(&render(&document, Depth::Screen, Sheet::of(100)).into_text()).to_string();
        assert!(!shown.contains("Step99"), "{shown}");
        for part in [
            "False   GraphReachable: Unreachable (False since 2026-11-24T10:00:00Z): a 502",
            "200 ToBeEmptied",
            "2 x AssignUser",
            "QUARANTINE",
            "Step0: Waits (False since",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
        let mut untold = document.clone();
        untold["status"]["conditions"].as_array_mut().unwrap().push(
            json!({"type": "CredentialValid", "status": "Unknown", "reason": "ExpiryNotKnown", "message": "it does not say"}),
        );
        let shown = anstream::adapter::strip_str(&render(&untold, Depth::Screen, Sheet::of(200)).into_text()).to_string();
        assert!(shown.contains("1 of 17") && shown.contains("CredentialValid can't be known"), "{shown}");
        assert!(shown.contains("the job is in QUARANTINE, as last seen at 2026-11-24T09:58:00Z"), "{shown}");
        let mut two = document;
        two["status"]["held"] =
            json!([1, 2].map(|n| json!({"brake": "refused", "message": format!("{}remedy{n}.", "why ".repeat(70))})));
        let shown = anstream::adapter::strip_str(&render(&two, Depth::Screen, Sheet::of(80)).into_text()).to_string();
        assert!(shown.contains("remedy1.") && shown.contains("remedy2.") && shown.lines().count() <= 40, "{shown}");
    }
}
