//! What a person must do: one sentence for each reason and brake that waits for one, nothing for the others.

use serde_json::Value;

use crate::model::condition::Reason;
use crate::model::status::{Phase, Status};

pub(super) struct Advice<'a> {
    pub text: &'static str,
    /// Where to click, one after the other.
    pub clicks: Vec<String>,
    /// To be copied as it is.
    pub copy: Option<String>,
    pub says: Vec<Said<'a>>,
    /// The name of its entry in the runbook.
    pub entry: &'a str,
}

/// A message, and the brake that it is from.
pub(super) struct Said<'a> {
    pub message: String,
    pub brake: Option<&'a str>,
}

/// Reasons that wait for a person, and what they must do.
const ADVICE: &[(Reason, &str)] = &[
    (Reason::PreflightFailed, "Resolve what preflight found; it is read again by itself."),
    (
        Reason::NewBaselineNeeded,
        "The ledger is empty. If this is the very beginning, start once with --new-baseline; if not, restore the ledger.",
    ),
    (Reason::LedgerUnreadable, "Repair or restore the ledger; nothing is written anywhere until it can be read."),
    (Reason::LedgerBoundElsewhere, "Correct the config, or use a data directory of its own."),
    (Reason::ConfigInvalid, "Correct the config; until then the last good one is in force."),
    (
        Reason::DecisionNeeded,
        "Decide for the groups named: members: Remove or Keep in spec.groups.list. For members for a while: spec.released, or acknowledge TemporaryMembers.",
    ),
    (Reason::ReleasedUncovered, "Assign the released users named, or take them out of their groups by hand."),
    (Reason::CycleOverdue, "Look at the provisioning job in Entra: a cycle should have ended by now."),
    (Reason::JobQuarantined, "Look at the provisioning job in Entra: it is in quarantine."),
    (Reason::JobNotActive, "Start the provisioning job in Entra again."),
    (Reason::TargetGroupsRemain, "Groups remain at the target: delete them there, as the message says."),
    (
        Reason::EntriesFailed,
        "Provisioning fails for whoever is named. See the entries in the provisioning log, and fix the cause.",
    ),
    (
        Reason::UsersUncounted,
        "Nobody can say that the users named were kept: the app has no record of them. Look for them there, or acknowledge UncountedUsers.",
    ),
    (
        Reason::UsersUncertain,
        "Records of the users named have other names at the app, and Entra does not say why. See whose they are, or put the users into spec.released.",
    ),
    (Reason::UsersLost, "Users are missing or inactive at the target. Find out why before anything else."),
    (Reason::AwaitingOperator, "Delete the SCIM token in the app's settings. It is noticed by itself."),
    (Reason::ProbeInconclusive, "Do what the message says. The app is asked again by itself, too: an outage passes."),
    (Reason::TokenEnded, "Give unscim a SCIM token that lasts for one turn, and delete it together with Entra's."),
    (
        Reason::UnmanagedGroupAssigned,
        "A group that was not handed over is assigned to the app: the token serves it too. Remove it, or leave the token.",
    ),
    (
        Reason::RevokedTooEarly,
        "The app refuses the token in unscim's file. If Entra's cycles still end well, put Entra's into it; if not, a valid one into both.",
    ),
    (Reason::CredentialExpiring, "The Entra credential is about to expire. Renew it in its files."),
    (Reason::CredentialExpired, "The Entra credential has expired. Put a new one into its files."),
    (Reason::CredentialRefused, "Entra refuses the credential. Do what the message says."),
];

pub(super) fn for_reason(reason: Reason) -> Option<&'static str> {
    ADVICE.iter().find(|(of, _)| *of == reason).map(|(_, text)| *text)
}

/// The same, as it is in this phase.
pub(super) fn now(phase: Phase, reason: Reason) -> Option<&'static str> {
    match (phase, reason) {
        (Phase::Retired, Reason::CredentialExpiring | Reason::CredentialExpired | Reason::CredentialRefused) => {
            Some("Stop unscim: it is over. Renew its credential only if it is to go on watching.")
        }
        _ => for_reason(reason),
    }
}

/// The brake; its condition tells the same while the app can be read, but for people who were never protected.
pub(super) const USERS_LOST: &str = "users-lost";

/// By its name in `held`. What mends itself asks for nobody; preflight speaks through its condition.
pub(super) fn for_brake(brake: &str) -> Option<&'static str> {
    match brake {
        "frozen" => Some("When it may go on, take away what the message names: the file freeze, or the word in spec.hold."),
        "rolled-back" => Some("To begin anew, let one turn run with mode: Observe, read what it says, and set the mode again."),
        "ledger-behind" => Some(
            "Restore the newer ledger where there is one. To go on with this one, run once with mode: Observe, read what it says, and set the mode again.",
        ),
        "uncovered" => Some("If this stays, find out who takes direct assignments away while unscim runs."),
        "foreseen" => Some("Look at the users named: Entra would change them at the app. unscim plan lists every call."),
        "too-much" => Some("Check that the number is meant, then raise the limit."),
        "shrunk" => Some(
            "Find out who made the list shorter. If on purpose, raise limits.maxShrink until it has been seen once; if not, undo it.",
        ),
        "not-approved" => {
            Some("Do what the message says; where an approval is missing, read unscim plan and approve its digest.")
        }
        "fights" => Some("Agree with whoever undoes it, a person or another tool; then raise the limit."),
        "undone" => {
            Some("Find out what took the direct assignments away, and stop it: a recovery in Entra, an access package, a script.")
        }
        "another-at-work" => Some(
            "Stop the other unscim or the script. Where it is known who did it and that it is over, acknowledge AnotherAtWork.",
        ),
        "write-refused" => {
            Some("Grant the permission, or set right the object, that the message names; it goes on by itself then.")
        }
        "refused" => Some("Decide what the message asks for; everything else goes on."),
        USERS_LOST => Some("People have lost their access, or may have. Do what the message says before anything else."),
        "blind" | "window" | "preflight" => None,
        _ => Some("Read below what holds it, and decide."),
    }
}

/// Where to click, one after the other.
pub(super) fn clicks(reason: Reason, spec: &Value, status: &Status) -> Vec<String> {
    let app = status.app.as_ref().map_or("the app", |app| &app.name);
    let provisioning = |then: &str| {
        vec![
            "Sign in to the Microsoft Entra admin center.".into(),
            format!("Open Enterprise applications, then {app}, then Provisioning."),
            then.into(),
        ]
    };
    match reason {
        Reason::TokenEnded => vec![
            "Sign in to the app as an administrator.".into(),
            "Make a SCIM token that lasts, and put it into unscim's token file alone.".into(),
            "When this page asks for the deletion, delete that token and Entra's. Leave the token file as it is.".into(),
        ],
        Reason::AwaitingOperator => {
            let way = match spec["target"]["profile"].as_str() {
                Some("uniqkey") => [
                    "Sign in to Uniqkey as an administrator.",
                    "Open Settings, then Integrations.",
                    "Delete the secret token. Leave unscim's own token file as it is.",
                ],
                _ => [
                    "Sign in to the app as an administrator.",
                    "Open the settings of its SCIM or user provisioning.",
                    "Delete the token that Entra uses. Leave unscim's own token file as it is.",
                ],
            };
            way.map(String::from).into()
        }
        Reason::CycleOverdue | Reason::JobQuarantined => {
            provisioning("Read the state of the last cycle and its errors there. Don't restart anything.")
        }
        Reason::JobNotActive => provisioning("Choose Start provisioning, and never Restart provisioning."),
        Reason::CredentialExpiring | Reason::CredentialExpired => {
            let client = spec["entra"]["credential"]["clientId"].as_str().unwrap_or("of unscim");
            vec![
                "Sign in to the Microsoft Entra admin center.".into(),
                format!("Open App registrations, then the application {client}, then Certificates & secrets."),
                "Make a new one, and put it into the file that the config names. It is read by itself.".into(),
            ]
        }
        _ => Vec::new(),
    }
}

pub(super) fn observing<'a>() -> Advice<'a> {
    Advice {
        text: "Nothing is written in Observe. When it is to go on, read what Enforce would do, and set spec.mode: Enforce.",
        clicks: Vec::new(),
        copy: None,
        says: Vec::new(),
        entry: "Phases",
    }
}

/// What is left for people when it is over.
pub(super) fn after(status: &Status) -> Advice<'_> {
    let quarantined = match (status.cycle.quarantined, status.cycle.seen_at == status.last_attempt) {
        (true, true) => "It is in quarantine now, as expected",
        (true, false) => "It was in quarantine when it was last read, as expected",
        (false, _) => "It goes into quarantine now, as expected",
    };
    Advice {
        text: "It is over. What is left for you:",
        clicks: vec![
            "Keep the evidence with the change ticket, and the ledger with it.".into(),
            "Stop unscim, and take its credential away at Entra. Or leave it running with the permissions to read: it tells of a group that is \
             assigned again, and of a token that answers again."
                .into(),
            format!("Stop the provisioning job when it suits you. {quarantined}: its token is refused."),
            "Take access away by the person's own assignment from now on, and in the app: groups no longer decide.".into(),
        ],
        copy: Some("unscim report --data-dir DIR > report.html".into()),
        says: Vec::new(),
        entry: "Retired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reasons that ask for nobody: all is well, or it goes on by itself.
    const BY_ITSELF: &[Reason] = &[
        Reason::CredentialInForce,
        Reason::ExpiryNotKnown,
        Reason::Passed,
        Reason::LookFailed,
        Reason::Recorded,
        Reason::Provisional,
        Reason::NotRecordedYet,
        Reason::AllAssigned,
        Reason::AssignmentsMissing,
        Reason::Settling,
        Reason::AwaitingSettleCycle,
        Reason::AwaitingReplication,
        Reason::AllEmptied,
        Reason::MembersRemain,
        Reason::AwaitingOutcome,
        Reason::CanaryRunning,
        Reason::AwaitingEmptyCycle,
        Reason::AwaitingWave,
        Reason::ReadingAgain,
        Reason::GroupReadFailed,
        Reason::AllUnassigned,
        Reason::RowsRemain,
        Reason::CyclesVerified,
        Reason::AwaitingCycle,
        Reason::VerifyingTarget,
        Reason::AllKept,
        Reason::ProvenBeforeRevocation,
        Reason::TargetUnread,
        Reason::TokenRejected,
        Reason::WebhookCalled,
        Reason::AwaitingPause,
        Reason::Confirming,
        Reason::Blocked,
        Reason::ConfigInForce,
        Reason::Reachable,
        Reason::Unreachable,
        Reason::Retired,
        Reason::InProgress,
        Reason::RolledBack,
        Reason::HeldByBrake,
        Reason::HeldByRefusal,
        Reason::NothingHeld,
    ];

    #[test]
    fn of_each_reason_it_was_decided_whether_it_waits_for_a_person() {
        for reason in Reason::ALL {
            let times =
                ADVICE.iter().filter(|(of, _)| of == reason).count() + BY_ITSELF.iter().filter(|of| *of == reason).count();
            assert_eq!(times, 1, "{reason}: give it a line in ADVICE, or one in BY_ITSELF");
        }
    }
}
