//! Reads of the app, its assignments, groups and users; never writes.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::client::{Ask, GraphClient, path};
use super::fetch::{Consistency, Kept, Listed, Wanted};
use super::token::TokenSource;
use super::wire::directory::{
    Attribute, Member, WireApp, WireAssignment, WireGroup, WireMember, WireParent, WirePolicy, WireUser,
};
use crate::model::id::{GroupId, ServicePrincipalId, UserId};
use crate::model::snapshot::{App, Assignment, DirectoryUser, GroupProfile, GroupUses, Look, Members, Policy};
use crate::model::spec::AppRef;
use crate::world::error::{Error, Result};

const APP_SELECT: (&str, &str) = ("$select", "id,appId,displayName,accountEnabled,appRoles,appRoleAssignmentRequired,tags");
/// The largest page; smaller ones have been seen to lose rows.
const TOP: (&str, &str) = ("$top", "999");

pub async fn app<T: TokenSource>(client: &GraphClient<T>, app: &AppRef) -> Result<App> {
    let ask =
        |what: String| Ask { operation: "get_app", needs: "Application.Read.All", doing: format!("looking up the app {what}") };
    match app {
        AppRef::ServicePrincipalId(id) => {
            let ask = ask(format!("with object id {id}"));
            match by_object_id(client, &ask, id.0).await {
                Err(Error::NotFound { doing, request_id }) => match by_app_id(client, &ask, id.0).await {
                    Ok(found) => Err(ask.ambiguous(format!(
                        "this is the application (client) id of {:?}; use its object id {} as servicePrincipalId",
                        found.display_name, found.id
                    ))),
                    Err(_) => Err(Error::NotFound { doing, request_id }),
                },
                other => other,
            }
        }
        AppRef::AppId(id) => {
            let ask = ask(format!("with appId {id}"));
            match by_app_id(client, &ask, *id).await {
                Err(Error::NotFound { doing, request_id }) => match by_object_id(client, &ask, *id).await {
                    Ok(found) => Err(ask.ambiguous(format!(
                        "this is the object id of {:?}, not its appId; give it as servicePrincipalId",
                        found.display_name
                    ))),
                    Err(_) => Err(Error::NotFound { doing, request_id }),
                },
                other => other,
            }
        }
        AppRef::DisplayName(name) => {
            let ask = ask(format!("named {name:?}"));
            let filter = format!("displayName eq '{}'", name.replace('\'', "''"));
            let query = [("$filter", filter.as_str()), APP_SELECT];
            let found: Listed<WireApp> = client.list(&ask, &["servicePrincipals"], &query, Consistency::Usual, whole).await?;
            let mut found: Vec<App> = found.rows.into_iter().map(WireApp::into_model).collect();
            match (found.pop(), found.is_empty()) {
                (Some(app), true) => Ok(app),
                (None, _) => Err(ask.ambiguous("there is no enterprise application of this name; give its servicePrincipalId")),
                (Some(last), false) => {
                    found.push(last);
                    let ids: Vec<String> = found.iter().map(|app| format!("{} ({:?})", app.id, app.display_name)).collect();
                    let (count, ids) = (ids.len(), ids.join(", "));
                    Err(ask
                        .ambiguous(format!("{count} apps have this name: {ids}; give the servicePrincipalId of the one meant")))
                }
            }
        }
    }
}

async fn by_object_id<T: TokenSource>(client: &GraphClient<T>, ask: &Ask, id: Uuid) -> Result<App> {
    let found: WireApp = client.get(ask, &["servicePrincipals", &id.to_string()], &[APP_SELECT]).await?;
    is_the_one(ask, id, found.id)?;
    Ok(found.into_model())
}

async fn by_app_id<T: TokenSource>(client: &GraphClient<T>, ask: &Ask, id: Uuid) -> Result<App> {
    let found: WireApp = client.get(ask, &[&format!("servicePrincipals(appId='{id}')")], &[APP_SELECT]).await?;
    if found.app_id == Some(id) { Ok(found.into_model()) } else { Err(ask.malformed("the answer is about another app")) }
}

pub async fn assignments<T: TokenSource>(client: &GraphClient<T>, app: ServicePrincipalId) -> Result<Look<Vec<Assignment>>> {
    let ask = Ask {
        operation: "list_assignments",
        needs: "Application.Read.All",
        doing: format!("listing the assignments of app {app}"),
    };
    let path = ["servicePrincipals", &app.to_string(), "appRoleAssignedTo"];
    let of_this_app = |row: WireAssignment| match row.resource_id.filter(|id| *id != app.0) {
        Some(stray) => Err(format!("the list has an assignment of another app, {stray}")),
        None => Ok(Some(row.into_model())),
    };
    look(&ask, client.list(&ask, &path, &[TOP], Consistency::Usual, of_this_app).await?, |rows| rows)
}

pub async fn groups<T: TokenSource>(client: &GraphClient<T>, groups: &[GroupId]) -> Vec<Result<GroupProfile>> {
    let wanted = |group: &GroupId| Wanted {
        ask: Ask { operation: "get_group", needs: "GroupMember.Read.All", doing: format!("reading group {group}") },
        path: path(&["groups", &group.to_string()]),
        query: vec![("$select", WireGroup::SELECT.to_owned())],
        consistency: Consistency::Usual,
    };
    let wanted: Vec<Wanted> = groups.iter().map(wanted).collect();
    let found = client.get_all::<WireGroup>(&wanted).await;
    let checked = |((group, wanted), found): ((&GroupId, &Wanted), Result<WireGroup>)| {
        let found = found?;
        is_the_one(&wanted.ask, group.0, found.id)?;
        Ok(found.into_model())
    };
    groups.iter().zip(&wanted).zip(found).map(checked).collect()
}

pub async fn uses<T: TokenSource>(
    client: &GraphClient<T>,
    groups: &[GroupId],
    app: ServicePrincipalId,
) -> Vec<Result<GroupUses>> {
    let assigned = |group: &GroupId| Wanted {
        ask: Ask {
            operation: "list_group_assignments",
            needs: "Application.Read.All and GroupMember.Read.All",
            doing: format!("listing the apps that group {group} is assigned to"),
        },
        path: path(&["groups", &group.to_string(), "appRoleAssignments"]),
        query: vec![top()],
        consistency: Consistency::Usual,
    };
    let parents = |group: &GroupId| Wanted {
        ask: Ask {
            operation: "list_group_parents",
            needs: "GroupMember.Read.All",
            doing: format!("listing what group {group} is a member of"),
        },
        path: path(&["groups", &group.to_string(), "memberOf"]),
        query: vec![top(), ("$select", "id,displayName".to_owned())],
        consistency: Consistency::Usual,
    };
    let (assigned, parents): (Vec<Wanted>, Vec<Wanted>) = groups.iter().map(|group| (assigned(group), parents(group))).unzip();
    let rows = client.list_all::<WireAssignment, _>(&assigned, whole).await;
    let member_of = client.list_all::<WireParent, _>(&parents, whole).await;
    let other_apps = |wanted: &Wanted, rows: Listed<WireAssignment>| {
        let mut other_apps = BTreeSet::new();
        for row in rows.rows {
            let resource = row.resource_id.ok_or_else(|| wanted.ask.malformed("an assignment does not say to which app"))?;
            if resource != app.0 {
                other_apps.insert(row.resource_display_name.unwrap_or_else(|| resource.to_string()));
            }
        }
        Ok(other_apps.into_iter().collect())
    };
    let names = |parents: Listed<WireParent>| {
        let names: BTreeSet<String> = parents.rows.into_iter().map(WireParent::name).collect();
        names.into_iter().collect()
    };
    let apps = assigned.iter().zip(rows).map(|(wanted, rows)| rows.and_then(|rows| other_apps(wanted, rows)));
    apps.zip(member_of).map(|(apps, parents)| Ok(GroupUses { other_apps: apps?, member_of: parents.map(names)? })).collect()
}

pub async fn policies<T: TokenSource>(client: &GraphClient<T>) -> Result<Vec<Policy>> {
    let ask =
        Ask { operation: "list_policies", needs: "Policy.Read.All", doing: "listing the Conditional Access policies".to_owned() };
    let path = ["identity", "conditionalAccess", "policies"];
    let query = [("$select", "id,displayName,conditions")];
    let listed: Listed<WirePolicy> = client.list(&ask, &path, &query, Consistency::Usual, whole).await?;
    Ok(listed.rows.into_iter().map(WirePolicy::into_model).collect())
}

pub async fn members<T: TokenSource>(client: &GraphClient<T>, groups: &[GroupId]) -> Vec<Result<Look<Members>>> {
    let wanted = |group: &GroupId| Wanted {
        ask: Ask {
            operation: "list_members",
            needs: "GroupMember.Read.All",
            doing: format!("listing the members of group {group}"),
        },
        path: path(&["groups", &group.to_string(), "members"]),
        query: vec![top(), ("$select", "id".to_owned())],
        consistency: Consistency::Usual,
    };
    let wanted: Vec<Wanted> = groups.iter().map(wanted).collect();
    let listed = client.list_all(&wanted, |row: WireMember| Ok(Some(row.into_member()))).await;
    let sorted = |rows: Vec<Member>| {
        let users = rows.iter().filter(|row| row.other.is_none()).map(|row| UserId(row.id)).collect();
        let others = rows.into_iter().filter_map(|row| Some((row.other?.into(), row.id))).collect();
        Members { users, others }
    };
    let looked = |(wanted, listed): (&Wanted, Result<Listed<Member>>)| look(&wanted.ask, listed?, sorted);
    wanted.iter().zip(listed).map(looked).collect()
}

pub async fn properties<T: TokenSource>(
    client: &GraphClient<T>,
    groups: &[GroupId],
    attribute: &str,
) -> Vec<Result<Vec<DirectoryUser>>> {
    let ask = |group: &GroupId| Ask {
        operation: "list_member_properties",
        needs: "GroupMember.Read.All and User.Read.All",
        doing: format!("reading the user members of group {group}"),
    };
    let Some(attribute) = Attribute::parse(attribute) else {
        return groups.iter().map(|group| Err(no_attribute(&ask(group), attribute))).collect();
    };
    let wanted = |group: &GroupId| Wanted {
        ask: ask(group),
        path: path(&["groups", &group.to_string(), "members", "microsoft.graph.user"]),
        query: vec![top(), ("$count", "true".to_owned()), ("$select", attribute.select())],
        consistency: Consistency::Eventual,
    };
    let wanted: Vec<Wanted> = groups.iter().map(wanted).collect();
    let listed = client.list_all(&wanted, |user: WireUser| Ok(Some(user.into_model(&attribute)))).await;
    listed.into_iter().map(|listed| Ok(listed?.rows)).collect()
}

pub async fn users<T: TokenSource>(client: &GraphClient<T>, users: &[UserId], attribute: &str) -> Vec<Result<DirectoryUser>> {
    let ask = |user: &UserId| Ask { operation: "get_user", needs: "User.Read.All", doing: format!("reading user {user}") };
    let Some(attribute) = Attribute::parse(attribute) else {
        return users.iter().map(|user| Err(no_attribute(&ask(user), attribute))).collect();
    };
    let wanted = |user: &UserId| Wanted {
        ask: ask(user),
        path: path(&["users", &user.to_string()]),
        query: vec![("$select", attribute.select())],
        consistency: Consistency::Usual,
    };
    let wanted: Vec<Wanted> = users.iter().map(wanted).collect();
    let found = client.get_all::<WireUser>(&wanted).await;
    let checked = |((user, wanted), found): ((&UserId, &Wanted), Result<WireUser>)| {
        let found = found?;
        is_the_one(&wanted.ask, user.0, found.id)?;
        Ok(found.into_model(&attribute))
    };
    users.iter().zip(&wanted).zip(found).map(checked).collect()
}

/// For lists that are short.
pub fn whole<R>(row: R) -> Kept<R> {
    Ok(Some(row))
}

fn top() -> (&'static str, String) {
    (TOP.0, TOP.1.to_owned())
}

/// A list with the service's time, without which nothing follows from it.
pub fn look<R, V>(ask: &Ask, listed: Listed<R>, value: impl FnOnce(Vec<R>) -> V) -> Result<Look<V>> {
    let at = listed.at.ok_or_else(|| ask.malformed("the answer has no Date header"))?;
    Ok(Look { at, value: value(listed.rows) })
}

fn is_the_one(ask: &Ask, asked: Uuid, got: Uuid) -> Result<()> {
    if asked == got { Ok(()) } else { Err(ask.malformed(format!("the answer is about another object, {got}"))) }
}

fn no_attribute(ask: &Ask, attribute: &str) -> Error {
    ask.malformed(format!("{attribute:?} is no plain attribute of a user; set target.matchFrom to one"))
}
