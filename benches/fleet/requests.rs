//! What the operator asks the API server, reckoned for an hour.

use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

use crate::audit;

const HOUR: f64 = 3600.0;

/// Requests of the operator.
#[derive(Clone, Copy)]
pub struct Requests {
    /// Its objects, applied: once in an hour, whatever the window of the benchmark is.
    applied: f64,
    others: f64,
}

pub fn count(folder: &Path) -> Requests {
    let mut requests = Requests { applied: 0.0, others: 0.0 };
    for event in audit::requests(folder) {
        if event["verb"] == "patch" && event["objectRef"]["resource"] != "scimretirements" {
            requests.applied += 1.0;
        } else {
            requests.others += 1.0;
        }
    }
    requests
}

impl Sub for Requests {
    type Output = Requests;

    fn sub(self, before: Requests) -> Requests {
        Requests { applied: self.applied - before.applied, others: self.others - before.others }
    }
}

impl Requests {
    /// Seen for this long, in which every object was applied once.
    pub fn of_an_hour(self, seen: Duration) -> f64 {
        self.applied + self.others * HOUR / seen.as_secs_f64()
    }
}
