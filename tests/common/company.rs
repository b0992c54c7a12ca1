//! A small company in a known state. The model lets everything happen to it, the benchmark of planning makes a large one of it.
//!
//! Group 1 holds users 1 and 2 with role 1; group 2 holds users 2 and 3 with role 2. Every time is in minutes after noon;
//! the look is at minute 600, the baseline was taken at minute 0.

mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use unscim::model::action::Action;
use unscim::model::baseline::{AtTarget, Baseline, Binding, ManagedGroup, Protected};
use unscim::model::id::*;
use unscim::model::journal::Journal;
use unscim::model::memory::*;
use unscim::model::moment::{Moment, since};
use unscim::model::names::Names;
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::*;
use unscim::model::spec::Spec;
use uuid::Uuid;

pub const NOW: i64 = 600;

pub fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(0x100 + n))
}

pub fn group(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(0x200 + n))
}

pub fn role(n: u128) -> AppRoleId {
    AppRoleId(Uuid::from_u128(0x300 + n))
}

pub fn scim(n: u128) -> ScimId {
    ScimId::from(format!("u-{n}"))
}

pub fn at(minute: i64) -> Timestamp {
    "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

/// The same by both of our clocks.
pub fn moment(minute: i64) -> Moment {
    Moment { wall: at(minute), steady: since(Timestamp::UNIX_EPOCH, at(minute)) }
}

/// Who is in which group. Group n gives role n.
pub type Layout = &'static [(u128, &'static [u128])];

pub const MEMBERS: [(u128, &[u128]); 2] = [(1, &[1, 2]), (2, &[2, 3])];

pub struct Case {
    pub spec: Spec,
    pub seen: Snapshot,
    pub memory: Memory,
}

impl Case {
    /// Everything is known, and nothing was done yet.
    pub fn untouched() -> Case {
        let mut case = Case { spec: spec(&MEMBERS), seen: seen(&MEMBERS), memory: memory() };
        for (g, _) in MEMBERS {
            case.row(Principal::Group(group(g)), role(g), -1000);
        }
        case
    }

    pub fn rows(&mut self) -> &mut Vec<Assignment> {
        rows_of(&mut self.seen)
    }

    pub fn row(&mut self, principal: Principal, role: AppRoleId, made: i64) {
        let rows = self.rows();
        let id = AssignmentId::from(format!("row-{}", rows.len()));
        rows.push(Assignment { id, principal, role, created: Some(at(made)) });
    }

    pub fn journal(&mut self) -> &mut Journal {
        Arc::make_mut(&mut self.memory.journal)
    }

    pub fn covered_since(&mut self) -> &mut BTreeMap<UserId, Since> {
        Arc::make_mut(&mut self.memory.remembered.covered_since)
    }

    pub fn in_sight(&mut self, u: u128, r: u128, since: i64) {
        self.covered_since().entry(user(u)).or_default().insert(role(r), at(since));
    }

    /// A good cycle that began at this minute and took three.
    pub fn cycle(&mut self, began: i64) {
        let turn = self.memory.remembered.turn;
        let cycle = GoodCycle { activity: format!("cycle-{began}"), began: at(began), ended: at(began + 3), turn, clean: true };
        self.memory.remembered.cycles.push(cycle);
    }

    pub fn confirmed(&mut self, action: &Action, minute: i64) {
        let entry = self.journal().entries.entry(action.key()).or_default();
        entry.begin(1, at(minute));
        entry.confirm(at(minute), at(minute));
        entry.close();
        let latest = &mut self.journal().latest;
        *latest = (*latest).max(Some(at(minute)));
    }

    pub fn members(&mut self, g: u128) -> &mut BTreeSet<UserId> {
        members_of(&mut self.seen, group(g))
    }
}

pub fn rows_of(seen: &mut Snapshot) -> &mut Vec<Assignment> {
    match &mut seen.assignments {
        Listed::Known(look) => &mut look.value,
        Listed::Unknown(_) => panic!("the assignments are not known"),
    }
}

pub fn members_of(seen: &mut Snapshot, group: GroupId) -> &mut BTreeSet<UserId> {
    match &mut seen.groups.get_mut(&group).unwrap().members {
        Listed::Known(look) => &mut look.value.users,
        Listed::Unknown(_) => panic!("the members are not known"),
    }
}

pub fn spec(layout: Layout) -> Spec {
    spec::spec(layout.iter().map(|(g, _)| group(*g)))
}

pub fn known_record(n: u128) -> ScimUser {
    ScimUser {
        id: scim(n),
        user_name: Some(format!("user{n}@contoso.example").into()),
        external_id: None,
        active: Some(true),
        created: None,
    }
}

pub fn known_group(g: u128) -> ScimGroup {
    let id = ScimId::from(format!("g-{g}"));
    ScimGroup { id, display_name: Some(format!("Group {g}")), external_id: None }
}

pub fn calibration(at: Timestamp) -> Calibration {
    Calibration {
        url: "http://127.0.0.1:1/scim/Users".into(),
        token: "0000".into(),
        bad_token: Signature { status: 401, body: BodyShape::ScimError },
        bad_token_too: None,
        control: Control::Alike,
        liveness: 200,
        no_such: None,
        at,
    }
}

/// As Graph shows them.
pub fn known_user(n: u128) -> DirectoryUser {
    let name = format!("user{n}@contoso.example");
    DirectoryUser {
        id: user(n),
        user_principal_name: Some(name.as_str().into()),
        match_value: Some(name.into()),
        enabled: Some(true),
        guest: false,
    }
}

/// Nobody has done anything, and nobody is assigned to anything.
pub fn seen(layout: Layout) -> Snapshot {
    let roles = ["AppRoleAssignment.ReadWrite.All", "GroupMember.ReadWrite.All", "Application.Read.All", "User.Read.All"];
    let app_role = |n| AppRole { id: role(n), display_name: format!("Role {n}"), enabled: true, for_users: true };
    let mapping = Mapping {
        enabled: true,
        deletes: true,
        scoped: false,
        sources: BTreeMap::from([("username".into(), Some("userPrincipalName".into()))]),
    };
    let job = Job {
        delete_threshold: None,
        id: JobId("scim.job".into()),
        schedule: ScheduleState::Active,
        interval: Some(Duration::from_secs(2400)),
        code: JobCode::Active,
        last: Some(Execution {
            activity: "latest".into(),
            state: ExecutionState::Succeeded,
            began: at(580),
            ended: Some(at(583)),
            escrowed: Some(0),
            error: None,
        }),
        quarantine: None,
        steady_state_last: Some(at(583)),
    };
    let look = |value| Listed::Known(Look { at: at(NOW), value });
    let groups = layout.iter().map(|(g, members)| {
        let g = *g;
        let profile = GroupProfile {
            id: group(g),
            display_name: format!("Group {g}"),
            security_enabled: true,
            mail_enabled: false,
            dynamic: false,
            unified: false,
            team: false,
            synced: false,
            role_assignable: false,
            management_restricted: false,
            licensed: false,
            hidden: false,
            converted: false,
            rule_by_groups: false,
            rule_paused: false,
        };
        let members = Members { users: members.iter().map(|u| user(*u)).collect(), others: Vec::new() };
        let members = Listed::Known(Look { at: at(NOW), value: members });
        let uses = Listed::Known(GroupUses::default());
        (
            group(g),
            ObservedGroup {
                profile: Observed::Known(profile),
                uses,
                members,
                properties: Listed::Known(()),
                ..ObservedGroup::default()
            },
        )
    });
    Snapshot {
        began: moment(NOW),
        permissions: Observed::Known(Permissions { roles: roles.map(String::from).into(), directory_roles: BTreeSet::new() }),
        app: Observed::Known(App {
            id: ServicePrincipalId(Uuid::from_u128(2)),
            app_id: None,
            display_name: "Uniqkey".into(),
            roles: layout.iter().map(|(g, _)| app_role(*g)).collect(),
        }),
        assignments: Listed::Known(Look { at: at(NOW), value: Vec::new() }),
        groups: groups.collect(),
        jobs: look(vec![job]),
        schema: Observed::Known(SyncSchema { user: Some(mapping.clone()), group: Some(mapping) }),
        settings: Listed::Known(SyncSettings {
            delete_threshold: None,
            sync_all: Some(false),
            skip_out_of_scope_deletions: Some(false),
            base_address: None,
            oauth: Vec::new(),
        }),
        users: layout.iter().flat_map(|(_, users)| *users).map(|u| (user(*u), Observed::Known(known_user(*u)))).collect(),
        log: Listed::Known(Look { at: at(NOW), value: Log::default() }),
        target: ObservedTarget {
            token: TokenState::Accepted,
            token_ends: None,
            look: Listed::Unknown(Why::not_looked("the target")),
        },
        ..Snapshot::default()
    }
}

fn memory() -> Memory {
    let protected = |u: u128, groups: &[u128]| Protected {
        name: Some(format!("user{u}@contoso.example").into()),
        groups: groups.iter().map(|g| group(*g)).collect(),
        disabled: false,
        target: AtTarget::Record(known_record(u)),
    };
    let managed = |g: u128| ManagedGroup {
        display_name: format!("Group {g}"),
        roles: BTreeSet::from([role(g)]),
        scim: Some(known_group(g).id),
    };
    let baseline = Baseline {
        binding: Binding {
            tenant: TenantId(Uuid::from_u128(1)),
            app: ServicePrincipalId(Uuid::from_u128(2)),
            job: JobId("scim.job".into()),
            scim_url: "http://127.0.0.1:1/scim".into(),
        },
        taken: at(0),
        groups: BTreeMap::from([(group(1), managed(1)), (group(2), managed(2))]),
        users: BTreeMap::from([(user(1), protected(1, &[1])), (user(2), protected(2, &[1, 2])), (user(3), protected(3, &[2]))]),
    };
    let target = TargetLook {
        turn: 50,
        at: moment(NOW),
        users: [1, 2, 3].map(|u| (scim(u), known_record(u))).into(),
        groups: [1, 2].map(|g| (known_group(g).id, known_group(g))).into(),
        ..TargetLook::default()
    };
    Memory {
        baseline: Observed::Known(baseline),
        target: Some(Arc::new(target)),
        names: Names::Shown,
        remembered: Remembered { turn: 50, calibration: Some(calibration(at(0))), ..Remembered::default() },
        ..Memory::default()
    }
}
