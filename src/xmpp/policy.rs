//! What a link must be before stanzas may pass, and for whom.
use crate::Domain;

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
