//! One error for everything outside: what we were doing, to what, and what follows from it.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Clone, Debug, Error)]
pub enum Error {
    /// Nothing was sent.
    #[error("{doing}: no connection: {cause}")]
    Unreachable { doing: String, cause: String },
    /// The connection ended before there was an answer: what was sent may have arrived.
    #[error("{doing}: no answer, the connection broke: {cause}")]
    Broken { doing: String, cause: String },
    #[error("{doing}: no answer within {}", humantime::format_duration(*.after))]
    TimedOut { doing: String, after: Duration },
    #[error("{doing}: throttled{}", .retry_after.map(|d| format!(", retry after {}", humantime::format_duration(d))).unwrap_or_default())]
    Throttled { doing: String, retry_after: Option<Duration> },
    #[error("{doing}: {status} {code}: {message}{}", request(.request_id))]
    Refused { doing: String, status: u16, code: String, message: String, request_id: Option<String> },
    /// The service says that the thing itself does not exist.
    #[error("{doing}: not found{}", request(.request_id))]
    NotFound { doing: String, request_id: Option<String> },
    /// 401 or 403.
    #[error("{doing}: denied ({status} {code}): {message}{}", request(.request_id))]
    Denied { doing: String, status: u16, code: String, message: String, request_id: Option<String> },
    /// The token endpoint refused our credential.
    #[error("getting a token: {message}")]
    Credential { code: Option<u32>, message: String },
    /// An answer that can't be taken for what was asked, whole.
    #[error("{doing}: {why}")]
    Malformed { doing: String, why: String },
    /// More than is read of one answer.
    #[error("{doing}: the answer is larger than {mebibytes} MiB")]
    TooLarge { doing: String, mebibytes: usize },
    /// A list that did not end as it should; never returned as a short list.
    #[error("{doing}: the list is incomplete: {why}")]
    Incomplete { doing: String, why: String },
    /// More or fewer than the one that was meant.
    #[error("{doing}: {why}")]
    Ambiguous { doing: String, why: String },
    #[error("reading {what}: {cause}")]
    File { what: String, cause: String },
    #[error("ledger: {0}")]
    Ledger(String),
    /// It never left: what allowed it did not hold any more.
    #[error("{doing}: held back: {why}")]
    Withheld { doing: String, why: String },
}

/// In place of the code of an answer that is not in the service's own form.
pub const NOT_ITS_OWN: &str = "without a Graph error";

fn request(id: &Option<String>) -> String {
    id.as_ref().map(|id| format!(" (request-id {id})")).unwrap_or_default()
}

/// What kind of trouble it is: decides what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Comes and goes; look again.
    Transient,
    /// Somebody has to give us something.
    Denied,
    /// It will not get better by itself.
    Invalid,
    /// The thing is not there.
    Gone,
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Error::Unreachable { .. }
            | Error::Broken { .. }
            | Error::TimedOut { .. }
            | Error::Throttled { .. }
            | Error::Incomplete { .. }
            | Error::Withheld { .. } => Class::Transient,
            Error::Refused { status, .. } if *status >= 500 || matches!(status, 408 | 409 | 423 | 424 | 429) => Class::Transient,
            Error::Refused { .. }
            | Error::Malformed { .. }
            | Error::TooLarge { .. }
            | Error::Ambiguous { .. }
            | Error::Ledger(_) => Class::Invalid,
            Error::NotFound { .. } => Class::Gone,
            Error::Denied { .. } | Error::Credential { .. } | Error::File { .. } => Class::Denied,
        }
    }

    /// The same, of something else that it befell too.
    #[must_use]
    pub fn about(&self, what: &str) -> Error {
        let mut error = self.clone();
        match &mut error {
            Error::Unreachable { doing, .. }
            | Error::Broken { doing, .. }
            | Error::TimedOut { doing, .. }
            | Error::Throttled { doing, .. }
            | Error::Refused { doing, .. }
            | Error::NotFound { doing, .. }
            | Error::Denied { doing, .. }
            | Error::Malformed { doing, .. }
            | Error::TooLarge { doing, .. }
            | Error::Incomplete { doing, .. }
            | Error::Ambiguous { doing, .. }
            | Error::Withheld { doing, .. } => what.clone_into(doing),
            Error::Credential { .. } | Error::File { .. } | Error::Ledger(_) => {}
        }
        error
    }

    /// A fixed label for metrics and for [`crate::model::observed::Why`].
    pub fn label(&self) -> &'static str {
        match self {
            Error::Unreachable { .. } => "unreachable",
            Error::Broken { .. } => "broken",
            Error::TimedOut { .. } => "timed-out",
            Error::Throttled { .. } => "throttled",
            Error::Refused { .. } => "refused",
            Error::NotFound { .. } => "not-found",
            Error::Denied { .. } => "denied",
            Error::Credential { .. } => "credential",
            Error::Malformed { .. } | Error::TooLarge { .. } => "malformed",
            Error::Incomplete { .. } => "incomplete",
            Error::Ambiguous { .. } => "ambiguous",
            Error::File { .. } => "file",
            Error::Ledger(_) => "ledger",
            Error::Withheld { .. } => "withheld",
        }
    }

    /// The service itself says that we may not, in its own form: no gateway's page does.
    pub fn is_denied_in_words(&self) -> bool {
        matches!(self, Error::Denied { status: 403, code, .. } if code != NOT_ITS_OWN)
    }

    /// The service has spoken on this very thing, and against it.
    pub fn is_refusal(&self) -> bool {
        let spoke =
            matches!(self, Error::Refused { .. } | Error::NotFound { .. } | Error::Denied { .. } | Error::Ambiguous { .. });
        spoke && !self.is_failed_dependency()
    }

    /// It never left, by our own hand.
    pub fn is_withheld(&self) -> bool {
        matches!(self, Error::Withheld { .. })
    }

    /// A request of a chain that was not tried, because the one before it failed.
    pub fn is_failed_dependency(&self) -> bool {
        matches!(self, Error::Refused { status: 424, .. })
    }

    /// After a write: can it have taken effect all the same? What is throttled has not (RFC 6585, section 4).
    pub fn leaves_outcome_open(&self) -> bool {
        match self {
            Error::TimedOut { .. } | Error::Broken { .. } | Error::Malformed { .. } | Error::TooLarge { .. } => true,
            Error::Refused { status, .. } => *status >= 500 || *status == 408,
            _ => false,
        }
    }
}

/// What a text says that is in hand already and may say nothing. Not for a read of the world: that must tell why it failed.
#[expect(clippy::disallowed_methods, reason = "a text that can't be understood says nothing, and there is no more to it")]
pub fn hint<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// For what is whole between any two statements, so that a panic elsewhere leaves nothing half done.
#[expect(clippy::disallowed_methods, reason = "a poisoned lock gives the same value")]
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
