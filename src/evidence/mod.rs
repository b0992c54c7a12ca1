//! What the ledger alone proves.

mod page;
mod report;

pub use page::html;
pub use report::{Evidence, Report, report};
