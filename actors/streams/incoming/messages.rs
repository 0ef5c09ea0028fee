//! The messages of an incoming stream.

use std::time::Duration;

use tokio::sync::mpsc;
use xmpp::{Domain, stream};

use crate::dial::remote_policy::RemotePolicies;
use mailbox::drain;
use net::tls::Tls;
use status::report;

/// The node stops: close the stream.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The time in which the peer closes its side. Stanzas that it sends meanwhile are still taken, unless the stream
    /// has acks: then the last one is sent, and the peer keeps later stanzas.
    pub within: Duration,
    /// Dropped when the stream is over.
    pub token: drain::Token,
}

/// Report the state of the link.
#[derive(Debug)]
pub(crate) struct Show {
    /// Report it only if it carries stanzas of this domain.
    pub of: Option<Domain>,
    /// Receives the report.
    pub links: mpsc::Sender<report::LinkReport>,
}

/// Other connections of the address wait to be served: close the stream, if the peer has not authenticated and does nothing
/// towards it.
#[derive(Debug)]
pub(crate) struct MakeRoom {
    /// The reason for the peer.
    pub error: stream::Error,
}

/// An operator closes the links with this domain.
#[derive(Debug)]
pub(crate) struct Dismiss {
    /// The remote domain.
    pub remote: Domain,
    /// Receives the token of a stream that closes; the token is dropped when the stream is over.
    pub closing: mpsc::Sender<drain::Token>,
    /// The token to send there.
    pub token: drain::Token,
}

/// Go on under this configuration, or end where it forbids the stream.
#[derive(Debug)]
pub(crate) struct Adopt {
    /// The policies towards remote domains.
    pub policies: RemotePolicies,
    /// Certificates, for TLS that is still to be negotiated.
    pub tls: Tls,
}

/// A remote domain has authenticated on a stream of its own, so it is reachable.
#[derive(Debug)]
pub struct Authorized {
    /// The remote domain.
    pub remote: Domain,
}
