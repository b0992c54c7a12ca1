//! Who of the operators works. The Lease only saves work: two at once apply the same objects, and nothing is lost by it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio_util::sync::CancellationToken;

/// A leader that has not renewed for so long is taken for gone.
const TTL: Duration = Duration::from_secs(15);
/// It stops by itself before that: this and the longest call and pause are less than the time above.
const DEADLINE: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_secs(2);

pub const NAME: &str = "unscim-operator";

pub struct Elector {
    api: Api<Lease>,
    me: String,
    /// What the Lease said when it last changed, and when that was by our own clock: the clocks of others are not compared.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Elector {
    pub fn new(api: Api<Lease>, me: String) -> Elector {
        Elector { api, me, seen: None }
    }

    /// Until the Lease is ours, or `stop`: then `false`.
    pub async fn win(&mut self, stop: &CancellationToken) -> bool {
        while !stop.is_cancelled() {
            match tokio::time::timeout(PERIOD, self.step()).await {
                Ok(Ok(true)) => return true,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Lease can't be read or taken"),
                Err(_) => tracing::warn!("the API server does not answer about the Lease"),
            }
            stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
        }
        false
    }

    /// Holds it until `stop` (then it is free at once), or until it is lost: an error.
    pub async fn hold(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        loop {
            stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
            if stop.is_cancelled() {
                return Ok(());
            }
            let begun = Instant::now();
            match tokio::time::timeout(PERIOD, self.step()).await {
                Ok(Ok(true)) => renewed = begun,
                Ok(Ok(false)) => anyhow::bail!("another operator has the Lease {NAME}"),
                Ok(Err(error)) => tracing::warn!(%error, "the Lease can't be renewed"),
                Err(_) => tracing::warn!("the API server does not answer about the Lease"),
            }
            anyhow::ensure!(renewed.elapsed() <= DEADLINE, "the Lease {NAME} could not be renewed in time");
        }
    }

    /// For the next one, when all work has ended.
    pub async fn release(&mut self) -> anyhow::Result<()> {
        let mut lease = self.api.get(NAME).await.context("the Lease")?;
        if let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.me)) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.replace(NAME, &PostParams::default(), &lease).await.context("releasing the Lease")?;
        }
        Ok(())
    }

    /// Takes or renews it, where nobody else has it.
    async fn step(&mut self) -> kube::Result<bool> {
        let found = self.api.get_opt(NAME).await?;
        let mut lease = found
            .unwrap_or_else(|| Lease { metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() }, spec: None });
        let spec = lease.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec.clone(), Instant::now()));
        }
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let ttl = Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
        let is_live = self.seen.as_ref().is_some_and(|(_, at)| at.elapsed() < ttl);
        let is_taken = holder != self.me;
        if !holder.is_empty() && is_taken && is_live {
            return Ok(false);
        }
        let now = MicroTime(Timestamp::now());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: Some(TTL.as_secs() as i32),
            acquire_time: if is_taken { Some(now.clone()) } else { spec.acquire_time.clone() },
            renew_time: Some(now),
            lease_transitions: Some(spec.lease_transitions.unwrap_or(0) + i32::from(is_taken)),
            ..spec
        });
        // With the version that was read, so that of two who try, one is refused.
        let written = match lease.metadata.resource_version {
            Some(_) => self.api.replace(NAME, &PostParams::default(), &lease).await,
            None => self.api.create(&PostParams::default(), &lease).await,
        };
        match written {
            Ok(lease) => {
                self.seen = lease.spec.map(|spec| (spec, Instant::now()));
                Ok(true)
            }
            Err(kube::Error::Api(refused)) if refused.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}
