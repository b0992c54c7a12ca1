//! Reads of Privileged Identity Management of groups: who is a member for a while, and who may become one; never writes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::client::{Ask, GraphClient, path};
use super::fetch::{Consistency, Listed, Wanted};
use super::reads::whole;
use super::token::TokenSource;
use super::wire::pim::{Hold, WireSchedule};
use crate::model::id::{GroupId, UserId};
use crate::model::snapshot::OptionalLook;
use crate::world::error::Result;

/// Whose membership ends, and when. Who is a member for good beside that is not among them.
pub async fn lent<T: TokenSource>(
    client: &GraphClient<T>,
    groups: &[GroupId],
) -> Vec<Result<BTreeMap<UserId, Option<Timestamp>>>> {
    let ask = |group: &GroupId| Ask {
        operation: "list_activations",
        needs: OptionalLook::Activations.permissions()[0],
        doing: format!("listing who is a member of group {group} for a while"),
    };
    let ending = |rows: Vec<WireSchedule>| {
        let (mut ending, mut lasting) = (BTreeMap::new(), BTreeSet::new());
        for row in rows {
            match row.hold() {
                Hold::Lasting => _ = lasting.insert(row.principal()),
                Hold::Ending(at) => {
                    let until: &mut Option<Timestamp> = ending.entry(row.principal()).or_default();
                    *until = (*until).max(at.0);
                }
            }
        }
        ending.retain(|user, _| !lasting.contains(user));
        ending
    };
    schedules(client, "assignmentScheduleInstances", groups, ask, ending).await
}

/// Who may make themselves members for a while.
pub async fn eligible<T: TokenSource>(client: &GraphClient<T>, groups: &[GroupId]) -> Vec<Result<BTreeSet<UserId>>> {
    let ask = |group: &GroupId| Ask {
        operation: "list_eligibilities",
        needs: OptionalLook::Eligibilities.permissions()[0],
        doing: format!("listing who may become a member of group {group}"),
    };
    let principals = |rows: Vec<WireSchedule>| rows.iter().map(WireSchedule::principal).collect();
    schedules(client, "eligibilityScheduleInstances", groups, ask, principals).await
}

async fn schedules<T: TokenSource, V>(
    client: &GraphClient<T>,
    list: &str,
    groups: &[GroupId],
    ask: impl Fn(&GroupId) -> Ask,
    value: impl Fn(Vec<WireSchedule>) -> V,
) -> Vec<Result<V>> {
    let wanted = |group: &GroupId| Wanted {
        ask: ask(group),
        path: path(&["identityGovernance", "privilegedAccess", "group", list]),
        // `$top` is not among the options that these lists know.
        query: vec![("$filter", format!("groupId eq '{group}'"))],
        consistency: Consistency::Usual,
    };
    let wanted: Vec<Wanted> = groups.iter().map(wanted).collect();
    let listed = client.list_all::<WireSchedule, _>(&wanted, whole).await;
    let checked = |((group, wanted), listed): ((&GroupId, &Wanted), Result<Listed<WireSchedule>>)| {
        let rows = listed?.rows.into_iter().filter_map(|row| row.of(*group).transpose());
        let rows: std::result::Result<_, String> = rows.collect();
        Ok(value(rows.map_err(|why| wanted.ask.malformed(why))?))
    };
    groups.iter().zip(&wanted).zip(listed).map(checked).collect()
}
