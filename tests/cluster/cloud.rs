//! Many practice tenants behind one address, as Entra and Graph are one address for all: a worker is told apart by the tenant in the path
//! of its token, and then by that token.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use unscim::cli::practice::Served;
use unscim::practice::scenario::Scenario;

#[derive(Clone, Default)]
struct Known {
    /// Tenant -> root.
    tenants: Arc<Mutex<HashMap<String, String>>>,
    /// Token -> root.
    tokens: Arc<Mutex<HashMap<String, String>>>,
}

pub struct Cloud {
    pub root: String,
    known: Known,
}

impl Cloud {
    pub async fn start() -> Cloud {
        let known = Known::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let root = format!("http://{}/", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(forward).with_state((known.clone(), reqwest::Client::new()));
        tokio::spawn(axum::serve(listener, router).into_future());
        Cloud { root, known }
    }

    pub async fn tenant(&self, scenario: Scenario) -> Served {
        let served = Served::start(scenario, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        self.known.tenants.lock().unwrap().insert(served.practice.ids().tenant.to_string(), served.root.clone());
        served
    }
}

async fn forward(State((known, client)): State<(Known, reqwest::Client)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let bearer =
        parts.headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")).map(str::to_owned);
    let tenant = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let root = match &bearer {
        Some(token) => known.tokens.lock().unwrap().get(token).cloned(),
        None => known.tenants.lock().unwrap().get(tenant).cloned(),
    };
    let Some(root) = root else { return (StatusCode::NOT_FOUND, "no such tenant").into_response() };
    let mut headers = parts.headers.clone();
    headers.remove("host");
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let sent = client.request(parts.method, format!("{root}{path}")).headers(headers).body(body).send().await;
    let Ok(answer) = sent else { return (StatusCode::BAD_GATEWAY, "the tenant is away").into_response() };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(bytes) = answer.bytes().await else { return (StatusCode::BAD_GATEWAY, "the tenant broke off").into_response() };
    if bearer.is_none()
        && let Some(token) =
            serde_json::from_slice::<Value>(&bytes).ok().and_then(|value| value["access_token"].as_str().map(str::to_owned))
    {
        known.tokens.lock().unwrap().insert(token, root.clone());
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().remove("transfer-encoding");
    response
}
