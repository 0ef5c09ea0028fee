//! How a server of a test is set up, whichever software it is.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Authority, Component, Identity, Network, Process, Purpose, in_ascii};

/// The wishes for one server: a domain, `inbox.` and `outbox.` below it for components, and its
/// policy. Without
/// wishes it has a certificate of the network's authority, requires TLS and takes both ways of
/// authentication.
#[derive(Clone)]
#[must_use]
pub(crate) struct Setup {
    pub(crate) domain: String,
    pub(crate) components: Vec<String>,
    pub(crate) certificate: Certificate,
    pub(crate) tls: Tls,
    pub(crate) auth: Auth,
    pub(crate) direct_tls: bool,
    pub(crate) published: bool,
    /// What dialback keys are made with, where servers share it (XEP-0185).
    pub(crate) dialback_secret: Option<String>,
    /// For measuring: it logs no more than an operator has it log, uses all cores, and has a certificate for its domain
    /// and everything below, however many that is.
    pub(crate) loaded: bool,
    pub(crate) node: NodeSettings,
}

/// Which certificate a server has.
#[derive(Clone)]
pub(crate) enum Certificate {
    /// For all its names, by the network's authority, for that purpose.
    Common(Purpose),
    /// For all its names, by nobody.
    SelfSigned,
    /// For all its names, by the network's authority, until yesterday.
    Expired,
    /// For all its names, by the network's authority, from tomorrow on.
    NotYetValid,
    /// For all its names, by an authority that nobody knows.
    UnknownAuthority,
    /// For another name, by the network's authority.
    WrongName,
    /// None at all.
    Missing,
}

/// Whether a server wants TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Required,
    Optional,
    Disabled,
}

/// How a server lets others prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    External,
    Dialback,
    Both,
}

/// What only Nuncio's configuration has: `section.key` to value, and whole blocks.
#[derive(Clone, Default)]
pub(crate) struct NodeSettings {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) blocks: Vec<String>,
    pub(crate) log: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Setup {
    /// Begins with the domain.
    pub(crate) fn of(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            components: vec![format!("inbox.{domain}"), format!("outbox.{domain}")],
            certificate: Certificate::Common(Purpose::Both),
            tls: Tls::Required,
            auth: Auth::Both,
            direct_tls: false,
            published: true,
            dialback_secret: None,
            loaded: false,
            node: NodeSettings::default(),
        }
    }

    /// Adds a component.
    pub(crate) fn component(mut self, name: &str) -> Self {
        self.components.push(name.to_owned());
        self
    }

    /// Chooses the certificate.
    pub(crate) fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// Chooses whether TLS is wanted.
    pub(crate) fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Chooses what proves a remote domain.
    pub(crate) fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Listens for direct TLS too, and says so, and nothing else, in DNS.
    pub(crate) fn direct_tls(mut self) -> Self {
        self.direct_tls = true;
        self
    }

    /// Shares the secret that dialback keys are made with.
    pub(crate) fn dialback_secret(mut self, secret: &str) -> Self {
        self.dialback_secret = Some(secret.to_owned());
        self
    }

    /// Keeps the server out of DNS.
    pub(crate) fn unpublished(mut self) -> Self {
        self.published = false;
        self
    }

    /// Sets `section.key` (or a key at the top) of Nuncio's configuration to a TOML value.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.node.values.insert(key.to_owned(), value.to_owned());
        self
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

    /// Every name of the server.
    pub(crate) fn names(&self) -> Vec<&str> {
        [self.domain.as_str()].into_iter().chain(self.components.iter().map(String::as_str)).collect()
    }

    /// Makes the certificate that was chosen.
    pub(crate) fn identity(&self, authority: &Authority) -> Option<Identity> {
        let everything = format!("*.{}", self.domain);
        let names = if self.loaded { vec![self.domain.as_str(), &everything] } else { self.names() };
        let names: Vec<String> = names.into_iter().map(in_ascii).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let request = authority.certificate(&names);
        match &self.certificate {
            Certificate::Common(purpose) => Some(request.purpose(*purpose).issue()),
            Certificate::SelfSigned => Some(request.self_signed().issue()),
            Certificate::Expired => Some(request.expired().issue()),
            Certificate::NotYetValid => Some(request.not_yet_valid().issue()),
            Certificate::UnknownAuthority => {
                let directory = authority.file().with_file_name("unknown");
                std::fs::create_dir_all(&directory).unwrap();
                Some(Authority::new(&directory, "unknown authority").issue(&names))
            }
            Certificate::WrongName => Some(authority.issue(&["another.example"])),
            Certificate::Missing => None,
        }
    }

    /// Puts every name of the server into DNS.
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

/// A server that runs.
pub(crate) trait Server {
    /// What it was set up to be.
    fn setup(&self) -> &Setup;

    /// Where it listens, on the standard ports.
    fn address(&self) -> Ipv4Addr;

    /// Its program.
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

    /// Connects its component `outbox.`, for pairs of domains that `inbox.` never used.
    #[track_caller]
    fn outbox(&self) -> Component {
        Component::connect(self.address(), &self.setup().components[1])
    }
}
