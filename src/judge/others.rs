//! Is somebody else at work on the same app: another unscim with a ledger of its own, or a script? What one of the two takes for
//! somebody's path the other may be taking away.

use crate::judge::facts::{Facts, Person};
use crate::model::id::UserId;
use crate::model::key::Key;
use crate::model::memory::DepartureKind;
use crate::model::observed::Observed;
use crate::model::spec::Acknowledgement;
use crate::model::words::count;

/// Fewer is how a company lives: somebody joins, somebody leaves. The same floor as for a list that shrank.
const IN_NUMBER: usize = 3;
/// Of a large company one in so many.
const ONE_IN: usize = 100;

/// How much of it says that somebody is at work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// More than how a company lives.
    InNumber,
    /// Anything at all: before rows are taken back on which somebody else may rest.
    Any,
}

/// What this ledger's journal does not explain, unless the operator knows of it.
pub fn sign(facts: &Facts, least: Least) -> Option<String> {
    if facts.acknowledges(Acknowledgement::AnotherAtWork) {
        return None;
    }
    // After the end admins assign users directly.
    let ground = facts.ground().filter(|_| facts.recorded().is_some() && !facts.is_token_rejected())?;
    let baseline = ground.baseline;
    let ours = |key: Key| facts.written(&key).is_some();
    let (mut rows, mut gone) = (0usize, 0usize);
    for person in facts.people() {
        rows += ground
            .rows
            .own(person)
            .filter(|(role, made)| made.is_some_and(|made| made > baseline.taken) && !ours(Key::Assign(person.id, *role)))
            .count();
    }
    let deleted = |user: UserId| {
        facts.seen.users.get(&user).is_some_and(Observed::is_absent)
            || facts.memory.remembered.departed.get(&user).is_some_and(|departure| departure.kind == DepartureKind::Deleted)
    };
    for group in baseline.groups.keys().filter(|group| ground.rows.has(**group)) {
        let by_others = |person: &&Person| !deleted(person.id) && !ours(Key::Member(*group, person.id));
        gone += facts.gone_from(*group).filter(by_others).count();
    }
    let least = match least {
        Least::InNumber => IN_NUMBER.max(facts.people().len() / ONE_IN),
        Least::Any => 1,
    };
    let mut what = Vec::new();
    if rows >= least {
        what.push(format!("{} of protected users made since the baseline", count(rows, "direct assignment")));
    }
    if gone >= least {
        what.push(format!("{} gone from managed groups", count(gone, "membership")));
    }
    (!what.is_empty()).then(|| {
        format!(
            "somebody else assigns users or empties groups here: {}, and this ledger wrote none of it; stop the other unscim or the script, or, where it is \
             known who did it and that it is over, set groups.acknowledge: [AnotherAtWork]",
            what.join(", ")
        )
    })
}
