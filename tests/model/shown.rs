//! What one look at the small tenant shows, with the choices of that look; and what a broken rule makes of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use unscim::model::memory::Remembered;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::*;
use uuid::Uuid;

use crate::company::{known_group, known_record, members_of, rows_of};
use crate::tenant::{Stale, Tenant};

/// What a mutant of the rules gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A list that could not be read is taken for an empty one.
    ShortList,
    /// What the ledger remembers of repeated looks is believed at once.
    OneLook,
    /// A cycle that began before the write counts.
    AnyCycle,
    /// Failed cycles count.
    FailedCycle,
    /// Everything is done in the first turn, without the brakes.
    AllAtOnce,
}

/// `untouched`: the company before anything happened.
pub fn shown(tenant: &Tenant, untouched: &Snapshot, stale: Stale, mutants: &[Mutant]) -> Snapshot {
    let mut seen = untouched.clone();
    let rows = tenant.rows_seen(stale).iter().map(|((principal, role), made)| Assignment {
        id: format!("{principal:?}/{role}").into(),
        principal: *principal,
        role: *role,
        created: Some(*made),
    });
    *rows_of(&mut seen) = rows.collect();
    for group in tenant.members.keys() {
        *members_of(&mut seen, *group) = tenant.members_seen(*group, stale).cloned().unwrap_or_default();
    }
    for (id, user) in &mut seen.users {
        if let Observed::Known(user) = user {
            user.enabled = tenant.enabled.get(id).copied();
        }
    }
    let job = seen.jobs.known().expect("the company has a job").value[0].clone();
    seen.jobs = Listed::Known(Look { at: tenant.now, value: vec![after_its_cycles(job, tenant, mutants)] });
    let record = |user| {
        let record = ScimUser { active: Some(tenant.active.contains(user)), ..known_record(number(user.0)) };
        (record.id.clone(), record)
    };
    let groups = tenant.at_target.iter().map(|group| known_group(number(group.0)));
    seen.target = ObservedTarget {
        token: if tenant.token { TokenState::Accepted } else { TokenState::Refused(401) },
        token_ends: None,
        look: Listed::Known(Arc::new(TargetLook {
            users: tenant.enabled.keys().map(record).collect(),
            groups: groups.map(|group| (group.id.clone(), group)).collect(),
            ..TargetLook::default()
        })),
    };
    seen
}

/// The n of a user or a group.
fn number(id: Uuid) -> u128 {
    id.as_u128() & 0xff
}

fn after_its_cycles(job: Job, tenant: &Tenant, mutants: &[Mutant]) -> Job {
    let (any, failed) = (mutants.contains(&Mutant::AnyCycle), mutants.contains(&Mutant::FailedCycle));
    let last = tenant.last.as_ref().map(|cycle| Execution {
        activity: if any { format!("cycle-of-{}", tenant.now) } else { format!("cycle-{}", cycle.number) },
        state: if cycle.good || failed { ExecutionState::Succeeded } else { ExecutionState::Failed },
        began: if any { tenant.now } else { cycle.began },
        ended: Some(if any { tenant.now } else { cycle.ended }),
        escrowed: Some(0),
        error: None,
    });
    let quarantine = (!tenant.token)
        .then(|| Quarantine { reason: "EncounteredQuarantineException".into(), message: "the token is refused".into() });
    Job {
        interval: Some(Duration::from_secs(240)),
        code: if quarantine.is_some() { JobCode::Quarantine } else { JobCode::Active },
        steady_state_last: last.as_ref().and_then(|last| last.ended),
        last,
        quarantine,
        ..job
    }
}

/// All that looks had to show again and again has been so for long.
pub fn believe(remembered: &mut Remembered, now: Timestamp) {
    let long_ago = now - SignedDuration::from_hours(12);
    let streaks = remembered.empty.values_mut().chain(remembered.unassigned.values_mut());
    for streak in streaks.chain(remembered.departed.values_mut().map(|departure| &mut departure.streak)) {
        (streak.since, streak.looks) = (long_ago, 9);
    }
    for since in Arc::make_mut(&mut remembered.covered_since).values_mut() {
        *since = since.iter().map(|(role, _)| (role, long_ago)).collect();
    }
}
