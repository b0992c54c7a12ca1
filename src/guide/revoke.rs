//! Step 5: the token is refused like one that never existed, several times, while the service is up.

use super::{Facts, Reach, Step, Verdict, count, some_of};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::snapshot::{JobCode, ProbeVerdict, ScheduleState};
use crate::model::spec::{Afterwards, RevocationBy};

pub const STEP: Step =
    Step { number: 5, title: "Delete the SCIM token", condition: ConditionKind::TokenRevoked, judge, reach: Reach::Everything };

fn judge(facts: &Facts) -> Verdict {
    let remembered = &facts.memory.remembered;
    if let Some(proof) = &remembered.revocation_proof {
        let why = format!("the token was refused {} in a row, last at {:.0}", count(proof.rejections.len(), "time"), proof.at);
        return Verdict::Met { reason: Reason::TokenRejected, why };
    }
    let unmanaged = facts.unmanaged_groups();
    if !unmanaged.is_empty() {
        let names = some_of(unmanaged.into_iter().map(|group| facts.group_name(group)));
        let why = format!(
            "{names} assigned to the app and not in the baseline: the token serves them too; unassign them, or start anew with them listed"
        );
        return Verdict::Refuse { reason: Reason::UnmanagedGroupAssigned, why: vec![why] };
    }
    if facts.spec.provisioning.afterwards == Afterwards::Pause
        && let Some(job) = facts.job()
        && !(job.schedule == ScheduleState::Paused || job.code == JobCode::Paused)
    {
        let action = Action::PauseJob { job: job.id.clone() };
        return if facts.is_fresh(&action.key()) {
            Verdict::Wait { reason: Reason::AwaitingPause, on: "the job to be paused and its running cycle to end".into() }
        } else {
            let why = "the job is paused before the token goes".to_owned();
            Verdict::Act { reason: Reason::AwaitingPause, why, actions: vec![action], refused: Vec::new() }
        };
    }
    if facts.memory.journal.revocations() <= remembered.revocations_void {
        let why = "everything else is done and proven".to_owned();
        return Verdict::Act {
            reason: Reason::AwaitingOperator,
            why,
            actions: vec![Action::RequestRevocation],
            refused: Vec::new(),
        };
    }
    let rejections = remembered.rejections.len();
    if rejections > 0 {
        let wanted = facts.spec.target.revocation.confirmations;
        return Verdict::Wait {
            reason: Reason::Confirming,
            on: format!("{wanted} rejections of the token in a row, of which {rejections} were seen"),
        };
    }
    if let Some(probe) = facts.seen.probe.as_ref().filter(|probe| probe.verdict == ProbeVerdict::Inconclusive) {
        return Verdict::Wait {
            reason: Reason::ProbeInconclusive,
            on: format!("an answer that tells whether the token is dead: {}", probe.detail),
        };
    }
    match facts.spec.target.revocation.by {
        RevocationBy::Operator => Verdict::Wait {
            reason: Reason::AwaitingOperator,
            on: "a person to delete the SCIM token in the app's settings".into(),
        },
        RevocationBy::Webhook => {
            Verdict::Wait { reason: Reason::WebhookCalled, on: "the token to be refused after the webhook was called".into() }
        }
    }
}
