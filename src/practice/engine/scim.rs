//! What the engine says to a SCIM service, in either of Entra's two forms, and how it gets there. It keeps no state.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use crate::model::engine::Attributes;
use crate::model::id::ScimId;
use crate::practice::scenario::ActiveBy;

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// In the query of the Tenant URL it asks for the RFC's form.
const RFC_FLAG: &str = "aadOptscim062020";
const MAX_BODY: usize = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the target is.
#[derive(Clone)]
pub(crate) enum Sender {
    Inside(axum::Router),
    /// The address without its query, which every request has too.
    Network {
        client: reqwest::Client,
        base: String,
        query: Option<String>,
    },
}

/// The form of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// What the service sends unless it is asked otherwise: `Replace` with a capital, `active` as a string, departing members
    /// as a list of values.
    Own(ActiveBy),
    /// RFC 7644's.
    Rfc,
}

impl Form {
    /// As the job's Tenant URL asks for it.
    pub fn of(base_address: &str, active: ActiveBy) -> Self {
        let query = base_address.split_once('?').map_or("", |(_, query)| query);
        let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        if names.any(|name| name.eq_ignore_ascii_case(RFC_FLAG)) { Form::Rfc } else { Form::Own(active) }
    }

    fn op(self, word: &'static str, capital: &'static str) -> &'static str {
        match self {
            Form::Own(_) => capital,
            Form::Rfc => word,
        }
    }
}

/// One request to the target.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub method: Method,
    /// Relative to the base URL, with its query.
    pub path: String,
    pub body: Option<Value>,
}

/// An answer that was read whole; a body that is not JSON is null.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Sender {
    /// A service elsewhere.
    pub fn network(base: &str) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        let (base, query) = base.split_once('?').map_or((base, None), |(base, query)| (base, Some(query.to_owned())));
        Ok(Sender::Network { client, base: base.trim_end_matches('/').to_owned(), query })
    }

    pub async fn send(&self, message: &Message, token: &str) -> Result<Answer, String> {
        let bearer = format!("Bearer {token}");
        let body = message.body.as_ref().map(Value::to_string).unwrap_or_default();
        let media = "application/scim+json";
        let (status, bytes) = match self {
            Sender::Inside(router) => {
                let request = Request::builder()
                    .method(message.method.clone())
                    .uri(&message.path)
                    .header("authorization", bearer)
                    .header("content-type", media)
                    .body(Body::from(body))
                    .map_err(|error| error.to_string())?;
                let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
                let status = response.status().as_u16();
                let bytes = axum::body::to_bytes(response.into_body(), MAX_BODY).await.map_err(|error| error.to_string())?;
                (status, bytes)
            }
            Sender::Network { client, base, query } => {
                let url = addressed(base, &message.path, query.as_deref());
                let request = client.request(message.method.clone(), url).header("authorization", bearer);
                let request = request.header("content-type", media).body(body);
                let response = request.send().await.map_err(|error| error.without_url().to_string())?;
                let status = response.status().as_u16();
                (status, response.bytes().await.map_err(|error| error.without_url().to_string())?)
            }
        };
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}

/// The query of the address comes first, as it stands.
fn addressed(base: &str, path: &str, query: Option<&str>) -> String {
    match (path.split_once('?'), query) {
        (Some((path, own)), Some(query)) => format!("{base}{path}?{query}&{own}"),
        (None, Some(query)) => format!("{base}{path}?{query}"),
        (_, None) => format!("{base}{path}"),
    }
}

pub(crate) fn find_user(user_name: &str) -> Message {
    get(format!("/Users?{}", filter("userName", user_name, None)))
}

pub(crate) fn find_group(display_name: &str) -> Message {
    get(format!("/Groups?{}", filter("displayName", display_name, Some("members"))))
}

pub(crate) fn create_user(attributes: &Attributes) -> Message {
    let mut body = Map::from_iter([("schemas".to_owned(), json!([CORE_USER])), ("active".to_owned(), json!(true))]);
    body.extend(attributes.iter().map(|(name, value)| (name.clone(), json!(value))));
    message(Method::POST, "/Users".into(), Value::Object(body))
}

/// No members: they follow in a change of their own.
pub(crate) fn create_group(attributes: &Attributes) -> Message {
    let mut body = Map::from_iter([("schemas".to_owned(), json!([CORE_GROUP]))]);
    body.extend(attributes.iter().map(|(name, value)| (name.clone(), json!(value))));
    message(Method::POST, "/Groups".into(), Value::Object(body))
}

/// Which list a thing is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Group,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Group => "Group",
        }
    }

    fn at(self, id: &ScimId) -> String {
        let id: String = url::form_urlencoded::byte_serialize(id.to_string().as_bytes()).collect();
        format!("/{}s/{}", self.word(), id.replace('+', "%20"))
    }
}

/// Several attributes at once are one operation without a path in the RFC's form, and one each in the service's own.
pub(crate) fn update(form: Form, kind: Kind, id: &ScimId, changed: &Attributes) -> Message {
    let op = form.op("replace", "Replace");
    let operations = match form {
        Form::Rfc if changed.len() > 1 => vec![json!({"op": op, "value": changed})],
        Form::Rfc | Form::Own(_) => changed.iter().map(|(name, value)| json!({"op": op, "path": name, "value": value})).collect(),
    };
    patch(kind, id, operations)
}

/// Sets `active`.
pub(crate) fn activate(form: Form, id: &ScimId, active: Active) -> Message {
    let op = form.op("replace", "Replace");
    let (truth, text) = match active {
        Active::Yes => (true, "True"),
        Active::No => (false, "False"),
    };
    let operation = match form {
        Form::Rfc => json!({"op": op, "path": "active", "value": truth}),
        Form::Own(ActiveBy::Path) => json!({"op": op, "path": "active", "value": text}),
        Form::Own(ActiveBy::Value) => json!({"op": op, "value": {"active": text}}),
    };
    patch(Kind::User, id, vec![operation])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Active {
    Yes,
    No,
}

pub(crate) fn add_members(form: Form, group: &ScimId, users: &BTreeSet<&ScimId>) -> Message {
    let member = |id: &&ScimId| match form {
        Form::Own(_) => json!({"$ref": null, "value": id}),
        Form::Rfc => json!({"value": id}),
    };
    let members: Vec<_> = users.iter().map(member).collect();
    patch(Kind::Group, group, vec![json!({"op": form.op("add", "Add"), "path": "members", "value": members})])
}

pub(crate) fn remove_members(form: Form, group: &ScimId, users: &BTreeSet<&ScimId>) -> Message {
    let op = form.op("remove", "Remove");
    let operations = match form {
        Form::Own(_) => {
            let members: Vec<_> = users.iter().map(|id| json!({"value": id})).collect();
            vec![json!({"op": op, "path": "members", "value": members})]
        }
        Form::Rfc => {
            let path = |id: &ScimId| format!("members[value eq {}]", Value::from(id.to_string()));
            users.iter().map(|id| json!({"op": op, "path": path(id)})).collect()
        }
    };
    patch(Kind::Group, group, operations)
}

pub(crate) fn delete(kind: Kind, id: &ScimId) -> Message {
    Message { method: Method::DELETE, path: kind.at(id), body: None }
}

fn patch(kind: Kind, id: &ScimId, operations: Vec<Value>) -> Message {
    message(Method::PATCH, kind.at(id), json!({"schemas": [PATCH_OP], "Operations": operations}))
}

fn get(path: String) -> Message {
    Message { method: Method::GET, path, body: None }
}

fn message(method: Method, path: String, body: Value) -> Message {
    Message { method, path, body: Some(body) }
}

/// No page is asked for: whoever matches fits on the first one.
fn filter(attribute: &str, value: &str, without: Option<&str>) -> String {
    let filter = format!("{attribute} eq {}", Value::from(value));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(without) = without {
        query.append_pair("excludedAttributes", without);
    }
    query.append_pair("filter", &filter).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Form = Form::Own(ActiveBy::Path);

    #[test]
    fn the_query_of_the_tenant_url_says_which_form_is_sent() {
        for (url, form) in [
            ("https://app.example/scim", OWN),
            ("https://app.example/aadOptscim062020/scim?tenant=aadOptscim062020", OWN),
            ("https://app.example/scim?AzureAdScimPatch2017", OWN),
            ("https://app.example/scim?aadOptscim062020", Form::Rfc),
            ("https://app.example/scim?tenant=7&AADoptscim062020=", Form::Rfc),
        ] {
            assert_eq!(Form::of(url, ActiveBy::Path), form, "{url}");
        }
    }

    #[test]
    fn every_request_has_the_query_of_the_address() {
        assert_eq!(addressed("http://a/v2", "/Users?filter=x", Some("k=1")), "http://a/v2/Users?k=1&filter=x");
        assert_eq!(addressed("http://a/v2", "/Users/1", Some("k=1")), "http://a/v2/Users/1?k=1");
        assert_eq!(addressed("http://a/v2", "/Users?filter=x", None), "http://a/v2/Users?filter=x");
    }

    #[test]
    fn several_attributes_change_one_by_one_or_in_one_operation_without_a_path() {
        let changed = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect::<Attributes>();
        let sent = |form, names: &[&str]| {
            update(form, Kind::User, &ScimId::from("1".to_owned()), &changed(names)).body.unwrap()["Operations"].clone()
        };
        let one = |op: &str, name: &str| json!({"op": op, "path": name, "value": "x"});
        assert_eq!(sent(OWN, &["a", "b"]), json!([one("Replace", "a"), one("Replace", "b")]));
        assert_eq!(sent(Form::Rfc, &["a", "b"]), json!([{"op": "replace", "value": {"a": "x", "b": "x"}}]));
        assert_eq!(sent(Form::Rfc, &["a"]), json!([one("replace", "a")]));
    }
}
