//! Many retirements on Kubernetes: a worker for each `ScimRetirement`, which runs the daemon as it is.
//!
//! ```text
//!   ScimRetirement -- watch --> reconcile -- server-side apply --> StatefulSet(1), claim, ConfigMap, Service, NetworkPolicy
//!         ^                        |                                       |
//!         +-- status, Events ------+ <--------- /events ------------- unscim run
//! ```
//!
//! The operator asks neither Entra nor an app anything, and holds no credential of any tenant.

mod applied;
pub mod crd;
mod endless;
pub mod fields;
mod heard;
mod lease;
mod listener;
pub mod metrics;
mod news;
mod pod;
mod reconcile;
pub mod resource;
mod status;
mod taken;
mod told;
mod watches;
pub mod worker;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::api::Api;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use applied::Applied;
use heard::Workers;
use lease::Elector;
use metrics::Metrics;
use reconcile::{Context, MANAGER};
use worker::config::Platform;
use worker::objects::Surroundings;

use crate::serve::{Tls, bind};

/// What the flags say.
pub struct Options {
    /// Empty: all.
    pub namespaces: Vec<String>,
    /// The operator's own: there is the Lease.
    pub own_namespace: String,
    pub leader_election: bool,
    pub listen: SocketAddr,
    pub tls: Option<Tls>,
    pub worker_image: String,
    pub metrics_namespace: String,
    pub resync: Duration,
    pub platform: Platform,
}

/// An operator that has lost the Lease ends, and is started anew by Kubernetes: nothing half done is carried over.
pub async fn run(mut options: Options, stop: &CancellationToken) -> Result<()> {
    let metrics = Metrics::new()?;
    let socket = bind(options.listen).await?;
    let end = CancellationToken::new();
    let (address, serving) = listener::listen(socket, metrics.clone(), options.tls.take(), end.clone())?;
    let serving = tokio::spawn(serving);
    let config = Config::infer().await.context("no cluster: neither a service account of a pod nor a kubeconfig (KUBECONFIG)")?;
    let client = Client::try_from(config).context("the client of the API server")?;
    let me = format!("{}-{}", rustix::system::uname().nodename().to_string_lossy(), uuid::Uuid::new_v4());
    tracing::info!(%address, identity = me, namespaces = ?options.namespaces, "listening");
    let done = if options.leader_election {
        elected(&options, client, &metrics, me, stop).await
    } else {
        work(&options, client, &metrics, me, stop).await
    };
    end.cancel();
    serving.await.context("the listener")?.context("the listener")?;
    tracing::info!("stopped");
    done
}

async fn elected(options: &Options, client: Client, metrics: &Metrics, me: String, stop: &CancellationToken) -> Result<()> {
    let mut elector = Elector::new(Api::namespaced(client.clone(), &options.own_namespace), me.clone());
    if !elector.win(stop).await {
        return Ok(());
    }
    tracing::info!("leading");
    let ended = stop.child_token();
    let work = work(options, client, metrics, me, &ended);
    let held = {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            worked = &mut work => { worked?; Ok(()) }
            held = elector.hold(&ended) => {
                ended.cancel();
                if held.is_ok() { work.await?; }
                held
            }
        }
    };
    metrics.leads(false);
    held?;
    elector.release().await
}

async fn work(options: &Options, client: Client, metrics: &Metrics, me: String, stop: &CancellationToken) -> Result<()> {
    metrics.leads(true);
    let (news, heard) = mpsc::unbounded_channel();
    let reporter = Reporter { controller: MANAGER.into(), instance: Some(me) };
    let scopes = watches::Scopes::new(&client, &options.namespaces);
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        workers: Workers::new(news, metrics.clone()),
        metrics: metrics.clone(),
        platform: options.platform.clone(),
        surroundings: Surroundings {
            operator_namespace: options.own_namespace.clone(),
            metrics_namespace: options.metrics_namespace.clone(),
        },
        image: options.worker_image.clone(),
        resync: options.resync,
        resources: scopes.resources(),
        pods: scopes.pods(),
        applied: Applied::default(),
        shared: Mutex::default(),
        client,
    });
    scopes.run(context, heard, stop).await
}
