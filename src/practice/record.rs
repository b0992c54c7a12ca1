//! What the practice tenant remembers of its callers: requests, writes, what must never be called, whole exchanges.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

/// One call of Graph; those inside a batch count one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub at: Timestamp,
    pub method: String,
    /// The route (`/groups/{id}/members`), where there is one.
    pub template: Option<&'static str>,
    pub path: String,
    pub query: String,
    pub status: u16,
}

/// How much was asked of Graph since time started, batches item by item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub asked: u64,
    pub writes: u64,
    /// Answered with 429.
    pub throttled: u64,
}

/// A call with its bodies, for comparison with the published description.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub method: String,
    pub template: Option<&'static str>,
    pub path: String,
    pub status: u16,
    pub request: Option<Value>,
    /// `None` where there is no body; a string where it is not JSON.
    pub response: Option<Value>,
}

/// A call that the engine made to the target.
#[derive(Clone, Debug, PartialEq)]
pub struct ScimRequest {
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub body: Option<Value>,
    /// 0 where no answer came.
    pub status: u16,
}

/// Whether exchanges are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    #[default]
    Off,
    On,
}

/// Nothing is kept beyond this many.
const BOUND: usize = 100_000;
const EXCHANGES: usize = 5_000;

#[derive(Default)]
pub(crate) struct Records {
    pub tally: Tally,
    pub requests: VecDeque<Request>,
    pub writes: Vec<Request>,
    pub forbidden: Vec<Request>,
    pub exchanges: VecDeque<Exchange>,
    pub recording: Recording,
    pub scim: VecDeque<ScimRequest>,
}

impl Records {
    pub fn request(&mut self, request: Request) {
        self.tally.asked += 1;
        self.tally.throttled += u64::from(request.status == 429);
        push(&mut self.requests, request, BOUND);
    }

    pub fn exchange(&mut self, exchange: impl FnOnce() -> Exchange) {
        if self.recording == Recording::On {
            push(&mut self.exchanges, exchange(), EXCHANGES);
        }
    }

    pub fn scim(&mut self, request: ScimRequest) {
        push(&mut self.scim, request, BOUND);
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T, bound: usize) {
    if list.len() == bound {
        list.pop_front();
    }
    list.push_back(item);
}
