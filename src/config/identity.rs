//! Loads certificates and keys, and checks them as remote servers do.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};
use xmpp::Domain;

use super::{finding::Message, section::Section, users};
use actors::settings::{Identity, Trust};
use net::certificate::{self, Flaw};

/// Reads `certificate` and `key` of a section; `None` if it has neither, or if one of them is wrong.
pub(crate) fn read(section: &Section<'_>) -> Option<Identity> {
    let source = section.source();
    let chain = section.read("certificate", |path| certificates(&source.path(path)));
    let key = section.read("key", |path| private_key(&source.path(path)));
    match (section.has("certificate"), section.has("key")) {
        (true, false) => section.problem("certificate", "requires \"key\", the file with its private key"),
        (false, true) => section.problem("key", "requires \"certificate\", the file with its certificate"),
        _ => {}
    }
    let (chain, key) = (chain?, key?);
    let belongs_to_key =
        |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(&key));
    match chain.iter().position(belongs_to_key) {
        Some(0) => Some(Identity { chain, key }),
        Some(position) => {
            let text = format!(
                "the certificate for the key is number {} in the file: put it first, and the intermediate certificates \
                 after it",
                position + 1
            );
            section.problem("certificate", text);
            None
        }
        None => {
            section.problem("key", "does not belong to the certificate: their public keys differ");
            None
        }
    }
}

/// Adds a finding for each reason why other servers refuse `identity` for `name`, or will soon.
pub(crate) fn check(section: &Section<'_>, identity: &Identity, name: &Domain) {
    for flaw in certificate::flaws(identity, name) {
        let text = flaw.to_string();
        if matches!(flaw, Flaw::WrongName { .. }) && name.is_wildcard() {
            // A certificate for some names below it may be intended.
            section.warning("certificate", Message::with_help(text, WILDCARD));
        } else if matches!(flaw, Flaw::ExpiresSoon { .. }) {
            section.warning("certificate", Message::with_help(text, RENEW));
        } else {
            section.flaw("certificate", Message::with_help(text, REFUSED));
        }
    }
}

/// Adds a finding if the certificate that a component inherits is not for `name`. The domain has its other
/// findings.
pub(crate) fn check_inherited(section: &Section<'_>, identity: &Identity, name: &Domain) {
    if identity.chain.first().is_some_and(|leaf| !certificate::covers(leaf, name)) {
        let message = Message::of_name("the certificate of its domain is not for ", name.as_str(), "");
        if name.is_wildcard() {
            section.warning("certificate", message.and_help(WILDCARD));
        } else {
            section.flaw("certificate", message.and_help(REFUSED));
        }
    }
}

/// The certificates of a PEM file in their order; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<X509>, String> {
    let pem = file(path)?;
    let wrong = || format!("{} contains no PEM certificate", path.display());
    let certificates = X509::stack_from_pem(&pem).map_err(|_| wrong())?;
    if certificates.is_empty() { Err(wrong()) } else { Ok(certificates) }
}

/// The content of a file.
///
/// # Errors
/// The reason why it cannot be read, as a sentence.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, String> {
    open(path).and_then(read_to_end).map_err(|error| {
        let reason = unreadable(path, &error);
        users::help_if_denied(path, &error).map_or_else(|| reason.clone(), |help| format!("{reason}; {help}"))
    })
}

fn read_to_end(mut file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Opens a file that the configuration names. A pipe or a device is an error: reading it could take for ever.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let found = fs::metadata(path)?;
    match () {
        () if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        () if !found.is_file() => Err(io::Error::other("it is not a regular file")),
        () => File::open(path),
    }
}

/// The reason why a file cannot be read, as a sentence.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{path} does not exist"),
        io::ErrorKind::PermissionDenied => format!("no permission to read {path}"),
        io::ErrorKind::IsADirectory => format!("{path} is a directory, not a file"),
        io::ErrorKind::InvalidData => format!("{path} is not valid UTF-8"),
        _ => format!("cannot read {path}: {error}"),
    }
}

/// The trust stores of a configuration, numbered in the order of the file. Each file is loaded once.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    names: Vec<String>,
    stores: Vec<Trust>,
}

impl Stores {
    /// The number of the store `name`: `system`, or the path of a PEM file with CA certificates.
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
    // Without a callback, OpenSSL asks for the passphrase at the terminal.
    let key = PKey::private_key_from_pem_callback(&pem, |_| {
        encrypted = true;
        Ok(0)
    });
    key.map_err(|_| match encrypted {
        true => format!(
            "{0} is encrypted: remove its passphrase with `openssl pkey -in {0} -out NEW_FILE`",
            path.display()
        ),
        false => format!("{} contains no PEM private key", path.display()),
    })
}

/// The value of `trust` for the CA certificates of the machine.
pub(crate) const SYSTEM: &str = "system";

const RENEW: &str = "renew it, then reload the node";

const WILDCARD: &str = "other servers will refuse it for every name below that the certificate does not list: use one with \
                        this name, which covers one label";

const REFUSED: &str = "other servers will refuse it: replace it, then reload the node";
