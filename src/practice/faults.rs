//! Things that go wrong between a caller and the practice tenant, as data: the n-th request of a kind gets an odd answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use jiff::SignedDuration;

/// One fault. It lets `skip` requests of its kind pass, hits `times` of them, and is spent.
#[derive(Clone, Debug)]
pub struct Fault {
    pub place: Place,
    /// Any method where absent.
    pub method: Option<Method>,
    /// Part of the path with its query, as in `/appRoleAssignedTo`; empty matches everything.
    pub path: String,
    pub skip: usize,
    pub times: usize,
    pub effect: Effect,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Anywhere,
    /// By itself; a whole `$batch` is one.
    Alone,
    /// Inside a `$batch`.
    Inside,
}

#[derive(Clone, Debug)]
pub enum Effect {
    /// Answers this without doing anything. A JSON body where it parses as such.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// Does it, and answers this all the same.
    Belie { status: u16, headers: Vec<(String, String)>, body: String },
    /// Does it; the `Date` of the answer is off by this much. Inside a `$batch` there is none.
    Date(SignedDuration),
    /// Does it, but real time passes first.
    Delay(Duration),
    /// Does it, and the answer never arrives.
    LoseAnswer,
    /// Neither does it nor answers.
    Hang,
    /// Does it; only this many bytes of the answer's body arrive.
    Truncate(usize),
    /// A page for people in place of the answer, without doing anything, with this status.
    Html(u16),
}

impl Fault {
    /// Hits the next matching request, once.
    pub fn once(path: &str, effect: Effect) -> Self {
        Fault { place: Place::Anywhere, method: None, path: path.to_owned(), skip: 0, times: 1, effect }
    }

    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    pub fn on(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Hits the n-th matching request (from 1) instead of the first.
    pub fn nth(mut self, n: usize) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// The faults that are waiting.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// How many are not spent yet.
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What befalls this request. Every waiting fault counts it; the first that is due hits.
    pub(crate) fn strike(&self, place: Place, method: &Method, path_and_query: &str) -> Option<Effect> {
        let mut faults = self.lock();
        let mut struck = None;
        for fault in faults.iter_mut() {
            let elsewhere = fault.place != Place::Anywhere && fault.place != place;
            let other = fault.method.as_ref().is_some_and(|wanted| wanted != method);
            if elsewhere || other || !path_and_query.contains(&fault.path) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() && fault.times > 0 {
                fault.times -= 1;
                struck = Some(fault.effect.clone());
            }
        }
        faults.retain(|fault| fault.times > 0);
        struck
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
