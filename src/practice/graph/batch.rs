//! `$batch`: up to twenty requests in one envelope, each metered by itself, answered in any order.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::route::Incoming;
use super::serve::serve_one;
use crate::practice::faults::{Effect, Place};
use crate::practice::odata::{Body, Reply};
use crate::practice::tenant::Inner;
use crate::practice::token::Claims;

const LIMIT: usize = 20;

struct Item {
    id: String,
    after: Vec<String>,
    request: Incoming,
}

pub(super) fn serve(inner: &Inner, claims: &Claims, envelope: &Incoming) -> Reply {
    if envelope.method != Method::POST {
        return Reply::error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.");
    }
    let items = match items(envelope) {
        Ok(items) => items,
        Err(why) => return Reply::error(400, "BadRequest", format!("Invalid batch payload format: {why}.")),
    };
    let mut statuses: BTreeMap<String, u16> = BTreeMap::new();
    let (mut responses, mut lost) = (Vec::new(), false);
    for item in items {
        let blocked = item.after.iter().any(|id| statuses.get(id).is_none_or(|status| *status >= 400));
        let response = if blocked {
            skipped(&item.id)
        } else {
            match befallen(inner, claims, &item) {
                Some(response) => response,
                None => {
                    lost = true;
                    skipped(&item.id)
                }
            }
        };
        statuses.insert(item.id, response["status"].as_u64().unwrap_or_default() as u16);
        responses.push(response);
    }
    if lost {
        return Reply { status: 200, body: Body::Lost, headers: Vec::new() };
    }
    inner.state().world.chance.shuffle(&mut responses);
    Reply::json(200, json!({"responses": responses}))
}

/// Faults strike items as they strike requests; an item without an answer takes the answer of the whole envelope with it.
fn befallen(inner: &Inner, claims: &Claims, item: &Item) -> Option<Value> {
    let request = &item.request;
    let target = if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) };
    let odd = |status: u16, headers: Vec<(String, String)>, body: String| {
        let headers: BTreeMap<String, String> = headers.into_iter().collect();
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        Some(json!({"id": item.id, "status": status, "headers": headers, "body": body}))
    };
    match inner.faults.strike(Place::Inside, &request.method, &format!("/v1.0{target}")) {
        // The items of an envelope come back together, so one of them is not late by itself.
        None | Some(Effect::Delay(_) | Effect::Date(_)) => Some(answered(inner, claims, item)),
        Some(Effect::Answer { status, headers, body }) => odd(status, headers, body),
        Some(Effect::Belie { status, headers, body }) => {
            answered(inner, claims, item);
            odd(status, headers, body)
        }
        Some(Effect::Html(status)) => odd(status, Vec::new(), "<!doctype html><html></html>".into()),
        Some(Effect::LoseAnswer) => {
            answered(inner, claims, item);
            None
        }
        Some(Effect::Hang) => None,
        Some(Effect::Truncate(length)) => {
            let mut response = answered(inner, claims, item);
            if !response["body"].is_null() {
                response["body"] = response["body"].to_string().chars().take(length).collect::<String>().into();
            }
            Some(response)
        }
    }
}

fn answered(inner: &Inner, claims: &Claims, item: &Item) -> Value {
    let served = serve_one(inner, claims, &item.request);
    let mut headers: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in &served.headers {
        match *name {
            "content-type" => _ = headers.insert("Content-Type", value),
            "retry-after" => _ = headers.insert("Retry-After", value),
            "date" => {}
            other => _ = headers.insert(other, value),
        }
    }
    let mut response = json!({"id": item.id, "status": served.status, "headers": headers});
    match served.body {
        Body::Empty | Body::Lost => {}
        Body::Json(body) => response["body"] = body,
        Body::Text(text) => response["body"] = text.into(),
    }
    response
}

fn skipped(id: &str) -> Value {
    let error = json!({"code": "FailedDependency", "message": "A request that this one depends on has failed."});
    json!({"id": id, "status": 424, "headers": {"Content-Type": "application/json"}, "body": {"error": error}})
}

/// The items, or what is wrong with the envelope as a whole.
fn items(envelope: &Incoming) -> Result<Vec<Item>, String> {
    let requests = envelope.body.as_ref().and_then(|body| body["requests"].as_array()).ok_or("requests is missing")?;
    if requests.is_empty() || requests.len() > LIMIT {
        return Err(format!("it must hold 1 to {LIMIT} requests"));
    }
    let (mut seen, mut items) = (BTreeSet::new(), Vec::new());
    for request in requests {
        let id = request["id"].as_str().ok_or("a request has no id")?.to_owned();
        if !seen.insert(id.to_lowercase()) {
            return Err(format!("the id {id} is there twice"));
        }
        let after: Vec<String> =
            request["dependsOn"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if let Some(unknown) = after.iter().find(|id| !seen.contains(&id.to_lowercase())) {
            return Err(format!("{id} depends on {unknown}, which does not come before it"));
        }
        items.push(Item { request: incoming(envelope, request, &id)?, id, after });
    }
    Ok(items)
}

fn incoming(envelope: &Incoming, request: &Value, id: &str) -> Result<Incoming, String> {
    let method = request["method"].as_str().and_then(|method| method.parse().ok()).ok_or(format!("{id} has no method"))?;
    let url = request["url"].as_str().ok_or(format!("{id} has no url"))?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let pair = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str().unwrap_or_default()));
        if let (Ok(name), Ok(value)) = pair {
            headers.insert(name, value);
        }
    }
    let body = request.get("body").cloned();
    if body.is_some() && !headers.contains_key("content-type") {
        return Err(format!("{id} has a body but no Content-Type"));
    }
    Ok(Incoming {
        method,
        path: format!("/{}", path.trim_start_matches('/')),
        query: query.to_owned(),
        headers,
        body,
        root: envelope.root.clone(),
    })
}
