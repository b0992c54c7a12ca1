//! A scripted service: every request is kept, every answer is the test's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use secrecy::SecretString;
use serde_json::{Value, json};
use unscim::model::action::Action;
use unscim::model::id::{GroupId, ServicePrincipalId, TenantId, UserId};
use unscim::model::spec::{AppRef, Cloud, Credential, Entra, Limits, Percent, Quota};
use unscim::world::error::Result;
use unscim::world::graph::GraphDirectory;
use unscim::world::graph::pace::Pace;
use unscim::world::graph::token::TokenSource;
use unscim::world::http::{Api, Http, Unobserved, in_process};
use unscim::world::{Directory as _, Written};
use uuid::Uuid;

pub const ROOT: &str = "https://graph.example/";
pub const DATE: &str = "Mon, 02 Nov 2026 10:00:00 GMT";
pub const TOKEN: &str = "very.secret.token";

pub fn app() -> ServicePrincipalId {
    ServicePrincipalId(Uuid::from_u128(0xa))
}

pub fn group() -> GroupId {
    GroupId(Uuid::from_u128(0xb))
}

pub fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(0x1000 + n))
}

/// Tenant 1, over here.
pub fn entra(credential: Credential) -> Entra {
    Entra {
        cloud: Cloud::Public,
        tenant_id: TenantId(Uuid::from_u128(1)),
        app: AppRef::ServicePrincipalId(app()),
        job_id: None,
        credential,
        authority: "https://login.example".parse().unwrap(),
        graph: ROOT.parse().unwrap(),
        ca_file: None,
    }
}

#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Sent {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    lost: bool,
}

pub fn raw(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    let headers = vec![("date", DATE.to_owned()), ("request-id", "rid".to_owned())];
    Reply { status, headers, body: body.into(), lost: false }
}

pub fn ok(body: Value) -> Reply {
    raw(200, body.to_string())
}

pub fn list(items: Vec<Value>) -> Reply {
    ok(json!({ "value": items }))
}

pub fn page(items: Vec<Value>, next: &str) -> Reply {
    ok(json!({ "value": items, "@odata.nextLink": next }))
}

pub fn refusal(status: u16, code: &str, message: &str) -> Reply {
    raw(status, json!({"error": {"code": code, "message": message, "innerError": {"request-id": "inner"}}}).to_string())
}

pub fn not_found() -> Reply {
    refusal(404, "Request_ResourceNotFound", "Resource does not exist.")
}

/// It arrives, it is done, and the answer never comes.
pub fn lost() -> Reply {
    Reply { lost: true, ..raw(200, "") }
}

impl Reply {
    pub fn with(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn undated(mut self) -> Reply {
        self.headers.retain(|(name, _)| *name != "date");
        self
    }

    pub fn dated(self, date: &str) -> Reply {
        let mut reply = self.undated();
        reply.headers.push(("date", date.to_owned()));
        reply
    }

    async fn respond(self) -> Response {
        if self.lost {
            std::future::pending::<()>().await;
        }
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(self.body.into()).unwrap()
    }
}

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Sent>>>);

impl Log {
    pub fn all(&self) -> Vec<Sent> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// `answer` gets the request and how many came before it.
pub fn service(api: Api, answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> (Http, Log) {
    let log = Log::default();
    let (kept, answer) = (log.clone(), Arc::new(answer));
    let router = Router::new().fallback(move |request: Request| {
        let (kept, answer) = (kept.clone(), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let sent = Sent {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                headers: parts.headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            };
            let before = kept.count();
            let reply = answer(&sent, before);
            kept.0.lock().unwrap().push(sent);
            reply.respond().await
        }
    });
    (Http::new(in_process(router), api, Duration::from_secs(30), Arc::new(Unobserved)), log)
}

/// Hands out [`TOKEN`], and counts how often it was told to forget it.
#[derive(Clone, Default)]
pub struct Tokens {
    pub forgotten: Arc<AtomicUsize>,
}

impl TokenSource for Tokens {
    async fn token(&self) -> Result<SecretString> {
        Ok(SecretString::from(TOKEN.to_owned()))
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn graph(answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> (GraphDirectory<Tokens>, Log) {
    let (http, log) = service(Api::Graph, answer);
    (GraphDirectory::new(http, Tokens::default(), ROOT.parse().unwrap(), Arc::new(pace())), log)
}

pub fn pace() -> Pace {
    let limits = Limits {
        max_groups: 1,
        max_users: 1,
        max_member_removals: 1,
        max_shrink: Percent(10),
        fights: 1,
        write_share: Percent(50),
        shared_by: 1,
        write_quota: Quota { amount: 3_000, per: Duration::from_secs(150) },
    };
    Pace::new(&limits)
}

/// One write by itself.
pub async fn one(graph: &GraphDirectory<Tokens>, action: Action) -> Result<Written> {
    let mut outcomes = graph.write(app(), &[action], &|| None).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

pub fn row(n: u128) -> Value {
    json!({"id": format!("row-{n}"), "principalId": user(n), "principalType": "User", "resourceId": app(),
        "appRoleId": Uuid::nil(), "createdDateTime": "2026-11-02T09:00:00Z", "principalDisplayName": "x"})
}
