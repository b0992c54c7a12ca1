//! Probes by a pod's spec, ten times as often as it says.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const FASTER: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    Undecided,
    Success,
    Failure,
}

/// One probe of one container that runs.
pub(super) struct Probing {
    probe: Probe,
    next: Instant,
    successes: i32,
    failures: i32,
    pub(super) outcome: Outcome,
}

impl Probing {
    pub(super) fn new(probe: &Probe) -> Self {
        let delay = seconds(probe.initial_delay_seconds, 0) / FASTER;
        Probing { probe: probe.clone(), next: Instant::now() + delay, successes: 0, failures: 0, outcome: Outcome::Undecided }
    }

    /// Asks when it is time. Why it failed, when it did.
    pub(super) async fn ask(&mut self, container: &Container, ip: IpAddr) -> Option<String> {
        if Instant::now() < self.next {
            return None;
        }
        let asked = once(&self.probe, container, ip).await;
        self.next = Instant::now() + seconds(self.probe.period_seconds, 10) / FASTER;
        let (successes, failures) = if asked.is_ok() { (self.successes + 1, 0) } else { (0, self.failures + 1) };
        (self.successes, self.failures) = (successes, failures);
        if successes >= self.probe.success_threshold.unwrap_or(1).max(1) {
            self.outcome = Outcome::Success;
        } else if failures >= self.probe.failure_threshold.unwrap_or(3).max(1) {
            self.outcome = Outcome::Failure;
        }
        asked.err()
    }
}

fn seconds(given: Option<i32>, default: i32) -> Duration {
    Duration::from_secs(given.filter(|given| *given > 0).unwrap_or(default) as u64)
}

async fn once(probe: &Probe, container: &Container, ip: IpAddr) -> Result<(), String> {
    let patience = seconds(probe.timeout_seconds, 1);
    if let Some(get) = &probe.http_get {
        return http(get, container, ip, patience).await;
    }
    let Some(tcp) = &probe.tcp_socket else { return Err("this kubelet asks over HTTP or TCP only".into()) };
    let connect = tokio::net::TcpStream::connect((ip, port(&tcp.port, container)?));
    let connected = tokio::time::timeout(patience, connect).await.map_err(|_| "i/o timeout".to_owned())?;
    connected.map(drop).map_err(|error| error.to_string())
}

async fn http(get: &HTTPGetAction, container: &Container, ip: IpAddr, patience: Duration) -> Result<(), String> {
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let url = format!("{scheme}://{ip}:{}{}", port(&get.port, container)?, get.path.as_deref().unwrap_or("/"));
    // Each on a connection of its own; whose certificate it is, a kubelet does not ask.
    let client = reqwest::Client::builder().no_proxy().timeout(patience).tls_danger_accept_invalid_certs(true);
    let client = client.redirect(reqwest::redirect::Policy::none()).user_agent("kube-probe/1.36").build();
    let mut request = client.map_err(|error| error.to_string())?.get(&url);
    for header in get.http_headers.iter().flatten() {
        request = request.header(&header.name, &header.value);
    }
    match request.send().await {
        Ok(answer) if (200..400).contains(&answer.status().as_u16()) => Ok(()),
        Ok(answer) => Err(format!("HTTP probe failed with statuscode: {}", answer.status().as_u16())),
        Err(error) => Err(format!("Get {url:?}: {error}")),
    }
}

fn port(wanted: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match wanted {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
        }
    };
    number.and_then(|number| number.try_into().ok()).ok_or_else(|| format!("no port {wanted:?}"))
}
