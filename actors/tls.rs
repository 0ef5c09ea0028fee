//! TLS over a TCP connection, both roles (RFC 6120 section 5, RFC 7590, XEP-0368).

use std::{fmt, sync::Arc};

use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use xmpp::{Domain, DomainPair, certificate::Certificate};

use crate::settings::{Identity, Trust};

/// The certificates and trust stores of a node. Immutable and cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<()>);

impl Tls {
    /// Builds the contexts for every local domain, and loads the trust stores. The first identity is the one for
    /// clients that name no domain.
    ///
    /// # Errors
    ///
    /// A certificate or key that OpenSSL does not take.
    pub fn new(identities: Vec<(Domain, Option<Identity>)>, trust: &[Trust]) -> Result<Self, Error> {
        let _ = (identities, trust);
        todo!()
    }

    /// Secures a connection that we opened. The peer's certificate is judged, never enforced: see `Session`.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    pub async fn connect(
        &self,
        socket: TcpStream,
        pair: &DomainPair,
        direct: bool,
    ) -> Result<(SslStream<TcpStream>, Session), Error> {
        let _ = (socket, pair, direct);
        todo!()
    }

    /// Secures a connection that was opened to us. `domain` is the stream's `to`, for clients without SNI.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    pub async fn accept(
        &self,
        socket: TcpStream,
        domain: Option<&Domain>,
        direct: bool,
    ) -> Result<(SslStream<TcpStream>, Session), Error> {
        let _ = (socket, domain, direct);
        todo!()
    }
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the peer showed, judged; `None`: nothing.
    pub certificate: Option<Certificate>,
    /// `TLSv1.3`
    pub protocol: String,
    /// `TLS_AES_128_GCM_SHA256`
    pub cipher: String,
    /// The application protocol both agreed on (RFC 7301).
    pub alpn: Option<String>,
    /// The domain the client asked for.
    pub sni: Option<String>,
}

/// Why a connection could not be secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Our own certificate or key does not do.
    Identity {
        /// Whose.
        domain: Domain,
        /// What OpenSSL said.
        reason: String,
    },
    /// No local domain has a certificate to show.
    NoIdentity,
    /// OpenSSL could not be set up.
    Setup(String),
    /// The peer closed the connection during the handshake.
    Closed,
    /// The connection broke.
    Broken(std::io::ErrorKind),
    /// What the peer sent is not TLS.
    NotTls,
    /// The peer knows no TLS that is good enough.
    TooOld,
    /// The peer knows good TLS, and none of our ciphers.
    NoCommonCipher,
    /// A direct TLS client wants to speak something else than `xmpp-server`.
    OtherProtocol,
    /// The peer ended the handshake with this alert (RFC 8446 section 6).
    Alert(u8),
    /// Something else, in OpenSSL's words.
    Handshake(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}
