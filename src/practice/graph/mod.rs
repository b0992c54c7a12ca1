//! Graph as far as a caller of ours meets it: one table of routes, and what every request goes through on its way.

macro_rules! route {
    ($method:ident $template:literal $kind:ident $cost:literal $needs:expr => $handle:expr) => {
        Route { method: Method::$method, template: $template, kind: Kind::$kind, cost: $cost, needs: $needs, handle: $handle }
    };
}

mod batch;
mod groups;
mod log;
mod pim;
mod service_principal;
mod sync;
mod users;

use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::clock::http_date;
use super::odata::{Body, Listing, Query, Reply, page};
use super::record::{Exchange, Request};
use super::throttle::Cost;
use super::token::Claims;
use super::{Inner, State};

/// One request as it came in, or as a batch holds it.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub method: Method,
    /// Behind `/v1.0`.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Option<Value>,
    /// `https://host/v1.0`, as the caller named it.
    pub root: String,
}

/// What a handler has in hand.
pub(crate) struct Call<'a> {
    pub inner: &'a Inner,
    pub state: &'a mut State,
    pub claims: &'a Claims,
    pub request: &'a Incoming,
    pub query: Query,
    /// The time whose state a read shows.
    pub as_of: Timestamp,
    params: Vec<&'a str>,
}

/// One line of the table.
pub(crate) struct Route {
    pub method: Method,
    pub template: &'static str,
    pub kind: Kind,
    /// Resource units.
    pub cost: u32,
    /// One permission of each set is needed.
    pub needs: &'static [&'static [&'static str]],
    pub handle: fn(&mut Call) -> Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    /// A read of the identity reports, with a quota of its own.
    Report,
    Write,
    /// What nobody who retires a provisioning may ever call.
    Forbidden,
}

impl Route {
    fn cost(&self) -> Cost {
        let writes = u32::from(matches!(self.kind, Kind::Write | Kind::Forbidden));
        Cost { resource_units: self.cost, writes, reports: u32::from(self.kind == Kind::Report) }
    }

    /// The parameters, if the path is of this form. `{x}` stands for one segment or for a part of one.
    fn params<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let mut params = Vec::new();
        let (mut wanted, mut given) = (self.template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(params),
                (Some(wanted), Some(given)) => match wanted.split_once('{') {
                    None if wanted == given => {}
                    None => return None,
                    Some((before, rest)) => {
                        let after = rest.split_once('}').map_or("", |(_, after)| after);
                        let param = given.strip_prefix(before)?.strip_suffix(after)?;
                        // `$ref`, `$count` and casts are never ids.
                        if param.is_empty() || param.starts_with('$') || param.starts_with("microsoft.graph.") {
                            return None;
                        }
                        params.push(param);
                    }
                },
                (None, Some(_)) | (Some(_), None) => return None,
            }
        }
    }
}

impl<'a> Call<'a> {
    pub fn param(&self, n: usize) -> &'a str {
        self.params.get(n).copied().unwrap_or_default()
    }

    /// A parameter that must be the id of an object; anything else is not found.
    pub fn uuid(&self, n: usize) -> Result<Uuid, Reply> {
        self.param(n).parse().map_err(|_| Reply::bad_request(format!("Invalid object identifier '{}'.", self.param(n))))
    }

    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub fn body(&self) -> &Value {
        self.request.body.as_ref().unwrap_or(&Value::Null)
    }

    /// As moments and records name it.
    pub fn name(&self) -> String {
        format!("{} {}", self.request.method, self.request.path)
    }

    /// Casts, counts and the like are served from an index, and only to those who accept its delay.
    pub fn advanced(&self, counted: Counted) -> Result<(), Reply> {
        let eventual =
            self.request.headers.get("consistencylevel").is_some_and(|level| level.as_bytes().eq_ignore_ascii_case(b"eventual"));
        let counts = match counted {
            Counted::ByQuery => self.query.get("$count") == Some("true"),
            Counted::ByPath => true,
        };
        if eventual && counts {
            Ok(())
        } else {
            Err(Reply::error(
                400,
                "Request_UnsupportedQuery",
                "Request is not supported without the header ConsistencyLevel: eventual and $count=true.",
            ))
        }
    }

    /// The list under the path of this request.
    pub fn page(&self, context: &str, items: Vec<(String, Value)>) -> Reply {
        self.page_of(context, &items, |(key, _)| key.clone(), |(_, item)| Ok(item.clone()))
    }

    /// The same for a list that may be long: only what is on the page takes its shape.
    pub fn page_of<T>(
        &self,
        context: &str,
        items: &[T],
        key: impl Fn(&T) -> String,
        show: impl Fn(&T) -> Result<Value, Reply>,
    ) -> Reply {
        let listing = Listing {
            url: format!("{}{}", self.request.root, self.request.path),
            context,
            query: &self.query,
            default_page: 100,
            max_page: 999,
            cap: self.inner.scenario.page_size,
        };
        page(&listing, items, key, show)
    }
}

/// Where a count is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    ByQuery,
    ByPath,
}

/// An answer with everything on it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

fn routes() -> impl Iterator<Item = &'static Route> {
    let tables = [service_principal::ROUTES, groups::ROUTES, users::ROUTES, sync::ROUTES, log::ROUTES, pim::ROUTES];
    tables.into_iter().flatten()
}

/// One request of a caller, a batch or a plain one.
pub(crate) fn serve(inner: &Inner, request: &Incoming) -> Served {
    let Some(claims) = claims(inner, request) else {
        let reply = Reply::error(401, "InvalidAuthenticationToken", "Access token is missing, malformed or has expired.");
        return finish(inner, request, None, reply);
    };
    if request.path == "/$batch" {
        let (reply, template) = (batch::serve(inner, &claims, request), Some("/$batch"));
        return finish(inner, request, template, reply);
    }
    serve_one(inner, &claims, request)
}

/// One request that is no batch: found, allowed, metered, handled, recorded.
pub(crate) fn serve_one(inner: &Inner, claims: &Claims, request: &Incoming) -> Served {
    let mut template = None;
    let reply = match find(request) {
        Err(reply) => reply,
        Ok((route, params)) => {
            template = Some(route.template);
            if claims.allow(route.needs) { metered(inner, claims, request, route, params) } else { Reply::denied() }
        }
    };
    let forbidden = find(request).is_ok_and(|(route, _)| route.kind == Kind::Forbidden);
    record(inner, request, template, reply.status, forbidden.then_some(Kind::Forbidden));
    finish(inner, request, template, reply)
}

fn metered(inner: &Inner, claims: &Claims, request: &Incoming, route: &Route, params: Vec<&str>) -> Reply {
    let taken = inner.throttle().take(route.cost(), inner.clock.now());
    let used = match taken {
        Ok(used) => used,
        Err(refusal) => {
            let seconds = inner.clock.real(refusal.wait).as_secs_f64().ceil().max(1.0);
            let mut reply = Reply::error(429, "TooManyRequests", "Too many requests.");
            let scope = format!("Tenant_Application/{}/{}/{}", refusal.scope, inner.ids.client, inner.ids.tenant);
            reply.headers.push(("retry-after", format!("{seconds}")));
            reply.headers.push(("x-ms-throttle-scope", scope));
            reply.headers.push(("x-ms-throttle-information", refusal.information.into()));
            return reply;
        }
    };
    let as_of = match route.kind {
        Kind::Read => inner.replicas().as_of(&request.path, &request.query, inner.clock.now()),
        Kind::Report | Kind::Write | Kind::Forbidden => inner.clock.now(),
    };
    let mut state = inner.state();
    let query = Query::parse(&request.query);
    let mut reply = (route.handle)(&mut Call { inner, state: &mut state, claims, request, query, as_of, params });
    reply.headers.push(("x-ms-resource-unit", route.cost.to_string()));
    if used >= 0.8 {
        reply.headers.push(("x-ms-throttle-limit-percentage", format!("{used:.2}")));
    }
    reply
}

fn claims(inner: &Inner, request: &Incoming) -> Option<Claims> {
    let bearer = request.headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
    inner.tokens().claims(bearer, inner.clock.now())
}

fn find(request: &Incoming) -> Result<(&'static Route, Vec<&str>), Reply> {
    let mut known = false;
    for route in routes() {
        if let Some(params) = route.params(&request.path) {
            if route.method == request.method {
                return Ok((route, params));
            }
            known = true;
        }
    }
    if known {
        Err(Reply::error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."))
    } else {
        Err(Reply::error(400, "BadRequest", format!("Resource not found for the segment '{}'.", request.path)))
    }
}

fn record(inner: &Inner, request: &Incoming, template: Option<&'static str>, status: u16, kind: Option<Kind>) {
    let entry = Request {
        at: inner.clock.now(),
        method: request.method.to_string(),
        template,
        path: request.path.clone(),
        query: request.query.clone(),
        status,
    };
    let mut records = inner.records();
    if kind == Some(Kind::Forbidden) {
        records.forbidden.push(entry.clone());
    }
    if request.method != Method::GET && template != Some("/directoryObjects/getByIds") {
        records.tally.writes += 1;
        records.writes.push(entry.clone());
    }
    records.request(entry);
}

/// Ids, stamps and media type; what is kept for the comparison with the published description.
fn finish(inner: &Inner, request: &Incoming, template: Option<&'static str>, reply: Reply) -> Served {
    let request_id = inner.state().world.fresh("request");
    let given = request.headers.get("client-request-id").and_then(|id| id.to_str().ok());
    let client_request_id = given.map_or_else(|| request_id.to_string(), str::to_owned);
    let now = inner.clock.now();
    let date = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let Reply { status, body, mut headers } = reply.with_ids(&date, request_id, &client_request_id);
    let media = match body {
        Body::Empty | Body::Lost => None,
        Body::Json(_) => {
            Some("application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
        }
        Body::Text(_) => Some("text/plain"),
    };
    headers.extend(media.map(|media| ("content-type", media.to_owned())));
    headers.push(("date", http_date(now)));
    headers.push(("request-id", request_id.to_string()));
    headers.push(("client-request-id", client_request_id));
    headers.push(("x-ms-ags-diagnostic", r#"{"ServerInfo":{"DataCenter":"Practice","Slice":"E","Ring":"1"}}"#.into()));
    let response = || match &body {
        Body::Empty | Body::Lost => None,
        Body::Json(value) => Some(value.clone()),
        Body::Text(text) => Some(Value::from(text.as_str())),
    };
    inner.records().exchange(|| Exchange {
        method: request.method.to_string(),
        template,
        path: request.path.clone(),
        status,
        request: request.body.clone(),
        response: response(),
    });
    Served { status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_form_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for route in routes() {
            assert!(seen.insert((route.method.to_string(), route.template)), "{} {}", route.method, route.template);
            assert!(route.template.starts_with('/') && route.cost > 0);
        }
    }
}
