//! How far a ledger goes. It only grows: one that does not reach what was seen of it is an older copy, or another one.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::baseline::Baseline;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extent {
    /// The service's time of the look that the baseline was taken from.
    #[schemars(with = "String")]
    pub baseline_taken: Timestamp,
    /// Protected users in the baseline.
    pub users: u64,
    /// Lines of the journal.
    pub lines: u64,
    /// The hash of the last of them, which stands for all, as `unscim verify` prints it; none where there is no line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub head: Option<String>,
}

impl Extent {
    /// `last` is the number and the hash of the journal's last line.
    pub fn of(baseline: &Baseline, last: Option<(u64, String)>) -> Extent {
        let (lines, head) = last.map_or((0, None), |(lines, head)| (lines, Some(head)));
        Extent { baseline_taken: baseline.taken, users: baseline.users.len() as u64, lines, head }
    }

    /// Whether the ledger with this baseline goes as far; `line` is the hash that it has for the line with our number.
    pub fn is_reached(&self, baseline: &Baseline, line: Option<&str>) -> bool {
        baseline.taken == self.baseline_taken && baseline.users.len() as u64 >= self.users && self.head.as_deref() == line
    }
}
