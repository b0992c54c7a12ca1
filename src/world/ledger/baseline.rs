//! The baseline and the binding in their tables: rows are added, never changed or removed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::trouble::Trouble;
use crate::model::baseline::{AtTarget, Baseline, Binding, Growth, ManagedGroup, Protected};
use crate::model::compact::{Few, Pool, packed};
use crate::model::id::{AppRoleId, GroupId, JobId, ScimId, ServicePrincipalId, TenantId, UserId};

type Result<T> = std::result::Result<T, Trouble>;

fn binding(connection: &Connection) -> Result<Option<Binding>> {
    let parts = (meta(connection, "tenant")?, meta(connection, "app")?, meta(connection, "job")?, meta(connection, "scim_url")?);
    match parts {
        (Some(tenant), Some(app), Some(job), Some(scim_url)) => Ok(Some(Binding {
            tenant: TenantId(guid(&tenant)?),
            app: ServicePrincipalId(guid(&app)?),
            job: JobId(job),
            scim_url,
        })),
        (None, None, None, None) => Ok(None),
        _ => Err(Trouble::Content("a part of the binding is missing".into())),
    }
}

fn write_binding(transaction: &Transaction<'_>, binding: &Binding) -> Result<()> {
    let Binding { tenant, app, job, scim_url } = binding;
    set_meta(transaction, "tenant", &tenant.to_string())?;
    set_meta(transaction, "app", &app.to_string())?;
    set_meta(transaction, "job", &job.0)?;
    set_meta(transaction, "scim_url", scim_url)
}

pub(super) fn read(connection: &Connection) -> Result<Option<Baseline>> {
    let taken = meta(connection, "baseline_taken")?;
    let groups = read_groups(connection)?;
    let users = read_users(connection)?;
    match (taken, binding(connection)?) {
        (Some(taken), Some(binding)) => Ok(Some(Baseline { binding, taken: taken.parse::<Timestamp>()?, groups, users })),
        (Some(_), None) => Err(Trouble::Content("there is a baseline without a binding".into())),
        (None, _) if groups.is_empty() && users.is_empty() => Ok(None),
        (None, _) => Err(Trouble::Content("there are groups or users of a baseline that is not there".into())),
    }
}

pub(super) fn create(transaction: &Transaction<'_>, baseline: &Baseline) -> Result<()> {
    let Baseline { binding, taken, groups, users } = baseline;
    if meta(transaction, "baseline_taken")?.is_some() {
        return Err(Trouble::Refused("there is one already, and it is never replaced".into()));
    }
    write_binding(transaction, binding)?;
    set_meta(transaction, "baseline_taken", &taken.to_string())?;
    for (id, ManagedGroup { display_name, roles, scim }) in groups {
        transaction
            .prepare_cached("INSERT INTO baseline_groups (id, display_name, scim) VALUES (?1, ?2, ?3)")?
            .execute(params![id.to_string(), display_name, scim.as_ref().map(ToString::to_string)])?;
        add_roles(transaction, *id, roles)?;
    }
    users.iter().try_for_each(|(id, user)| add_user(transaction, *id, user))
}

pub(super) fn grow(transaction: &Transaction<'_>, growth: &Growth) -> Result<()> {
    let Growth { users, roles, records } = growth;
    if meta(transaction, "baseline_taken")?.is_none() {
        return Err(Trouble::Refused("there is no baseline to add to".into()));
    }
    users.iter().try_for_each(|(id, user)| add_user(transaction, *id, user))?;
    records.iter().try_for_each(|(id, target)| add_record(transaction, *id, target))?;
    roles.iter().try_for_each(|(id, roles)| add_roles(transaction, *id, roles))
}

/// Only groups of the baseline have roles; others are not ours.
fn add_roles(transaction: &Transaction<'_>, group: GroupId, roles: &BTreeSet<AppRoleId>) -> Result<()> {
    let sql = "INSERT INTO baseline_roles (group_id, role) SELECT id, ?2 FROM baseline_groups WHERE id = ?1
               ON CONFLICT DO NOTHING";
    let mut insert = transaction.prepare_cached(sql)?;
    for role in roles {
        insert.execute(params![group.to_string(), role.to_string()])?;
    }
    Ok(())
}

/// What is known of a user stays; groups are added.
fn add_user(transaction: &Transaction<'_>, id: UserId, user: &Protected) -> Result<()> {
    let Protected { name, groups, disabled, target } = user;
    let record = target.record().map(serde_json::to_string).transpose()?;
    let is_new = transaction
        .prepare_cached("INSERT INTO baseline_users (id, name, disabled, target) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![id.to_string(), name, disabled, record])?
        > 0;
    if is_new && *target == AtTarget::NoRecord {
        add_record(transaction, id, target)?;
    }
    let mut insert =
        transaction.prepare_cached("INSERT INTO baseline_members (user_id, group_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for group in groups {
        insert.execute(params![id.to_string(), group.to_string()])?;
    }
    Ok(())
}

/// What was looked for later, or found to be not there. The last line of a user counts.
fn add_record(transaction: &Transaction<'_>, id: UserId, target: &AtTarget) -> Result<()> {
    if *target == AtTarget::NotRead {
        return Ok(());
    }
    let record = target.record().map(serde_json::to_string).transpose()?;
    transaction
        .prepare_cached("INSERT INTO baseline_records (user_id, target) VALUES (?1, ?2)")?
        .execute(params![id.to_string(), record])?;
    Ok(())
}

fn read_groups(connection: &Connection) -> Result<BTreeMap<GroupId, ManagedGroup>> {
    let mut groups = BTreeMap::new();
    let mut statement = connection.prepare_cached("SELECT id, display_name, scim FROM baseline_groups")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = GroupId(guid(&row.get::<_, String>(0)?)?);
        let scim = row.get::<_, Option<String>>(2)?.map(ScimId::from);
        groups.insert(id, ManagedGroup { display_name: row.get(1)?, roles: BTreeSet::new(), scim });
    }
    let mut statement = connection.prepare_cached("SELECT group_id, role FROM baseline_roles")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = GroupId(guid(&row.get::<_, String>(0)?)?);
        let group = groups.get_mut(&id).ok_or_else(|| Trouble::Content(format!("a role of group {id}, which is not there")))?;
        group.roles.insert(AppRoleId(guid(&row.get::<_, String>(1)?)?));
    }
    Ok(groups)
}

fn read_users(connection: &Connection) -> Result<BTreeMap<UserId, Protected>> {
    let (mut users, mut pool) = (BTreeMap::new(), Pool::default());
    let mut statement = connection.prepare_cached("SELECT id, name, disabled, target FROM baseline_users")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = UserId(guid(&row.get::<_, String>(0)?)?);
        let target = row.get::<_, Option<String>>(3)?.map(|text| serde_json::from_str(&text)).transpose()?;
        // A ledger of an earlier version has no word for a record that was never looked for: it is looked for again.
        let target = target.map_or(AtTarget::NotRead, AtTarget::Record);
        users.insert(id, Protected { name: row.get(1)?, groups: Few::default(), disabled: row.get(2)?, target });
    }
    let mut statement = connection.prepare_cached("SELECT user_id, target FROM baseline_records ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = UserId(guid(&row.get::<_, String>(0)?)?);
        let user = users.get_mut(&id).ok_or_else(|| Trouble::Content(format!("a record of user {id}, who is not there")))?;
        let target = row.get::<_, Option<String>>(1)?.map(|text| serde_json::from_str(&text)).transpose()?;
        user.target = target.map_or(AtTarget::NoRecord, AtTarget::Record);
    }
    let mut statement = connection.prepare_cached("SELECT user_id, group_id FROM baseline_members")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = UserId(guid(&row.get::<_, String>(0)?)?);
        let user = users.get_mut(&id).ok_or_else(|| Trouble::Content(format!("a membership of user {id}, who is not there")))?;
        user.groups.insert(GroupId(guid(&row.get::<_, String>(1)?)?));
        user.groups = pool.share(std::mem::take(&mut user.groups));
    }
    Ok(packed(users))
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

fn set_meta(transaction: &Transaction<'_>, key: &str, value: &str) -> Result<()> {
    transaction.prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2)")?.execute([key, value])?;
    Ok(())
}

fn guid(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|error| Trouble::Content(format!("{text:?} is no id: {error}")))
}
