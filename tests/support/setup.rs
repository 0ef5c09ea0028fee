//! The settings of a server under test, for each kind of server.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use testkit::dns::in_ascii;

use super::{Authority, Component, Identity, Network, Process, Purpose};

/// The settings of one server: a domain, `inbox.` and `outbox.` below it for components, and its policy. By default it has
/// a certificate of the network's authority, requires TLS and accepts both EXTERNAL and dialback.
#[derive(Clone)]
#[must_use]
pub(crate) struct Setup {
    pub(crate) domain: String,
    /// The name of its directory, if servers of one test have the same domain.
    pub(crate) name: Option<String>,
    pub(crate) components: Vec<String>,
    pub(crate) certificate: Certificate,
    pub(crate) tls: Tls,
    pub(crate) auth: Auth,
    pub(crate) direct_tls: bool,
    pub(crate) published: bool,
    /// The dialback secret, if servers share it (XEP-0185).
    pub(crate) dialback_secret: Option<String>,
    /// Whether Prosody acknowledges stanzas (mod_smacks).
    pub(crate) smacks: bool,
    /// For benchmarks: default log level and all cores.
    pub(crate) loaded: bool,
    /// Whether its certificate is for its domain and everything below.
    pub(crate) wildcard: bool,
    pub(crate) node: NodeSettings,
}

/// The certificate of a server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// For all its names, by the network's authority, for that purpose.
    Common(Purpose),
    /// For all its names, self-signed.
    SelfSigned,
    /// For all its names, by the network's authority, expired yesterday.
    Expired,
    /// For all its names, by the network's authority, valid from tomorrow.
    NotYetValid,
    /// For all its names, by an unknown authority.
    UnknownAuthority,
    /// For another name, by the network's authority.
    WrongName,
    /// None.
    Missing,
}

/// The TLS policy of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Required,
    Optional,
    Disabled,
}

/// The mechanisms that a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    External,
    Dialback,
    Both,
}

/// Additions to Nuncio's configuration: `section.key` with value, and whole blocks.
#[derive(Clone, Default)]
pub(crate) struct NodeSettings {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) blocks: Vec<String>,
    pub(crate) log: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Setup {
    /// The default settings for `domain`.
    pub(crate) fn of(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            name: None,
            components: vec![format!("inbox.{domain}"), format!("outbox.{domain}")],
            certificate: Certificate::Common(Purpose::Both),
            tls: Tls::Required,
            auth: Auth::Both,
            direct_tls: false,
            published: true,
            dialback_secret: None,
            smacks: false,
            loaded: false,
            wildcard: false,
            node: NodeSettings::default(),
        }
    }

    /// Names the server, so that others can have the same domain.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The name of its directory.
    pub(crate) fn directory(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.domain)
    }

    /// Adds a component.
    pub(crate) fn component(mut self, name: &str) -> Self {
        self.components.push(name.to_owned());
        self
    }

    /// Sets the certificate.
    pub(crate) fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// Sets the TLS policy.
    pub(crate) fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the accepted mechanisms.
    pub(crate) fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Listens for direct TLS too, and publishes only that.
    pub(crate) fn direct_tls(mut self) -> Self {
        self.direct_tls = true;
        self
    }

    /// Makes the certificate one for the domain and everything below it.
    pub(crate) fn wildcard(mut self) -> Self {
        self.wildcard = true;
        self
    }

    /// Loads Prosody's mod_smacks.
    pub(crate) fn smacks(mut self) -> Self {
        self.smacks = true;
        self
    }

    /// Sets the dialback secret.
    pub(crate) fn dialback_secret(mut self, secret: &str) -> Self {
        self.dialback_secret = Some(secret.to_owned());
        self
    }

    /// Publishes nothing in DNS.
    pub(crate) fn unpublished(mut self) -> Self {
        self.published = false;
        self
    }

    /// Sets `section.key` (or a key at the top) of Nuncio's configuration to a TOML value.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.node.values.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Stanzas for a component that is not connected are answered at once.
    pub(crate) fn answers_for_absent(self) -> Self {
        let keys = ["absence.message", "absence.presence", "absence.iq"];
        keys.into_iter().fold(self, |setup, key| setup.set(key, "\"0s\""))
    }

    /// Adds a block to Nuncio's configuration.
    pub(crate) fn block(mut self, block: &str) -> Self {
        self.node.blocks.push(block.to_owned());
        self
    }

    /// Sets `RUST_LOG` for Nuncio.
    pub(crate) fn log(mut self, filter: &str) -> Self {
        self.node.log = Some(filter.to_owned());
        self
    }

    /// Sets a variable of Nuncio's environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.node.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The domain and its components.
    pub(crate) fn names(&self) -> Vec<&str> {
        [self.domain.as_str()].into_iter().chain(self.components.iter().map(String::as_str)).collect()
    }

    /// Makes the certificate.
    pub(crate) fn identity(&self, authority: &Authority) -> Option<Identity> {
        let everything = format!("*.{}", self.domain);
        let names = if self.wildcard { vec![self.domain.as_str(), &everything] } else { self.names() };
        let names: Vec<String> = names.into_iter().map(in_ascii).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let request = authority.certificate(&names);
        match &self.certificate {
            Certificate::Common(purpose) => Some(request.purpose(*purpose).issue()),
            Certificate::SelfSigned => Some(request.self_signed().issue()),
            Certificate::Expired => Some(request.expired().issue()),
            Certificate::NotYetValid => Some(request.not_yet_valid().issue()),
            Certificate::UnknownAuthority => Some(Authority::new("unknown authority").unwrap().issue(&names)),
            Certificate::WrongName => Some(authority.issue(&["another.example"])),
            Certificate::Missing => None,
        }
    }

    /// Publishes every name of the server in DNS.
    pub(crate) fn publish(&self, network: &Network, address: Ipv4Addr) {
        for name in self.names() {
            match (self.published, self.direct_tls) {
                (false, _) => {}
                (true, false) => network.publish(name, address),
                (true, true) => network.publish_direct_tls(name, address),
            }
        }
    }
}

/// A running server.
pub(crate) trait Server {
    /// Its settings.
    fn setup(&self) -> &Setup;

    /// Its address; the ports are the standard ones.
    fn address(&self) -> Ipv4Addr;

    /// Its process.
    fn process(&self) -> &Process;

    /// Its domain.
    fn domain(&self) -> &str {
        &self.setup().domain
    }

    /// Connects its component `inbox.`.
    #[track_caller]
    fn inbox(&self) -> Component {
        Component::connect(self.address(), &self.setup().components[0])
    }

    /// Connects a component.
    #[track_caller]
    fn component(&self, name: &str) -> Component {
        Component::connect(self.address(), name)
    }

    /// Connects its component `outbox.`, for other pairs of domains than those of `inbox.`.
    #[track_caller]
    fn outbox(&self) -> Component {
        Component::connect(self.address(), &self.setup().components[1])
    }
}
