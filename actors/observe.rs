//! What the node remembers and counts of its federation: history, certificate fingerprints, metrics, log limits.

pub mod fingerprints;
pub mod log_limit;
pub mod metrics;
pub mod recorder;
