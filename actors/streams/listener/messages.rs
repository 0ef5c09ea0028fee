//! The messages that others send to the listener.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Kind, Limits};
use mailbox::drain;
use status::report;

/// Stop accepting connections. Streams go on.
#[derive(Debug)]
pub(crate) struct Stop;

/// Go on under this configuration, and send it to the streams.
#[derive(Debug)]
pub(crate) struct Adopt {
    /// The configuration, for the same kind of peers.
    pub kind: Kind,
    /// The limits for connections that come from now on.
    pub limits: Limits,
}

/// The node stops: close every stream.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The time after which a peer that goes on sending is cut off.
    pub within: Duration,
    /// Dropped when all streams are over.
    pub token: drain::Token,
}

/// Have the streams report their state.
#[derive(Debug)]
pub(crate) struct Show {
    /// Only the streams of this domain. The listener forwards the message to all, and each decides.
    pub of: Option<xmpp::Domain>,
    /// Without a domain: the number of streams at most, in the order of their addresses.
    pub limit: usize,
    /// Receives the reports.
    pub links: mpsc::Sender<report::LinkReport>,
    /// Receives the number of all streams, reported or not.
    pub total: oneshot::Sender<usize>,
}

/// An operator closes the streams of this remote domain.
#[derive(Debug)]
pub(crate) struct Dismiss {
    /// The remote domain.
    pub remote: xmpp::Domain,
    /// Receives a token from each stream that closes; the stream drops its own when it is over.
    pub closing: mpsc::Sender<drain::Token>,
    /// The token to send there.
    pub token: drain::Token,
}
