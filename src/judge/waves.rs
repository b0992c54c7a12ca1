//! Which groups may lose something now: a wave goes through steps 2 to 4 and is verified at the target before the next begins.

use std::collections::BTreeSet;

use crate::judge::facts::Facts;
use crate::judge::{good_cycle, kept};
use crate::model::condition::Reason;
use crate::model::id::GroupId;
use crate::model::key::KeyKind;
use crate::model::spec::Rollout;
use crate::model::words::{count, some_of};

/// Every managed group, wave by wave. What the spec puts into no wave makes the last one.
pub fn waves(facts: &Facts) -> Vec<Vec<GroupId>> {
    let Some(baseline) = facts.baseline() else { return Vec::new() };
    let all = baseline.groups.keys().copied();
    match &facts.spec.rollout {
        Rollout::Canary | Rollout::AllAtOnce => vec![all.collect()],
        Rollout::Waves(listed) => {
            let named: BTreeSet<GroupId> = listed.iter().flatten().copied().collect();
            let managed = |wave: &Vec<GroupId>| wave.iter().copied().filter(|id| baseline.groups.contains_key(id)).collect();
            let rest = all.filter(|id| !named.contains(id)).collect();
            listed.iter().map(managed).chain([rest]).filter(|wave: &Vec<GroupId>| !wave.is_empty()).collect()
        }
        Rollout::SmallestFirst => {
            // Who joins must not reorder what has begun.
            let mut sorted: Vec<GroupId> = all.collect();
            sorted.sort_by_key(|id| (!has_begun(facts, *id), facts.users_of(*id).len(), *id));
            doubling(sorted)
        }
    }
}

/// One group, then two, then four …
fn doubling(groups: Vec<GroupId>) -> Vec<Vec<GroupId>> {
    let mut waves: Vec<Vec<GroupId>> = Vec::new();
    for (n, group) in (1usize..).zip(groups) {
        match waves.last_mut() {
            Some(wave) if !n.is_power_of_two() => wave.push(group),
            _ => waves.push(vec![group]),
        }
    }
    waves
}

fn has_begun(facts: &Facts, group: GroupId) -> bool {
    let begun = |kin| facts.memory.journal.of(kin).any(|(_, entry)| entry.intents > 0);
    begun(KeyKind::MembersOf(group)) || begun(KeyKind::UnassignsOf(group))
}

/// The groups of this wave and of those before it; everything once step 4 was proven.
pub fn open(facts: &Facts) -> BTreeSet<GroupId> {
    let waves = waves(facts);
    let proven = facts.memory.remembered.cycle_proof.is_some() || facts.is_token_rejected();
    let before = waves.iter().take_while(|wave| proven || awaited(facts, wave).is_none()).count();
    waves.into_iter().take(before + 1).flatten().collect()
}

/// Why the groups of later waves wait; `None` where there are none.
pub fn later(facts: &Facts) -> Option<(Reason, String)> {
    let waves = waves(facts);
    let (n, (reason, on)) = waves.iter().enumerate().find_map(|(n, wave)| Some((n, awaited(facts, wave)?)))?;
    let waiting = waves.iter().skip(n + 1).map(Vec::len).sum::<usize>();
    let groups = count(waiting, "group");
    (waiting > 0).then(|| (reason, format!("{groups} of later waves, until wave {} of {} is verified: {on}", n + 1, waves.len())))
}

/// What this wave still waits for, `None` once it has gone through step 4.
fn awaited(facts: &Facts, wave: &[GroupId]) -> Option<(Reason, String)> {
    let waits = |on: String| Some((Reason::AwaitingWave, on));
    let remembered = &facts.memory.remembered;
    let named = |groups: Vec<GroupId>| some_of(groups.into_iter().map(|group| facts.group_name(group)));
    let there: Vec<_> = wave.iter().copied().filter(|group| !is_unassigned(facts, *group)).collect();
    if !there.is_empty() {
        return waits(format!("{} to be emptied and unassigned", named(there)));
    }
    let needed = facts.spec.provisioning.verify_cycles as usize;
    let last = wave.iter().filter_map(|group| remembered.unassigned_at.get(group)).max()?;
    let cycles = facts.good_cycles_after(*last);
    let Some(cycle) = needed.checked_sub(1).and_then(|last| cycles.get(last)) else {
        let on = format!("{}, of which {} ended well", count(needed, "good cycle"), cycles.len());
        return Some(good_cycle::wait(facts, Some(*last), Reason::AwaitingWave, &on));
    };
    let Some(look) = facts.memory.target.as_ref().filter(|look| look.turn >= cycle.turn) else {
        return waits("a read of the target after its last cycle".to_owned());
    };
    let tally = kept::tally(facts)?;
    if !(tally.lost.is_empty() && tally.uncertain.is_empty() && tally.unknown.is_empty()) {
        return waits("every protected user to be read as kept".to_owned());
    }
    match kept::groups_remaining(facts, look) {
        Err(why) => waits(why),
        Ok(remaining) => {
            let remaining: Vec<_> = remaining.into_iter().filter(|group| wave.contains(group)).collect();
            if remaining.is_empty() { None } else { waits(format!("{} to leave the target", named(remaining))) }
        }
    }
}

fn is_unassigned(facts: &Facts, group: GroupId) -> bool {
    let remembered = &facts.memory.remembered;
    facts.is_off(group) && remembered.unassigned_at.contains_key(&group) && remembered.members_closed.contains_key(&group)
}

/// How many groups more may be unassigned before another cycle: those that Entra has yet to delete count towards its
/// threshold against accidental deletions, and the sum stays under it. `None`: no threshold is known.
pub fn room(facts: &Facts) -> Option<usize> {
    let threshold = usize::try_from(facts.delete_threshold()?).unwrap_or(usize::MAX);
    // At a threshold of one, one group is all that can ever go; Entra stages what is above it.
    let most = threshold.saturating_sub(1).max(1);
    let in_flight = facts.baseline().into_iter().flat_map(|baseline| baseline.groups.keys()).filter(|group| {
        let gone = facts.last_confirmed(KeyKind::UnassignsOf(**group));
        !facts.is_on(**group) && gone.is_some_and(|gone| facts.good_cycles_after(gone).is_empty())
    });
    Some(most.saturating_sub(in_flight.count()))
}
