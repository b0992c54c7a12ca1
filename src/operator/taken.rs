//! Two resources for one app: the older one has it. Two workers with a ledger each would undo each other's work.

use kube::{Resource as _, ResourceExt as _};

use super::resource::{Id, ScimRetirement};

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
