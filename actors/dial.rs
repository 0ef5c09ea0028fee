//! Connection attempts to remote domains, from the DNS to an authenticated stream, and the limits for them.

pub(crate) mod attempt;
pub(crate) mod backoff;
pub(crate) mod dial_limit;
pub(crate) mod error;
pub mod observer;
pub(crate) mod remote_policy;
pub(crate) mod resolver;
pub(crate) mod token_bucket;
