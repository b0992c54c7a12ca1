//! What every request goes through on its way: found, allowed, metered, handled, recorded.

use http::Method;

use super::route::{Call, Incoming, Kind, Route};
use super::{groups, log, objects, pim, service_principal, sync, users};
use crate::practice::clock::http_date;
use crate::practice::odata::{Body, Query, Reply};
use crate::practice::record::Request;
use crate::practice::tenant::Inner;
use crate::practice::token::Claims;

/// An answer with everything on it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

fn routes() -> impl Iterator<Item = &'static Route> {
    let tables =
        [service_principal::ROUTES, groups::ROUTES, users::ROUTES, objects::ROUTES, sync::ROUTES, log::ROUTES, pim::ROUTES];
    tables.into_iter().flatten()
}

/// One request that is no batch.
pub(crate) fn serve_one(inner: &Inner, claims: &Claims, request: &Incoming) -> Served {
    let (route, reply) = match find(request) {
        Err(reply) => (None, reply),
        Ok((route, params)) if claims.allow(route.needs) => (Some(route), metered(inner, claims, request, route, params)),
        Ok((route, _)) => (Some(route), Reply::denied()),
    };
    record(inner, request, route, reply.status);
    finish(inner, request, reply)
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

pub(super) fn claims(inner: &Inner, request: &Incoming) -> Option<Claims> {
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

fn record(inner: &Inner, request: &Incoming, route: Option<&Route>, status: u16) {
    let template = route.map(|route| route.template);
    let entry = Request {
        at: inner.clock.now(),
        method: request.method.to_string(),
        template,
        path: request.path.clone(),
        query: request.query.clone(),
        status,
    };
    let mut records = inner.records();
    if route.is_some_and(|route| route.kind == Kind::Forbidden) {
        records.forbidden.push(entry.clone());
    }
    if request.method != Method::GET && template != Some("/directoryObjects/getByIds") {
        records.tally.writes += 1;
        records.writes.push(entry.clone());
    }
    records.request(entry);
}

/// Ids, stamps and media type.
pub(super) fn finish(inner: &Inner, request: &Incoming, reply: Reply) -> Served {
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
