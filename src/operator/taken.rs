//! Two resources for one app: the older one has it. Two workers with a ledger each would undo each other's work.

use kube::{Resource as _, ResourceExt as _};

use super::resource::{Id, ScimRetirement};
use crate::model::condition::ConditionKind;

pub fn id(resource: &ScimRetirement) -> Id {
    Id { namespace: resource.namespace().unwrap_or_default(), name: resource.name_any() }
}

/// The tenant and the app as they are written; a name and an id of one app are not known to be the same here.
fn app(resource: &ScimRetirement) -> Option<(&str, (&str, &str))> {
    let config = &resource.spec.config;
    Some((config.tenant()?, config.app()?))
}

/// The enterprise application, where the worker has told it.
fn known(resource: &ScimRetirement) -> Option<(&str, String)> {
    let config = &resource.spec.config;
    let named = config.app().filter(|(field, _)| *field == "servicePrincipalId").map(|(_, id)| id.to_owned());
    let told = || Some(resource.status.as_ref()?.app.as_ref()?.service_principal_id.to_ascii_lowercase());
    Some((config.tenant()?, named.or_else(told)?))
}

fn age(resource: &ScimRetirement) -> (Option<jiff::Timestamp>, String) {
    (resource.creation_timestamp().map(|time| time.0), resource.meta().uid.clone().unwrap_or_default())
}

/// An older resource for the same app.
pub fn by<'a>(resource: &ScimRetirement, all: impl IntoIterator<Item = &'a ScimRetirement>) -> Option<Id> {
    let (own_app, own_known, own_age) = (app(resource)?, known(resource), age(resource));
    let is_same =
        |other: &ScimRetirement| app(other).as_ref() == Some(&own_app) || (own_known.is_some() && known(other) == own_known);
    let older = all.into_iter().filter(|other| other.meta().uid != resource.meta().uid && age(other) < own_age && is_same(other));
    older.min_by_key(|other| age(other)).map(id)
}

/// Whom Graph grants a quota to: a client in a tenant.
pub type Quota = (Option<String>, Option<String>);

pub fn quota(resource: &ScimRetirement) -> Quota {
    let config = &resource.spec.config;
    (config.tenant().map(str::to_owned), config.client().map(str::to_owned))
}

/// All that are of one quota with this resource, itself among them.
pub fn of_one_quota<'a>(
    resource: &ScimRetirement,
    all: impl IntoIterator<Item = &'a ScimRetirement>,
) -> impl Iterator<Item = &'a ScimRetirement> {
    let own = (resource.spec.config.tenant(), resource.spec.config.client());
    all.into_iter().filter(move |one| (one.spec.config.tenant(), one.spec.config.client()) == own)
}

/// Among how many workers a quota is divided. Beyond a few it is a power of two, so that one more or less does not change the config
/// of all of them.
pub fn sharers<'a>(all: impl IntoIterator<Item = &'a ScimRetirement>) -> u32 {
    let is_over = |one: &ScimRetirement| one.status.as_ref().is_some_and(|status| status.is_true(ConditionKind::Ready));
    let writes = |one: &&ScimRetirement| one.spec.config.writes() && !is_over(one) && one.meta().deletion_timestamp.is_none();
    match u32::try_from(all.into_iter().filter(writes).count()).unwrap_or(u32::MAX) {
        few @ ..=4 => few.max(1),
        many => many.checked_next_power_of_two().unwrap_or(many),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(name: &str, minute: u32, app: Value, told: Option<&str>) -> ScimRetirement {
        serde_json::from_value(json!({
            "apiVersion": "unscim.dev/v1alpha1", "kind": "ScimRetirement",
            "metadata": { "name": name, "namespace": "a", "uid": name, "creationTimestamp": format!("2026-11-29T10:{minute:02}:00Z") },
            "spec": { "entra": { "tenantId": "T", "app": app } },
            "status": told.map(|id| json!({ "app": { "servicePrincipalId": id, "name": "Uniqkey" } })),
        }))
        .unwrap()
    }

    #[test]
    fn a_quota_is_divided_among_those_who_write() {
        let client = |id: &str, mode: &str, hold: &str| {
            let credential = json!({ "clientId": id });
            let fields = json!({ "mode": mode, "hold": hold, "entra": { "tenantId": "T", "credential": credential, "app": {} } });
            let mut one = resource("x", 0, json!({}), None);
            one.spec.config = serde_json::from_value(fields).unwrap();
            one
        };
        let writing = client("C", "Enforce", "None");
        let mut over = writing.clone();
        over.status = serde_json::from_value(json!({ "conditions": [{
            "type": "Ready", "status": "True", "reason": "Retired", "message": "", "lastTransitionTime": "2026-11-29T10:00:00Z",
        }]}))
        .unwrap();
        let others = [client("c", "Observe", "None"), client("C", "Enforce", "Held"), over, client("D", "Enforce", "None")];
        let all = |n: usize| others.iter().chain(std::iter::repeat_n(&writing, n)).collect::<Vec<_>>();
        for (writing_ones, divided) in [(0, 1), (1, 1), (2, 2), (3, 3), (4, 4), (5, 8), (8, 8), (9, 16)] {
            assert_eq!(sharers(of_one_quota(&writing, all(writing_ones))), divided, "{writing_ones}");
        }
    }

    #[test]
    fn the_older_resource_has_the_app_however_both_name_it() {
        let by_id = |id: &str| json!({ "servicePrincipalId": id });
        let (first, second, other) =
            (resource("x", 0, by_id("S"), None), resource("y", 1, by_id("s"), None), resource("z", 2, by_id("q"), None));
        let all = [&second, &first, &other];
        assert_eq!(by(&first, all), None);
        assert_eq!(by(&second, all).unwrap().name, "x");
        assert_eq!(by(&other, all), None);
        let named = json!({ "displayName": "Uniqkey" });
        let (unread, read) = (resource("u", 3, named.clone(), None), resource("v", 4, named, Some("Q")));
        assert_eq!(by(&unread, all), None, "what a name leads to is not known");
        assert_eq!(by(&read, all).unwrap().name, "z", "and then it is");
    }
}
