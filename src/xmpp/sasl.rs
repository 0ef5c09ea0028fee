//! SASL EXTERNAL between servers (RFC 6120 section 6, XEP-0178).
use crate::{Domain, truncate::truncate, xml};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;

/// The conditions of RFC 6120 section 6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Condition {
    Aborted,
    AccountDisabled,
    CredentialsExpired,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    MechanismTooWeak,
    NotAuthorized,
    TemporaryAuthFailure,
}

impl Condition {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// The condition with that element name.
    pub fn parse(name: &str) -> Option<Self> {
        CONDITIONS.iter().copied().find(|condition| condition.as_str() == name)
    }
}

/// A failed attempt (RFC 6120 section 6.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The condition. An unknown one reads as `NotAuthorized`.
    pub condition: Condition,
    /// The text of the peer, which may be empty.
    pub text: String,
}

impl Failure {
    /// Reads a `<failure/>`. A long text is truncated.
    pub fn parse(element: &xml::Element) -> Self {
        let condition = element.elements().find_map(|child| Condition::parse(&child.name));
        let text = element.child("text", xml::ns::SASL).map(xml::Element::text).unwrap_or_default();
        Self { condition: condition.unwrap_or(Condition::NotAuthorized), text: truncate(&text).into_owned() }
    }

    pub(crate) fn element(&self) -> xml::Element {
        let condition = xml::Element::new(self.condition.as_str(), xml::ns::SASL);
        let failure = xml::Element::new("failure", xml::ns::SASL).with_child(condition);
        match self.text.as_str() {
            "" => failure,
            text => failure.with_child(xml::Element::new("text", xml::ns::SASL).with_text(text)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => f.write_str(self.condition.as_str()),
            text => write!(f, "{}: {text}", self.condition.as_str()),
        }
    }
}

/// The `<auth/>` of the initiating server. It contains the identity, which older peers require (XEP-0178
/// section 3).
pub(crate) fn auth(identity: &Domain) -> xml::Element {
    xml::Element::new("auth", xml::ns::SASL)
        .with("mechanism", EXTERNAL)
        .with_text(STANDARD.encode(&*identity.wire()))
}

/// The `<response/>` for a peer that requests the identity although `<auth/>` contained it.
pub(crate) fn response(identity: &Domain) -> xml::Element {
    xml::Element::new("response", xml::ns::SASL).with_text(STANDARD.encode(&*identity.wire()))
}

/// The identity of the peer according to TLS and its stream header.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// The certificate proves the `from` of the header.
    Proved(Domain),
    /// The connection has no TLS.
    Plain,
    /// EXTERNAL is not possible, for this reason.
    Unproved(String),
}

/// The answer of the receiving side to an element of the exchange.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send an empty challenge.
    Challenge,
    /// Send `<success/>`.
    Success,
    /// Send the failure.
    Failed(Failure),
}

/// The receiving side of an exchange.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// An empty challenge was sent.
    challenged: bool,
    /// EXTERNAL was requested and refused.
    refused: bool,
    failures: usize,
}

impl Exchange {
    /// Handles an element in the SASL namespace. A new `<auth/>` drops the exchange in progress (RFC 6120
    /// section 6.4.2).
    pub(crate) fn handle(&mut self, element: &xml::Element, claim: &Claim) -> Reply {
        let reply = self.reply(element, claim).unwrap_or_else(Reply::Failed);
        self.challenged = reply == Reply::Challenge;
        if let Reply::Failed(failure) = &reply {
            self.failures += 1;
            // An aborted attempt, or one with another mechanism, is no verdict on the certificate.
            self.refused |= !matches!(failure.condition, Condition::Aborted | Condition::InvalidMechanism);
        }
        reply
    }

    /// Whether the peer has tried EXTERNAL and could not prove itself.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }

    /// Whether the peer has failed as often as it may (RFC 6120 section 6.4.5).
    pub(crate) fn is_exhausted(&self) -> bool {
        self.failures >= ATTEMPTS
    }

    fn reply(&self, element: &xml::Element, claim: &Claim) -> Result<Reply, Failure> {
        match element.name.as_str() {
            "auth" => {
                if element.attribute("mechanism") != Some(EXTERNAL) {
                    return Err(failure(Condition::InvalidMechanism, ""));
                }
                let identity = proved(claim)?;
                match element.text().as_str() {
                    "" => Ok(Reply::Challenge),
                    text => accept(text, identity),
                }
            }
            "response" if self.challenged => accept(&element.text(), proved(claim)?),
            "abort" => Err(failure(Condition::Aborted, "")),
            _ => Err(failure(Condition::MalformedRequest, "")),
        }
    }
}

fn proved(claim: &Claim) -> Result<&Domain, Failure> {
    match claim {
        Claim::Proved(identity) => Ok(identity),
        Claim::Plain => Err(failure(Condition::EncryptionRequired, "")),
        Claim::Unproved(reason) => Err(failure(Condition::NotAuthorized, reason)),
    }
}

/// Compares the requested identity with the proved one. An empty request means the proved one (XEP-0178
/// section 3).
fn accept(text: &str, identity: &Domain) -> Result<Reply, Failure> {
    let asked = decode(text).ok_or_else(|| failure(Condition::IncorrectEncoding, ""))?;
    match asked.is_empty() || Domain::new(&asked).is_ok_and(|domain| domain == *identity) {
        true => Ok(Reply::Success),
        false => Err(failure(
            Condition::InvalidAuthzid,
            "the certificate and the stream header are for another domain",
        )),
    }
}

/// Decodes strict base64 of UTF-8 text, without white space and with padding. `=` and no text give the empty
/// text.
fn decode(text: &str) -> Option<String> {
    match text {
        "" | "=" => Some(String::new()),
        _ => String::from_utf8(STANDARD.decode(text).ok()?).ok(),
    }
}

fn failure(condition: Condition, text: impl Into<String>) -> Failure {
    Failure { condition, text: text.into() }
}

pub(crate) const EXTERNAL: &str = "EXTERNAL";

/// Failures after which the stream ends. RFC 6120 section 6.4.5 recommends two to five retries.
const ATTEMPTS: usize = 4;

const CONDITIONS: [Condition; 11] = [
    Condition::Aborted,
    Condition::AccountDisabled,
    Condition::CredentialsExpired,
    Condition::EncryptionRequired,
    Condition::IncorrectEncoding,
    Condition::InvalidAuthzid,
    Condition::InvalidMechanism,
    Condition::MalformedRequest,
    Condition::MechanismTooWeak,
    Condition::NotAuthorized,
    Condition::TemporaryAuthFailure,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sasl(name: &str, text: &str) -> xml::Element {
        let element = xml::Element::new(name, xml::ns::SASL).with_text(text);
        if name == "auth" { element.with("mechanism", EXTERNAL) } else { element }
    }

    fn claim() -> Claim {
        Claim::Proved(Domain::new("b.example").unwrap())
    }

    fn condition(reply: Reply) -> Option<Condition> {
        match reply {
            Reply::Failed(failure) => Some(failure.condition),
            _ => None,
        }
    }

    // D4, D5, D6, D7
    #[test]
    fn the_identity_is_read_strictly_and_must_be_the_proved_one() {
        for (text, expected) in [
            ("=", None),
            ("Yi5leGFtcGxl", None),
            ("Qi5FWEFNUExF", None), // B.EXAMPLE
            ("Yi5leGFtcGxl\n", Some(Condition::IncorrectEncoding)),
            (" Yi5leGFtcGxl", Some(Condition::IncorrectEncoding)),
            ("Yi5leGFtcGxl=", Some(Condition::IncorrectEncoding)),
            ("Yi5leGFtcGx", Some(Condition::IncorrectEncoding)),
            ("/w==", Some(Condition::IncorrectEncoding)), // no UTF-8
            ("Yy5leGFtcGxl", Some(Condition::InvalidAuthzid)), // c.example
            ("dUBiLmV4YW1wbGU=", Some(Condition::InvalidAuthzid)), // u@b.example
        ] {
            let step = Exchange::default().handle(&sasl("auth", text), &claim());
            assert_eq!(condition(step), expected, "{text:?}");
        }
    }

    // E28
    #[test]
    fn our_identity_is_in_u_labels() {
        let ours = Domain::new("xn--bcher-kva.example").unwrap();
        for element in [auth(&ours), response(&ours)] {
            assert_eq!(decode(&element.text()).as_deref(), Some("bücher.example"));
        }
    }

    // D7
    #[test]
    fn a_missing_initial_response_is_asked_for() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.handle(&sasl("auth", ""), &claim()), Reply::Challenge);
        assert_eq!(exchange.handle(&sasl("response", ""), &claim()), Reply::Success);
        assert_eq!(exchange.handle(&sasl("auth", ""), &claim()), Reply::Challenge);
        assert_eq!(exchange.handle(&sasl("response", "Yi5leGFtcGxl"), &claim()), Reply::Success);
    }

    // D8, D9, D10
    #[test]
    fn each_misstep_has_its_condition() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.handle(&sasl("auth", ""), &claim()), Reply::Challenge);
        assert_eq!(exchange.handle(&sasl("auth", "="), &claim()), Reply::Success);
        let unasked = exchange.handle(&sasl("response", ""), &claim());
        assert_eq!(condition(unasked), Some(Condition::MalformedRequest));
        assert_eq!(condition(exchange.handle(&sasl("abort", ""), &claim())), Some(Condition::Aborted));
        let plain = sasl("auth", "=").with("mechanism", "PLAIN");
        let plain = xml::Element { attributes: plain.attributes[1..].to_vec(), ..plain };
        assert_eq!(condition(exchange.handle(&plain, &claim())), Some(Condition::InvalidMechanism));
        assert!(!exchange.is_exhausted());
        let unproved = exchange.handle(&sasl("auth", "="), &Claim::Unproved("expired".into()));
        assert_eq!(unproved, Reply::Failed(failure(Condition::NotAuthorized, "expired")));
        assert!(exchange.is_exhausted());
        let clear = exchange.handle(&sasl("auth", "="), &Claim::Plain);
        assert_eq!(condition(clear), Some(Condition::EncryptionRequired));
    }

    #[test]
    fn a_failure_reads_as_it_was_written() {
        let written = failure(Condition::NotAuthorized, "certificate expired");
        assert_eq!(Failure::parse(&written.element()), written);
        assert_eq!(written.to_string(), "not-authorized: certificate expired");
        let made_up = xml::Element::new("made-up", xml::ns::SASL);
        let unknown = Failure::parse(&xml::Element::new("failure", xml::ns::SASL).with_child(made_up));
        assert_eq!(unknown.condition, Condition::NotAuthorized);
    }
}
