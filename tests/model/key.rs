//! What two states must have in common to be the same: all that the future depends on, and nothing else.
//!
//! The judgement and the oracle compare times only with each other by cycles and by spans that have passed, so a time is
//! no more than an [`Event`]. That nothing is lost by this is itself checked: `states_of_one_key_go_the_same_ways`.

use jiff::{SignedDuration, Timestamp};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::state::State;
use crate::tenant::{Cycle, INTERVAL, Lagging, Rows, Tenant};
use unscim::model::action::Action;
use unscim::model::journal::Entry;
use unscim::model::key::Key;
use unscim::model::memory::{Departure, DoubtKind, GoodCycle, LOOKS, Remembered, Streak};
use unscim::model::moment::since;
use unscim::model::snapshot::TargetLook;
use unscim::model::spec::Spec;

/// The key, wide enough that no two states share one by chance.
pub fn key(state: &State, spec: &Spec) -> (u64, u64) {
    let mut two = Two(DefaultHasher::new(), DefaultHasher::new());
    1u8.hash(&mut two.1);
    Form { state, spec, kept: cycles(state) }.write(&mut two);
    (two.0.finish(), two.1.finish())
}

struct Two(DefaultHasher, DefaultHasher);

impl Hasher for Two {
    fn finish(&self) -> u64 {
        self.0.finish()
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }
}

/// A good cycle that is known, or will be with the next look, or is under way: the first that follows an event decides.
struct Known<'a> {
    began: Timestamp,
    of: Of<'a>,
}

enum Of<'a> {
    Remembered(&'a GoodCycle),
    Ended,
    Running,
}

fn cycles(state: &State) -> Vec<Known<'_>> {
    let remembered = &state.book.remembered.cycles;
    let mut known: Vec<_> = remembered.iter().map(|cycle| Known { began: cycle.began, of: Of::Remembered(cycle) }).collect();
    if let Some(last) = state.tenant.last.as_ref().filter(|last| last.good && !is_remembered(state, last)) {
        known.push(Known { began: last.began, of: Of::Ended });
    }
    if let Some(running) = state.tenant.running.as_ref().filter(|running| running.good) {
        known.push(Known { began: running.began, of: Of::Running });
    }
    known
}

fn is_remembered(state: &State, cycle: &Cycle) -> bool {
    let activity = format!("cycle-{}", cycle.number);
    state.book.remembered.cycles.iter().any(|known| known.activity == activity)
}

struct Form<'a> {
    state: &'a State,
    spec: &'a Spec,
    kept: Vec<Known<'a>>,
}

impl Form<'_> {
    fn now(&self) -> Timestamp {
        self.state.tenant.now
    }

    /// As long as the longest span that is compared.
    fn long(&self) -> SignedDuration {
        SignedDuration::try_from(self.spec.timing.settle).expect("minutes")
    }

    /// How long ago, where it is not longer than anything that is compared.
    fn age(&self, at: Timestamp) -> i64 {
        self.now().duration_since(at).min(self.long()).as_secs()
    }

    /// What an event is to those who ask whether a good cycle has followed it.
    fn event(&self, at: Timestamp, out: &mut Two) {
        let margin = self.spec.provisioning.cycle_margin;
        let follows = |began: Timestamp| began > at && since(at, began) > margin;
        // The oracle knows no margin.
        let oracle = |began: Option<Timestamp>| began.is_some_and(|began| began > at);
        let running = self.state.tenant.running.as_ref().filter(|cycle| cycle.good).map(|cycle| cycle.began);
        (oracle(self.state.tenant.good), oracle(running)).hash(out);
        match self.kept.iter().find(|cycle| follows(cycle.began)).map(|cycle| &cycle.of) {
            None => (0u8, self.age(at)).hash(out),
            Some(Of::Running) => 1u8.hash(out),
            Some(Of::Ended) => 2u8.hash(out),
            Some(Of::Remembered(cycle)) => {
                let read = self.state.target.as_ref().is_some_and(|look| look.turn >= cycle.turn);
                let rounds = self.state.book.remembered.clean_rounds.iter().filter(|turn| **turn >= cycle.turn).count();
                (3u8, read, rounds).hash(out);
            }
        }
    }

    fn events<'b>(&self, at: impl IntoIterator<Item = &'b Timestamp>, out: &mut Two) {
        at.into_iter().for_each(|at| self.event(*at, out));
    }

    fn streak(&self, streak: &Streak, out: &mut Two) {
        let Streak { since, last, looks } = *streak;
        (looks.min(LOOKS), last.duration_since(since).min(self.long()).as_secs(), last == self.now()).hash(out);
        self.event(last, out);
    }

    fn write(&self, out: &mut Two) {
        let State { tenant, book, target, pending, flight, looked, left, asked, last_unassigned, .. } = self.state;
        (&book.baseline, pending, flight, looked, left, asked).hash(out);
        self.events(last_unassigned, out);
        self.tenant(tenant, out);
        self.remembered(&book.remembered, out);
        for (key, entry) in &book.journal.entries {
            key.hash(out);
            self.entry(key, entry, out);
        }
        target.is_some().hash(out);
        if let Some(look) = target {
            self.look(look, out);
        }
    }

    fn tenant(&self, tenant: &Tenant, out: &mut Two) {
        let Tenant {
            now: _,
            lag: _,
            rows,
            members,
            enabled,
            deleted,
            running,
            last,
            // In every event.
            good: _,
            active,
            at_target,
            token,
            excused,
            touched,
            violation,
        } = tenant;
        let Lagging { now, before, left, .. } = rows;
        left.hash(out);
        self.rows(now, out);
        before.is_some().hash(out);
        if let Some(before) = before {
            self.rows(before, out);
        }
        for Lagging { now, before, left, .. } in members.values() {
            (now, before, left).hash(out);
        }
        (enabled, deleted, active, at_target, token, excused, violation).hash(out);
        if let Some(Cycle { number: _, began, ended: _, good, scope, groups }) = running {
            (good, scope, groups, self.age(*began)).hash(out);
        }
        // What it did is in `active` and `at_target`.
        if let Some(last) = last {
            let ago = self.now().duration_since(last.began).min(INTERVAL).as_secs();
            (last.good, ago, is_remembered(self.state, last)).hash(out);
        }
        for (user, at) in touched.iter().filter(|(_, at)| **at + tenant.behind() >= self.now()) {
            (user, self.age(*at)).hash(out);
        }
        touched.len().min(1).hash(out);
    }

    fn rows(&self, rows: &Rows, out: &mut Two) {
        rows.len().hash(out);
        for (row, made) in rows {
            row.hash(out);
            self.event(*made, out);
        }
    }

    fn remembered(&self, remembered: &Remembered, out: &mut Two) {
        let Remembered {
            covered_since,
            empty,
            unassigned,
            unassigned_at,
            members_closed,
            departed,
            gone,
            doubts,
            bystanders,
            bystanders_at: _,
            ended,
            clean_rounds,
            cycle_proof,
            revocations_void,
            rejections,
            probed_at,
            revocation_proof,
            // In every event, or of no account: counts that no limit of these tenants reaches, and what only a person reads.
            turn: _,
            rolled_back: _,
            begun_anew: _,
            unwatched: _,
            lost_since: _,
            lost_by: _,
            released: _,
            last_read: _,
            cycles: _,
            seen_cycle: _,
            sizes: _,
            calibration: _,
            // Of what only a person reads.
            standing: _,
            standing_since: _,
            inconclusive: _,
            assigned_again: _,
            offboarded: _,
            // Of what these tenants have none of: records with a date or another name, other uses, rollbacks, webhooks.
            renamed: _,
            moved: _,
            undated: _,
            uses: _,
            carried: _,
            failures_void: _,
            // Nor wrong dates.
            latest: _,
            misdated: _,
            signs_in_by_oauth: _,
        } = remembered;
        for (user, roles) in covered_since.iter() {
            for (role, first) in roles.iter() {
                (user, role, self.age(first)).hash(out);
            }
        }
        for (kind, streaks) in [(1u8, empty), (2, unassigned)] {
            for (group, streak) in streaks {
                (kind, group).hash(out);
                self.streak(streak, out);
            }
        }
        for (key, streak) in gone {
            key.hash(out);
            self.streak(streak, out);
        }
        for (group, at) in unassigned_at {
            group.hash(out);
            self.event(*at, out);
        }
        for group in members_closed.keys() {
            group.hash(out);
        }
        for (user, Departure { kind, streak }) in departed {
            (user, kind).hash(out);
            self.streak(streak, out);
        }
        for (user, doubt) in doubts {
            (user, doubt.kind == DoubtKind::Gone, doubt.looks.min(LOOKS), doubt.believed).hash(out);
        }
        bystanders.hash(out);
        ended.hash(out);
        (clean_rounds.len(), cycle_proof.is_some(), rejections.len(), revocation_proof.is_some()).hash(out);
        probed_at.map(|at| self.age(at)).hash(out);
        let asked = self.state.book.journal.entry(&Action::RequestRevocation.key()).map_or(0, |entry| entry.confirmed);
        (i64::from(asked) - i64::from(*revocations_void)).hash(out);
    }

    fn entry(&self, key: &Key, entry: &Entry, out: &mut Two) {
        (entry.intents > 0, entry.confirmed > 0, entry.is_open()).hash(out);
        entry.begun().map(|at| self.age(at)).hash(out);
        entry.last_confirmed_here().map(|at| self.age(at)).hash(out);
        // Of a row that was given nobody asks which cycle has followed: the row's own time tells.
        if !matches!(key, Key::Assign(..)) {
            self.events(&entry.first_confirmed(), out);
            self.events(&entry.last_confirmed(), out);
        }
    }

    fn look(&self, look: &TargetLook, out: &mut Two) {
        // Of records that the tenants date there are none, their lists are whole, and members at the app matter before the baseline only.
        let TargetLook {
            turn: _,
            at,
            moved: _,
            users,
            groups,
            may_lack_users: _,
            may_lack_groups: _,
            users_by_match: _,
            users_by_id,
            groups_by_id,
            read_before,
            group_members: _,
        } = look;
        let read_before: Vec<_> = read_before.keys().collect();
        (self.age(at.wall), users, groups, users_by_id, groups_by_id, read_before).hash(out);
    }
}
