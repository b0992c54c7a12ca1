//! The practice tenant from the inside: what its front, its Graph, its engine and its admins share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::Notify;

use super::clock::Clock;
use super::engine::scim::Sender;
use super::engine::sync::Sync;
use super::faults::Faults;
use super::record::Records;
use super::replicas::Replicas;
use super::scenario::Scenario;
use super::scim_app::ScimApp;
use super::seed::Ids;
use super::throttle::Throttle;
use super::token::Tokens;
use super::world::World;

/// Why a practice tenant cannot be set up, or not do what is asked.
#[derive(Debug, Error)]
pub enum PracticeError {
    #[error("scenario: {0}")]
    Scenario(String),
    #[error("{0}")]
    Target(String),
}

/// The directory and the job under one lock, never held over a wait.
pub(crate) struct State {
    pub world: World,
    pub sync: Sync,
}

pub(crate) struct Inner {
    pub scenario: Scenario,
    pub clock: Clock,
    pub ids: Ids,
    pub sender: Sender,
    pub faults: Faults,
    /// Cycles never overlap.
    pub gate: tokio::sync::Mutex<()>,
    /// The job's schedule has changed.
    pub wake: Notify,
    pub app: Option<ScimApp>,
    pub(super) state: Mutex<State>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) throttle: Mutex<Throttle>,
    pub(super) records: Mutex<Records>,
    pub(super) replicas: Mutex<Replicas>,
}

impl Inner {
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    pub fn throttle(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.throttle)
    }

    pub fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }

    pub fn replicas(&self) -> MutexGuard<'_, Replicas> {
        lock(&self.replicas)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
