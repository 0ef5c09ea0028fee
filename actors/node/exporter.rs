//! Shows the figures of a node to a monitoring system, in the formats of Prometheus and OpenMetrics.

mod cluster;
mod components;
mod exposition;
mod families;
pub(crate) mod gather;
pub(crate) mod http;
