//! What a link must be before stanzas may pass, and for whom.
use crate::{Domain, certificate::Problem, dialback};
use std::{collections::HashMap, fmt};

/// Whether streams are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// no TLS, no stream
    Required,
    /// TLS when both can
    Optional,
    /// never
    Disabled,
}

/// What may authenticate a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SASL EXTERNAL with certificates (RFC 6120 6, XEP-0178)
    External,
    /// XEP-0220
    Dialback,
}

/// One of the trust stores of the configuration, by number (`Certificate::problems`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust(pub usize);

/// The terms for one remote domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// encryption
    pub tls: Tls,
    /// in order of preference
    pub auth: Vec<Mechanism>,
    /// a bad certificate ends the connection; dialback cannot rescue it
    pub strict_certificates: bool,
    /// whose word counts
    pub trust: Trust,
    /// bytes of one stanza from an authenticated remote
    pub max_stanza: usize,
    /// bytes of one element or header before that
    pub max_stanza_unauthenticated: usize,
    /// seconds without a stanza after which a link is closed, 0 for never; announced to peers (XEP-0478)
    pub idle_seconds: u64,
}

/// Domains a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`
    Any,
    /// `*.example.net`: every subdomain, at any depth, not the domain itself
    Below(Domain),
    /// one domain
    Exactly(Domain),
}

/// A local domain as the streams see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// it has a certificate, so TLS can be offered for it
    pub certificate: bool,
}

/// The rules of federation: fixed while they are in force, shared by every stream.
#[derive(Debug)]
pub struct Rules {}

impl Rules {
    /// Gathers what the configuration says.
    pub fn new(
        _hosted: impl IntoIterator<Item = (Domain, Hosted)>,
        _default: Policy,
        _overrides: Vec<(Pattern, Policy)>,
        _allow: Vec<Pattern>,
        _deny: Vec<Pattern>,
        _secret: dialback::Secret,
    ) -> Self {
        todo!()
    }
    /// What is known of a local domain, `None` when it is not one.
    pub fn hosted(&self, _domain: &Domain) -> Option<Hosted> {
        todo!()
    }
    /// The terms for a remote domain: its own, else those of the longest `Below` that takes it, else the default.
    pub fn policy(&self, _remote: &Domain) -> &Policy {
        todo!()
    }
    /// The terms for a remote that has not said its name.
    pub fn default_policy(&self) -> &Policy {
        todo!()
    }
    /// Whether a remote domain may federate: nothing in `deny` takes it and something in `allow` does.
    pub fn permits(&self, _remote: &Domain) -> bool {
        todo!()
    }
    /// For dialback keys.
    pub fn secret(&self) -> &dialback::Secret {
        todo!()
    }
}

impl Pattern {
    /// Reads `*`, `*.example.net` or `example.net`.
    pub fn parse(_text: &str) -> Result<Self, crate::jid::Error> {
        todo!()
    }
    /// Whether the rule is for `domain`.
    pub fn matches(&self, _domain: &Domain) -> bool {
        todo!()
    }
}

/// What may authenticate the remote on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// its certificate proves it
    pub external: bool,
    /// DNS may vouch for it
    pub dialback: bool,
}

/// Why a link may not become anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// no TLS, and the policy demands it
    TlsRequired,
    /// the certificate, and nothing else is allowed to vouch
    Certificate(Problem),
    /// none of the mechanisms in `auth` is possible
    NoMechanism,
}

/// Decides what a link may become. `certificate` is the verdict on the peer's certificate and counts over TLS only.
pub fn admit(
    _policy: &Policy,
    _secured: bool,
    _certificate: Result<(), Problem>,
) -> Result<Admission, Refusal> {
    todo!()
}
