//! An app with a SCIM 2.0 service, held in memory: it answers, and never calls anyone.

mod answer;
mod filter;
mod patch;
mod quirk;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use answer::{Failure, scim};
pub use quirk::Quirk;
use quirk::{Given, PAGE};
use store::{Kind, Store};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// One app with its users, groups and token; clones share them.
#[derive(Clone)]
pub struct ScimApp(Arc<Mutex<Inner>>);

struct Inner {
    token: Option<String>,
    /// Tokens that were good once.
    deleted: BTreeSet<String>,
    store: Store,
    quirks: BTreeSet<Quirk>,
    asked: usize,
}

impl ScimApp {
    pub fn new(token: String) -> Self {
        ScimApp(Arc::new(Mutex::new(Inner {
            token: Some(token),
            deleted: BTreeSet::new(),
            store: Store::default(),
            quirks: BTreeSet::new(),
            asked: 0,
        })))
    }

    /// Routes relative to the SCIM base URL.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/ServiceProviderConfig", get(service_provider_config))
            .route("/{kind}", get(list).post(create))
            .route("/{kind}/{id}", get(read).patch(modify).put(replace).delete(remove))
            .fallback(unknown)
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self.clone())
    }

    /// Deletes the token, as a person would in the app's settings; every token is refused from now on.
    pub fn revoke(&self) {
        self.lock().replace_token(None);
    }

    /// Another token; the one before is refused from now on.
    pub fn set_token(&self, token: String) {
        self.lock().replace_token(Some(token));
    }

    pub fn token(&self) -> Option<String> {
        self.lock().token.clone()
    }

    pub fn users(&self) -> Vec<Value> {
        self.lock().store.all(Kind::Users).to_vec()
    }

    pub fn groups(&self) -> Vec<Value> {
        self.lock().store.all(Kind::Groups).to_vec()
    }

    /// Puts a user there, unchecked; an `id` in it is kept. The id is returned.
    pub fn seed_user(&self, user: Value) -> String {
        self.lock().store.seed(Kind::Users, user)
    }

    /// Somebody deletes a user in the app itself.
    pub fn delete_user(&self, id: &str) {
        _ = self.lock().store.remove(Kind::Users, id);
    }

    /// Somebody changes a field of a user in the app itself.
    pub fn change_user(&self, id: &str, field: &str, value: Value) {
        let mut inner = self.lock();
        let Ok(mut user) = inner.store.get(Kind::Users, id).cloned() else { return };
        user[field] = value;
        _ = inner.store.replace(Kind::Users, id, user);
    }

    /// Puts a group there, unchecked; an `id` in it is kept. The id is returned.
    pub fn seed_group(&self, group: Value) -> String {
        self.lock().store.seed(Kind::Groups, group)
    }

    /// Somebody deletes a group in the app itself.
    pub fn delete_group(&self, id: &str) {
        _ = self.lock().store.remove(Kind::Groups, id);
    }

    /// Adds a quirk to those already there.
    pub fn set_quirk(&self, quirk: Quirk) {
        self.lock().quirks.insert(quirk);
    }

    /// Behaves again.
    pub fn clear_quirks(&self) {
        self.lock().quirks.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn replace_token(&mut self, token: Option<String>) {
        let before = std::mem::replace(&mut self.token, token);
        self.deleted.extend(before);
    }

    /// What a token that was given is to this app; `None` where it opens the door.
    fn refuses(&self, given: Option<&str>) -> Option<Given> {
        let claims_do = self.quirks.contains(&Quirk::IgnoresSignature);
        let opens = |given: &str| {
            self.quirks.contains(&Quirk::AcceptsAnyToken)
                || self.token.as_deref().is_some_and(|token| {
                    token == given
                        || (claims_do && quirk::claims(token).is_some_and(|claims| quirk::claims(given) == Some(claims)))
                })
        };
        (!given.is_some_and(opens)).then(|| Given::of(given, &self.deleted, self.token.as_deref()))
    }
}

async fn guard(State(app): State<ScimApp>, request: Request, next: Next) -> Response {
    let given = bearer(request.headers());
    let (quirks, refused, asked) = {
        let mut inner = app.lock();
        inner.asked += 1;
        (inner.quirks.clone(), inner.refuses(given), inner.asked)
    };
    if let Some(response) = quirks.iter().find_map(|quirk| quirk.answer(asked)) {
        return response;
    }
    let public = request.uri().path().ends_with("/ServiceProviderConfig") && !quirks.contains(&Quirk::ProtectsConfig);
    if let Some(what) = refused.filter(|_| !public) {
        return refuse(given, what, &quirks);
    }
    let response = next.run(request).await;
    if !quirks.contains(&Quirk::Truncated) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(parts, Body::from(body.slice(..body.len() / 2)))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn refuse(given: Option<&str>, what: Given, quirks: &BTreeSet<Quirk>) -> Response {
    if let Some(response) = quirks.iter().find_map(|quirk| quirk.refusal(what)) {
        return response;
    }
    if quirks.contains(&Quirk::DeadTokenNotFound) {
        return Failure::not_found("resource").into_response();
    }
    let detail = match given {
        Some(token) if quirks.contains(&Quirk::EchoesToken) => format!("the token {token} is not valid"),
        Some(_) | None => "the token is missing or not valid".to_owned(),
    };
    let mut response = Failure::new(StatusCode::UNAUTHORIZED, None, detail).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer realm=\"SCIM\""));
    response
}

type Reply = Result<Response, Failure>;

async fn unknown() -> Failure {
    Failure::not_found("endpoint")
}

async fn service_provider_config(State(app): State<ScimApp>) -> Response {
    let cursors = app.lock().quirks.contains(&Quirk::CursorOnly);
    let no = json!({"supported": false});
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true}, "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "pagination": {"cursor": cursors, "index": !cursors},
        "filter": {"supported": true, "maxResults": PAGE}, "changePassword": no, "sort": no, "etag": no,
        "authenticationSchemes": [{"type": "oauthbearertoken", "name": "OAuth Bearer Token", "description": "a static bearer token"}],
    });
    scim(StatusCode::OK, &body)
}

async fn list(State(app): State<ScimApp>, Path(kind): Path<String>, Query(query): Query<BTreeMap<String, String>>) -> Reply {
    let kind = Kind::parse(&kind)?;
    let inner = app.lock();
    let filter = query.get("filter").filter(|_| !inner.quirks.contains(&Quirk::IgnoresFilter));
    let conditions = filter.map(|text| filter::parse(text)).transpose()?.unwrap_or_default();
    let finds = conditions.is_empty() || !inner.quirks.contains(&Quirk::FilterFindsNobody);
    let matching: Vec<&Value> = inner.store.all(kind).iter().filter(|one| finds && filter::holds(&conditions, one)).collect();
    if let Some(status) = quirk::refused(matching.len(), &query, &inner.quirks) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
        return Err(Failure::new(status, None, "this can't be asked for"));
    }
    let page = quirk::page(&matching, &query, &inner.quirks);
    let mut resources: Vec<Value> = page.resources.into_iter().cloned().collect();
    for resource in &mut resources {
        render(resource, &query, &inner.quirks, inner.asked);
    }
    let mut body = json!({"schemas": [LIST], "totalResults": page.total, "itemsPerPage": page.items_per_page});
    if let Some(start) = page.start {
        body["startIndex"] = start.into();
    }
    if let Some(next) = page.next_cursor {
        body["nextCursor"] = next.into();
    }
    if !inner.quirks.contains(&Quirk::NoResources) {
        body["Resources"] = resources.into();
    }
    quirk::disguise(&mut body, &inner.quirks);
    Ok(scim(StatusCode::OK, &body))
}

async fn read(
    State(app): State<ScimApp>,
    Path((kind, id)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Reply {
    let kind = Kind::parse(&kind)?;
    let inner = app.lock();
    if inner.quirks.contains(&Quirk::NoSingleReads) {
        return Ok((StatusCode::NOT_FOUND, "404 page not found").into_response());
    }
    match inner.store.get(kind, &id) {
        Ok(resource) => {
            let mut resource = resource.clone();
            render(&mut resource, &query, &inner.quirks, inner.asked);
            Ok(scim(StatusCode::OK, &resource))
        }
        Err(failure) => match inner.quirks.iter().find_map(Quirk::not_found) {
            Some(response) => Ok(response),
            None => Err(failure),
        },
    }
}

async fn create(State(app): State<ScimApp>, Path(kind): Path<String>, body: String) -> Reply {
    let kind = Kind::parse(&kind)?;
    let created = app.lock().store.create(kind, parse(&body)?)?;
    Ok(scim(StatusCode::CREATED, &created))
}

async fn replace(State(app): State<ScimApp>, Path((kind, id)): Path<(String, String)>, body: String) -> Reply {
    let kind = Kind::parse(&kind)?;
    let replaced = app.lock().store.replace(kind, &id, parse(&body)?)?;
    Ok(scim(StatusCode::OK, &replaced))
}

async fn modify(State(app): State<ScimApp>, Path((kind, id)): Path<(String, String)>, body: String) -> Reply {
    let kind = Kind::parse(&kind)?;
    let mut inner = app.lock();
    let mut changed = inner.store.get(kind, &id)?.clone();
    let mut body = parse(&body)?;
    for operation in body.get_mut("Operations").and_then(Value::as_array_mut).into_iter().flatten() {
        *operation = quirk::understood(operation, &inner.quirks)?;
    }
    patch::apply(&mut changed, &body)?;
    let changed = inner.store.replace(kind, &id, changed)?;
    Ok(match kind {
        Kind::Users => scim(StatusCode::OK, &changed),
        Kind::Groups => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn remove(State(app): State<ScimApp>, Path((kind, id)): Path<(String, String)>) -> Reply {
    app.lock().store.remove(Kind::parse(&kind)?, &id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn parse(body: &str) -> Result<Value, Failure> {
    match serde_json::from_str(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) | Err(_) => Err(Failure::invalid("invalidSyntax", "the body is not a JSON object")),
    }
}

fn render(resource: &mut Value, query: &BTreeMap<String, String>, quirks: &BTreeSet<Quirk>, asked: usize) {
    let Value::Object(fields) = resource else { return };
    for name in query.get("excludedAttributes").into_iter().flat_map(|names| names.split(',')) {
        fields.retain(|key, _| key == "id" || !key.eq_ignore_ascii_case(name.trim()));
    }
    quirk::render(fields, quirks, asked);
}
