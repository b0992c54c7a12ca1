//! What the operator asks the API server.

use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

use crate::audit;

const HOUR: f64 = 3600.0;

/// Requests of the operator.
#[derive(Clone, Copy, Default)]
pub struct Requests {
    /// Its objects, applied.
    pub applied: usize,
    others: usize,
}

pub fn count(folder: &Path) -> Requests {
    let mut requests = Requests::default();
    for event in audit::requests(folder) {
        if event["verb"] == "patch" && event["objectRef"]["resource"] != "scimretirements" {
            requests.applied += 1;
        } else {
            requests.others += 1;
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
    /// Seen for this long.
    pub fn in_an_hour(self, seen: Duration) -> f64 {
        (self.applied + self.others) as f64 * HOUR / seen.as_secs_f64()
    }
}
