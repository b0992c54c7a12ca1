//! The words of the page, and what is struck from the words of others.

use crate::model::condition::ConditionKind;
use crate::model::status::Phase;

/// A phase as a sentence, and its tone.
pub(super) fn words_of(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Observing => ("Looking and reporting. Nothing is written.", "busy"),
        Phase::Preflight => ("Checking whether it is safe to begin.", "busy"),
        Phase::AssigningUsers => ("Giving every user an assignment of his own.", "busy"),
        Phase::EmptyingGroups => ("Taking the users out of the groups, now that each has an assignment of his own.", "busy"),
        Phase::UnassigningGroups => ("Taking the groups off the app.", "busy"),
        Phase::AwaitingCycle => {
            ("Waiting for provisioning to run, then checking at the target that everyone is still there.", "busy")
        }
        Phase::AwaitingRevocation => ("Everything is proven. Waiting until the app refuses the SCIM token.", "busy"),
        Phase::Retired => ("Done: no groups, every user kept, the token refused.", "done"),
        Phase::Held => ("Stopped for safety. A person must decide.", "stop"),
    }
}

/// A condition as a heading.
pub(super) fn step_title(kind: ConditionKind) -> &'static str {
    match kind {
        ConditionKind::UsersAssigned => "Assign every user directly",
        ConditionKind::GroupsEmptied => "Empty the groups",
        ConditionKind::GroupsUnassigned => "Take the groups off the app",
        ConditionKind::CycleCompleted => "Let provisioning run and check the target",
        ConditionKind::TokenRevoked => "Have the SCIM token deleted",
        ConditionKind::Preflight => "Safe to begin",
        ConditionKind::BaselineRecorded => "Baseline on record",
        ConditionKind::UsersKept => "Every user kept at the target",
        ConditionKind::GraphReachable => "Microsoft Graph answers",
        ConditionKind::TargetReachable => "The app's SCIM service answers",
        ConditionKind::Held => "Held",
        ConditionKind::Ready => "Retired and in order",
    }
}

/// Control characters, addresses and users' ids out: the page may be open on a screen that others see.
pub(super) fn scrub(text: &str) -> String {
    let mut after_user = false;
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).map(|word| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_id = core.parse::<uuid::Uuid>().is_ok();
        let strike = word.contains('@') || (is_id && after_user);
        after_user = matches!(core.to_ascii_lowercase().as_str(), "user" | "users") || (after_user && is_id);
        if strike { "(name withheld)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_not_named_and_groups_are() {
        let id = "11111111-1111-1111-1111-111111111111";
        assert_eq!(scrub("lost: ada@example.com, and others"), "lost: (name withheld) and others");
        assert_eq!(scrub(&format!("remove user {id} from group {id}")), format!("remove user (name withheld) from group {id}"));
        assert_eq!(scrub(&format!("users {id}, {id}: lost")), "users (name withheld) (name withheld) lost");
        assert_eq!(scrub("a\u{1b}[31m\nb"), "a [31m b");
    }
}
