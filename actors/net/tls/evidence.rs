//! The certificates that a peer showed, kept so that they can be judged again.
//!
//! OpenSSL keeps them as long as the connection, so what is kept here is references. The handshake bounds their bytes.

use std::sync::{Arc, Weak};

use openssl::{error::ErrorStack, ssl::SslRef, stack::Stack, x509::X509};
use xmpp::certificate::Certificate;

use crate::certificate::{self, Peer, Stores};

/// What a peer showed in a handshake.
#[derive(Clone)]
pub struct Evidence {
    peer: Peer,
    leaf: X509,
    /// The rest of the chain, in which the leaf may be too.
    chain: Vec<X509>,
    /// What a server stapled to it.
    staple: Option<Vec<u8>>,
    /// The trust stores of the last verdict.
    by: Weak<Stores>,
}

impl Evidence {
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

    /// `None`: there is no memory.
    pub(super) fn judge(&self, stores: &Stores) -> Option<Certificate> {
        let judge = || -> Result<Certificate, ErrorStack> {
            let mut chain = Stack::new()?;
            for certificate in &self.chain {
                chain.push(certificate.clone())?;
            }
            Ok(certificate::judge(stores, self.peer, &self.leaf, &chain, self.staple.as_deref()))
        };
        judge().ok()
    }

    pub(super) fn is_by(&self, stores: &Arc<Stores>) -> bool {
        std::ptr::eq(self.by.as_ptr(), Arc::as_ptr(stores))
    }

    pub(super) fn judged_by(&mut self, stores: &Arc<Stores>) {
        self.by = Arc::downgrade(stores);
    }
}

impl PartialEq for Evidence {
    fn eq(&self, other: &Self) -> bool {
        (self.peer, &self.leaf, &self.chain, &self.staple)
            == (other.peer, &other.leaf, &other.chain, &other.staple)
    }
}

impl Eq for Evidence {}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}
