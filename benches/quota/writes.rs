//! The writes of a run as the tenant saw them, and the least time that its quota allows for them.

use jiff::Timestamp;
use unscim::practice::Request;

use crate::tenant::{SPEED, WRITES};

/// Real seconds: one round trip.
const TOGETHER: f64 = 0.05;

pub const STEPS: [&str; 3] = ["assign", "remove", "unassign"];

/// One step's writes, from the first to the last. Times are real seconds.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub first: Timestamp,
    pub last: Timestamp,
    pub accepted: usize,
    pub refused: usize,
    pub took: f64,
    /// What the bucket held when the step began decides how long its writes take at the very least.
    pub bound: f64,
}

/// Writes per real second.
pub fn rate() -> f64 {
    f64::from(WRITES.amount) / WRITES.per.as_secs_f64() * SPEED
}

fn step_of(write: &Request) -> Option<usize> {
    match (write.method.as_str(), write.template?) {
        ("POST", "/servicePrincipals/{id}/appRoleAssignedTo") => Some(0),
        ("DELETE", "/groups/{id}/members/{member}/$ref") => Some(1),
        ("DELETE", "/servicePrincipals/{id}/appRoleAssignedTo/{assignment}") => Some(2),
        _ => None,
    }
}

fn real(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / SPEED
}

/// Follows the bucket over all writes, oldest first. A refused write takes nothing out of it.
pub fn steps(writes: &[Request]) -> [Step; 3] {
    let capacity = f64::from(WRITES.amount);
    let mut steps: [Step; 3] = Default::default();
    let (mut level, mut seen, mut held) = (capacity, None, [capacity; 3]);
    for write in writes {
        level = seen.map_or(level, |seen| (level + real(seen, write.at) * rate()).min(capacity));
        seen = Some(write.at);
        let refused = write.status == 429;
        if let Some(n) = step_of(write) {
            let step = &mut steps[n];
            if step.accepted + step.refused == 0 {
                (step.first, step.last, held[n]) = (write.at, write.at, level);
            }
            // A group waits until it was seen to be empty for long enough: between two of them that is settling.
            let since_last = real(step.last, write.at);
            if n != 2 || since_last < TOGETHER {
                step.took += since_last;
            }
            step.last = write.at;
            step.refused += usize::from(refused);
            step.accepted += usize::from(write.status < 300);
        }
        level -= f64::from(u8::from(!refused));
    }
    for (step, held) in steps.iter_mut().zip(held) {
        step.bound = ((step.accepted as f64 - held) / rate()).max(0.0);
    }
    steps
}

/// Refused writes later than the first refusal and what was under way with it.
pub fn refused_later(writes: &[Request]) -> usize {
    let mut refused = writes.iter().filter(|write| write.status == 429);
    refused.next().map_or(0, |first| refused.filter(|write| real(first.at, write.at) > TOGETHER).count())
}
