//! `unscim operator`: many retirements on Kubernetes.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit};
use crate::cli::tls;
use crate::operator::worker::config::Platform;
use crate::operator::worker::egress::Allowed;
use crate::operator::{Options, run as operate};

pub async fn run(args: &args::Operator, stop: &CancellationToken) -> Result<Exit> {
    let allowed = args.allow_egress.iter().cloned().fold(Allowed::default(), Allowed::with);
    let options = Options {
        namespaces: args.watch_namespace.clone(),
        own_namespace: args.namespace.clone(),
        leader_election: args.leader_election,
        listen: args.listen,
        tls: tls::of_listener(&args.tls)?,
        worker_image: args.worker_image.clone(),
        metrics_namespace: args.metrics_namespace.clone(),
        resync: args.resync,
        platform: Platform { authority: args.entra_authority.clone(), graph: args.entra_graph.clone(), allowed },
    };
    operate(options, stop).await?;
    Ok(Exit::Done)
}
