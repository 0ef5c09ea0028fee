//! Observation of the federation: history, certificate fingerprints, metrics, limits on log lines.

pub(crate) mod ack_times;
pub(crate) mod fingerprints;
pub mod log_limit;
pub(crate) mod metrics;
pub(crate) mod recorder;
