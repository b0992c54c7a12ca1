//! What the ledger alone proves.

mod report;

pub use report::{Evidence, Report, html, report};
