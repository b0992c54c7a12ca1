//! What went over the wire between the daemon and everything outside, and the written list of what may.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use unscim::world::http::Transport;

/// A request and its answer; `None` where no answer came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub request: Bytes,
    pub answer: Option<(StatusCode, Bytes)>,
}

impl Exchange {
    /// Behind the version, if it was a request to Graph.
    pub fn graph_path(&self) -> Option<&str> {
        self.path.strip_prefix("/v1.0")
    }

    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|(status, _)| status.as_u16())
    }
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Exchange>>>);

impl Log {
    /// The same transport, with every request written down before it goes out.
    pub fn on(&self, transport: Transport) -> Transport {
        let log = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let (log, transport) = (log.clone(), transport.clone());
            async move {
                let asked = log.asked(&request);
                let result = transport.oneshot(request).await;
                if let Ok(answer) = &result {
                    log.answered(asked, answer);
                }
                result
            }
        }))
    }

    pub fn exchanges(&self) -> Vec<Exchange> {
        self.0.lock().unwrap().clone()
    }

    /// Where its lines are: one, or one for each request of a batch.
    fn asked(&self, request: &Request<Bytes>) -> Range<usize> {
        let mut log = self.0.lock().unwrap();
        let first = log.len();
        match requests(request) {
            None => log.push(Exchange {
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                query: request.uri().query().unwrap_or_default().to_owned(),
                request: request.body().clone(),
                answer: None,
            }),
            Some(items) => log.extend(items.iter().map(|item| {
                let url = item["url"].as_str().expect("a url");
                let (path, query) = url.split_once('?').unwrap_or((url, ""));
                Exchange {
                    method: item["method"].as_str().expect("a method").parse().expect("a method"),
                    path: format!("/v1.0{path}"),
                    query: query.to_owned(),
                    request: item.get("body").map_or_else(Bytes::new, |body| body.to_string().into()),
                    answer: None,
                }
            })),
        }
        first..log.len()
    }

    fn answered(&self, asked: Range<usize>, answer: &Response<Bytes>) {
        let mut log = self.0.lock().unwrap();
        let whole: Option<Value> = serde_json::from_slice(answer.body()).ok();
        match whole.as_ref().and_then(|whole| whole["responses"].as_array()) {
            None => log[asked].iter_mut().for_each(|line| line.answer = Some((answer.status(), answer.body().clone()))),
            Some(items) => {
                for item in items {
                    let number: usize = item["id"].as_str().expect("an id").parse().expect("a number");
                    let status = item["status"].as_u64().expect("a status");
                    let status = StatusCode::from_u16(u16::try_from(status).expect("a status")).expect("a status");
                    let body = item.get("body").map_or_else(Bytes::new, |body| body.to_string().into());
                    log[asked.start + number - 1].answer = Some((status, body));
                }
            }
        }
    }
}

/// The requests of a batch. The envelope itself is on no list: its requests are.
fn requests(request: &Request<Bytes>) -> Option<Vec<Value>> {
    if request.uri().path() != "/v1.0/$batch" {
        return None;
    }
    assert_eq!(request.method(), Method::POST);
    let body: Value = serde_json::from_slice(request.body()).expect("an envelope");
    Some(body["requests"].as_array().expect("its requests").clone())
}

/// All that may ever be asked: of Graph as Microsoft's description spells it, of the token endpoint and of the app.
pub const ALLOWED: &[(&str, &str)] = &[
    ("POST", "/{tenant}/oauth2/v2.0/token"),
    ("GET", "/v1.0/servicePrincipals"),
    ("GET", "/v1.0/servicePrincipals(appId='{appId}')"),
    ("GET", "/v1.0/servicePrincipals/{servicePrincipal-id}"),
    ("GET", "/v1.0/servicePrincipals/{servicePrincipal-id}/appRoleAssignedTo"),
    ("GET", "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/jobs"),
    ("GET", "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/jobs/{synchronizationJob-id}/schema"),
    ("GET", "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/secrets"),
    ("GET", "/v1.0/groups/{group-id}"),
    NOT_DESCRIBED[0],
    NOT_DESCRIBED[1],
    NOT_DESCRIBED[2],
    ("GET", "/v1.0/groups/{group-id}/appRoleAssignments"),
    ("GET", "/v1.0/groups/{group-id}/memberOf"),
    ("GET", "/v1.0/groups/{group-id}/members"),
    ("GET", "/v1.0/groups/{group-id}/members/microsoft.graph.user"),
    ("GET", "/v1.0/users/{user-id}"),
    ("GET", "/v1.0/auditLogs/provisioning"),
    ("POST", "/v1.0/servicePrincipals/{servicePrincipal-id}/appRoleAssignedTo"),
    ("DELETE", "/v1.0/servicePrincipals/{servicePrincipal-id}/appRoleAssignedTo/{appRoleAssignment-id}"),
    ("DELETE", "/v1.0/groups/{group-id}/members/{directoryObject-id}/$ref"),
    ("POST", "/v1.0/groups/{group-id}/members/$ref"),
    ("POST", "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/jobs/{synchronizationJob-id}/pause"),
    ("GET", "/scim/v2/ServiceProviderConfig"),
    ("GET", "/scim/v2/Users"),
    ("GET", "/scim/v2/Users/{id}"),
    ("GET", "/scim/v2/Groups"),
    ("GET", "/scim/v2/Groups/{id}"),
];

/// On the list, but not in the part of Microsoft's description that is compared with.
pub const NOT_DESCRIBED: [(&str, &str); 3] = [
    ("GET", "/v1.0/identity/conditionalAccess/policies"),
    ("GET", "/v1.0/identityGovernance/privilegedAccess/group/assignmentScheduleInstances"),
    ("GET", "/v1.0/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances"),
];

/// The line of the list that this request is on.
pub fn allowed(exchange: &Exchange) -> Option<(&'static str, &'static str)> {
    let fits = |(method, template): &&(&str, &str)| exchange.method == *method && matches(template, &exchange.path);
    ALLOWED.iter().find(fits).copied()
}

/// Requests that are on no line, each once.
pub fn strangers(exchanges: &[Exchange]) -> BTreeSet<String> {
    let unlisted = exchanges.iter().filter(|exchange| allowed(exchange).is_none());
    unlisted.map(|exchange| format!("{} {}", exchange.method, exchange.path)).collect()
}

/// Whether the path is of this form. `{x}` stands for an id, which is a segment or the quoted part of one.
pub fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if fits(wanted, given) => {}
            _ => return false,
        }
    }
}

fn fits(wanted: &str, given: &str) -> bool {
    let Some((before, rest)) = wanted.split_once('{') else { return wanted == given };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let id = given.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    // `$ref`, `$count`, functions and casts are never ids.
    id.is_some_and(|id| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        !id.is_empty() && id.chars().all(plain) && !id.starts_with("microsoft.graph.")
    })
}
