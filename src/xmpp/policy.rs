//! The policy: which protection and which proof a connection needs before stanzas may pass.
//!
//! *Architecture invariant:* every decision about encryption, certificates and mechanisms is taken by
//! [`admit`] and read from [`Rules`]. The streams carry it out, and both roles call the same function.
use crate::{
    Domain, acks,
    certificate::{Problem, TrustStore},
    dialback::Secret,
};
use std::fmt;

mod access;
mod bounds;
mod rules;
mod standing;

pub use access::{Access, Addresses};
pub use bounds::Bounds;
pub use rules::Rules;
pub use standing::{Proof, Withdrawal, readmit};

/// Whether streams use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A stream without TLS is refused.
    Required,
    /// TLS is used when both sides support it.
    Optional,
    /// TLS is never used.
    Disabled,
}

/// A mechanism that authenticates a remote domain. `Display` gives its name in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// SASL EXTERNAL with certificates (RFC 6120 section 6, XEP-0178).
    External,
    /// Server dialback (XEP-0220).
    Dialback,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => "EXTERNAL",
            Self::Dialback => "dialback",
        })
    }
}

/// The treatment of a stanza for a domain that its sender did not prove itself to, or that is not served
/// here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRecipient {
    /// The stream is closed with `host-unknown` (RFC 6120 section 8.1.1.2), with all its pairs.
    Close,
    /// The stanza is answered with an error. The stream goes on.
    Bounce,
}

/// The treatment of a malformed stanza: an invalid or missing address, or a wrong namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedStanza {
    /// The stanza is answered with an error where the RFC allows it. The stream goes on.
    Bounce,
    /// The stream is closed with `improper-addressing` or similar (RFC 6120 section 4.9.3.7).
    Close,
}

/// The policy for one remote domain.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether TLS is used.
    pub tls: Tls,
    /// The mechanisms that may authenticate the remote, in order of preference.
    pub auth: Vec<Mechanism>,
    /// An invalid certificate ends the connection. Dialback does not replace it.
    pub strict_certificates: bool,
    /// A remote whose EXTERNAL we refused may fall back to dialback on the same stream.
    pub dialback_after_external: bool,
    /// A certificate that proves the remote is enough for its dialback key: no server is asked (XEP-0344).
    pub dialback_shortcut: bool,
    /// The certificate authorities to trust.
    pub trust: TrustStore,
    /// The limit for one stanza from an authenticated remote, in bytes.
    pub max_stanza: usize,
    /// The limit for one element or header before authentication, in bytes.
    pub max_stanza_unauthenticated: usize,
    /// The treatment of a stanza for another domain.
    pub unknown_recipient: UnknownRecipient,
    /// The treatment of a malformed stanza.
    pub malformed_stanza: MalformedStanza,
    /// The seconds without a stanza after which a stream is closed, 0 for never. Announced to peers
    /// (XEP-0478).
    pub idle_seconds: u64,
    /// The secret for our dialback keys (XEP-0185).
    pub secret: Secret,
    /// The acks that the remote is offered on streams that it opens (XEP-0198); `None`: none.
    pub acks: Option<acks::Offer>,
}

impl Policy {
    /// Whether `auth` lists `mechanism`.
    pub fn allows(&self, mechanism: Mechanism) -> bool {
        self.auth.contains(&mechanism)
    }
}

/// A pattern for domains, as in `allow`, `deny` and the names of `[[remote]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`: every domain.
    Any,
    /// `*.example.net`: every subdomain, at any depth, but not the domain itself.
    Below(Domain),
    /// One domain.
    Exactly(Domain),
}

impl Pattern {
    /// Reads `*`, `*.example.net` or `example.net`.
    ///
    /// # Errors
    /// Gives the reason why the text has no valid domain.
    pub fn parse(text: &str) -> Result<Self, crate::jid::Error> {
        match text.trim() {
            "*" => Ok(Self::Any),
            other => match other.strip_prefix("*.") {
                Some(parent) => Domain::new(parent).map(Self::Below),
                None => Domain::new(other).map(Self::Exactly),
            },
        }
    }

    /// Whether the pattern matches `domain`.
    pub fn matches(&self, domain: &Domain) -> bool {
        match self {
            Self::Any => true,
            Self::Below(parent) => domain.is_below(parent),
            Self::Exactly(only) => domain == only,
        }
    }
}

/// The properties of a local domain that streams need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// It has a certificate, so TLS can be offered for it.
    pub certificate: bool,
}

/// The mechanisms that may prove the remote on a connection. At least one of the two is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// SASL EXTERNAL: the certificate proves the remote.
    pub external: bool,
    /// Dialback.
    pub dialback: bool,
}

impl Admission {
    /// Whether `mechanism` may prove the remote on the connection.
    pub fn admits(self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::External => self.external,
            Mechanism::Dialback => self.dialback,
        }
    }
}

/// The reason why a connection may not carry stanzas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection has no TLS, and the policy requires it.
    TlsRequired,
    /// The connection has TLS, and the policy forbids it.
    TlsForbidden,
    /// The certificate does not prove the remote, and no other mechanism may.
    Certificate(Problem),
    /// No mechanism in `auth` is possible: EXTERNAL alone on a connection without TLS.
    NoMechanism,
}

impl Refusal {
    /// The reason as a sentence, for the operators of both sides.
    pub fn explain(&self, remote: &Domain) -> String {
        match self {
            Self::TlsRequired => format!("the policy for {remote} requires TLS"),
            Self::TlsForbidden => format!("the policy for {remote} forbids TLS"),
            Self::Certificate(problem) => format!("certificate of {remote} {problem}"),
            Self::NoMechanism => {
                format!(
                    "the policy for {remote} allows no authentication that is possible on this connection"
                )
            }
        }
    }
}

/// Decides which mechanisms may prove the remote on a connection, in either direction. `certificate` is the
/// verdict on the remote's certificate. It counts over TLS only; if none was shown it is
/// [`Problem::Missing`].
///
/// The table is read from the top; the first row that matches applies.
///
/// # Errors
/// Gives the reason for which stanzas may not pass.
pub fn admit(policy: &Policy, secured: bool, certificate: Result<(), Problem>) -> Result<Admission, Refusal> {
    use {Link::*, Refusal::*};
    let link = match certificate {
        _ if !secured => Clear,
        Ok(()) => Proved,
        Err(problem) => Doubtful(problem),
    };
    let by = |external, dialback| Ok(Admission { external, dialback });
    let Policy { tls, strict_certificates: strict, .. } = *policy;
    let (external, dialback) = (policy.allows(Mechanism::External), policy.allows(Mechanism::Dialback));
    #[rustfmt::skip]
    let verdict = match (tls, link, strict, external, dialback) {
        // tls           the link is        strict  auth has: external, dialback
        (Tls::Required, Clear,             _,      _,        _    ) => Err(TlsRequired),
        (_,             Clear,             _,      _,        true ) => by(false, true),
        (_,             Clear,             _,      _,        false) => Err(NoMechanism),
        (Tls::Disabled, _,                 _,      _,        _    ) => Err(TlsForbidden),
        (_,             Proved,            _,      true,     true ) => by(true, true),
        (_,             Proved,            _,      true,     false) => by(true, false),
        (_,             Proved,            _,      false,    true ) => by(false, true),
        (_,             Doubtful(_),       false,  _,        true ) => by(false, true),
        (_,             Doubtful(problem), _,      _,        _    ) => Err(Certificate(problem)),
        _                                                           => Err(NoMechanism),
    };
    verdict
}

/// The protection of a connection.
enum Link {
    /// No TLS.
    Clear,
    /// TLS, and the certificate proves the remote.
    Proved,
    /// TLS, and the certificate does not prove the remote.
    Doubtful(Problem),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The defaults of the configuration.
    pub(crate) fn policy() -> Policy {
        Policy {
            tls: Tls::Required,
            auth: vec![Mechanism::External, Mechanism::Dialback],
            strict_certificates: false,
            dialback_after_external: false,
            dialback_shortcut: false,
            trust: TrustStore(0),
            max_stanza: 512 * 1024,
            max_stanza_unauthenticated: 10 * 1024,
            unknown_recipient: UnknownRecipient::Close,
            malformed_stanza: MalformedStanza::Bounce,
            idle_seconds: 3600,
            secret: Secret::new("x"),
            acks: None,
        }
    }

    const BAD: Result<(), Problem> = Err(Problem::SelfSigned);
    use Mechanism::{Dialback, External};
    use Tls::{Disabled, Optional, Required};

    #[test]
    fn the_decision_table_holds() {
        let both = Ok(Admission { external: true, dialback: true });
        let external = Ok(Admission { external: true, dialback: false });
        let dialback = Ok(Admission { external: false, dialback: true });
        let certificate = Err(Refusal::Certificate(Problem::SelfSigned));
        let no_tls = Err(Refusal::TlsRequired);
        let forbidden = Err(Refusal::TlsForbidden);
        let nothing = Err(Refusal::NoMechanism);
        let all: &[Mechanism] = &[External, Dialback];
        for (tls, secured, verdict, strict, auth, expected) in [
            (Required, false, BAD, false, all, &no_tls),
            (Required, false, Ok(()), false, all, &no_tls),
            (Optional, false, BAD, false, all, &dialback),
            (Optional, false, BAD, true, all, &dialback),
            (Disabled, false, Ok(()), false, all, &dialback),
            (Disabled, false, Ok(()), false, &[External], &nothing),
            (Required, true, Ok(()), false, all, &both),
            (Required, true, Ok(()), true, all, &both),
            (Required, true, Ok(()), true, &[External], &external),
            (Optional, true, Ok(()), false, &[Dialback], &dialback),
            (Required, true, BAD, false, all, &dialback),
            (Optional, true, BAD, false, all, &dialback),
            (Required, true, BAD, true, all, &certificate),
            (Required, true, BAD, true, &[Dialback], &certificate),
            (Optional, true, BAD, false, &[External], &certificate),
            (Disabled, true, Ok(()), false, all, &forbidden),
            (Disabled, true, BAD, true, all, &forbidden),
        ] {
            let terms = Policy { tls, auth: auth.to_vec(), strict_certificates: strict, ..policy() };
            let case = format!("{tls:?} secured={secured} {verdict:?} strict={strict} {auth:?}");
            assert_eq!(&admit(&terms, secured, verdict), expected, "{case}");
        }
    }
}
