//! What is known of the app: who is kept there, whether it can be read, and the figures, by the last look or by the ledger's proof.

use super::judged_as;
use crate::judge::facts::Facts;
use crate::judge::kept;
use crate::judge::plan::Judged;
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::memory;
use crate::model::snapshot::TokenState;
use crate::model::status::Progress;
use crate::model::words::some_of;

pub(super) fn users_kept(facts: &Facts) -> Judged {
    let judged = |truth, reason, message| judged_as(ConditionKind::UsersKept, truth, reason, message);
    let remembered = &facts.memory.remembered;
    // Where the app may be read again, the next look tells.
    if let Some(last) = kept::last_seen(facts).filter(|_| facts.is_target_closed()) {
        return judged(Truth::False, last.reason(), last.told(facts));
    }
    if let Some(proof) = remembered.cycle_proof.as_ref().filter(|_| facts.is_target_closed()) {
        let message = format!("{}, proven at {:.0}, and so at the last read", proof.kept(), proof.at);
        return judged(Truth::True, Reason::ProvenBeforeRevocation, message);
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
            let kept = memory::kept(tally.kept as u64, tally.counted as u64, tally.not_known() as u64);
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

/// What is known of the target, by the last look at it or by the proof.
pub(super) fn progress(facts: &Facts) -> Progress {
    let remembered = &facts.memory.remembered;
    let look = facts.memory.target.as_ref();
    let mut progress = Progress { target_seen_at: look.map(|look| look.at.wall), ..Progress::default() };
    let last_lost = kept::last_seen(facts).map_or(0, |last| last.lost.len()) as u64;
    if let Some(tally) = kept::tally(facts) {
        progress.users_lost = Some(tally.lost.len() as u64);
        progress.users_counted = Some(tally.counted as u64);
        progress.users_kept = Some(tally.kept as u64);
        progress.users_not_known = Some(tally.not_known() as u64);
    } else if !remembered.lost_since.is_empty() {
        // Who was lost stays lost until the target is read again.
        progress.users_lost = Some(remembered.lost_since.len() as u64);
    }
    if let Some(proof) = &remembered.cycle_proof {
        progress.target_groups = Some(0);
        if look.is_none() || facts.is_token_rejected() {
            // Who was lost after the proof was counted as kept in it; who was released since does not count at all.
            let lost = remembered.lost_since.len() as u64;
            progress.users_kept = Some(proof.users_kept.saturating_sub(lost));
            progress.users_counted = Some(proof.users_counted.saturating_sub(lost.saturating_sub(last_lost)));
            progress.users_not_known = Some(proof.users_not_known);
            if facts.is_target_closed() || last_lost > 0 {
                progress.users_lost = Some(last_lost);
            }
            if look.is_none() && !facts.is_target_closed() {
                progress.target_seen_at = Some(proof.at);
            }
        }
    } else {
        progress.target_groups = look.and_then(|look| kept::groups_remaining(facts, look).ok()).map(|groups| groups.len() as u64);
    }
    progress
}
