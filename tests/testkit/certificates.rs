//! X.509 certificates, good and bad, signed by an authority that exists only in memory.

mod der;
#[cfg(feature = "tests")]
mod ocsp;
mod request;
#[cfg(feature = "tests")]
mod shorthands;

use openssl::{
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    nid::Nid,
    pkey::{PKey, Private},
    x509::X509,
};

#[cfg(feature = "tests")]
pub use ocsp::Status;
pub use request::{Purpose, Request};

/// A certificate authority: a root, or one below another.
#[derive(Clone, Debug)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
    /// The certificates between this authority's leaves and the root, the nearest first.
    chain: Vec<X509>,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, then those between it and the root.
    pub chain: Vec<X509>,
    /// The key of the first certificate.
    pub key: PKey<Private>,
    /// The OCSP response that a server staples to its handshake (RFC 6066, section 8), in DER.
    pub staple: Option<Vec<u8>>,
}

impl Authority {
    /// Makes a root with a new key.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn new(name: &str) -> Result<Self, ErrorStack> {
        Self::with_key(name, new_key()?)
    }

    /// Makes a root with that key.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn with_key(name: &str, key: PKey<Private>) -> Result<Self, ErrorStack> {
        Ok(Self { chain: Vec::new(), ..Request::root(name, key).authority()? })
    }

    /// Its own certificate, which others have to trust.
    #[must_use]
    pub fn own(&self) -> &X509 {
        &self.certificate
    }

    /// Describes a certificate for DNS names. Unless changed, it is valid from yesterday on for a month, and for both
    /// ends of a connection.
    pub fn certificate(&self, names: &[&str]) -> Request<'_> {
        Request::leaf(Some(self), names)
    }

    /// Describes an authority below this one.
    pub fn below(&self, name: &str) -> Request<'_> {
        Request::intermediate(self, name)
    }
}

/// Makes a key on P-256, which takes some 30 microseconds: no reason to share one.
fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}
