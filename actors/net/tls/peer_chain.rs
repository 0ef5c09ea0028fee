//! The certificates of a peer, stored to be verified again after a reload.
//!
//! OpenSSL stores them as long as the connection, so these are references. The handshake limits their size.

use std::sync::{Arc, Weak};

use openssl::{error::ErrorStack, ssl::SslRef, stack::Stack, x509::X509};
use xmpp::certificate::Certificate;

use crate::certificate::{self, Peer, Stores};

/// The certificates that a peer presented in a handshake.
#[derive(Clone)]
pub struct PeerChain {
    peer: Peer,
    leaf: X509,
    /// The other certificates of the chain; the leaf may be among them.
    chain: Vec<X509>,
    /// The OCSP response that a server sent (RFC 6066 section 8).
    staple: Option<Vec<u8>>,
    /// The trust stores of the last verification.
    by: Weak<Stores>,
}

impl PeerChain {
    pub(super) fn of(peer: Peer, leaf: X509, ssl: &SslRef, by: &Arc<Stores>) -> Self {
        let chain = ssl.peer_cert_chain();
        Self {
            peer,
            leaf,
            chain: chain.map(|chain| chain.iter().map(ToOwned::to_owned).collect()).unwrap_or_default(),
            staple: ssl.ocsp_status().map(<[u8]>::to_vec),
            by: Arc::downgrade(by),
        }
    }

    /// Verifies the certificates. `None`: OpenSSL has no memory.
    pub(super) fn verify(&self, stores: &Stores) -> Option<Certificate> {
        let verify = || -> Result<Certificate, ErrorStack> {
            let mut chain = Stack::new()?;
            for certificate in &self.chain {
                chain.push(certificate.clone())?;
            }
            Ok(certificate::verify(stores, self.peer, &self.leaf, &chain, self.staple.as_deref()))
        };
        verify().ok()
    }

    /// Returns whether `stores` made the last verification.
    pub(super) fn is_verified_by(&self, stores: &Arc<Stores>) -> bool {
        std::ptr::eq(self.by.as_ptr(), Arc::as_ptr(stores))
    }

    /// Notes that `stores` made the last verification.
    pub(super) fn set_verified_by(&mut self, stores: &Arc<Stores>) {
        self.by = Arc::downgrade(stores);
    }
}

impl PartialEq for PeerChain {
    fn eq(&self, other: &Self) -> bool {
        (self.peer, &self.leaf, &self.chain, &self.staple)
            == (other.peer, &other.leaf, &other.chain, &other.staple)
    }
}

impl Eq for PeerChain {}

impl std::fmt::Debug for PeerChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerChain").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}
