//! Looks up by what they are matched by whom a list that may not be whole lacks: before anybody is called without a record.

#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::target::{in_turn, one};
use crate::model::id::UserId;
use crate::model::memory::Memory;
use crate::model::observed::{Listed, Observed, UNSEARCHABLE, Why};
use crate::model::snapshot::{DirectoryUser, ScimUser, Snapshot, TargetLook};
use crate::model::spec::{MatchBy, Spec};
use crate::world::{Target, World};

/// What is found goes into the look like a record of the list.
pub(super) async fn look_up(world: &impl World, spec: &Spec, memory: &Memory, now: &mut Snapshot) {
    let Listed::Known(look) = &mut now.target.look else { return };
    if !look.may_lack_users {
        return;
    }
    let by = spec.target.match_by;
    let listed: BTreeSet<String> = look.users.values().filter_map(|record| record.value_of(by)).map(str::to_lowercase).collect();
    // Whose record is known is read by its id.
    let has_record = |id: &UserId| {
        memory.baseline.known().is_some_and(|known| known.users.get(id).is_some_and(|user| user.target.record().is_some()))
    };
    let lacking = |user: &DirectoryUser| values(user).iter().all(|value| !listed.contains(&value.to_lowercase()));
    let known = now.users.values().filter_map(Observed::known);
    let asked: Vec<&DirectoryUser> =
        known.filter(|user| user.match_value.is_some() && !has_record(&user.id) && lacking(user)).collect();
    if asked.is_empty() {
        return;
    }
    let look = Arc::make_mut(look);
    for user in &asked {
        if let Some(seen @ (Observed::Known(_) | Observed::Absent)) =
            memory.target.as_ref().and_then(|before| before.users_by_match.get(&user.id))
        {
            look.users_by_match.insert(user.id, seen.clone());
        }
    }
    let finds = finds_whom_it_lists(world, by, look).await;
    for user in in_turn(&asked, now.rounds.matched, |user| user.id) {
        let seen = match &finds {
            Ok(()) => find(world, by, user).await,
            Err(why) if why.stalls() => Observed::Unknown(why.clone()),
            Err(why) => Observed::Unknown(Why::new(UNSEARCHABLE, why.text.clone())),
        };
        let stalls = seen.unknown().is_some_and(Why::stalls);
        look.users_by_match.insert(user.id, seen);
        now.rounds.matched = Some(user.id);
        if stalls {
            break;
        }
    }
    let found: Vec<ScimUser> = look.users_by_match.values().filter_map(Observed::known).cloned().collect();
    for record in found {
        look.users.entry(record.id.clone()).or_insert(record);
    }
}

/// A filter that misses a listed record says nothing of one that is not listed.
async fn finds_whom_it_lists(world: &impl World, by: MatchBy, look: &TargetLook) -> Result<(), Why> {
    let mut listed = look.users.values().filter_map(|record| Some((record, record.value_of(by)?)));
    let Some((record, value)) = listed.next() else {
        return Err(Why::new("malformed", "the list has nobody by whom the app's filter could be tried"));
    };
    match one(world.target().user_by(by, value).await) {
        Observed::Known(found) if found.id == record.id => Ok(()),
        Observed::Known(_) | Observed::Absent => {
            let text = format!("the app's filter does not find record {}, which is in its list", record.id);
            Err(Why::new("malformed", text))
        }
        Observed::Unknown(why) => Err(why),
    }
}

/// By each way in which Entra may write the value.
async fn find(world: &impl World, by: MatchBy, user: &DirectoryUser) -> Observed<ScimUser> {
    let mut found: Observed<ScimUser> = Observed::Absent;
    for value in values(user) {
        match (one(world.target().user_by(by, &value).await), &found) {
            (Observed::Absent, _) => {}
            (Observed::Known(record), Observed::Known(other)) if record.id != other.id => {
                return Observed::Unknown(Why::new("ambiguous", format!("records {} and {} match", record.id, other.id)));
            }
            (Observed::Known(record), _) => found = Observed::Known(record),
            (Observed::Unknown(why), _) => return Observed::Unknown(why),
        }
    }
    found
}

/// As the directory has it, and without the marker of a guest, as Entra matches.
fn values(user: &DirectoryUser) -> BTreeSet<String> {
    let value = user.match_value.iter();
    value.flat_map(|value| [value.to_string(), value.replace("#EXT#", "").replace("#ext#", "")]).collect()
}
