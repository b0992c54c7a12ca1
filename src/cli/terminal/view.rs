//! The `/status` document as plain text for a terminal. It reads leniently, so that another version's status shows too.

use serde::Deserialize as _;
use serde_json::Value;

use crate::cli::terminal::{Sheet, Tone, clean};
use crate::model::status::Remaining;

/// No control characters but our own colours.
pub fn render(document: &Value, mut sheet: Sheet) -> Sheet {
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
    sheet.say(&format!("last look {}, last that saw everything {}", text(&status["lastAttempt"]), text(&status["lastSuccess"])));

    sheet.title(Tone::Title, "Conditions");
    for condition in items(&status["conditions"]) {
        let [kind, truth, reason] = ["type", "status", "reason"].map(|key| text(&condition[key]));
        // True is the good value for all but this one.
        let tone = match (kind.as_str() == "Held", truth.as_str()) {
            (false, "True") | (true, "False") => Tone::Good,
            (true, "True") => Tone::Bad,
            _ => Tone::Open,
        };
        let since = text(&condition["lastTransitionTime"]);
        sheet.item("  ", tone, &format!("{truth:<8}"), &format!("{kind}: {reason}, since {since}"));
        sheet.item("          ", Tone::Plain, "", &text_or(&condition["message"], ""));
        if let Some(at) = condition["expectedBy"].as_str() {
            sheet.item("          ", Tone::Plain, "", &format!("expected by {at}"));
        }
    }

    sheet.title(Tone::Title, "Progress");
    let count = |key: &str| text_or(&status["progress"][key], "not known");
    for (label, value, seen) in [
        ("users assigned", format!("{} of {}", count("usersAssigned"), count("usersProtected")), "assignmentsSeenAt"),
        ("memberships left", count("memberships"), "membershipsSeenAt"),
        ("groups assigned", format!("{} of {}", count("groupsAssigned"), count("groups")), "assignmentsSeenAt"),
        ("groups at the target", count("targetGroups"), "targetSeenAt"),
        (
            "users kept",
            format!("{} of {}, {} lost", count("usersKept"), count("usersCounted"), count("usersLost")),
            "targetSeenAt",
        ),
        ("users without record", count("usersNotKnown"), "targetSeenAt"),
    ] {
        let age = if value.starts_with("not known") { String::new() } else { old(status, seen) };
        sheet.item("  ", Tone::Faint, &format!("{label:<22}"), &format!("{value}{age}"));
    }

    if let Ok(remaining) = Remaining::deserialize(&status["remaining"]) {
        sheet.item("  ", Tone::Faint, &format!("{:<22}", "left"), &remaining.left());
        let at = remaining.earliest_finish.map(|at| format!("{at}, ")).unwrap_or_default();
        sheet.item("  ", Tone::Faint, &format!("{:<22}", "earliest finish"), &format!("{at}{}", remaining.outlook.words()));
    }

    let cycle = &status["cycle"];
    sheet.title(Tone::Title, "Provisioning cycle");
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
    list(&mut sheet, Tone::Bad, "Held", &status["held"], |item| format!("{}: {}", text(&item["brake"]), text(&item["message"])));
    list(&mut sheet, Tone::Title, "Notes", &status["notes"], text);
    sheet
}

/// Of when a figure is, where it could not be read in this turn. The target is read less often than the rest.
fn old(status: &Value, seen: &str) -> String {
    let at = &status["progress"][seen];
    let answers = |condition: &Value| condition["type"] != "TargetReachable" || condition["status"] != "False";
    let is_fresh = match seen {
        "targetSeenAt" => items(&status["conditions"]).all(answers),
        _ => *at == status["lastAttempt"],
    };
    if at.is_null() || is_fresh { String::new() } else { format!(", as last seen at {}", text(at)) }
}

fn list(sheet: &mut Sheet, tone: Tone, title: &str, value: &Value, show: impl Fn(&Value) -> String) {
    let lines: Vec<String> = items(value).map(show).collect();
    if !lines.is_empty() {
        sheet.title(tone, title);
        sheet.list("  ", &lines, usize::MAX);
    }
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
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(document: &Value, width: usize) -> String {
        anstream::adapter::strip_str(&render(document, Sheet::of(width)).into_text()).to_string()
    }

    #[test]
    fn a_status_fits_the_terminal_and_says_everything() {
        let message = format!("{} {}", "long words ".repeat(30), "ß".repeat(300));
        let document = json!({
            "metadata": {"name": "uniqkey"},
            "spec": {"mode": "Enforce"},
            "status": {
                "phase": "Held", "turn": 42, "lastAttempt": "2026-11-24T10:00:00Z",
                "conditions": [{"type": "UsersAssigned", "status": "False", "reason": "AssignmentsMissing",
                    "message": message, "lastTransitionTime": "2026-11-24T10:00:00.123456789Z"}],
                "progress": {"usersAssigned": 3, "usersProtected": 5, "usersLost": 0},
                "remaining": {"assignments": 2, "memberRemovals": 9, "unassignments": 1, "cycles": 5, "writing": "2s",
                    "outlook": "InSight", "earliestFinish": "2026-11-24T14:30:00Z"},
                "cycle": {"lastState": "Succeeded", "quarantined": true},
                "pending": [{"action": "AssignUser", "count": 2}],
                "held": [{"brake": "shrunk", "message": "a \u{1b}[31mlist shrank"}],
                "groups": [{"id": "7", "name": "Design", "state": "Refused", "members": 9, "why": "it is shared"}],
                "journal": [{"at": "2026-11-24T09:00:00Z", "message": "assign 1", "outcome": "Done"}],
                "notes": ["a note"]}});
        let shown = plain(&document, 100);
        for part in [
            "uniqkey: Held (turn 42, mode Enforce)",
            "last look 2026-11-24T10:00:00Z",
            "UsersAssigned",
            "AssignmentsMissing",
            "3 of 5",
            "2 direct assignments, 9 removals from groups, 1 row of a group",
            "2s of writing",
            "2026-11-24T14:30:00Z, if every cycle is on time",
            "Succeeded",
            "quarantine",
            "2 x AssignUser",
            "shrunk: a [31mlist shrank",
            "a note",
            "Design (7)",
            "it is shared",
            "assign 1",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
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
}
