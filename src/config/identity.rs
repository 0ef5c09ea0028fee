//! Certificates and keys: loaded, matched, and looked at the way a remote server will look at them.

use std::{fs, io, path::Path};

use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};
use xmpp::Domain;

use super::{finding::Said, section::Section};
use actors::settings::{Identity, Trust};
use net::certificate::{self, Flaw};

/// Reads `certificate` and `key` of a section; `None` when it has neither, or a problem was noted.
pub(crate) fn read(section: &Section<'_>) -> Option<Identity> {
    let source = section.source();
    let chain = section.read("certificate", |path| certificates(&source.path(path)));
    let key = section.read("key", |path| private_key(&source.path(path)));
    match (section.has("certificate"), section.has("key")) {
        (true, false) => section.problem("certificate", "needs its key: set \"key\" too"),
        (false, true) => section.problem("key", "needs its certificate: set \"certificate\" too"),
        _ => {}
    }
    let (chain, key) = (chain?, key?);
    let fits = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(&key));
    match chain.iter().position(fits) {
        Some(0) => Some(Identity { chain, key }),
        Some(place) => {
            let why = format!(
                "the certificate of the key is number {} in the file; it has to be the first, and those of the \
                 authorities follow",
                place + 1
            );
            section.problem("certificate", why);
            None
        }
        None => {
            section.problem("key", "is not the key of the certificate");
            None
        }
    }
}

/// Warns of what other servers will hold against `identity` as the proof of `name`.
pub(crate) fn judge(section: &Section<'_>, identity: &Identity, name: &Domain) {
    for flaw in certificate::flaws(identity, name) {
        let told = flaw.to_string();
        if matches!(flaw, Flaw::ExpiresSoon { .. }) {
            section.warning("certificate", Said::with_help(told, "it is time to renew it"));
        } else {
            section.flaw("certificate", Said::with_help(told, "other servers will not take it as proof"));
        }
    }
}

/// Warns when the certificate that a component inherits is for other names; the rest its domain was told.
pub(crate) fn judge_inherited(section: &Section<'_>, identity: &Identity, name: &Domain) {
    if identity.chain.first().is_some_and(|leaf| !certificate::covers(leaf, name)) {
        section.flaw(
            "certificate",
            format!(
                "the certificate of its domain is not for {name}: other servers will not take it as proof"
            ),
        );
    }
}

/// The certificates of a PEM file, in its order; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<X509>, String> {
    let pem = file(path)?;
    let wrong = || format!("{} holds no certificate in PEM form", path.display());
    let certificates = X509::stack_from_pem(&pem).map_err(|_| wrong())?;
    if certificates.is_empty() { Err(wrong()) } else { Ok(certificates) }
}

/// The content of a file, or a sentence that says why not.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

/// Says why a file cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file {path}"),
        io::ErrorKind::PermissionDenied => format!("no permission to read {path}"),
        io::ErrorKind::IsADirectory => format!("{path} is a directory"),
        io::ErrorKind::InvalidData => format!("{path} is not text in UTF-8"),
        _ => format!("cannot read {path}: {error}"),
    }
}

/// The trust stores of a configuration, numbered as they come; the same file is loaded once.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    names: Vec<String>,
    stores: Vec<Trust>,
}

impl Stores {
    /// The number of the store that `name` says: `system`, or a PEM file of authorities.
    pub(crate) fn number(
        &mut self,
        name: &str,
        section: &Section<'_>,
    ) -> Result<xmpp::certificate::TrustStore, String> {
        if let Some(number) = self.names.iter().position(|known| known == name) {
            return Ok(xmpp::certificate::TrustStore(number));
        }
        let store = match name {
            SYSTEM => Trust::System,
            path => Trust::Authorities(certificates(&section.source().path(path))?),
        };
        self.names.push(name.to_owned());
        self.stores.push(store);
        Ok(xmpp::certificate::TrustStore(self.stores.len() - 1))
    }

    /// The stores, in the order of their numbers.
    pub(crate) fn into_stores(self) -> Vec<Trust> {
        self.stores
    }
}

fn private_key(path: &Path) -> Result<PKey<Private>, String> {
    let pem = file(path)?;
    let mut encrypted = false;
    // Without a callback OpenSSL would ask at the terminal.
    let key = PKey::private_key_from_pem_callback(&pem, |_| {
        encrypted = true;
        Ok(0)
    });
    key.map_err(|_| match encrypted {
        true => format!(
            "{} is locked with a passphrase; a node that starts alone needs it unlocked",
            path.display()
        ),
        false => format!("{} holds no private key in PEM form", path.display()),
    })
}

/// The trust store of the machine.
pub(crate) const SYSTEM: &str = "system";
