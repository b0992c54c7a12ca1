//! The service's quotas: token buckets over virtual time, and what an answer says about them.

use std::time::Duration;

use jiff::Timestamp;

use super::scenario::{Quota, Quotas};

pub(crate) struct Throttle {
    writes: Option<Bucket>,
    resource_units: Option<Bucket>,
    reports: Option<Bucket>,
}

/// What one request costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub resource_units: u32,
    pub writes: u32,
    pub reports: u32,
}

/// Which quota said no, and for how long (virtual).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub information: &'static str,
    pub scope: &'static str,
    pub wait: Duration,
}

struct Bucket {
    quota: Quota,
    level: f64,
    at: Timestamp,
}

impl Throttle {
    pub fn new(quotas: &Quotas, now: Timestamp) -> Self {
        let bucket = |quota: Option<Quota>| quota.map(|quota| Bucket { quota, level: f64::from(quota.amount), at: now });
        Throttle { writes: bucket(quotas.writes), resource_units: bucket(quotas.resource_units), reports: bucket(quotas.reports) }
    }

    /// Takes the cost of a request, or says why not. The share of the fullest quota in use comes with a yes.
    pub fn take(&mut self, cost: Cost, now: Timestamp) -> Result<f64, Refusal> {
        let mut buckets = [
            (&mut self.writes, cost.writes, "WriteLimitExceeded", "ReadWrite"),
            (&mut self.resource_units, cost.resource_units, "ResourceUnitLimitExceeded", "ReadWrite"),
            (&mut self.reports, cost.reports, "CPULimitExceeded", "Read"),
        ];
        for (bucket, cost, information, scope) in &mut buckets {
            if let Some(wait) = bucket.as_mut().and_then(|bucket| bucket.missing(f64::from(*cost), now)) {
                return Err(Refusal { information, scope, wait });
            }
        }
        let used = buckets.into_iter().filter_map(|(bucket, cost, ..)| Some(bucket.as_mut()?.spend(f64::from(cost))));
        Ok(used.fold(0.0, f64::max))
    }
}

impl Bucket {
    fn rate(&self) -> f64 {
        f64::from(self.quota.amount) / self.quota.per.as_secs_f64()
    }

    /// How long until this much is there.
    fn missing(&mut self, cost: f64, now: Timestamp) -> Option<Duration> {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.level = (self.level + passed * self.rate()).min(f64::from(self.quota.amount));
        self.at = now;
        (cost > self.level).then(|| Duration::from_secs_f64((cost - self.level) / self.rate()))
    }

    fn spend(&mut self, cost: f64) -> f64 {
        self.level -= cost;
        if cost > 0.0 { 1.0 - self.level / f64::from(self.quota.amount) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::clock::later;

    #[test]
    fn a_spent_quota_comes_back_with_time() {
        let start = Timestamp::UNIX_EPOCH;
        let writes = Quota { amount: 10, per: Duration::from_secs(5) };
        let mut throttle = Throttle::new(&Quotas { writes: Some(writes), ..Quotas::default() }, start);
        let write = Cost { resource_units: 1, writes: 1, reports: 0 };
        let shares: Vec<f64> = (0..10).map(|_| throttle.take(write, start).unwrap()).collect();
        assert!((shares[0] - 0.1).abs() < 1e-9 && (shares[9] - 1.0).abs() < 1e-9);
        assert_eq!(throttle.take(write, start).unwrap_err().wait, Duration::from_millis(500));
        assert!(throttle.take(Cost { writes: 0, ..write }, start).is_ok());
        assert!(throttle.take(write, later(start, Duration::from_secs(1))).is_ok());
    }
}
