//! What the node remembers and counts of its federation: history, certificate fingerprints, metrics, log limits.

pub(crate) mod fingerprints;
pub mod log_limit;
pub(crate) mod metrics;
pub(crate) mod recorder;
