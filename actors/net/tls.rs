//! TLS over a TCP connection, both roles (RFC 6120 section 5, RFC 7590, XEP-0368).
//!
//! Architecture Invariant: no handshake fails because of a certificate of the peer. It is verified afterwards
//! against every trust store of the configuration, and [`Session`] has the result. The policy may accept
//! dialback instead.

mod context;
mod error;
mod guarded_socket;
mod peer_chain;
mod record_budget;
mod records;
#[cfg(test)]
mod tests;
mod tls_stream;

use std::{collections::HashMap, fmt, net::IpAddr, pin::Pin, sync::Arc, time::SystemTime};

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    ssl::{NameType, Ssl, SslContext, SslRef, StatusType},
};
use tokio_openssl::SslStream;
use xmpp::{Domain, DomainPair, Served, certificate::Certificate};

use crate::{
    certificate::{self, Identity, Peer, Stores, Trust},
    network::Socket,
};
use context::ServerContexts;
pub use error::Error;
use guarded_socket::GuardedSocket;
pub use peer_chain::PeerChain;
pub use tls_stream::TlsStream;

/// The certificates and trust stores of a node. Immutable and cheap to clone.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
    /// The maximum number of bytes from a client before the end of the handshake.
    max_handshake: usize,
}

/// The result of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The verified certificate of the peer; `None` if it presented none.
    pub certificate: Option<Certificate>,
    /// The certificates of the peer, to verify them again.
    pub peer_chain: Option<PeerChain>,
    /// The end of the validity of the certificate.
    pub expires: Option<SystemTime>,
    /// The protocol version in OpenSSL's spelling, such as `TLSv1.3`.
    pub protocol: String,
    /// The cipher in OpenSSL's spelling, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The negotiated application protocol (RFC 7301).
    pub alpn: Option<String>,
    /// The domain that the client requested (SNI, RFC 6066 section 3).
    pub sni: Option<String>,
}

impl Tls {
    /// Makes the contexts of all local domains and wildcards, and loads the trust stores.
    ///
    /// Clients that name no local domain get the first identity.
    ///
    /// # Errors
    ///
    /// OpenSSL rejects a certificate or key, or has no memory.
    pub fn new(identities: Vec<(Domain, Option<Identity>)>, trust: &[Trust]) -> Result<Self, Error> {
        // Components share the identity of their parent domain, and so one set of contexts.
        let mut made: HashMap<Vec<u8>, Contexts> = HashMap::new();
        let mut first = None;
        let (mut outbound, mut starttls, mut direct) =
            (Served::default(), Served::default(), Served::default());
        for (domain, identity) in identities {
            let Some(identity) = identity else { continue };
            let contexts =
                contexts(&mut made, &identity).map_err(|errors| Error::identity(&domain, &errors))?;
            first.get_or_insert_with(|| contexts.clone());
            outbound.insert(domain.clone(), contexts.outbound);
            starttls.insert(domain.clone(), contexts.starttls);
            direct.insert(domain, contexts.direct);
        }
        let inbound = |first: Contexts| -> Result<Inbound, ErrorStack> {
            Ok(Inbound {
                starttls: ServerContexts::new(starttls, first.starttls)?,
                direct: ServerContexts::new(direct, first.direct)?,
            })
        };
        let inner = || -> Result<Inner, ErrorStack> {
            Ok(Inner {
                outbound,
                anonymous: context::outbound(None)?,
                inbound: first.map(inbound).transpose()?,
                stores: Arc::new(Stores::load(trust)?),
            })
        };
        let inner = Arc::new(inner().map_err(|errors| Error::setup(&errors))?);
        Ok(Self { inner, max_handshake: MAX_HANDSHAKE })
    }

    /// Sets the maximum number of bytes from a client before the end of the handshake.
    ///
    /// A server may send twice as many, since it may list the authorities that it trusts.
    #[must_use]
    pub fn with_max_handshake(self, max_handshake: usize) -> Self {
        Self { max_handshake, ..self }
    }

    /// Performs the TLS handshake on a connection that this node opened for `pair`.
    ///
    /// `direct`: TLS from the first byte (XEP-0368). With TLS 1.3 a peer that refuses our certificate reports
    /// it after the handshake, at the first read (see [`Error::later`]).
    ///
    /// # Errors
    ///
    /// The handshake failed. There is no time limit; the caller sets one.
    pub async fn connect(
        &self,
        socket: impl Into<Socket>,
        pair: &DomainPair,
        direct: bool,
    ) -> Result<(TlsStream, Session), Error> {
        let context = self.inner.outbound.get(&pair.local).unwrap_or(&self.inner.anonymous);
        let ssl = outgoing(context, &pair.remote, direct).map_err(|errors| Error::setup(&errors))?;
        let mut stream = SslStream::new(ssl, GuardedSocket::new(socket.into(), 2 * self.max_handshake))
            .map_err(|errors| Error::setup(&errors))?;
        Pin::new(&mut stream).connect().await.map_err(|error| Error::handshake(&error))?;
        let stream = TlsStream::established(stream);
        let session = self.session(stream.ssl(), Peer::Server);
        Ok((stream, session))
    }

    /// Performs the TLS handshake on a connection that a peer opened.
    ///
    /// `domain` is the `to` of the stream, for clients without SNI. `direct`: TLS from the first byte
    /// (XEP-0368).
    ///
    /// # Errors
    ///
    /// The handshake failed. There is no time limit; the caller sets one.
    pub async fn accept(
        &self,
        socket: impl Into<Socket>,
        domain: Option<&Domain>,
        direct: bool,
    ) -> Result<(TlsStream, Session), Error> {
        let inbound = self.inner.inbound.as_ref().ok_or(Error::NoIdentity)?;
        let contexts = if direct { &inbound.direct } else { &inbound.starttls };
        let mut guarded = GuardedSocket::new(socket.into(), self.max_handshake);
        guarded.read_client_hello().await?;
        let ssl = contexts.open(domain).map_err(|errors| Error::setup(&errors))?;
        let mut stream = SslStream::new(ssl, guarded).map_err(|errors| Error::setup(&errors))?;
        Pin::new(&mut stream).accept().await.map_err(|error| Error::handshake(&error))?;
        let stream = TlsStream::established(stream);
        let session = self.session(stream.ssl(), Peer::Client);
        Ok((stream, session))
    }

    /// Verifies the certificates of a peer again, with the current trust stores and time.
    pub fn verify_chain(&self, peer_chain: &PeerChain) -> Option<Certificate> {
        peer_chain.verify(&self.inner.stores)
    }

    /// Updates the result of a handshake that began before a reload.
    ///
    /// The results of a verification are in the order of the trust stores, which a reload can change.
    pub fn update(&self, session: &mut Session) {
        if let Some(chain) =
            session.peer_chain.as_mut().filter(|chain| !chain.is_verified_by(&self.inner.stores))
        {
            session.certificate = chain.verify(&self.inner.stores);
            chain.set_verified_by(&self.inner.stores);
        }
    }

    fn session(&self, ssl: &SslRef, peer: Peer) -> Session {
        let leaf = ssl.peer_certificate();
        let expires = leaf.as_ref().and_then(|leaf| certificate::not_after(leaf));
        let peer_chain = leaf.map(|leaf| PeerChain::of(peer, leaf, ssl, &self.inner.stores));
        Session {
            certificate: peer_chain.as_ref().and_then(|chain| self.verify_chain(chain)),
            peer_chain,
            expires,
            protocol: ssl.version_str().to_owned(),
            cipher: ssl.current_cipher().map(|cipher| cipher.name().to_owned()).unwrap_or_default(),
            alpn: ssl.selected_alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            sni: ssl
                .servername(NameType::HOST_NAME)
                .and_then(|name| Domain::new(name).ok())
                .map(|name| name.to_string()),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

struct Inner {
    /// The contexts of outgoing connections by local domain.
    outbound: Served<SslContext>,
    /// The context of outgoing connections for local domains without a certificate.
    anonymous: SslContext,
    /// The contexts of incoming connections; `None` if no local domain has a certificate.
    inbound: Option<Inbound>,
    stores: Arc<Stores>,
}

struct Inbound {
    starttls: ServerContexts,
    direct: ServerContexts,
}

/// The contexts of one identity.
#[derive(Clone)]
struct Contexts {
    outbound: SslContext,
    starttls: SslContext,
    direct: SslContext,
}

/// Returns the contexts of an identity, from `made` if its certificate was seen before.
fn contexts(made: &mut HashMap<Vec<u8>, Contexts>, identity: &Identity) -> Result<Contexts, ErrorStack> {
    let leaf = match identity.chain.first() {
        Some(leaf) => leaf.digest(MessageDigest::sha256())?.to_vec(),
        None => Vec::new(),
    };
    if let Some(contexts) = made.get(&leaf) {
        return Ok(contexts.clone());
    }
    let contexts = Contexts {
        outbound: context::outbound(Some(identity))?,
        starttls: context::inbound(identity, false)?,
        direct: context::inbound(identity, true)?,
    };
    made.insert(leaf, contexts.clone());
    Ok(contexts)
}

/// Prepares an outgoing connection to `remote`.
fn outgoing(context: &SslContext, remote: &Domain, direct: bool) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    if !is_address(remote) {
        ssl.set_hostname(remote.as_str())?;
    }
    // Requests a stapled OCSP response (RFC 6066 section 8).
    ssl.set_status_type(StatusType::OCSP)?;
    if direct {
        // XEP-0368 section 3. With STARTTLS it has no use, and some servers fail because of it.
        ssl.set_alpn_protos(context::ALPN)?;
    }
    Ok(ssl)
}

/// Returns whether a domain is an IP literal, which is not permitted in SNI (RFC 6066 section 3).
fn is_address(domain: &Domain) -> bool {
    let text = domain.as_str();
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse::<IpAddr>().is_ok()
}

/// The default maximum number of bytes from a client before the end of the handshake. A ClientHello with
/// post-quantum keys has 2 KiB, and a chain of four certificates with RSA keys of 4096 bits and a hundred
/// names has 10 KiB.
pub const MAX_HANDSHAKE: usize = 20 * 1024;
