//! What befalls one kind of read on its way: named by a line of the contract's list, item by item where a batch holds it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;
use unscim::model::id::GroupId;
use unscim::world::http::{Transport, TransportError};

use crate::table::{Cell, Of, Way};
use crate::wire::matches;

type Answer = Result<Response<Bytes>, TransportError>;

/// It is fine until it is told to [`Weather::begin`].
#[derive(Clone)]
pub struct Weather(Arc<Mutex<Sky>>);

struct Sky {
    cell: Cell,
    groups: Vec<GroupId>,
    /// Requests that are still to fail.
    left: usize,
    struck: usize,
    /// The first answer that each address ever gave.
    earlier: BTreeMap<String, Value>,
}

impl Weather {
    pub fn new(cell: Cell, groups: &[GroupId]) -> Self {
        Weather(Arc::new(Mutex::new(Sky { cell, groups: groups.to_vec(), left: 0, struck: 0, earlier: BTreeMap::new() })))
    }

    pub fn begin(&self, requests: usize) {
        self.sky().left = requests;
    }

    pub fn end(&self) {
        self.sky().left = 0;
    }

    /// How many requests have failed so far.
    pub fn struck(&self) -> usize {
        self.sky().struck
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn on(&self, transport: Transport) -> Transport {
        let weather = self.clone();
        Transport::new(tower::service_fn(move |request: Request<Bytes>| {
            let (weather, transport) = (weather.clone(), transport.clone());
            async move {
                if request.uri().path() == "/v1.0/$batch" {
                    weather.many(request, transport).await
                } else {
                    weather.one(request, transport).await
                }
            }
        }))
    }

    async fn one(&self, request: Request<Bytes>, transport: Transport) -> Answer {
        let (uri, method) = (request.uri().clone(), request.method().clone());
        let Some(fails) = self.sky().fails(method.as_str(), uri.path(), uri.query().unwrap_or_default()) else {
            return transport.oneshot(request).await;
        };
        if fails && self.sky().cell.way == Way::Hang {
            return std::future::pending().await;
        }
        let answer = transport.oneshot(request).await?;
        let address = uri.to_string();
        let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        if !fails {
            self.sky().keep(address, answer.status().as_u16(), &body);
            return Ok(answer);
        }
        let spoilt = self.sky().spoilt(&address, answer.status().as_u16(), body);
        let (mut parts, _) = answer.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.status = StatusCode::from_u16(spoilt.status).expect("a status");
        for (name, value) in spoilt.headers {
            parts.headers.insert(*name, HeaderValue::from_static(value));
        }
        Ok(Response::from_parts(parts, text(&spoilt.body)))
    }

    async fn many(&self, request: Request<Bytes>, transport: Transport) -> Answer {
        let envelope: Value = serde_json::from_slice(request.body()).expect("an envelope");
        let mut concerned: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for item in envelope["requests"].as_array().expect("its requests") {
            let part = |name: &str| item[name].as_str().expect("a text").to_owned();
            let address = format!("/v1.0{}", part("url"));
            let (path, query) = address.split_once('?').unwrap_or((&address, ""));
            if let Some(fails) = self.sky().fails(&part("method"), path, query) {
                concerned.insert(part("id"), (address.clone(), fails));
            }
        }
        if self.sky().cell.way == Way::Hang && concerned.values().any(|(_, fails)| *fails) {
            return std::future::pending().await;
        }
        let answer = transport.oneshot(request).await?;
        let Ok(mut whole) = serde_json::from_slice::<Value>(answer.body()) else { return Ok(answer) };
        for item in whole["responses"].as_array_mut().into_iter().flatten() {
            let Some((address, fails)) = item["id"].as_str().and_then(|id| concerned.get(id)) else { continue };
            let (status, body) = (item["status"].as_u64().unwrap_or_default() as u16, item["body"].take());
            if *fails {
                let spoilt = self.sky().spoilt(address, status, body);
                (item["status"], item["body"]) = (spoilt.status.into(), spoilt.body);
                for (name, value) in spoilt.headers {
                    item["headers"][name] = (*value).into();
                }
            } else {
                self.sky().keep(address.clone(), status, &body);
                item["body"] = body;
            }
        }
        let (mut parts, _) = answer.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, whole.to_string().into()))
    }
}

/// An answer as it arrives.
struct Spoilt {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
}

/// A body that is no JSON stands here as a text.
fn text(body: &Value) -> Bytes {
    match body {
        Value::String(text) => text.clone().into(),
        json => json.to_string().into(),
    }
}

impl Sky {
    /// Whether this request is one of the kind, and if so, whether it fails.
    fn fails(&mut self, method: &str, path: &str, query: &str) -> Option<bool> {
        let read = self.cell.read;
        if method != read.line.0 || !matches(read.line.1, path) {
            return None;
        }
        let is_meant = match read.of {
            Of::Every => true,
            Of::LaterPages => query.contains("skiptoken") || (query.contains("startIndex=") && !query.contains("startIndex=1&")),
            Of::Group(n) => path.contains(&self.groups[n - 1].to_string()),
        };
        let fails = is_meant && self.left > 0;
        if fails {
            self.left -= 1;
            self.struck += 1;
        }
        Some(fails)
    }

    fn keep(&mut self, address: String, status: u16, body: &Value) {
        if self.cell.way == Way::Stale && status == 200 {
            self.earlier.entry(address).or_insert_with(|| body.clone());
        }
    }

    fn spoilt(&self, address: &str, status: u16, body: Value) -> Spoilt {
        let error = |status: u16, code: &str| {
            let json = match (self.cell.read.line.0, self.cell.read.graph()) {
                ("POST", _) => json!({"error": "invalid_client", "error_description": "AADSTS: not now", "error_codes": [1]}),
                (_, true) => json!({"error": {"code": code, "message": "for a while", "innerError": {}}}),
                (_, false) => json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status.to_string(), "detail": "for a while",
                }),
            };
            Spoilt { status, headers: &[], body: json }
        };
        match self.cell.way {
            Way::Denied => error(403, "Authorization_RequestDenied"),
            Way::DeniedHtml => Spoilt {
                status: 403,
                headers: &[("content-type", "text/html")],
                body: "<!doctype html><html><head><title>Notice</title></head><body>Blocked</body></html>".into(),
            },
            Way::Missing => error(404, "Request_ResourceNotFound"),
            Way::Throttled => Spoilt { headers: &[("retry-after", "10")], ..error(429, "TooManyRequests") },
            Way::Broken => error(500, "InternalServerError"),
            Way::Hang => unreachable!("it has no answer"),
            Way::Cut => {
                let whole = body.to_string();
                Spoilt { status, headers: &[], body: whole.chars().take(whole.len() / 2).collect::<String>().into() }
            }
            Way::Empty => Spoilt { status, headers: &[], body: cut_list(body, |_| 0) },
            Way::Short => {
                let has_more = !body["@odata.nextLink"].is_null() || body["totalResults"].as_u64() > Some(rows(&body) as u64);
                Spoilt { status, headers: &[], body: cut_list(body, |rows| if has_more { rows } else { rows / 2 }) }
            }
            Way::Stale => match self.earlier.get(address) {
                Some(earlier) => Spoilt { status: 200, headers: &[], body: earlier.clone() },
                None => Spoilt { status, headers: &[], body },
            },
        }
    }
}

fn rows(body: &Value) -> usize {
    ["value", "Resources"].iter().filter_map(|name| body[name].as_array()).map(Vec::len).sum()
}

/// So many of its rows, as if that were all.
fn cut_list(mut body: Value, left: impl Fn(usize) -> usize) -> Value {
    let left = left(rows(&body));
    if let Some(list) = body.as_object_mut() {
        list.remove("@odata.nextLink");
        for name in ["value", "Resources"] {
            if let Some(rows) = list.get_mut(name).and_then(Value::as_array_mut) {
                rows.truncate(left);
            }
        }
        for name in ["@odata.count", "totalResults", "itemsPerPage"] {
            if let Some(count) = list.get_mut(name) {
                *count = left.into();
            }
        }
    }
    body
}
