//! What the practice tenant remembers of its callers: requests, writes, and what must never be called.

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

/// Of requests, the newest so many are kept.
const BOUND: usize = 100_000;

#[derive(Default)]
pub(crate) struct Records {
    pub tally: Tally,
    pub requests: VecDeque<Request>,
    pub writes: Vec<Request>,
    pub forbidden: Vec<Request>,
    pub scim: VecDeque<ScimRequest>,
}

impl Records {
    pub fn request(&mut self, request: Request) {
        self.tally.asked += 1;
        self.tally.throttled += u64::from(request.status == 429);
        push(&mut self.requests, request);
    }

    pub fn scim(&mut self, request: ScimRequest) {
        push(&mut self.scim, request);
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == BOUND {
        list.pop_front();
    }
    list.push_back(item);
}
