//! People who are not protected, and end at the target after something was first taken away here.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::judge::pim;
use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::observed::Observed;
use crate::model::snapshot::{DirectoryUser, LogRow, ScimUser, TargetLook};
use crate::model::stranger::{Ended, Stranger};

/// Records at the target that are nobody's whom we protect, and are not said to be inactive.
pub fn bystanders(facts: &Facts, look: &TargetLook) -> BTreeSet<ScimId> {
    let ours = ours(facts);
    let others = look.users.values().filter(|record| record.active != Some(false) && ours.binary_search(&&record.id).is_err());
    others.map(|record| record.id.clone()).collect()
}

fn ours<'a>(facts: &Facts<'a>) -> Vec<&'a ScimId> {
    let records = facts.baseline().into_iter().flat_map(|baseline| baseline.users.values());
    let mut ours: Vec<_> = records.filter_map(|user| user.target.record()).map(|record| &record.id).collect();
    ours.sort_unstable();
    ours
}

/// Without a reason in the directory and without a word of the operator's.
pub(super) fn ended(facts: &Facts, look: &TargetLook) -> BTreeMap<Stranger, String> {
    let owners = Owners::of(facts);
    let mut ended: BTreeMap<Stranger, String> = BTreeMap::new();
    for (id, row) in owners.rows.iter().filter(|(id, _)| !is_cleared(facts, *id)) {
        ended.insert(Stranger::User(*id), format!("{} at {:.0} (log entry {})", row.action, row.at, row.id));
    }
    for (id, what) in records(facts, look).into_iter().filter(|(id, _)| !owners.are_cleared(id)) {
        let stranger = owners.by_log(id).map_or_else(|| Stranger::Record(id.clone()), Stranger::User);
        let words = match &stranger {
            Stranger::User(_) => format!("record {id} {what}"),
            Stranger::Record(_) => what.to_owned(),
        };
        ended.entry(stranger).and_modify(|known| known.push_str(&format!("; {words}"))).or_insert(words);
    }
    let is_back = |id: &ScimId| look.user(id).known().is_some_and(|record| record.active != Some(false));
    for Ended { who, why } in last_seen(facts) {
        // The log may have come to say whose it is: they stand in its place.
        if !matches!(who, Stranger::Record(id) if is_back(id) || owners.by_log(id).is_some()) {
            ended.entry(who.clone()).or_insert_with(|| why.clone());
        }
    }
    ended
}

/// Who counted at the last read of the target, and whom nothing has cleared since.
pub fn last_seen<'f>(facts: &'f Facts) -> Vec<&'f Ended> {
    let counted = &facts.memory.remembered.ended;
    if counted.is_empty() {
        return Vec::new();
    }
    let (owners, ours) = (Owners::of(facts), ours(facts));
    let stays = |who: &Stranger| match who {
        Stranger::User(id) => !is_ours(facts, *id) && !is_cleared(facts, *id),
        Stranger::Record(id) => ours.binary_search(&id).is_err() && !owners.are_cleared(id),
    };
    counted.iter().filter(|ended| stays(&ended.who)).collect()
}

/// Why somebody who counted before does not now; nothing where they stand under another name.
pub fn over(facts: &Facts, who: &Stranger) -> Option<&'static str> {
    let owners = Owners::of(facts);
    let of_user = |id: UserId| {
        if is_ours(facts, id) {
            "protected since"
        } else if facts.is_released(id) {
            RELEASED
        } else {
            "disabled or deleted in Entra, too, or in scope for a while only"
        }
    };
    match who {
        Stranger::User(id) => Some(of_user(*id)),
        Stranger::Record(id) if facts.spec.released_records.contains(id) => Some(RELEASED),
        Stranger::Record(id) => match owners.owners(id).find(|user| is_cleared(facts, *user)) {
            Some(user) => Some(of_user(user)),
            None if owners.by_log(id).is_some() => None,
            None => Some("there again, or protected since"),
        },
    }
}

const RELEASED: &str = "released by the operator";

/// Whose an ended record is.
struct Owners<'f, 'a> {
    facts: &'f Facts<'a>,
    rows: Vec<(UserId, &'a LogRow)>,
    /// None of ours, and the directory was asked for them.
    asked: OnceCell<Vec<&'a DirectoryUser>>,
}

impl<'f, 'a> Owners<'f, 'a> {
    fn of(facts: &'f Facts<'a>) -> Self {
        Owners { facts, rows: rows(facts), asked: OnceCell::new() }
    }

    fn by_log(&self, id: &ScimId) -> Option<UserId> {
        self.rows.iter().find(|(_, row)| row.target.as_ref() == Some(id)).map(|(user, _)| *user)
    }

    /// By the operator's word of the record, or as whoever it belongs to is cleared.
    fn are_cleared(&self, id: &ScimId) -> bool {
        self.facts.spec.released_records.contains(id) || self.owners(id).any(|user| is_cleared(self.facts, user))
    }

    fn owners(&self, id: &ScimId) -> impl Iterator<Item = UserId> {
        let record = self.facts.memory.target.as_ref().and_then(|look| look.users.get(id));
        let by_name = record.into_iter().flat_map(|record| self.asked().iter().filter(move |user| is_of(record, user)));
        by_name.map(|user| user.id).chain(self.by_log(id))
    }

    fn asked(&self) -> &[&'a DirectoryUser] {
        self.asked.get_or_init(|| {
            let seen = self.facts.seen.users.iter().filter(|(id, _)| !is_ours(self.facts, **id));
            seen.filter_map(|(_, user)| user.known()).collect()
        })
    }
}

fn is_ours(facts: &Facts, id: UserId) -> bool {
    facts.baseline().is_some_and(|baseline| baseline.users.contains_key(&id))
}

/// What the log has of ends of people who are none of ours, since something was first taken away.
fn rows<'a>(facts: &Facts<'a>) -> Vec<(UserId, &'a LogRow)> {
    let (Some(log), Some(baseline), Some(first)) = (facts.seen.log.known(), facts.baseline(), first_taken(facts)) else {
        return Vec::new();
    };
    let rows = log.value.rows.iter().filter(|row| row.is_harmful() && !row.of_group && row.at > first);
    let of_users = rows.filter_map(|row| Some((UserId(row.source?), row)));
    of_users.filter(|(id, _)| !baseline.users.contains_key(id) && !baseline.groups.contains_key(&GroupId(id.0))).collect()
}

fn first_taken(facts: &Facts) -> Option<Timestamp> {
    facts.memory.first_confirmed(facts.memory.taking())
}

/// By the operator's word, or because the directory has ended them, too.
fn is_cleared(facts: &Facts, id: UserId) -> bool {
    let by_the_directory = match facts.seen.users.get(&id) {
        Some(Observed::Absent) => true,
        Some(Observed::Known(user)) => user.enabled == Some(false),
        Some(Observed::Unknown(_)) | None => false,
    };
    by_the_directory || facts.is_released(id) || pim::comes_and_goes(facts, id)
}

/// Records that were there without being inactive before something was first taken away, and are not any more.
fn records<'a>(facts: &Facts<'a>, look: &TargetLook) -> Vec<(&'a ScimId, &'static str)> {
    if !facts.memory.has_taken() {
        return Vec::new();
    }
    let what = |id: &ScimId| match look.user(id) {
        Observed::Known(record) if record.active == Some(false) => Some("is inactive at the target"),
        Observed::Absent if look.has_gone(id) => Some("is gone from the target"),
        Observed::Known(_) | Observed::Absent | Observed::Unknown(_) => None,
    };
    let ended: Vec<_> = facts.memory.remembered.bystanders.iter().filter_map(|id| Some((id, what(id)?))).collect();
    if ended.is_empty() {
        return ended;
    }
    // Whoever has come to be protected since is judged as such.
    let ours = ours(facts);
    ended.into_iter().filter(|(id, _)| ours.binary_search(id).is_err()).collect()
}

/// By its name, or by their id in it.
fn is_of(record: &ScimUser, user: &DirectoryUser) -> bool {
    let same = |theirs: &str, ours: Option<&str>| ours.is_some_and(|ours| ours.eq_ignore_ascii_case(theirs));
    let names = [&user.user_principal_name, &user.match_value].into_iter().flatten();
    let mut names = names.map(|name| name.to_lowercase().replace("#ext#", ""));
    same(&user.id.to_string(), record.external_id.as_deref()) || names.any(|name| same(&name, record.user_name.as_deref()))
}
