//! Times of the service that can't be right: of a look that lies well before an earlier one, and of a confirmation that lies in the
//! service's future.

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::model::memory::{LOOKS, Latest, Remembered, Streak};
use crate::model::moment::{FUTURE, is_ahead, later};
use crate::model::observed::{Listed, Why};
use crate::model::snapshot::{Look, Snapshot};
use crate::model::spec::Spec;

/// A look whose own time lies well before that of an earlier one is an old copy, or one of the two is wrongly dated: nothing
/// follows from it until enough looks in a row have said the same. Makes it unknown, and tells which look is the latest from now on.
pub fn believed(spec: &Spec, before: Option<Latest>, mut look: Snapshot) -> (Snapshot, Option<Latest>) {
    let times = [look.jobs.known().map(|look| look.at), look.assignments.known().map(|look| look.at)];
    let Some(at) = times.into_iter().flatten().max() else { return (look, before) };
    let Some(latest) = before else { return (look, Some(Latest { at, behind: None })) };
    let mut next = Latest { at: at.max(latest.at), behind: None };
    if is_ahead(latest.at, at) {
        let behind = Streak::extend(latest.behind, at);
        if behind.is_believed(LOOKS, spec.timing.settle) {
            return (look, Some(Latest { at, behind: None }));
        }
        next.behind = Some(behind);
    }
    forget(&mut look.jobs, latest.at);
    forget(&mut look.assignments, latest.at);
    look.groups.values_mut().for_each(|group| forget(&mut group.members, latest.at));
    (look, Some(next))
}

fn forget<T>(look: &mut Listed<Look<T>>, latest: Timestamp) {
    if let Listed::Known(Look { at, .. }) = look
        && is_ahead(latest, *at)
    {
        let text = format!(
            "the answer is dated {at:.0}, and an earlier one {latest:.0}: an old copy, or a clock of the service that went wrong; it is read again"
        );
        *look = Listed::Unknown(Why::new("stale", text));
    }
}

/// Takes note of confirmations that a look shows to be dated in the service's future, and of a time that they are not later than.
pub fn misdated(facts: &Facts, next: &mut Remembered) {
    let journal = &facts.memory.journal;
    let Some(rows) = facts.rows().filter(|rows| journal.latest.is_some_and(|latest| is_ahead(latest, rows.at))) else { return };
    let at = later(next.latest.map_or(rows.at, |latest| latest.at.max(rows.at)), FUTURE);
    for (key, entry) in &journal.entries {
        let known = next.misdated.get(key).is_some_and(|(confirmed, _)| *confirmed == entry.confirmed);
        if !known && entry.last_confirmed().is_some_and(|last| is_ahead(last, rows.at)) {
            next.misdated.insert(key.clone(), (entry.confirmed, at));
        }
    }
    next.misdated.retain(|key, _| journal.entry(key).is_some());
}
