//! What preflight found.

/// What stands in the way, and what only deserves to be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub refusals: Vec<String>,
    /// The one refusal under which users are covered all the same: somebody else has paused the job.
    pub paused: Option<String>,
    /// A look that failed: neither yes nor no.
    pub unknowns: Vec<String>,
    pub notes: Vec<String>,
}
