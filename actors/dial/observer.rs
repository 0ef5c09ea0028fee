//! The observer of an attempt, with which `nuncio probe` reports each step. A node has none.

use std::{fmt, net::SocketAddr, time::Duration};

use openssl::ssl::SslRef;
use xmpp::stream::initiating::Note;

use net::{dns, tls};

/// A step of an attempt, reported in the order of events.
#[derive(Debug)]
pub enum Step<'a> {
    /// A DNS query has ended. Reported by the DNS client, not by the attempt.
    Queried(&'a dns::Exchange),
    /// The walk has come to a target, and looks up its addresses.
    Entered(&'a dns::Target),
    /// The addresses of the target are known.
    Located(&'a [SocketAddr]),
    /// The walk connects to one of these addresses.
    Visiting(&'a [SocketAddr]),
    /// The TCP connection is open.
    Connected {
        /// The remote end.
        address: SocketAddr,
        /// The time that it took.
        took: Duration,
    },
    /// The negotiation begins. Nothing has been sent yet.
    Negotiating {
        /// Our end of the connection.
        from: SocketAddr,
    },
    /// The TLS handshake has succeeded.
    Secured {
        /// The session.
        session: &'a tls::Session,
        /// The same session in OpenSSL.
        ssl: &'a SslRef,
    },
    /// Bytes of the stream were received.
    Received(&'a [u8]),
    /// A step of the stream negotiation.
    Noted(&'a Note),
}

/// Observes an attempt.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Takes a step. The attempt continues when this returns.
    fn observe(&self, step: Step<'_>);
}
