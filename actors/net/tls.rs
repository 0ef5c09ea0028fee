//! TLS over a TCP connection, both roles (RFC 6120 section 5, RFC 7590, XEP-0368).
//!
//! Architecture Invariant: no handshake fails because of a certificate. It is judged afterwards, against every trust
//! store of the configuration, and the verdict goes into [`Session`]; policy may let dialback decide.

mod budget;
mod context;
mod error;
mod evidence;
mod guard;
mod secure;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, net::IpAddr, pin::Pin, sync::Arc, time::SystemTime};

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    ssl::{NameType, Ssl, SslContext, SslRef, StatusType},
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use xmpp::{Domain, DomainPair, certificate::Certificate};

use crate::certificate::{self, Identity, Peer, Stores, Trust};
use context::Entrance;
pub use error::Error;
pub use evidence::Evidence;
use guard::Guarded;
pub use secure::Secure;

/// The certificates and trust stores of a node. Immutable and cheap to clone.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
    /// Bytes that a client may say before TLS is made.
    max_handshake: usize,
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the peer showed, judged; `None`: nothing.
    pub certificate: Option<Certificate>,
    /// The certificates themselves, for another verdict.
    pub evidence: Option<Evidence>,
    /// When that certificate ends.
    pub expires: Option<SystemTime>,
    /// `TLSv1.3`
    pub protocol: String,
    /// `TLS_AES_128_GCM_SHA256`
    pub cipher: String,
    /// The application protocol both agreed on (RFC 7301).
    pub alpn: Option<String>,
    /// The domain the client asked for.
    pub sni: Option<String>,
}

impl Tls {
    /// Builds the contexts for every local domain, and loads the trust stores. The first identity is for clients that
    /// name no domain.
    ///
    /// # Errors
    ///
    /// A certificate or key that OpenSSL does not take, or no memory.
    pub fn new(identities: Vec<(Domain, Option<Identity>)>, trust: &[Trust]) -> Result<Self, Error> {
        // Components share the identity of the domain they are below: one set of contexts does for all.
        let mut made: HashMap<Vec<u8>, Contexts> = HashMap::new();
        let mut first = None;
        let (mut outbound, mut starttls, mut direct) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (domain, identity) in identities {
            let Some(identity) = identity else { continue };
            let contexts =
                contexts(&mut made, &identity).map_err(|errors| Error::identity(&domain, &errors))?;
            first.get_or_insert_with(|| contexts.clone());
            outbound.insert(domain.clone(), contexts.outbound);
            starttls.insert(domain.clone(), contexts.starttls);
            direct.insert(domain, contexts.direct);
        }
        let entrances = |first: Contexts| -> Result<Entrances, ErrorStack> {
            Ok(Entrances {
                starttls: Entrance::new(starttls, first.starttls)?,
                direct: Entrance::new(direct, first.direct)?,
            })
        };
        let inner = || -> Result<Inner, ErrorStack> {
            Ok(Inner {
                outbound,
                anonymous: context::outbound(None)?,
                entrances: first.map(entrances).transpose()?,
                stores: Arc::new(Stores::load(trust)?),
            })
        };
        let inner = Arc::new(inner().map_err(|errors| Error::setup(&errors))?);
        Ok(Self { inner, max_handshake: MAX_HANDSHAKE })
    }

    /// Lets a client say so many bytes before TLS is made, and a server twice as many: it may list all the authorities that
    /// it knows.
    #[must_use]
    pub fn with_max_handshake(self, max_handshake: usize) -> Self {
        Self { max_handshake, ..self }
    }

    /// Secures a connection that we opened for `pair`; `direct`: TLS from the first byte (XEP-0368).
    ///
    /// With TLS 1.3 a peer that refuses our certificate says so after the handshake: at the first read.
    ///
    /// # Errors
    ///
    /// The handshake failed. It has no time limit of its own.
    pub async fn connect(
        &self,
        socket: TcpStream,
        pair: &DomainPair,
        direct: bool,
    ) -> Result<(Secure, Session), Error> {
        let context = self.inner.outbound.get(&pair.local).unwrap_or(&self.inner.anonymous);
        let ssl = outgoing(context, &pair.remote, direct).map_err(|errors| Error::setup(&errors))?;
        let mut stream = SslStream::new(ssl, Guarded::new(socket, 2 * self.max_handshake))
            .map_err(|errors| Error::setup(&errors))?;
        Pin::new(&mut stream).connect().await.map_err(|error| Error::handshake(&error))?;
        let stream = Secure::settled(stream);
        let session = self.session(stream.ssl(), Peer::Server);
        Ok((stream, session))
    }

    /// Secures a connection that was opened to us. `domain` is the stream's `to`, for clients without SNI.
    ///
    /// # Errors
    ///
    /// The handshake failed. It has no time limit of its own.
    pub async fn accept(
        &self,
        socket: TcpStream,
        domain: Option<&Domain>,
        direct: bool,
    ) -> Result<(Secure, Session), Error> {
        let entrances = self.inner.entrances.as_ref().ok_or(Error::NoIdentity)?;
        let entrance = if direct { &entrances.direct } else { &entrances.starttls };
        let mut guarded = Guarded::new(socket, self.max_handshake);
        guarded.await_hello().await?;
        let ssl = entrance.open(domain).map_err(|errors| Error::setup(&errors))?;
        let mut stream = SslStream::new(ssl, guarded).map_err(|errors| Error::setup(&errors))?;
        Pin::new(&mut stream).accept().await.map_err(|error| Error::handshake(&error))?;
        let stream = Secure::settled(stream);
        let session = self.session(stream.ssl(), Peer::Client);
        Ok((stream, session))
    }

    /// Judges certificates that were shown before, by these trust stores and the time of now.
    pub fn judge(&self, evidence: &Evidence) -> Option<Certificate> {
        evidence.judge(&self.inner.stores)
    }

    /// Brings up to date what a handshake came to that began before a reload: verdicts are by the numbers of the trust
    /// stores, which may be others now.
    pub fn update(&self, session: &mut Session) {
        if let Some(evidence) =
            session.evidence.as_mut().filter(|evidence| !evidence.is_by(&self.inner.stores))
        {
            session.certificate = evidence.judge(&self.inner.stores);
            evidence.judged_by(&self.inner.stores);
        }
    }

    fn session(&self, ssl: &SslRef, peer: Peer) -> Session {
        let leaf = ssl.peer_certificate();
        let expires = leaf.as_ref().and_then(|leaf| certificate::end(leaf));
        let evidence = leaf.map(|leaf| Evidence::of(peer, leaf, ssl, &self.inner.stores));
        Session {
            certificate: evidence.as_ref().and_then(|evidence| self.judge(evidence)),
            evidence,
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
    /// By local domain.
    outbound: HashMap<Domain, SslContext>,
    /// For local domains without a certificate.
    anonymous: SslContext,
    /// `None`: no local domain has a certificate.
    entrances: Option<Entrances>,
    stores: Arc<Stores>,
}

struct Entrances {
    starttls: Entrance,
    direct: Entrance,
}

/// What is made of one identity.
#[derive(Clone)]
struct Contexts {
    outbound: SslContext,
    starttls: SslContext,
    direct: SslContext,
}

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

/// Prepares a connection to `remote`.
fn outgoing(context: &SslContext, remote: &Domain, direct: bool) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    if !is_address(remote) {
        ssl.set_hostname(remote.as_str())?;
    }
    // A server may then show its authority's word that the certificate still holds, or no longer.
    ssl.set_status_type(StatusType::OCSP)?;
    if direct {
        // XEP-0368 section 3. With STARTTLS there is nothing to tell apart, and some servers stumble over it.
        ssl.set_alpn_protos(context::ALPN)?;
    }
    Ok(ssl)
}

/// Whether a domain is an IP literal, which SNI must not carry (RFC 6066 section 3).
fn is_address(domain: &Domain) -> bool {
    let text = domain.as_str();
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse::<IpAddr>().is_ok()
}

/// Bytes that a client may say before TLS is made, unless it is settled otherwise. A hello with post-quantum keys has 2 KiB,
/// a chain of four certificates with RSA keys of 4096 bits and a hundred names 10 KiB.
pub const MAX_HANDSHAKE: usize = 20 * 1024;
