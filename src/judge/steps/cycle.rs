//! Step 4: full cycles that began after the groups went have ended well; the groups are gone at the target and everybody is kept.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::judge::facts::{Facts, Ground, Tally};
use crate::judge::good_cycle::failed_for_ours;
use crate::judge::step::{Reach, Step, Verdict};
use crate::judge::{good_cycle, kept};
use crate::model::condition::{ConditionKind, Reason};
use crate::model::id::UserId;
use crate::model::memory::CycleProof;
use crate::model::observed::Listed;
use crate::model::spec::Acknowledgement;
use crate::model::words::{count, part, some_of};

pub const STEP: Step = Step {
    number: 4,
    title: "Let the provisioning run a full cycle",
    condition: ConditionKind::CycleCompleted,
    judge,
    reach: Reach::Everything(proven),
};

/// Rounds over the target that must agree that the groups are gone.
pub const ROUNDS: usize = 2;

/// Lost users who are told one by one.
const LOST_SHOWN: usize = 20;

/// What the log had to say, for the proof.
fn log_said(facts: &Facts) -> String {
    let escrowed = facts.job().and_then(|job| job.last.as_ref()?.escrowed).filter(|escrowed| *escrowed > 0);
    let escrowed = escrowed.map_or_else(String::new, |escrowed| {
        format!(
            "; the last cycle left {} to be tried again (countEscrowed), and none is known to be of ours",
            count(escrowed as usize, "failure")
        )
    });
    let said = match &facts.seen.log {
        Listed::Known(log) if log.value.unread.is_empty() => "read: no entry reports harm to a protected user".into(),
        Listed::Known(log) => format!(
            "read but for {} ({}): no other reports harm to a protected user",
            count(log.value.unread.len(), "entry"),
            some_of(log.value.unread.keys())
        ),
        Listed::Unknown(why) => format!("could not be read: {why}"),
    };
    said + &escrowed
}

/// When the last managed group's unassignment was confirmed, in the service's time.
fn confirmed_at(facts: &Facts) -> Option<Timestamp> {
    let baseline = facts.baseline()?;
    if baseline.groups.is_empty() {
        return Some(baseline.taken);
    }
    let at = &facts.memory.remembered.unassigned_at;
    baseline.groups.keys().map(|group| at.get(group).copied()).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The proof of step 4, where everything that it needs is there.
pub fn prove(facts: &Facts) -> Result<CycleProof, Verdict> {
    let Some(confirmed) = confirmed_at(facts) else {
        return Err(Verdict::Wait { reason: Reason::Blocked, on: "step 3".into() });
    };
    if let Some(job) = facts.job() {
        if let Some(quarantine) = &job.quarantine {
            let why = format!(
                "the job is in quarantine ({}); no cycle can be good until it has left it: {}",
                good_cycle::told(quarantine),
                good_cycle::remedy(quarantine)
            );
            return Err(Verdict::Refuse { reason: Reason::JobQuarantined, why: vec![why] });
        }
        if job.is_paused() {
            let why = "the job is paused; start it in the portal, unscim never does".to_owned();
            return Err(Verdict::Refuse { reason: Reason::JobNotActive, why: vec![why] });
        }
    }
    let needed = facts.spec.provisioning.verify_cycles as usize;
    let cycles = facts.good_cycles_after(confirmed);
    let Some(last) = needed.checked_sub(1).and_then(|last| cycles.get(last)) else {
        return Err(awaiting(facts, confirmed, cycles.len(), needed));
    };
    let Some(look) = facts.memory.target.as_ref().filter(|look| look.turn >= last.turn) else {
        return Err(Verdict::Wait { reason: Reason::VerifyingTarget, on: "a read of the target after the last cycle".into() });
    };
    match kept::groups_remaining(facts, look) {
        Err(why) => return Err(Verdict::Wait { reason: Reason::VerifyingTarget, on: why }),
        Ok(remaining) if !remaining.is_empty() => {
            let names = some_of(remaining.into_iter().map(|group| facts.group_name(group)));
            let on = format!(
                "{names} to leave the target; if another cycle does not remove them, look for them in the provisioning log and delete them in the app by hand"
            );
            return Err(Verdict::Wait { reason: Reason::TargetGroupsRemain, on });
        }
        Ok(_) => {}
    }
    let Some(tally) = kept::tally(facts) else {
        return Err(Verdict::Wait { reason: Reason::VerifyingTarget, on: "a read of the target".into() });
    };
    all_kept(facts, tally)?;
    if look.read_before.values().any(|turn| *turn < last.turn) {
        let on = "records that the target's list lacks to be read by id once more after the last cycle".into();
        return Err(Verdict::Wait { reason: Reason::VerifyingTarget, on });
    }
    // What failed for somebody of ours may come to be known after the cycle that it happened in was judged.
    if let Listed::Known(log) = &facts.seen.log
        && let Err(why) = failed_for_ours(facts, &log.value, log.at, log.at)
    {
        return Err(Verdict::Refuse { reason: Reason::EntriesFailed, why: vec![why] });
    }
    if facts.memory.remembered.clean_rounds.iter().filter(|turn| **turn >= last.turn).count() < ROUNDS {
        return Err(Verdict::Wait {
            reason: Reason::VerifyingTarget,
            on: format!("{ROUNDS} agreeing rounds over the target after the last cycle"),
        });
    }
    Ok(CycleProof {
        cycles: cycles.into_iter().cloned().collect(),
        users_kept: tally.kept as u64,
        users_counted: tally.counted as u64,
        users_not_known: tally.not_known() as u64,
        groups_gone: facts.baseline().map_or(0, |baseline| baseline.groups.len()) as u64,
        at: facts.now,
        log: log_said(facts),
    })
}

/// Nobody is lost, nobody is in doubt, and nobody is missing whom the operator does not know of.
fn all_kept(facts: &Facts, tally: &Tally) -> Result<(), Verdict> {
    if !tally.lost.is_empty() {
        let lost = tally.lost.iter().take(LOST_SHOWN).map(|(id, why)| format!("{}: {why}", facts.user_name(*id)));
        let more = tally.lost.len().saturating_sub(LOST_SHOWN);
        let more = (more > 0).then(|| format!("{} more of {} lost", more, count(tally.lost.len(), "protected user")));
        return Err(Verdict::Refuse { reason: Reason::UsersLost, why: lost.chain(more).collect() });
    }
    if !tally.uncertain.is_empty() {
        return Err(Verdict::Refuse { reason: Reason::UsersUncertain, why: vec![kept::uncertain(facts, tally)] });
    }
    if let Some((id, why)) = tally.unknown.first_key_value() {
        return Err(Verdict::Wait { reason: Reason::VerifyingTarget, on: format!("{}: {why}", facts.user_name(*id)) });
    }
    if let Some(why) = uncounted(facts, facts.people().len(), &tally.uncounted) {
        return Err(Verdict::Refuse { reason: Reason::UsersUncounted, why: vec![why] });
    }
    Ok(())
}

/// Who should have a record at the target and has none, unless the operator knows of it.
pub fn uncounted(facts: &Facts, of: usize, users: &BTreeSet<UserId>) -> Option<String> {
    if users.is_empty() || facts.acknowledges(Acknowledgement::UncountedUsers) {
        return None;
    }
    Some(format!(
        "{} without a record at the app, so that nobody can say they are kept: {}; see there, or in the provisioning log, why they have none, put them \
         into spec.released, or set groups.acknowledge: [UncountedUsers]",
        part(users.len(), of, "protected user"),
        some_of(users.iter().map(|id| facts.user_name(*id)))
    ))
}

fn awaiting(facts: &Facts, confirmed: Timestamp, have: usize, needed: usize) -> Verdict {
    let margin = humantime::format_duration(facts.spec.provisioning.cycle_margin);
    let on = format!("{} that began {margin} or more after {confirmed:.0}, of which {have} ended well", count(needed, "cycle"));
    let (reason, on) = good_cycle::wait(facts, Some(confirmed), Reason::AwaitingCycle, &on);
    Verdict::Wait { reason, on }
}

fn proven(facts: &Facts) -> Option<Verdict> {
    let proof = facts.memory.remembered.cycle_proof.as_ref()?;
    let why = format!(
        "{} verified at {:.0}; {} gone; {}; provisioning log {}",
        count(proof.cycles.len(), "good cycle"),
        proof.at,
        count(proof.groups_gone as usize, "group"),
        proof.kept(),
        proof.log
    );
    Some(Verdict::Met { reason: Reason::CyclesVerified, why })
}

fn judge(facts: &Ground) -> Verdict {
    // The turn stores the proof as soon as it can be made, so the next look is all there is to wait for.
    let unproven = || {
        let written = Verdict::Wait { reason: Reason::VerifyingTarget, on: "the proof to be written down".into() };
        prove(facts).err().unwrap_or(written)
    };
    proven(facts).unwrap_or_else(unproven)
}
