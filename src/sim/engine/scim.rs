//! What the engine says to a SCIM service, in the RFC's own form, and how it gets there. It keeps no state.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use crate::model::engine::Attributes;
use crate::model::id::ScimId;

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const MAX_BODY: usize = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the target is.
#[derive(Clone)]
pub(crate) enum Sender {
    Inside(axum::Router),
    Network { client: reqwest::Client, base: String },
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
        Ok(Sender::Network { client, base: base.trim_end_matches('/').to_owned() })
    }

    /// The base URL as the job's settings show it.
    pub fn base_address(&self) -> &str {
        match self {
            Sender::Inside(_) => "http://127.0.0.1/scim/v2",
            Sender::Network { base, .. } => base,
        }
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
            Sender::Network { client, base } => {
                let url = format!("{base}{}", message.path);
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

pub(crate) fn update(kind: Kind, id: &ScimId, changed: &Attributes) -> Message {
    let operations: Vec<_> = changed.iter().map(|(name, value)| json!({"op": "replace", "path": name, "value": value})).collect();
    patch(kind, id, operations)
}

/// Sets `active`.
pub(crate) fn activate(id: &ScimId, active: Active) -> Message {
    patch(Kind::User, id, vec![json!({"op": "replace", "path": "active", "value": active == Active::Yes})])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Active {
    Yes,
    No,
}

pub(crate) fn add_members(group: &ScimId, users: &BTreeSet<&ScimId>) -> Message {
    let members: Vec<_> = users.iter().map(|id| json!({"value": id})).collect();
    patch(Kind::Group, group, vec![json!({"op": "add", "path": "members", "value": members})])
}

pub(crate) fn remove_members(group: &ScimId, users: &BTreeSet<&ScimId>) -> Message {
    let path = |id: &ScimId| format!("members[value eq {}]", Value::from(id.to_string()));
    patch(Kind::Group, group, users.iter().map(|id| json!({"op": "remove", "path": path(id)})).collect())
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

fn filter(attribute: &str, value: &str, without: Option<&str>) -> String {
    let filter = format!("{attribute} eq {}", Value::from(value));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("filter", &filter).append_pair("startIndex", "1").append_pair("count", "10");
    if let Some(without) = without {
        query.append_pair("excludedAttributes", without);
    }
    query.finish()
}
