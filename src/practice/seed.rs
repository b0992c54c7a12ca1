//! Builds the tenant of a scenario: who is in which group, with which role, and who stands beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::chance::{Chance, Names};
use super::clock::{Clock, earlier};
use super::directory::{App, Group, Holder, Role, User};
use super::lagged::{Lagged, Presence};
use super::scenario::{GroupTrait, JobState, Scenario};
use super::watch::{Reach, Watch};
use super::world::World;
use crate::model::id::{AppRoleId, GroupId, JobId, ScimId, ServicePrincipalId, TenantId, UserId};

/// Who is who in a practice tenant.
#[derive(Clone, Debug)]
pub struct Ids {
    pub tenant: TenantId,
    /// Client id of the caller that the tenant knows.
    pub client: Uuid,
    pub service_principal: ServicePrincipalId,
    pub app_id: Uuid,
    pub app_name: String,
    pub job: JobId,
    /// Role of the groups with odd numbers.
    pub role_user: AppRoleId,
    /// Role of the groups with even numbers.
    pub role_admin: AppRoleId,
    /// Declared, but disabled.
    pub role_retired: AppRoleId,
    /// Another application, for groups that serve two.
    pub other_app: ServicePrincipalId,
    /// By number, from 1 (index 0).
    pub groups: Vec<GroupId>,
    /// By number, from 1 (index 0): the users who are in groups.
    pub users: Vec<UserId>,
    /// Users in two groups whose roles differ.
    pub two_roles: Vec<UserId>,
    /// A member of group 1 and not assigned itself.
    pub nested_group: GroupId,
    /// Members of the nested group and of nothing else: never to be provisioned.
    pub nested_only: Vec<UserId>,
    /// Assigned to nothing; user 1 is in it.
    pub stranger_group: GroupId,
    /// Assigned directly and in no group.
    pub direct_only: UserId,
    /// Outside of everything.
    pub outsider: UserId,
    /// At the target only, made by hand there.
    pub manual_user: Option<ScimId>,
    pub manual_group: Option<ScimId>,
}

const GROUP_NAMES: [&str; 5] = ["IT", "Finance", "Sales", "Legal", "Support"];
const DEPARTMENTS: [&str; 3] = ["Engineering", "Sales", "Support"];
const FIRST_NAMES: [&str; 8] = ["Ada", "Bo", "Cleo", "Dag", "Edda", "Finn", "Greta", "Hal"];
/// Everything that was there before time began is this old.
const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) fn world(scenario: &Scenario, clock: Clock) -> (World, Ids) {
    let names = Names::new(scenario.seed);
    let ids = ids(scenario, names);
    let everyone = scenario.job.sync_all.as_ref().is_some_and(|all| all.eq_ignore_ascii_case("true"));
    let watch = Watch::new(ids.service_principal, if everyone { Reach::All } else { Reach::Assigned });
    let mut world = World::new(clock, names, Chance::new(scenario.seed), watch);
    apps(&mut world, scenario, &ids);
    users(&mut world, scenario, &ids);
    groups(&mut world, scenario, &ids);
    assignments(&mut world, scenario, &ids);
    let born = earlier(clock.now(), AGE);
    world.backdate(born);
    world.lag = scenario.lag;
    world.settle();
    (world, ids)
}

fn ids(scenario: &Scenario, names: Names) -> Ids {
    let user = |name: String| UserId(names.id(&format!("user/{name}")));
    let group = |name: String| GroupId(names.id(&format!("group/{name}")));
    let role = |name: &str| AppRoleId(names.id(&format!("role/{name}")));
    let tenant = names.id("tenant");
    let users: Vec<_> = (1..=scenario.users).map(|n| user(n.to_string())).collect();
    let two_roles = (1..=scenario.users).filter(|n| second_group(scenario, *n).is_some_and(|g| roles_differ(scenario, *n, g)));
    Ids {
        tenant: TenantId(tenant),
        client: names.id("client"),
        service_principal: ServicePrincipalId(names.id("app/object")),
        app_id: names.id("app/client"),
        app_name: "Uniqkey".into(),
        job: JobId(format!("scim.{}.{}", tenant.simple(), names.id("job/1"))),
        role_user: role("user"),
        role_admin: role("admin"),
        role_retired: role("retired"),
        other_app: ServicePrincipalId(names.id("other/object")),
        groups: (1..=scenario.groups).map(|n| group(n.to_string())).collect(),
        two_roles: two_roles.map(|n| users[n - 1]).collect(),
        users,
        nested_group: group("nested".into()),
        nested_only: (1..=2).map(|n| user(format!("nested/{n}"))).collect(),
        stranger_group: group("strangers".into()),
        direct_only: user("direct".into()),
        outsider: user("outsider".into()),
        manual_user: None,
        manual_group: None,
    }
}

/// Number of the group in which every user is.
fn first_group(scenario: &Scenario, user: usize) -> usize {
    (user - 1) % scenario.groups.max(1) + 1
}

/// Number of the other group in which a user is.
fn second_group(scenario: &Scenario, user: usize) -> Option<usize> {
    let second = scenario.second_group;
    let next = (user - 1 + second.distance) % scenario.groups.max(1) + 1;
    (second.every > 0 && user.is_multiple_of(second.every) && next != first_group(scenario, user)).then_some(next)
}

fn roles_differ(scenario: &Scenario, user: usize, second: usize) -> bool {
    first_group(scenario, user) % 2 != second % 2
}

fn apps(world: &mut World, scenario: &Scenario, ids: &Ids) {
    let role = |id, name: &str, enabled| Role { id, name: name.into(), enabled };
    let roles =
        vec![role(ids.role_user, "User", true), role(ids.role_admin, "Admin", true), role(ids.role_retired, "Retired", false)];
    let app = |id, app_id, name: &str, roles| App { id, app_id, display_name: name.into(), roles };
    world.directory.apps.push(app(ids.service_principal, ids.app_id, &ids.app_name, roles.clone()));
    world.directory.apps.push(app(ids.other_app, world.names.id("other/client"), "Payroll", Vec::new()));
    if scenario.twin_app {
        let twin = ServicePrincipalId(world.names.id("twin/object"));
        world.directory.apps.push(app(twin, world.names.id("twin/client"), &ids.app_name, roles));
    }
}

fn users(world: &mut World, scenario: &Scenario, ids: &Ids) {
    let now = world.now();
    let mut add = |id: UserId, n: usize, nickname: String, upn: String| {
        let user = User {
            upn,
            display_name: format!("{} {nickname}", FIRST_NAMES[n % FIRST_NAMES.len()]),
            nickname,
            department: DEPARTMENTS[n % DEPARTMENTS.len()].into(),
            guest: scenario.guests.contains(&n),
            agent: scenario.agents.contains(&n),
            created: now,
            enabled: Lagged::new(now, !scenario.disabled_users.contains(&n)),
            presence: Lagged::new(now, Presence::There),
        };
        world.directory.users.insert(id, user);
    };
    let digits = scenario.users.to_string().len().max(2);
    for (n, id) in (1..).zip(&ids.users) {
        let nickname = format!("user{n:0digits$}");
        let upn = match scenario.guests.contains(&n) {
            true => format!("{nickname}_fabrikam.example#EXT#@contoso.example"),
            false => format!("{nickname}@contoso.example"),
        };
        add(*id, n, nickname, upn);
    }
    let extras = [
        (ids.direct_only, "direct"),
        (ids.outsider, "outsider"),
        (ids.nested_only[0], "nested1"),
        (ids.nested_only[1], "nested2"),
    ];
    for (n, (id, name)) in (scenario.users + 4..).zip(extras) {
        add(id, n, name.into(), format!("{name}@contoso.example"));
    }
}

fn groups(world: &mut World, scenario: &Scenario, ids: &Ids) {
    let now = world.now();
    let nobody = BTreeSet::new();
    let mut add = |id: GroupId, name: String, traits: &BTreeSet<GroupTrait>| {
        let mut parents = Vec::new();
        if traits.contains(&GroupTrait::AdministrativeUnit) || traits.contains(&GroupTrait::ManagementRestricted) {
            parents.push(("administrativeUnit", world.names.id("unit"), "Head office".to_owned()));
        }
        let group = Group { display_name: name, created: now, traits: traits.clone(), members: Default::default(), parents };
        world.directory.groups.insert(id, group);
    };
    for (n, id) in (1..).zip(&ids.groups) {
        let name = GROUP_NAMES.get(n - 1).map_or_else(|| format!("Group {n:02}"), |name| (*name).to_owned());
        add(*id, name, scenario.group_traits.get(&n).unwrap_or(&nobody));
    }
    add(ids.nested_group, "Interns".into(), &nobody);
    add(ids.stranger_group, "Strangers".into(), &nobody);
    let umbrella = GroupId(world.names.id("group/umbrella"));
    let nested: Vec<_> =
        (1..).zip(&ids.groups).filter(|(n, _)| has(scenario, *n, GroupTrait::Nested)).map(|(_, id)| id.0).collect();
    if !nested.is_empty() {
        let members = nested.into_iter().map(|id| (id, Lagged::new(now, Presence::There))).collect();
        let group = Group { display_name: "Umbrella".into(), created: now, traits: nobody, members, parents: Vec::new() };
        world.directory.groups.insert(umbrella, group);
    }
    memberships(world, scenario, ids);
}

fn memberships(world: &mut World, scenario: &Scenario, ids: &Ids) {
    const NEW: &str = "a new group has no members yet";
    if scenario.groups > 0 {
        for (n, user) in (1..).zip(&ids.users) {
            for group in [Some(first_group(scenario, n)), second_group(scenario, n)].into_iter().flatten() {
                world.join(ids.groups[group - 1], user.0, "").expect(NEW);
            }
        }
        world.join(ids.groups[0], ids.nested_group.0, "").expect(NEW);
    }
    for user in &ids.nested_only {
        world.join(ids.nested_group, user.0, "").expect(NEW);
    }
    if let Some(user) = ids.users.first() {
        world.join(ids.stranger_group, user.0, "").expect(NEW);
    }
    for (n, group) in (1..).zip(&ids.groups).filter(|(n, _)| has(scenario, *n, GroupTrait::HasDevice)) {
        let device = world.names.id(&format!("device/{n}"));
        world.directory.devices.insert(device);
        world.join(*group, device, "").expect(NEW);
    }
}

fn has(scenario: &Scenario, group: usize, what: GroupTrait) -> bool {
    scenario.group_traits.get(&group).is_some_and(|traits| traits.contains(&what))
}

/// The roles with which a group is assigned.
fn group_roles(scenario: &Scenario, ids: &Ids, n: usize) -> Vec<AppRoleId> {
    let own = if n % 2 == 1 { ids.role_user } else { ids.role_admin };
    if has(scenario, n, GroupTrait::Unassigned) {
        vec![]
    } else if has(scenario, n, GroupTrait::BothRoles) {
        vec![ids.role_user, ids.role_admin]
    } else if has(scenario, n, GroupTrait::ZeroRole) {
        vec![AppRoleId(Uuid::nil())]
    } else if has(scenario, n, GroupTrait::DisabledRole) {
        vec![ids.role_retired]
    } else {
        vec![own]
    }
}

fn assignments(world: &mut World, scenario: &Scenario, ids: &Ids) {
    const NEW: &str = "a new app has no assignments yet";
    let app = ids.service_principal;
    for (n, group) in (1..).zip(&ids.groups) {
        for role in group_roles(scenario, ids, n) {
            world.assign(app, Holder::Group(*group), role, "").expect(NEW);
        }
        if has(scenario, n, GroupTrait::OtherApp) {
            world.assign(ids.other_app, Holder::Group(*group), AppRoleId(Uuid::nil()), "").expect(NEW);
        }
    }
    for (n, user) in (1..).zip(&ids.users).filter(|(n, _)| scenario.direct_users.contains(n)) {
        let roles = if scenario.groups == 0 { vec![ids.role_user] } else { group_roles(scenario, ids, first_group(scenario, n)) };
        for role in roles {
            world.assign(app, Holder::User(*user), role, "").expect(NEW);
        }
    }
    world.assign(app, Holder::User(ids.direct_only), ids.role_user, "").expect(NEW);
}

/// Whether time begins with a target that has been filled.
pub(crate) fn has_history(scenario: &Scenario) -> bool {
    match scenario.job.state {
        JobState::Active | JobState::Paused | JobState::Quarantined => true,
        JobState::NeverRun => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::world::Account;

    #[tokio::test(start_paused = true)]
    async fn what_it_keeps_is_what_a_whole_look_would_find() {
        let scenario = Scenario { users: 12, groups: 3, ..Scenario::default() };
        let (mut world, ids) = world(&scenario, Clock::new(scenario.start, 1.0));
        let (mut chance, mut before, mut dropped) = (Chance::new(7), world.scope(), 0);
        let roles = [ids.role_user, ids.role_admin];
        for _ in 0..5_000 {
            let mut draw = |n: usize| (chance.draw() % n as u64) as usize;
            let (user, group, role) = (ids.users[draw(12)], ids.groups[draw(3)], roles[draw(2)]);
            let holder = if draw(2) == 0 { Holder::User(user) } else { Holder::Group(group) };
            let there = world.rows_of(holder.id()).filter(|row| row.presence.is_there());
            let held: Vec<_> = there.map(|row| (row.app, row.id.clone())).collect();
            // Whether anything changes is no matter.
            let _ = match draw(12) {
                0..3 => world.assign(ids.service_principal, holder, role, "").map(|_| ()),
                3..6 => held.first().map_or(Ok(()), |(app, row)| world.unassign(*app, row, "")),
                6..8 => world.join(group, user.0, ""),
                8..11 => world.leave(group, user.0, ""),
                11 if draw(200) == 0 => world.delete_user(user, ""),
                _ => world.set_account(user, Account::Disabled, ""),
            };
            let whole = Watch::new(ids.service_principal, Reach::Assigned).scope_of(&world);
            assert_eq!(world.scope(), whole);
            dropped += before.difference(&whole).count();
            before = whole;
        }
        assert!(dropped > 100 && world.moments().len() == dropped, "{dropped}");
    }
}
