//! What is known of the app: who is kept there, whether it can be read, and the figures of its last read.

use super::judged_as;
use crate::judge::facts::Facts;
use crate::judge::kept;
use crate::judge::plan::Judged;
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::last_read;
use crate::model::memory::{CycleProof, Remembered};
use crate::model::snapshot::TokenState;
use crate::model::status::Progress;
use crate::model::words::some_of;

pub(super) fn users_kept(facts: &Facts) -> Judged {
    let judged = |truth, reason, message| judged_as(ConditionKind::UsersKept, truth, reason, message);
    let remembered = &facts.memory.remembered;
    // Where the app may be read again, the next look tells.
    let amiss = kept::last_seen(facts).filter(|_| facts.is_target_closed());
    if let Some((reason, last)) = amiss.and_then(|last| Some((last.reason()?, last))) {
        return judged(Truth::False, reason, last.told(facts));
    }
    if let Some(proof) = remembered.cycle_proof.as_ref().filter(|_| facts.is_target_closed()) {
        return judged(Truth::True, Reason::ProvenBeforeRevocation, last_word(remembered, proof));
    }
    if let Some(why) = facts.seen.target.look.failed() {
        return judged(Truth::Unknown, Reason::TargetUnread, why.to_string());
    }
    match kept::tally(facts) {
        None => judged(Truth::Unknown, Reason::TargetUnread, "the target was not read yet".into()),
        Some(tally) if !tally.lost.is_empty() => {
            let names = some_of(tally.lost.iter().map(|(id, why)| format!("{}: {why}", facts.user_name(*id))));
            judged(Truth::False, Reason::UsersLost, names)
        }
        Some(tally) if !tally.uncertain.is_empty() => judged(Truth::False, Reason::UsersUncertain, kept::uncertain(facts, tally)),
        Some(tally) if !tally.unknown.is_empty() => judged(Truth::Unknown, Reason::TargetUnread, some_of(tally.unknown.values())),
        Some(tally) => {
            let explained =
                if tally.explained > 0 { format!("; {} explained by the directory", tally.explained) } else { String::new() };
            let kept = last_read::kept(tally.kept as u64, tally.counted as u64, tally.not_known() as u64);
            judged(Truth::True, Reason::AllKept, format!("{kept}{explained}"))
        }
    }
}

pub(super) fn reachable(facts: &Facts) -> Judged {
    let judged = |truth, reason, message| judged_as(ConditionKind::TargetReachable, truth, reason, message);
    let remembered = &facts.memory.remembered;
    if facts.is_token_rejected() {
        return judged(
            Truth::Unknown,
            Reason::TokenRejected,
            "the token is rejected, as it should be; the target is not read any more".into(),
        );
    }
    let is_refused = matches!(facts.seen.target.token, TokenState::Refused(_));
    match facts.seen.target.look.unknown() {
        Some(_) if is_refused && facts.is_target_unread_since_rollback() => judged(
            Truth::False,
            Reason::TokenRejected,
            "the token is refused, as it is where it was deleted before the rollback; the target can't be read".into(),
        ),
        Some(why) if is_refused && remembered.cycle_proof.is_none() && facts.runs_out().is_none() => {
            judged(Truth::False, Reason::RevokedTooEarly, why.to_string())
        }
        Some(_) if facts.is_target_closed() && facts.token_ended().is_some() => judged(
            Truth::Unknown,
            Reason::TokenRejected,
            "the token has ended by itself: that it is refused does not show that it was deleted".into(),
        ),
        Some(_) if facts.is_target_closed() && remembered.rejections.is_empty() => judged(
            Truth::Unknown,
            Reason::TokenRejected,
            "the token is refused, and nothing shows yet that it was deleted: see TokenRevoked".into(),
        ),
        Some(_) if facts.is_target_closed() => judged(
            Truth::Unknown,
            Reason::TokenRejected,
            "the token is refused, as it should be once it is deleted; that is being confirmed".into(),
        ),
        Some(why) if !why.is_not_looked() => judged(Truth::False, Reason::Unreachable, why.to_string()),
        Some(_) | None => judged(Truth::True, Reason::Reachable, "the target answered when it was last asked".into()),
    }
}

/// On everybody, which step 4's proof need not be.
fn last_word(remembered: &Remembered, proof: &CycleProof) -> String {
    let read = remembered.last_figures().map(|read| (read.words(), read.at));
    match read {
        Some((kept, at)) if kept != proof.kept() => {
            format!("{kept} at the last read, of {at:.0}; step 4 was proven at {:.0} with {}", proof.at, proof.kept())
        }
        Some(_) | None => format!("{}, proven at {:.0}, and so at the last read", proof.kept(), proof.at),
    }
}

/// What is known of the target, by this process's look at it or the last one that is remembered.
pub(super) fn progress(facts: &Facts) -> Progress {
    let remembered = &facts.memory.remembered;
    let look = facts.memory.target.as_ref();
    let mut progress = Progress { target_seen_at: look.map(|look| look.at.wall), ..Progress::default() };
    if let Some(tally) = kept::tally(facts).filter(|_| !facts.is_target_closed()) {
        progress.users_lost = Some(tally.lost.len() as u64);
        progress.users_counted = Some(tally.counted as u64);
        progress.users_kept = Some(tally.kept as u64);
        progress.users_not_known = Some(tally.not_known() as u64);
    } else if let Some(read) = remembered.last_figures() {
        progress.target_seen_at = Some(read.at);
        progress.users_lost = Some(kept::last_seen(facts).map_or(0, |last| last.lost.len()) as u64);
        progress.users_counted = Some(read.counted);
        progress.users_kept = Some(read.kept);
        progress.users_not_known = Some(read.not_known);
    }
    progress.target_groups = match (&remembered.cycle_proof, look) {
        (Some(_), _) => Some(0),
        (None, look) => look.and_then(|look| kept::groups_remaining(facts, look).ok()).map(|groups| groups.len() as u64),
    };
    progress
}
