//! Step 5: the token is refused like one that never existed, several times, while the service is up.

use crate::judge::facts::{Facts, Ground};
use crate::judge::kept;
use crate::judge::step::{Reach, Step, Verdict};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::journal::Entry;
use crate::model::key::Key;
use crate::model::moment::{lasts, later};
use crate::model::spec::{Afterwards, RevocationBy, Webhook};
use crate::model::words::{count, some_of};

pub const STEP: Step = Step {
    number: 5,
    title: "Delete the SCIM token",
    condition: ConditionKind::TokenRevoked,
    judge,
    reach: Reach::Everything(proven),
};

fn proven(facts: &Facts) -> Option<Verdict> {
    let proof = facts.memory.remembered.revocation_proof.as_ref()?;
    let why = format!("the token was refused {} in a row, last at {:.0}", count(proof.rejections.len(), "time"), proof.at);
    Some(Verdict::Met { reason: Reason::TokenRejected, why })
}

fn judge(facts: &Ground) -> Verdict {
    if let Some(met) = proven(facts) {
        return met;
    }
    if let Some(waits) = still_needed(facts) {
        return waits;
    }
    let remembered = &facts.memory.remembered;
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
        && !job.is_paused()
    {
        let action = Action::PauseJob { job: job.id.clone() };
        return if facts.is_fresh(&action.key()) {
            Verdict::Wait { reason: Reason::AwaitingPause, on: "the job to be paused and its running cycle to end".into() }
        } else {
            let why = "the job is paused before the token goes".to_owned();
            Verdict::Act { reason: Reason::AwaitingPause, why, actions: vec![action], refused: Vec::new() }
        };
    }
    if facts.signs_in_by_oauth() {
        let why = "Entra signs in to the app by OAuth, and no probe can prove that its token is dead. Delete the OAuth client (its id and secret) in the app's \
                   settings and stop the provisioning in Entra: that ends the guide, and unscim stays here. Or choose bearer authentication in Entra, with the \
                   token of target.tokenFile";
        return Verdict::Refuse { reason: Reason::ProbeInconclusive, why: vec![why.into()] };
    }
    let asked = match facts.spec.target.revocation.webhook.as_ref() {
        Some(webhook) if facts.spec.target.revocation.by == RevocationBy::Webhook => called(facts, webhook),
        Some(_) | None => by_hand(facts),
    };
    let waits = match asked {
        Asked::Now(why) => {
            let actions = vec![Action::RequestRevocation];
            return Verdict::Act { reason: Reason::AwaitingOperator, why, actions, refused: Vec::new() };
        }
        Asked::Waits(reason, on) => Verdict::Wait { reason, on },
    };
    if let Some(end) = facts.token_ended() {
        let on = format!(
            "a person: put a token that lasts into target.tokenFile for one turn, and delete that one and Entra's in the app's settings; the present one ends by \
             itself on {end:.0}, so that its refusal shows no deletion"
        );
        return Verdict::Wait { reason: Reason::TokenEnded, on };
    }
    let rejections = remembered.rejections.len();
    if rejections > 0 {
        let wanted = facts.spec.target.revocation.confirmations;
        return Verdict::Wait {
            reason: Reason::Confirming,
            on: format!("{wanted} rejections of the token in a row, {rejections} so far"),
        };
    }
    if let Some(heard) = facts.inconclusive() {
        let on = format!("an answer that tells whether the token is dead: {heard}");
        return Verdict::Wait { reason: Reason::ProbeInconclusive, on };
    }
    waits
}

/// While somebody is lost or in doubt, nobody is asked to take away what alone can show them again.
fn still_needed(facts: &Ground) -> Option<Verdict> {
    let on = "what holds for users-lost to end: with the token gone no read could show them again";
    let now = kept::tally(facts);
    let is_amiss = now.is_some_and(|now| !(now.lost.is_empty() && now.uncertain.is_empty() && now.strangers.is_empty()));
    // Why nothing can be read meanwhile is theirs to mend first.
    let waits = || match facts.inconclusive().filter(|_| facts.is_target_closed()) {
        Some(heard) => {
            let on = format!("an answer that tells whether the token is dead: {heard}; and then for {on}");
            Verdict::Wait { reason: Reason::ProbeInconclusive, on }
        }
        None => Verdict::Wait { reason: Reason::Blocked, on: on.into() },
    };
    (is_amiss || kept::last_seen(facts).is_some()).then(waits)
}

/// Whether the deletion of the token is to be asked for now.
enum Asked {
    Now(String),
    Waits(Reason, String),
}

fn by_hand(facts: &Ground) -> Asked {
    if facts.memory.journal.revocations() <= facts.memory.remembered.revocations_void {
        return Asked::Now("everything else is done and proven".into());
    }
    Asked::Waits(Reason::AwaitingOperator, "a person to delete the SCIM token in the app's settings".into())
}

/// A webhook that has accepted the call is never called again. One that could not be reached, refused or never answered is, with
/// the same key and after a wait, a number of times; then it is a person's turn.
fn called(facts: &Ground, webhook: &Webhook) -> Asked {
    let (journal, remembered) = (&facts.memory.journal, &facts.memory.remembered);
    let entry = journal.entry(&Key::Revocation);
    if entry.is_some_and(|entry| entry.confirmed > remembered.revocations_void) {
        return Asked::Waits(Reason::WebhookCalled, "the token to be refused after the webhook was called".into());
    }
    let failed = journal.refused.get(&Key::Revocation);
    let failures = failed.map_or(0, |failed| failed.times).saturating_sub(remembered.failures_void);
    // One that was begun and has no outcome on disk may have been sent.
    let begun = entry.and_then(Entry::begun).filter(|begun| failed.is_none_or(|failed| failed.at < *begun));
    let calls = failures + u32::from(begun.is_some());
    let Some(last) = begun.or(failed.map(|failed| failed.at)).filter(|_| calls > 0) else {
        return Asked::Now("everything else is done and proven".into());
    };
    let said = failed.map_or_else(|| "no answer is known".to_owned(), |failed| failed.cause.to_string());
    let told = format!(
        "the webhook was called {} and did not accept it, the last time at {last:.0}: {said}",
        count(calls as usize, "time")
    );
    if calls >= webhook.attempts {
        let on = format!("a person to delete the SCIM token in the app's settings: {told}");
        return Asked::Waits(Reason::AwaitingOperator, on);
    }
    let wait = webhook.wait_after(calls);
    if lasts(last, facts.now, wait) {
        return Asked::Waits(Reason::WebhookCalled, format!("the next call of the webhook at {:.0}; {told}", later(last, wait)));
    }
    Asked::Now(told)
}
