//! XML streams between servers (RFC 6120 section 4) as state machines.
//!
//! A driver feeds the bytes that it reads to `receive`, then calls `poll` until it gives `None`, and does
//! each thing in turn. The machines know no socket, no clock and no randomness: the driver keeps the time
//! limits and gives stream ids.
//!
//! A stream begins as a handshake, [`initiating::Handshake`] or [`receiving::Handshake`]. The handshake ends
//! in an open stream, [`initiating::Open`] or [`receiving::Open`], a type of its own with the outputs that an
//! open stream can have. The [example](crate) of this crate shows both roles.
//!
//! *Architecture invariant:* nothing of a stream is read before the framer has bounded and validated it, and
//! no input makes a machine panic or keep more than its limits allow.
use crate::certificate::{Certificate, Problem};
use crate::{
    Domain,
    policy::{Policy, Rules},
    xml::ns,
};
use bytes::Bytes;
use std::fmt;

pub(crate) mod closing;
pub mod error;
pub mod features;
pub mod header;
pub mod initiating;
pub mod receiving;
mod stage;
pub(crate) mod wire;

pub use error::{Condition, Error};
pub use header::Header;
pub use stage::Stage;

#[cfg(test)]
pub(crate) mod tests;

/// A whole stream for a server that is not let in: it holds the error and nothing else. `id` is
/// unpredictable.
pub fn refusal(id: String, rules: &Rules, error: &Error) -> Bytes {
    let from = rules.first().cloned();
    let header = Header { from, id: Some(id), version: Some(header::VERSION), ..Header::default() };
    wire::refusal(ns::SERVER, &header, error)
}

/// A TLS session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The certificate that the peer has shown.
    pub certificate: Option<Certificate>,
    /// The version, `TLSv1.3`.
    pub protocol: String,
    /// The cipher suite, `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

impl Secured {
    /// Checks whether the peer's certificate proves `domain` under `policy`.
    ///
    /// # Errors
    /// Gives the problem with the certificate.
    pub fn proves(&self, domain: &Domain, policy: &Policy) -> Result<(), Problem> {
        self.certificate.as_ref().ok_or(Problem::Missing)?.proves(domain, policy.trust)
    }
}

/// The end of a stream. `Display` completes the sentence "the stream was …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Closing tags on both sides.
    Closed,
    /// A stream error of the peer.
    ByPeer(Error),
    /// A stream error of ours.
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
