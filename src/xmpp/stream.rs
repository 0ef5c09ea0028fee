//! XML streams between servers (RFC 6120 section 4) as machines: bytes go in, things to do come out.
//!
//! A driver feeds what it read to `receive`, then calls `poll` until it gives `None`, doing each thing in turn. The
//! machines know no socket, no clock and no randomness: time limits are the driver's, stream ids are given in.
//!
//! ```
//! use xmpp::dialback::Secret;
//! use xmpp::policy::{
//!     Bounds, Hosted, MalformedStanza, Mechanism, Pattern, Policy, Rules, Tls, Trust, UnknownRecipient,
//! };
//! use xmpp::stream::{initiating, receiving};
//! use xmpp::{Domain, DomainPair};
//!
//! let (a, b) = (Domain::new("a.example")?, Domain::new("b.example")?);
//! let policy = Policy {
//!     tls: Tls::Disabled,
//!     auth: vec![Mechanism::Dialback],
//!     strict_certificates: false,
//!     dialback_after_external: false,
//!     dialback_shortcut: false,
//!     trust: Trust(0),
//!     max_stanza: 512 * 1024,
//!     max_stanza_unauthenticated: 10 * 1024,
//!     unknown_recipient: UnknownRecipient::Close,
//!     malformed_stanza: MalformedStanza::Bounce,
//!     idle_seconds: 3600,
//!     secret: Secret::new("of a.example"),
//! };
//! let mut opens = initiating::Initiating::new(initiating::Plan {
//!     pair: DomainPair { local: a, remote: b.clone() },
//!     purpose: initiating::Purpose::Session,
//!     policy: policy.clone(),
//!     bounds: Bounds::default(),
//!     direct_tls: None,
//!     certificate: false,
//! });
//! let hosted = [(b, Hosted { certificate: false })];
//! let rules = Rules::new(hosted, policy, vec![], vec![Pattern::Any], vec![]);
//! let mut accepts = receiving::Receiving::new(rules.into(), None, Box::new(|| "an unpredictable id".to_owned()));
//!
//! // A driver moves bytes and does what else it is told; this one believes every dialback key.
//! while !opens.is_established() {
//!     while let Some(output) = opens.poll() {
//!         if let initiating::Output::Transmit(bytes) = output {
//!             accepts.receive(bytes[..].into());
//!         }
//!     }
//!     while let Some(output) = accepts.poll() {
//!         match output {
//!             receiving::Output::Transmit(bytes) => opens.receive(bytes[..].into()),
//!             receiving::Output::Verify(request) => accepts.verified(&request, Ok(xmpp::dialback::Answer::Valid)),
//!             _ => {}
//!         }
//!     }
//! }
//! # Ok::<(), xmpp::jid::Error>(())
//! ```
//!
//! *Architecture invariant:* nothing of a stream is looked at before the framer has bounded and vouched for it, and
//! what a peer sends never makes a machine panic or keep more than its limits say.
use crate::certificate::{Certificate, Problem};
use crate::{
    Domain,
    policy::{Policy, Rules},
    xml::ns,
};
use bytes::Bytes;
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

/// A whole stream for a server that is turned away at the door: it says why and nothing else. `id` is unpredictable.
pub fn refusal(id: String, rules: &Rules, error: &Error) -> Bytes {
    let from = rules.first().cloned();
    let header = Header { from, id: Some(id), version: Some(header::VERSION), ..Header::default() };
    wire::refusal(ns::SERVER, &header, error)
}

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
