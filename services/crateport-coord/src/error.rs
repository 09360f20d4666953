//! What can go wrong with a coordinator. The answer is always the same: go on without it.

/// The coordinator did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the coordinator cannot {action}: {detail}")]
pub struct CoordError {
    /// What was tried.
    pub action: &'static str,
    /// What it said.
    pub detail: String,
}
