//! What a link must be before stanzas may pass, and for whom.
//!
//! *Architecture invariant:* every decision about encryption, certificates and mechanisms is taken by [`admit`] and
//! read from [`Rules`]; the streams only carry it out, and both roles ask the same function.
use crate::{Domain, certificate::Problem, dialback::Secret};
use std::fmt;

mod bounds;
mod rules;
mod standing;

pub use bounds::Bounds;
pub use rules::Rules;
pub use standing::{Proof, Withdrawal, readmit};

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

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => "EXTERNAL",
            Self::Dialback => "dialback",
        })
    }
}

/// What becomes of a stanza to whom its sender did not prove itself on the stream, or who is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRecipient {
    /// The stream is closed with `host-unknown` (RFC 6120 8.1.1.2), and all its pairs with it.
    Close,
    /// That stanza is answered with an error; the stream goes on.
    Bounce,
}

/// The cost of a malformed stanza: one with an address that is none, without one, or in a wrong namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedStanza {
    /// Itself: it is answered with an error where it may be; the stream goes on.
    Bounce,
    /// The stream, with `improper-addressing` and the like (RFC 6120 4.9.3.7), and all that is behind it.
    Close,
}

/// One of the trust stores of the configuration, by number (`Certificate::problems`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust(pub usize);

/// The terms for one remote domain.
#[derive(Clone, Debug)]
pub struct Policy {
    /// encryption
    pub tls: Tls,
    /// in order of preference
    pub auth: Vec<Mechanism>,
    /// a bad certificate ends the connection; dialback cannot rescue it
    pub strict_certificates: bool,
    /// a remote whose EXTERNAL we refused may fall back to dialback on the same stream
    pub dialback_after_external: bool,
    /// a certificate that proves the remote is enough for its dialback key too: nobody is asked (XEP-0344)
    pub dialback_shortcut: bool,
    /// whose word counts
    pub trust: Trust,
    /// bytes of one stanza from an authenticated remote
    pub max_stanza: usize,
    /// bytes of one element or header before that
    pub max_stanza_unauthenticated: usize,
    /// what a stanza for somebody else costs
    pub unknown_recipient: UnknownRecipient,
    /// the cost of a malformed stanza
    pub malformed_stanza: MalformedStanza,
    /// seconds without a stanza after which a link is closed, 0 for never; announced to peers (XEP-0478)
    pub idle_seconds: u64,
    /// what our dialback keys for it are made from (XEP-0185)
    pub secret: Secret,
}

impl Policy {
    /// Whether `mechanism` may authenticate a remote under these terms, if it can be had.
    pub fn allows(&self, mechanism: Mechanism) -> bool {
        self.auth.contains(&mechanism)
    }
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

impl Pattern {
    /// Reads `*`, `*.example.net` or `example.net`.
    pub fn parse(text: &str) -> Result<Self, crate::jid::Error> {
        match text.trim() {
            "*" => Ok(Self::Any),
            other => match other.strip_prefix("*.") {
                Some(parent) => Domain::new(parent).map(Self::Below),
                None => Domain::new(other).map(Self::Exactly),
            },
        }
    }

    /// Whether the rule is for `domain`.
    pub fn matches(&self, domain: &Domain) -> bool {
        match self {
            Self::Any => true,
            Self::Below(parent) => domain.is_below(parent),
            Self::Exactly(only) => domain == only,
        }
    }
}

/// A local domain as the streams see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// it has a certificate, so TLS can be offered for it
    pub certificate: bool,
}

/// What may vouch for the remote on a link; at least one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// its certificate, which proves it
    pub external: bool,
    /// DNS, asked by dialback
    pub dialback: bool,
}

impl Admission {
    /// Whether `mechanism` may authenticate on the link.
    pub fn admits(self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::External => self.external,
            Mechanism::Dialback => self.dialback,
        }
    }
}

/// Why a link may not carry stanzas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// no TLS, and the policy demands it
    TlsRequired,
    /// TLS, and the policy is to have none
    TlsForbidden,
    /// the certificate does not prove the remote, and nothing else may vouch for it
    Certificate(Problem),
    /// none of the mechanisms in `auth` can be had: EXTERNAL alone on a link without TLS
    NoMechanism,
}

impl Refusal {
    /// Says in words for both operators why `remote` is refused.
    pub fn explain(&self, remote: &Domain) -> String {
        match self {
            Self::TlsRequired => format!("the policy for {remote} demands TLS"),
            Self::TlsForbidden => format!("the policy for {remote} forbids TLS"),
            Self::Certificate(problem) => format!("certificate of {remote} {problem}"),
            Self::NoMechanism => {
                format!("the policy for {remote} allows no authentication that this link can have")
            }
        }
    }
}

/// Decides what may vouch for the remote on a link, whoever opened it. `certificate` is the verdict on the remote's
/// certificate and counts over TLS only; none shown is [`Problem::Missing`].
///
/// The table is read from the top; the first row that fits counts.
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

/// What TLS and the certificate made of a link.
enum Link {
    /// no TLS
    Clear,
    /// TLS, and the certificate proves the remote
    Proved,
    /// TLS, and it does not
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
            trust: Trust(0),
            max_stanza: 512 * 1024,
            max_stanza_unauthenticated: 10 * 1024,
            unknown_recipient: UnknownRecipient::Close,
            malformed_stanza: MalformedStanza::Bounce,
            idle_seconds: 3600,
            secret: Secret::new("x"),
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
