//! What of a plan goes out at once. Pure: the order of things, and nothing of how they are sent.

use std::collections::BTreeMap;

use crate::model::action::Action;
use crate::model::id::GroupId;

/// Writes in one request; Graph takes no more.
pub const BATCH: usize = 20;
/// Requests at once: enough to fill the quota where one answer takes longer than the quota's share for it.
const BATCHES: usize = 4;

/// The batches that go out at once, as indices into `rest`, never more writes than `room`. All are of the kind of the first
/// action. A batch holds changes of one group's members, which are made one after the other, and no two batches are
/// about the same group; or it holds anything else, in any order.
pub fn next(rest: &[Action], room: usize) -> Vec<Vec<usize>> {
    let Some(first) = rest.first() else { return Vec::new() };
    let run = rest.iter().take_while(|action| action.kind() == first.kind()).enumerate();
    let batches: Vec<Vec<usize>> = match first {
        Action::RecordBaseline | Action::PauseJob { .. } | Action::RequestRevocation => vec![vec![0]],
        Action::RemoveMember { .. } | Action::RestoreMember { .. } => {
            let mut order: Vec<GroupId> = Vec::new();
            let mut chains: BTreeMap<GroupId, Vec<usize>> = BTreeMap::new();
            for (index, action) in run {
                let (Action::RemoveMember { group, .. } | Action::RestoreMember { group, .. }) = action else { continue };
                match chains.get_mut(group) {
                    Some(chain) if chain.len() < BATCH => chain.push(index),
                    Some(_) => {}
                    None if order.len() < BATCHES => {
                        order.push(*group);
                        chains.insert(*group, vec![index]);
                    }
                    None => {}
                }
            }
            order.iter().filter_map(|group| chains.remove(group)).collect()
        }
        Action::AssignUser { .. }
        | Action::UnassignGroup { .. }
        | Action::RestoreAssignment { .. }
        | Action::RemoveDirect { .. } => {
            let run: Vec<usize> = run.map(|(index, _)| index).take(BATCH * BATCHES).collect();
            run.chunks(BATCH).map(<[usize]>::to_vec).collect()
        }
    };
    cut(batches, room)
}

/// The first so many of them.
fn cut(mut batches: Vec<Vec<usize>>, mut room: usize) -> Vec<Vec<usize>> {
    for batch in &mut batches {
        batch.truncate(room);
        room -= batch.len();
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}
