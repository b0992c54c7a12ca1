//! The names under which we are asked. A web page elsewhere can have its own name lead here (DNS rebinding) and would read what we
//! show, but its requests still bear that name. An address can't be led elsewhere, so addresses are as good as names of ours.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// A clone is the same names. `localhost` and every address are always among them.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<BTreeSet<String>>);

impl Hosts {
    /// These, and the machine's own.
    pub fn new(names: &[String]) -> Self {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let all = names.iter().map(String::as_str).chain([machine.as_str()]).map(plain);
        Hosts(Arc::new(all.filter(|name| !name.is_empty()).collect()))
    }

    fn has(&self, host: &str) -> bool {
        let host = plain(host);
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
        host == "localhost" || address.parse::<IpAddr>().is_ok() || self.0.contains(&host)
    }
}

/// Names don't mind their case, nor the dot at their end.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Answers nobody who takes us for somebody else.
pub(super) async fn known(Shared(hosts): Shared<Hosts>, request: Request, next: Next) -> Response {
    let Some(host) = host(request.headers()) else {
        return (StatusCode::BAD_REQUEST, "the request names no host, or not just one; only the probes do without\n")
            .into_response();
    };
    // A request to a proxy has the name in its first line too.
    let asked = request.uri().authority().into_iter().chain([&host]).map(Authority::host);
    let strangers: Vec<_> = asked.filter(|name| !hosts.has(name)).map(str::to_owned).collect();
    let Some(stranger) = strangers.first() else { return next.run(request).await };
    let why = format!(
        "{stranger} is no name of this listener; to make it one, start unscim with --allowed-host {stranger} (UNSCIM_ALLOWED_HOST)\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut all = headers.get_all(HOST).iter();
    let (first, second) = (all.next()?, all.next());
    let host: Authority = first.to_str().ok()?.parse().ok()?;
    (second.is_none() && !host.as_str().contains('@') && !host.host().is_empty()).then_some(host)
}
