//! From a status to the gauges, and all of it at 0 before there is one.

use jiff::Timestamp;
use prometheus::Gauge;

use super::labels::{CODES, WRITES, brakes, known_brake, operations};
use super::unread::{Unread, series};
use super::{Metrics, unix};
use crate::model::action::{Action, Done};
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::status::{Gauges, Phase, Status, TurnResult};
use crate::world::http::Api;

const USERS: [&str; 4] = ["group_only", "direct_and_group", "direct_only", "lost"];
const GROUPS: [&str; 4] = ["assigned", "emptied", "unassigned", "refused"];
const TRUTHS: [&str; 2] = ["true", "false"];

impl Metrics {
    /// Sets every gauge that a status speaks of; what it does not know stays as it was.
    pub fn publish(&self, status: &Status) {
        for phase in Phase::ALL {
            self.phase.with_label_values(&[phase.as_str()]).set(i64::from(*phase == status.phase));
        }
        for kind in ConditionKind::ALL {
            let now = status.condition(*kind).map(|condition| condition.status);
            for truth in Truth::ALL {
                self.condition.with_label_values(&[kind.as_str(), truth.as_str()]).set(i64::from(now == Some(*truth)));
            }
        }
        for reason in Reason::ALL {
            let given = status.conditions.iter().any(|condition| condition.reason == *reason);
            self.reason.with_label_values(&[reason.as_str()]).set(i64::from(given));
        }
        for brake in brakes() {
            let holds = status.held.iter().any(|held| known_brake(&held.brake) == brake);
            self.held.with_label_values(&[brake]).set(i64::from(holds));
        }
        set_time(&self.last_cycle, status.cycle.last_ended);
        if status.gauges.job_quarantined.is_some() {
            self.unread.seen(&series("sync_cycle_expected_by_timestamp_seconds", None));
            self.cycle_expected.set(status.cycle.expected_by.map_or(0.0, unix));
        }
        let remaining = &status.remaining;
        let writes = [remaining.assignments, remaining.member_removals, remaining.unassignments];
        for (kind, left) in WRITES.into_iter().zip(writes) {
            if let Some(left) = left {
                self.unread.seen(&series("writes_remaining", Some(("kind", kind))));
                self.writes_remaining.with_label_values(&[kind]).set(whole(left));
            }
        }
        self.earliest_finish.set(remaining.earliest_finish.map_or(0.0, unix));
        set_time(&self.last_success, status.last_success);
        self.publish_gauges(&status.gauges);
    }

    fn publish_gauges(&self, gauges: &Gauges) {
        let Gauges {
            users_group_only,
            users_direct_and_group,
            users_direct_only,
            groups_assigned,
            groups_emptied,
            groups_unassigned,
            groups_refused,
            groups_assigned_again,
            group_members,
            users_offboarded: _,
            target_users_active,
            target_users_inactive,
            target_groups_managed,
            target_groups_unmanaged,
            users_lost,
            token_revoked,
            job_quarantined,
            cycle_overdue,
            credential_expires,
        } = gauges;
        self.credential_expiry.set(credential_expires.map_or(0.0, unix));
        let labelled = [
            (&self.users, ("users", "state"), "group_only", users_group_only),
            (&self.users, ("users", "state"), "direct_and_group", users_direct_and_group),
            (&self.users, ("users", "state"), "direct_only", users_direct_only),
            (&self.users, ("users", "state"), "lost", users_lost),
            (&self.groups, ("groups", "state"), "assigned", groups_assigned),
            (&self.groups, ("groups", "state"), "emptied", groups_emptied),
            (&self.groups, ("groups", "state"), "unassigned", groups_unassigned),
            (&self.groups, ("groups", "state"), "refused", groups_refused),
            (&self.target_users, ("target_users", "active"), "true", target_users_active),
            (&self.target_users, ("target_users", "active"), "false", target_users_inactive),
            (&self.target_groups, ("target_groups", "managed"), "true", target_groups_managed),
            (&self.target_groups, ("target_groups", "managed"), "false", target_groups_unmanaged),
        ];
        for (gauge, (name, key), label, value) in labelled {
            if let Some(value) = value {
                self.unread.seen(&series(name, Some((key, label))));
                gauge.with_label_values(&[label]).set(whole(*value));
            }
        }
        for (gauge, name, value) in [
            (&self.group_members, "group_members", group_members),
            (&self.groups_assigned_again, "groups_assigned_again", groups_assigned_again),
            (&self.users_lost, "users_lost", users_lost),
        ] {
            if let Some(value) = value {
                self.unread.seen(&series(name, None));
                gauge.set(whole(*value));
            }
        }
        let flags = [
            (&self.token_revoked, "token_revoked", token_revoked),
            (&self.quarantined, "sync_job_quarantined", job_quarantined),
            (&self.cycle_overdue, "sync_cycle_overdue", cycle_overdue),
        ];
        for (gauge, name, value) in flags {
            if let Some(value) = value {
                self.unread.seen(&series(name, None));
                gauge.set(i64::from(*value));
            }
        }
    }

    /// Every label set that is known beforehand: a series that appears late hides its first increase.
    pub(super) fn start_at_zero(&self) {
        for phase in Phase::ALL {
            self.phase.with_label_values(&[phase.as_str()]);
        }
        for kind in ConditionKind::ALL {
            for truth in Truth::ALL {
                self.condition.with_label_values(&[kind.as_str(), truth.as_str()]);
            }
        }
        for reason in Reason::ALL {
            self.reason.with_label_values(&[reason.as_str()]);
        }
        for state in USERS {
            self.users.with_label_values(&[state]);
        }
        for state in GROUPS {
            self.groups.with_label_values(&[state]);
        }
        for kind in WRITES {
            self.writes_remaining.with_label_values(&[kind]);
        }
        for truth in TRUTHS {
            self.target_users.with_label_values(&[truth]);
            self.target_groups.with_label_values(&[truth]);
        }
        for brake in brakes() {
            self.held.with_label_values(&[brake]);
        }
        for result in TurnResult::ALL {
            self.turns.with_label_values(&[result.label()]);
        }
        for kind in Action::KINDS {
            for result in Done::ALL {
                self.actions.with_label_values(&[kind, result.label()]);
            }
        }
        for api in Api::ALL {
            self.throttled.with_label_values(&[api.label()]);
            self.throttle_wait.with_label_values(&[api.label()]);
            for operation in operations(api) {
                self.request_duration.with_label_values(&[api.label(), operation]);
                for code in CODES {
                    self.requests.with_label_values(&[api.label(), operation, code]);
                }
            }
        }
    }
}

/// What a look must have seen first.
pub(super) fn unread() -> Unread {
    let labelled = [
        ("users", "state", USERS.as_slice()),
        ("groups", "state", &GROUPS),
        ("writes_remaining", "kind", &WRITES),
        ("target_users", "active", &TRUTHS),
        ("target_groups", "managed", &TRUTHS),
    ];
    let labelled = labelled.iter().flat_map(|(name, key, labels)| labels.iter().map(|label| series(name, Some((*key, *label)))));
    let plain = [
        "group_members",
        "groups_assigned_again",
        "users_lost",
        "token_revoked",
        "sync_job_quarantined",
        "sync_cycle_overdue",
        "sync_cycle_expected_by_timestamp_seconds",
    ];
    Unread::of(labelled.chain(plain.into_iter().map(|name| series(name, None))))
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn set_time(gauge: &Gauge, at: Option<Timestamp>) {
    if let Some(at) = at {
        gauge.set(unix(at));
    }
}
