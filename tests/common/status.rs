//! What a test that fails shows of a status.

use unscim::model::status::Status;

pub fn told(status: &Status) -> String {
    let lines: Vec<_> =
        status.conditions.iter().map(|c| format!("{} {} {}: {}", c.kind, c.status, c.reason, c.message)).collect();
    format!("phase {}: {lines:#?} held {:?} pending {:?}", status.phase, status.held, status.pending)
}
