//! Shorthands for tests. A failure of OpenSSL panics.

#![expect(clippy::panic, reason = "a test cannot go on without the certificate that it is about")]

use openssl::{error::ErrorStack, pkey::PKey, rsa::Rsa, x509::X509};

use super::{
    Authority, Identity, Request,
    der::{SEQUENCE, string, value},
};

impl Authority {
    /// Makes a root with a new key.
    #[track_caller]
    #[must_use]
    pub fn named(name: &str) -> Self {
        done(Self::new(name))
    }

    /// Makes a root with an RSA key of 4096 bits, and a chain of `length` certificates: one for DNS names, then copies of
    /// that of the root. All have one key, as such keys take long to generate.
    #[track_caller]
    #[must_use]
    pub fn long_chain(length: usize, names: &[&str]) -> Identity {
        let key = done(Rsa::generate(4096).and_then(PKey::from_rsa));
        let root =
            done(Self::with_key("Authority with a Name as Long as Those of Public Authorities", key.clone()));
        let mut identity = root.certificate(names).key(key).issue();
        identity.chain.resize(length, root.certificate);
        identity
    }

    /// Issues a good certificate for those DNS names.
    #[track_caller]
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.certificate(names).issue()
    }

    /// Makes an authority below this one.
    #[track_caller]
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        self.below(name).establish()
    }

    /// Makes an authority below this one that may vouch for the domain `permitted` and those below it only.
    #[track_caller]
    pub fn constrained(&self, name: &str, permitted: &str) -> Self {
        self.below(name).constraints(&constraint(PERMITTED, permitted)).establish()
    }

    /// Makes an authority below this one that may not vouch for the domain `excluded` and those below it.
    #[track_caller]
    pub fn excluding(&self, name: &str, excluded: &str) -> Self {
        self.below(name).constraints(&constraint(EXCLUDED, excluded)).establish()
    }
}

impl Request<'_> {
    /// Signs it.
    #[track_caller]
    pub fn issue(self) -> Identity {
        done(self.sign())
    }

    /// Signs it as an authority.
    #[track_caller]
    #[must_use]
    pub fn establish(self) -> Authority {
        done(self.authority())
    }
}

impl Identity {
    /// The certificate itself.
    #[track_caller]
    pub fn certificate(&self) -> &X509 {
        self.chain.first().unwrap_or_else(|| panic!("an identity without a certificate"))
    }

    /// The same without the certificates between its own and the root.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.chain.truncate(1);
        self
    }

    /// An authority with this certificate, whether that may sign others or not.
    #[must_use]
    #[track_caller]
    pub fn into_authority(self) -> Authority {
        Authority { certificate: self.certificate().clone(), key: self.key, chain: self.chain }
    }
}

#[track_caller]
fn done<T>(made: Result<T, ErrorStack>) -> T {
    made.unwrap_or_else(|error| panic!("OpenSSL makes no certificate: {error}"))
}

/// The constraint that permits or excludes a domain and those below it (RFC 5280, section 4.2.1.10), in DER.
fn constraint(subtrees: u8, domain: &str) -> Vec<u8> {
    // NameConstraints, permittedSubtrees [0] or excludedSubtrees [1], GeneralSubtree, dNSName [2].
    value(SEQUENCE, &value(subtrees, &value(SEQUENCE, &string(0x82, domain))))
}

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
