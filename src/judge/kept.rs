//! Whether every protected user is still the same record at the target, no less active than at the baseline.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::judge::facts::{Facts, Loss, Person, Tally};
use crate::judge::strangers;
use crate::model::baseline::AtTarget;
use crate::model::condition::Reason;
use crate::model::id::{GroupId, UserId};
use crate::model::memory::{DepartureKind, DoubtKind};
use crate::model::observed::Observed;
use crate::model::snapshot::{ScimGroup, ScimUser, TargetLook};
use crate::model::spec::{Acknowledgement, MatchBy};
use crate::model::stranger::Ended;
use crate::model::words::{STRANGERS, count, part, some_of};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Kept,
    /// There was no record when they were first seen, or the operator has released them.
    NotCounted,
    /// Hurt, and the directory says why: not by us.
    Explained(DepartureKind),
    Lost(String),
    /// It may be another record; no look will tell, only a person.
    Uncertain(String),
    Unknown(String),
}

/// One user against the last look at the target.
pub fn of(facts: &Facts, person: &Person) -> Kept {
    let before = match &person.user.target {
        _ if facts.is_released(person.id) => return Kept::NotCounted,
        AtTarget::NoRecord => return Kept::NotCounted,
        AtTarget::NotRead => return unread(facts, person.id),
        AtTarget::Record(before) => before,
    };
    let Some(look) = &facts.memory.target else { return Kept::Unknown("the target was not read".into()) };
    let verdict = match person.record.map_or_else(|| look.user(&before.id), Observed::Known) {
        Observed::Known(now) => there(facts, person, before, now),
        Observed::Absent => {
            let name = lower(before.user_name.as_deref());
            let mut same_name = name.iter().flat_map(|name| facts.records_by(MatchBy::UserName, name));
            Kept::Lost(match same_name.find(|other| other.id != before.id) {
                Some(other) => format!("record {} was replaced by {} at the target", before.id, other.id),
                None => format!("record {} is gone from the target", before.id),
            })
        }
        Observed::Unknown(why) => return Kept::Unknown(format!("record {} was not read: {why}", before.id)),
    };
    match explained(facts, person.id) {
        Some(kind) if matches!(verdict, Kept::Lost(_) | Kept::Uncertain(_)) => Kept::Explained(kind),
        Some(_) | None => verdict,
    }
}

/// The record that stands under the same id now.
fn there(facts: &Facts, person: &Person, before: &ScimUser, now: &ScimUser) -> Kept {
    let id = &before.id;
    let doubt = facts.memory.remembered.doubts.get(&person.id);
    if let Some(gone) = doubt.filter(|doubt| doubt.is_believed_gone()) {
        return Kept::Lost(format!(
            "record {id} was gone from the target at {:.0}, and what hung on it may not have come back",
            gone.since
        ));
    }
    if let Some((made, was)) = now.created.zip(before.created).filter(|_| now.is_another_than(before)) {
        match facts.memory.remembered.moved {
            // Nobody can tell by it.
            _ if facts.memory.remembered.undated => {}
            0 => {
                return Kept::Lost(format!(
                    "record {id} is another one: it was made at {made:.0}, and the one before at {was:.0}"
                ));
            }
            _ => {
                let why =
                    "the target says of every record that it was made at another time than in the read before; it is read again";
                return Kept::Unknown(why.into());
            }
        }
    }
    if now.is_inactive_since(before) {
        let unsaid = if before.active.is_none() { ", and was not so when it was first seen" } else { "" };
        return Kept::Lost(format!("record {id} is inactive at the target{unsaid}"));
    }
    if now.is_silent_since(before) {
        return Kept::Unknown(format!("the target no longer says whether record {id} is active"));
    }
    if !now.is_renamed_since(before) || is_renamed_in_entra(facts, person.id, now) {
        return Kept::Kept;
    }
    let why = format!("record {id} has another userName at the target, and nothing in Entra explains it");
    match doubt {
        Some(doubt) if doubt.kind == DoubtKind::Renamed && doubt.believed => Kept::Uncertain(why),
        Some(_) | None => Kept::Unknown(format!("{why}; it is read again")),
    }
}

/// The directory has the user under the name that the record has now, or had so in an earlier turn.
pub fn is_renamed_in_entra(facts: &Facts, id: UserId, now: &ScimUser) -> bool {
    let Some(name) = lower(now.user_name.as_deref()) else { return false };
    let known = facts.seen.users.get(&id).and_then(Observed::known);
    let names = known.into_iter().flat_map(|user| [&user.user_principal_name, &user.match_value]).flatten();
    // As the baseline matches: without the marker of guests.
    let fits =
        |theirs: &Arc<str>| lower(Some(theirs)).is_some_and(|theirs| theirs == name || theirs.replace("#ext#", "") == name);
    facts.memory.remembered.renamed.get(&id).is_some_and(|known| **known == *name) || names.into_iter().any(fits)
}

/// Protected, and which record is theirs could not be read yet.
fn unread(facts: &Facts, id: UserId) -> Kept {
    let seen = facts.seen.users.get(&id);
    let looked_up = facts.memory.target.as_ref().and_then(|look| look.users_by_match.get(&id)?.unknown());
    match (explained(facts, id), seen) {
        (Some(kind), _) => Kept::Explained(kind),
        (None, Some(Observed::Known(_))) if let Some(why) = looked_up => {
            Kept::Unknown(format!("which record is theirs was not read: {why}"))
        }
        (None, Some(Observed::Unknown(why))) => Kept::Unknown(format!("which record is theirs was not read: {why}")),
        (None, _) => Kept::Unknown("which record is theirs was not read, or there is more than one".into()),
    }
}

fn lower(text: Option<&str>) -> Option<String> {
    text.map(str::to_lowercase)
}

/// A loss that the directory explains is not ours: the account is disabled, deleted, or was taken out of scope by somebody else.
pub fn explained(facts: &Facts, id: UserId) -> Option<DepartureKind> {
    let departure = facts.memory.remembered.departed.get(&id)?;
    match departure.kind {
        DepartureKind::Disabled => Some(DepartureKind::Disabled),
        DepartureKind::Deleted | DepartureKind::Left => facts.has_departed(id).then_some(departure.kind),
    }
}

/// Everybody, against the last look at the target; `None` where there is none.
pub fn tally<'f>(facts: &'f Facts) -> Option<&'f Tally> {
    facts.tally.get_or_init(|| count_up(facts)).as_ref()
}

fn count_up(facts: &Facts) -> Option<Tally> {
    let look = facts.memory.target.as_ref()?;
    facts.baseline()?;
    let mut tally = Tally::default();
    for person in facts.people() {
        match of(facts, person) {
            Kept::NotCounted => {
                if !facts.is_released(person.id) && explained(facts, person.id).is_none() {
                    if person.user.disabled || person.enabled == Some(false) {
                        tally.without += 1;
                    } else {
                        tally.uncounted.insert(person.id);
                    }
                }
                continue;
            }
            Kept::Kept => tally.kept += 1,
            Kept::Explained(_) => tally.explained += 1,
            Kept::Lost(why) => {
                tally.lost.insert(person.id, why.into());
            }
            Kept::Uncertain(why) => {
                tally.uncertain.insert(person.id, why);
            }
            // Whom this read does not tell of stands as the one before it has shown them.
            Kept::Unknown(why) if was_lost(facts, person.id) => {
                let before = facts.memory.remembered.lost_by.get(&person.id).cloned();
                let seen = before.unwrap_or_else(|| "lost when they were last read".into());
                tally.lost.insert(person.id, Loss { seen, not_told: Some(why) });
            }
            Kept::Unknown(why) => {
                tally.unknown.insert(person.id, why);
            }
        }
        tally.counted += 1;
    }
    harmful_rows(facts, look, &mut tally);
    tally.strangers = strangers::ended(facts, look);
    Some(tally)
}

fn was_lost(facts: &Facts, id: UserId) -> bool {
    facts.memory.remembered.lost_since.contains_key(&id) && explained(facts, id).is_none()
}

/// What the last read of the target showed amiss, where no read of this process tells more.
pub struct LastSeen<'f> {
    pub lost: Vec<UserId>,
    /// Whose record may be another one.
    doubted: Vec<UserId>,
    /// Who was never protected, and ended.
    pub strangers: Vec<&'f Ended>,
}

/// They stay so, but for whom the operator has released and whom the directory explains. `None`: nothing was amiss.
pub fn last_seen<'f>(facts: &'f Facts) -> Option<LastSeen<'f>> {
    if !facts.is_target_closed() && facts.memory.target.is_some() {
        return None;
    }
    let stays = |id: &UserId| !facts.is_released(*id) && explained(facts, *id).is_none();
    let remembered = &facts.memory.remembered;
    let seen = LastSeen {
        lost: remembered.lost_since.keys().copied().filter(stays).collect(),
        doubted: remembered.doubted().map(|(id, _)| *id).filter(stays).collect(),
        strangers: strangers::last_seen(facts),
    };
    (seen.reason().is_some() || !seen.strangers.is_empty()).then_some(seen)
}

impl LastSeen<'_> {
    /// Of those who are protected.
    pub fn reason(&self) -> Option<Reason> {
        match (self.lost.is_empty(), self.doubted.is_empty()) {
            (false, _) => Some(Reason::UsersLost),
            (true, false) => Some(Reason::UsersUncertain),
            (true, true) => None,
        }
    }

    pub fn told(&self, facts: &Facts) -> String {
        let remembered = &facts.memory.remembered;
        let all = remembered.last_figures().map_or(facts.people().len(), |read| read.counted as usize);
        let name = |id: &UserId| {
            let why = remembered.lost_by.get(id).map_or_else(String::new, |why| format!(": {why}"));
            let since = remembered.lost_since.get(id);
            let since = since.map_or_else(String::new, |at| format!(", first seen at {at:.0}"));
            format!("{}{why}{since}", facts.user_name(*id))
        };
        let parts = [(&self.lost, "lost"), (&self.doubted, "with another record, it may be,")];
        let parts = parts.iter().filter(|(users, _)| !users.is_empty()).map(|(users, what)| {
            format!(
                "{} {what} when the app was last read: {}",
                part(users.len(), all, "protected user"),
                some_of(users.iter().map(name))
            )
        });
        let strangers = (!self.strangers.is_empty()).then(|| {
            format!(
                "{} {STRANGERS} had ended when the app was last read: {}",
                count(self.strangers.len(), "user"),
                some_of(self.strangers.iter().map(|Ended { who, why }| format!("{who}: {why}")))
            )
        });
        parts.chain(strangers).collect::<Vec<_>>().join("; ")
    }
}

/// Whose record may be another one, and what to do about it.
pub fn uncertain(facts: &Facts, tally: &Tally) -> String {
    format!(
        "of {} nobody can say that they are kept: {}; see in the app whose record it is now; it goes on by itself when the record has its name \
         again or Entra has the user under the new one, and without them when they stand in spec.released",
        part(tally.uncertain.len(), tally.counted, "protected user"),
        some_of(tally.uncertain.iter().map(|(id, why)| format!("{}: {why}", facts.user_name(*id))))
    )
}

/// A log entry that reports a protected user disabled or deleted counts as a loss until the target, read after a good cycle
/// that began after the entry, shows them kept. Who had no record when first seen has none to be compared with: for them the
/// good cycle alone ends it.
fn harmful_rows(facts: &Facts, look: &TargetLook, tally: &mut Tally) {
    let (Some(log), Some(baseline)) = (facts.seen.log.known(), facts.baseline()) else { return };
    for row in log.value.rows.iter().filter(|row| row.is_harmful() && row.at > baseline.taken) {
        let Some(person) = row.source.and_then(|source| facts.person(UserId(source))) else { continue };
        let id = person.id;
        if facts.is_released(id) || explained(facts, id).is_some() {
            continue;
        }
        let words = format!("the provisioning log has {} at {:.0} (log entry {})", row.action, row.at, row.id);
        if let Some(Loss { seen, .. }) = tally.lost.get_mut(&id) {
            if !seen.contains(&words) {
                seen.push_str(&format!("; {words}"));
            }
            continue;
        }
        let healed = facts.good_cycles_after(row.at).first().is_some_and(|cycle| look.turn >= cycle.turn)
            && matches!(of(facts, person), Kept::Kept | Kept::NotCounted);
        if !healed {
            let was_kept = tally.unknown.remove(&id).or_else(|| tally.uncertain.remove(&id)).is_none();
            if was_kept && person.user.target.record().is_some() {
                tally.kept = tally.kept.saturating_sub(1);
            }
            tally.lost.insert(id, words.into());
        }
    }
}

/// Managed groups still at the target: by the ids learned at the baseline, by name where none was learned, and under any id by
/// their Entra id in `externalId`, which Entra writes into a group that it makes anew. `Err` where it can't be told.
pub fn groups_remaining(facts: &Facts, look: &TargetLook) -> Result<Vec<GroupId>, String> {
    let made_from = |group: &ScimGroup| Some(GroupId(group.external_id.as_deref()?.parse().ok()?));
    let made_from: BTreeSet<GroupId> = look.groups.values().filter_map(made_from).collect();
    let by_list = facts.acknowledges(Acknowledgement::GroupsByListOnly) && !look.may_lack_groups;
    let mut remaining = Vec::new();
    for (id, group) in facts.baseline().into_iter().flat_map(|baseline| &baseline.groups) {
        let is_there = match &group.scim {
            _ if made_from.contains(id) => true,
            Some(scim) if look.groups.contains_key(scim) => true,
            Some(scim) => match look.groups_by_id.get(scim) {
                Some(Observed::Absent) => false,
                Some(Observed::Known(_)) => true,
                Some(Observed::Unknown(why)) if by_list && !why.stalls() => false,
                Some(Observed::Unknown(why)) => {
                    let remedy =
                        "; where the app can't say that a group is gone, groups.acknowledge: [GroupsByListOnly] goes by its list";
                    let remedy = if why.stalls() { "" } else { remedy };
                    return Err(format!("group {scim} could not be read by id: {why}{remedy}"));
                }
                None => return Err(format!("group {scim} was not read by id")),
            },
            None => {
                let name = group.display_name.to_lowercase();
                look.groups.values().any(|other| lower(other.display_name.as_deref()).as_ref() == Some(&name))
            }
        };
        if is_there {
            remaining.push(*id);
        }
    }
    Ok(remaining)
}

/// How old the last look at the target is, by our clock.
pub fn age(facts: &Facts) -> Option<Duration> {
    facts.memory.target.as_ref().map(|look| look.at.age(facts.moment))
}
