//! XML streams between servers (RFC 6120 section 4) as machines: bytes go in, things to do come out.
//!
//! A driver feeds what it read to `receive`, then calls `poll` until it gives `None`, doing each thing in turn. The
//! machines know no socket, no clock and no randomness: time limits are the driver's, stream ids are given in.
//!
//! *Architecture invariant:* nothing of a stream is looked at before the framer has bounded and vouched for it, and
//! what a peer sends never makes a machine panic or keep more than its limits say.
use crate::certificate::{Certificate, Problem};
use crate::{Domain, policy::Policy};
use std::fmt;

pub mod error;
pub mod features;
pub mod header;
pub mod initiating;
pub mod receiving;
pub(crate) mod wire;

pub use error::{Condition, Error};
pub use header::Header;
pub use initiating::Initiating;
pub use receiving::Receiving;

#[cfg(test)]
pub(crate) mod tests;

/// What TLS gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// what the peer showed
    pub certificate: Option<Certificate>,
    /// `TLSv1.3`
    pub protocol: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
}

impl Secured {
    /// Whether the peer's certificate proves `domain` under `policy`.
    pub fn proves(&self, domain: &Domain, policy: &Policy) -> Result<(), Problem> {
        self.certificate.as_ref().ok_or(Problem::Missing)?.proves(domain, policy.trust)
    }
}

/// How a stream came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// with closing tags on both sides
    Closed,
    /// the peer sent a stream error
    ByPeer(Error),
    /// we sent one
    ByUs(Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::ByPeer(error) => write!(f, "closed by the peer: {error}"),
            Self::ByUs(error) => write!(f, "closed by us: {error}"),
        }
    }
}
