//! The report of one link: its state, its authentication, its encryption and its traffic.

use std::fmt;

use serde::{Deserialize, Serialize};
use xmpp::{
    Domain, DomainPair,
    certificate::Problem,
    policy::{Mechanism, Policy},
    stream::Secured,
};

use super::{
    acknowledgement::Acknowledgement,
    bounded,
    ping::UnansweredPing,
    time::{Seconds, Time},
};
use crate::{address::Address, amount::Amount, display};

/// A link, as the actor that owns it reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The node of the cluster that reports it; absent for a node that is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The side that opened the link, and its purpose.
    pub direction: Direction,
    /// The progress of the link.
    pub state: LinkState,
    /// The domain pairs that are authenticated on the link, at most 8.
    pub pairs: Vec<Pair>,
    /// The number of further pairs.
    pub pairs_not_shown: usize,
    /// The address of the other end.
    pub address: Option<Address>,
    /// The time at which the link was opened.
    pub since: Time,
    /// How the link was authenticated; absent before authentication.
    pub mechanism: Option<Authentication>,
    /// The encryption; absent in clear text.
    pub tls: Option<TlsReport>,
    /// Stanzas that were received.
    pub received: Amount,
    /// Stanzas that were written.
    pub sent: Amount,
    /// Stanzas that are still to be written.
    pub waiting: Amount,
    /// Whether stanzas are acknowledged. Its fields are on the same level as the others.
    #[serde(flatten)]
    pub acknowledgement: Acknowledgement,
    /// The ping that the component has not answered; absent on links between servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_unanswered: Option<UnansweredPing>,
    /// The time since the last stanza.
    pub idle: Seconds,
}

/// The side that opened a link, and the purpose of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// This node opened it, to a remote server.
    Outgoing,
    /// A remote server opened it.
    Incoming,
    /// An external component opened it (XEP-0114).
    Component,
}

/// The progress of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Names are resolved, the connection is opened, or its first byte is awaited.
    Connecting,
    /// The connection is open and not yet authenticated.
    Negotiating,
    /// Stanzas can be exchanged.
    Authenticated,
    /// The closing stream tag was sent.
    Closing,
}

/// How a link was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Authentication {
    /// SASL EXTERNAL with a certificate (XEP-0178).
    #[serde(rename = "EXTERNAL")]
    External,
    /// Server dialback (XEP-0220).
    #[serde(rename = "dialback")]
    Dialback,
    /// The shared secret of a component (XEP-0114).
    #[serde(rename = "handshake")]
    Handshake,
}

/// The two domains that a link serves. The link of a component has no remote domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair {
    /// The domain of this node.
    pub local: String,
    /// The domain of the remote server.
    pub remote: Option<String>,
}

/// The encryption of a link, and the certificate of the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsReport {
    /// The protocol version in OpenSSL's spelling, such as `TLSv1.3`.
    pub protocol: String,
    /// The cipher in OpenSSL's spelling, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The predicate of a sentence about the certificate: `good`, or why it does not prove the domain.
    pub certificate: String,
    /// The same as a constant.
    pub verdict: Verdict,
    /// The last day of the certificate, such as `2026-11-01`.
    pub expires: Option<String>,
    /// The SHA-256 digest of the certificate in lower-case hexadecimal digits.
    pub fingerprint: Option<String>,
}

/// Whether the certificate of a peer proves its domain, and the reason if it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It proves the domain.
    Good,
    /// It was presented, and the domain to prove is not known yet.
    #[serde(rename = "not-judged")]
    NotVerified,
    /// No certificate was presented.
    Missing,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// A certificate of an authority above it has expired.
    AuthorityExpired,
    /// A certificate of an authority above it is not valid yet.
    AuthorityNotYetValid,
    /// Its authority revoked it.
    Revoked,
    /// It is self-signed.
    SelfSigned,
    /// The chain does not lead to a trusted authority.
    UnknownAuthority,
    /// Its extended key usage does not allow this use.
    WrongPurpose,
    /// It is for other names.
    WrongName,
    /// Any other problem.
    Bad,
}

impl LinkReport {
    /// The domain by which links are sorted: the remote domain, or the name of the component.
    pub fn name(&self) -> &str {
        self.pairs.first().map_or("", |pair| pair.remote.as_deref().unwrap_or(&pair.local))
    }

    /// Returns whether the link serves the domain `remote`.
    pub fn concerns(&self, remote: &Domain) -> bool {
        self.pairs.iter().any(|pair| pair.remote.as_deref() == Some(remote.as_str()))
    }
}

impl Pair {
    /// Returns the first 8 of `pairs`, and the number of the others.
    pub fn few<'a>(pairs: impl ExactSizeIterator<Item = &'a DomainPair>) -> (Vec<Self>, usize) {
        let more = pairs.len().saturating_sub(MAX_PAIRS);
        (pairs.take(MAX_PAIRS).map(Self::from).collect(), more)
    }
}

impl From<&DomainPair> for Pair {
    fn from(pair: &DomainPair) -> Self {
        Self { local: pair.local.to_string(), remote: Some(pair.remote.to_string()) }
    }
}

impl fmt::Display for Pair {
    /// Writes `a.example > b.example`, as in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{} > {remote}", self.local),
            None => f.write_str(&self.local),
        }
    }
}

impl Direction {
    /// The name in the log, in metrics and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Component => "component",
        }
    }
}

impl LinkState {
    /// The name in the log and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Negotiating => "negotiating",
            Self::Authenticated => "authenticated",
            Self::Closing => "closing",
        }
    }
}

impl Authentication {
    /// The name in the log and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::Dialback => "dialback",
            Self::Handshake => "handshake",
        }
    }
}

impl From<Mechanism> for Authentication {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::External => Self::External,
            Mechanism::Dialback => Self::Dialback,
        }
    }
}

impl TlsReport {
    /// Describes the encryption of a stream; `None` for a stream in clear text.
    ///
    /// `remote` is the domain that the certificate has to prove, once it is known.
    pub fn of(secured: Option<&Secured>, remote: Option<&Domain>, policy: &Policy) -> Option<Self> {
        let secured = secured?;
        let presented = secured.certificate.as_ref();
        let result = remote.map(|remote| secured.proves(remote, policy));
        let (certificate, verdict) = match result {
            Some(result) => (display::certificate(&result), Verdict::of(&result)),
            None if presented.is_some() => ("not verified yet".to_owned(), Verdict::NotVerified),
            None => ("was not presented".to_owned(), Verdict::Missing),
        };
        Some(Self {
            protocol: secured.protocol.clone(),
            cipher: secured.cipher.clone(),
            certificate: bounded(certificate),
            verdict,
            expires: presented.map(|certificate| certificate.expires.clone()),
            fingerprint: presented.map(|certificate| certificate.fingerprint.clone()),
        })
    }
}

impl TlsReport {
    /// Describes the encryption of the connection of a component, which proves its name by a secret: a certificate is not
    /// verified.
    pub fn of_component(protocol: String, cipher: String, has_certificate: bool) -> Self {
        let (certificate, verdict) = match has_certificate {
            true => ("is not verified", Verdict::NotVerified),
            false => ("was not presented", Verdict::Missing),
        };
        let certificate = certificate.to_owned();
        Self { protocol, cipher, certificate, verdict, expires: None, fingerprint: None }
    }
}

impl Verdict {
    /// Returns the verdict for the result of a check.
    pub fn of(result: &Result<(), Problem>) -> Self {
        match result {
            Ok(()) => Self::Good,
            Err(Problem::Missing) => Self::Missing,
            Err(Problem::Expired { .. }) => Self::Expired,
            Err(Problem::NotYetValid { .. }) => Self::NotYetValid,
            Err(Problem::AuthorityExpired { .. }) => Self::AuthorityExpired,
            Err(Problem::AuthorityNotYetValid { .. }) => Self::AuthorityNotYetValid,
            Err(Problem::Revoked { .. }) => Self::Revoked,
            Err(Problem::SelfSigned) => Self::SelfSigned,
            Err(Problem::UnknownAuthority { .. }) => Self::UnknownAuthority,
            Err(Problem::WrongPurpose) => Self::WrongPurpose,
            Err(Problem::WrongName { .. }) => Self::WrongName,
            Err(Problem::Other(_)) => Self::Bad,
        }
    }

    /// The name in the log, in metrics and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NotVerified => "not-judged",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::AuthorityExpired => "authority-expired",
            Self::AuthorityNotYetValid => "authority-not-yet-valid",
            Self::Revoked => "revoked",
            Self::SelfSigned => "self-signed",
            Self::UnknownAuthority => "unknown-authority",
            Self::WrongPurpose => "wrong-purpose",
            Self::WrongName => "wrong-name",
            Self::Bad => "bad",
        }
    }
}

/// The number of pairs in a report. Dialback can authenticate any number of pairs on one stream (XEP-0220
/// section 2.4).
const MAX_PAIRS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_equal_those_in_the_log() {
        let verdicts = [
            Verdict::Good,
            Verdict::NotVerified,
            Verdict::Missing,
            Verdict::Expired,
            Verdict::NotYetValid,
            Verdict::AuthorityExpired,
            Verdict::AuthorityNotYetValid,
            Verdict::Revoked,
            Verdict::SelfSigned,
            Verdict::UnknownAuthority,
            Verdict::WrongPurpose,
            Verdict::WrongName,
            Verdict::Bad,
        ];
        for verdict in verdicts {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
        for mechanism in [Authentication::External, Authentication::Dialback, Authentication::Handshake] {
            assert_eq!(serde_json::to_value(mechanism).unwrap(), mechanism.as_str());
        }
    }

    #[test]
    fn the_verdict_is_named_like_the_problem() {
        let text = String::new;
        let problems = [
            Problem::Missing,
            Problem::Expired { on: text() },
            Problem::NotYetValid { until: text(), soon: false },
            Problem::AuthorityExpired { authority: text(), on: text() },
            Problem::AuthorityNotYetValid { authority: text(), until: text(), soon: false },
            Problem::Revoked { on: text() },
            Problem::SelfSigned,
            Problem::UnknownAuthority { issuer: text() },
            Problem::WrongPurpose,
            Problem::WrongName { wanted: Domain::new("b.example").unwrap(), names: text() },
            Problem::Other(text()),
        ];
        for problem in problems {
            let name = problem.as_str();
            assert_eq!(Verdict::of(&Err(problem)).as_str(), name);
        }
        assert_eq!(Verdict::of(&Ok(())), Verdict::Good);
    }
}
