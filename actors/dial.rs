//! Connection attempts to remote domains, from the DNS to an authenticated stream, and the limits for them.

pub mod attempt;
pub mod backoff;
pub mod dial_limit;
pub mod error;
pub mod observer;
pub mod purpose;
pub mod remote_policy;
pub mod resolver;
pub mod token_bucket;
