//! What an attempt lets a spectator see: `nuncio probe` shows it to a person. A node has no spectator.

use std::{fmt, net::SocketAddr};

use openssl::ssl::SslRef;
use xmpp::stream::initiating::Note;

use net::{dns, tls};

/// One thing that happened on the way to a remote domain, in the order of events.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The DNS was asked, and this is what came of it.
    Asked(&'a dns::Asked),
    /// A TCP connection is open, and nothing was sent yet.
    Connected {
        /// Our end of it.
        from: SocketAddr,
    },
    /// TLS stands.
    Secured {
        /// What the node makes of it.
        session: &'a tls::Session,
        /// What OpenSSL knows of it.
        ssl: &'a SslRef,
    },
    /// Bytes of the stream came.
    Received(&'a [u8]),
    /// The stream got further.
    Noted(&'a Note),
}

/// A spectator, who is told and is asked nothing.
pub trait Watch: fmt::Debug + Send + Sync {
    /// Takes note. The attempt goes on when it returns.
    fn see(&self, seen: Seen<'_>);
}
