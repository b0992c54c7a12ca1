//! The `/status` document as plain text for a terminal. It reads leniently, so that another version's status shows too.

use serde_json::Value;

const WIDTH: usize = 100;

/// At most 100 columns, no colours, no control characters.
pub fn render(document: &Value) -> String {
    let status = &document["status"];
    let mut out = String::new();
    let name = text(&document["metadata"]["name"]);
    let mode = document["spec"]["mode"].as_str().map(|mode| format!(", mode {}", clean(mode))).unwrap_or_default();
    line(&mut out, &format!("{name}: {} (turn {}{mode})", text(&status["phase"]), text(&status["turn"])));
    line(
        &mut out,
        &format!("last look {}, last that saw everything {}", text(&status["lastAttempt"]), text(&status["lastSuccess"])),
    );

    heading(&mut out, "Conditions");
    for condition in items(&status["conditions"]) {
        let [kind, truth, reason] = ["type", "status", "reason"].map(|key| text(&condition[key]));
        let since = text(&condition["lastTransitionTime"]);
        line(&mut out, &format!("  {kind:<17} {truth:<8} {reason:<24} since {since}"));
        wrapped(&mut out, "      ", &text_or(&condition["message"], ""));
        if let Some(at) = condition["expectedBy"].as_str() {
            line(&mut out, &format!("      expected by {}", clean(at)));
        }
    }

    heading(&mut out, "Progress");
    let count = |key: &str| text(&status["progress"][key]);
    for (label, value) in [
        ("users assigned", format!("{} of {}", count("usersAssigned"), count("usersProtected"))),
        ("memberships left", count("memberships")),
        ("groups assigned", format!("{} of {}", count("groupsAssigned"), count("groups"))),
        ("groups at the target", count("targetGroups")),
        ("users kept", format!("{} of {}, {} lost", count("usersKept"), count("usersCounted"), count("usersLost"))),
    ] {
        line(&mut out, &format!("  {label:<21} {value}"));
    }

    let cycle = &status["cycle"];
    heading(&mut out, "Provisioning cycle");
    for (label, key) in [("state", "lastState"), ("began", "lastBegan"), ("ended", "lastEnded"), ("expected by", "expectedBy")] {
        line(&mut out, &format!("  {label:<21} {}", text(&cycle[key])));
    }
    if cycle["quarantined"].as_bool() == Some(true) {
        line(&mut out, "  the job is in quarantine");
    }

    list(&mut out, "Groups", &status["groups"], |item| {
        let [name, state, members] = ["name", "state", "members"].map(|key| text(&item[key]));
        let why = item["why"].as_str().map(|why| format!(": {}", clean(why))).unwrap_or_default();
        format!("{name} ({}): {state}, {members} users in it{why}", text(&item["id"]))
    });
    list(&mut out, "Last writes", &status["journal"], |item| {
        let why = item["why"].as_str().map(|why| format!(": {}", clean(why))).unwrap_or_default();
        format!("{} {} ({}){why}", text(&item["at"]), text(&item["message"]), text(&item["outcome"]))
    });
    list(&mut out, "Pending", &status["pending"], |item| format!("{} x {}", text(&item["count"]), text(&item["action"])));
    list(&mut out, "Held", &status["held"], |item| format!("{}: {}", text(&item["brake"]), text(&item["message"])));
    list(&mut out, "Notes", &status["notes"], text);
    out
}

fn list(out: &mut String, title: &str, value: &Value, show: impl Fn(&Value) -> String) {
    if items(value).next().is_some() {
        heading(out, title);
        for item in items(value) {
            wrapped(out, "  ", &show(item));
        }
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn heading(out: &mut String, title: &str) {
    out.push('\n');
    line(out, title);
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

/// A group's name must not steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(out: &mut String, text: &str) {
    out.extend(text.trim_end().chars().take(WIDTH));
    out.push('\n');
}

/// Breaks between words; a word that is too long alone is cut into pieces. Later lines are indented further.
fn wrapped(out: &mut String, indent: &str, text: &str) {
    let room = WIDTH - indent.len() - 2;
    let mut current = String::new();
    let mut hanging = "";
    let mut flush = |current: &mut String| {
        line(out, &format!("{indent}{hanging}{current}"));
        current.clear();
        hanging = "  ";
    };
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(room) {
            let used = current.chars().count();
            if used > 0 && used + 1 + piece.len() > room {
                flush(&mut current);
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.extend(piece);
        }
    }
    if !current.is_empty() {
        flush(&mut current);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
                "cycle": {"lastState": "Succeeded", "quarantined": true},
                "pending": [{"action": "AssignUser", "count": 2}],
                "held": [{"brake": "shrunk", "message": "a \u{1b}[31mlist shrank"}],
                "groups": [{"id": "7", "name": "Design", "state": "Refused", "members": 9, "why": "it is shared"}],
                "journal": [{"at": "2026-11-24T09:00:00Z", "message": "assign 1", "outcome": "Done"}],
                "notes": ["a note"]}});
        let shown = render(&document);
        for part in [
            "uniqkey: Held (turn 42, mode Enforce)",
            "last look 2026-11-24T10:00:00Z",
            "UsersAssigned",
            "AssignmentsMissing",
            "3 of 5",
            "Succeeded",
            "quarantine",
            "2 x AssignUser",
            "shrunk: a [31mlist shrank",
            "a note",
            "Design (7): Refused, 9 users in it: it is shared",
            "2026-11-24T09:00:00Z assign 1 (Done)",
        ] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
        assert_eq!(shown.matches('ß').count(), 300);
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH && !line.contains('\u{1b}')), "{shown}");
    }

    #[test]
    fn a_document_of_another_shape_is_shown_as_far_as_it_goes() {
        let shown = render(&json!({"status": {"phase": "Later", "conditions": 7}}));
        assert!(shown.starts_with("-: Later (turn -)\n"), "{shown}");
        render(&Value::Null);
    }
}
