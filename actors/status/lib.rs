//! Reports, events, causes and commands of a node: plain values that the log, the control socket and the probe share.
//!
//! Architecture Invariant: no actor and no I/O. The actors fill these values in, and the commands of the binary show them.

pub mod amount;
pub mod answer;
pub mod cause;
pub mod display;
pub mod escape;
pub mod event;
pub mod report;
pub mod request;
pub mod sentence;
pub mod smallest;
