//! Server dialback (XEP-0220) with stateless keys (XEP-0185).
use crate::{Domain, DomainPair, jid, stanza, xml};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// The secret that keys are made from. It is never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Secret {
    mac: Hmac<Sha256>,
    shared: bool,
}

impl Secret {
    /// A secret with the configured text. Nodes that share it accept each other's keys.
    pub fn new(text: &str) -> Self {
        Self { mac: keyed(hex(&Sha256::digest(text)).as_bytes()), shared: true }
    }

    /// A secret with a random text that only this process knows. Its keys are void after a restart.
    pub fn made_up(text: &str) -> Self {
        Self { shared: false, ..Self::new(text) }
    }

    /// A text by which nodes find out whether they have the same secret. It does not reveal the secret.
    pub fn fingerprint(&self) -> String {
        let mut mac = self.mac.clone();
        mac.update(b"fingerprint");
        hex(&mac.finalize().into_bytes()[..8])
    }

    /// Whether other processes with the same configuration have the same secret.
    pub fn is_shared(&self) -> bool {
        self.shared
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text for every failure to verify a key of `remote`, for its initiator.
///
/// The initiator has not proved itself, so the text has no address, no name server and no text of a third
/// party.
pub fn unverified(remote: &Domain) -> String {
    format!("the dialback key could not be verified with the server of {remote}")
}

/// A key that a server has shown, and that the authoritative server of the originating domain has to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `local` is the receiving domain, which gets the stanzas; `remote` is the originating domain.
    pub pair: DomainPair,
    /// The id of the stream that the key was shown on.
    pub id: String,
    /// The key as shown.
    pub key: String,
}

/// The answer about a key, of the authoritative or the receiving server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The key is valid.
    Valid,
    /// The key is invalid.
    Invalid,
    /// The key could not be verified.
    Error(stanza::Error),
}

/// Makes the key that `originating` shows to `receiving` on the stream `id` (XEP-0185 section 3).
pub fn key(secret: &Secret, receiving: &Domain, originating: &Domain, id: &str) -> String {
    let mut mac = secret.mac.clone();
    // The domains are written as on the wire, as Prosody and ejabberd do, which may share the secret.
    mac.update(format!("{} {} {id}", receiving.wire(), originating.wire()).as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Verifies a key. The time that this takes does not depend on the right key.
pub fn verify(secret: &Secret, receiving: &Domain, originating: &Domain, id: &str, shown: &str) -> Answer {
    let right = key(secret, receiving, originating, id);
    match bool::from(right.as_bytes().ct_eq(shown.as_bytes())) {
        true => Answer::Valid,
        false => Answer::Invalid,
    }
}

/// The `<db:result/>` with which `from` shows its key to `to`.
pub(crate) fn result_request(from: &Domain, to: &Domain, key: &str) -> xml::Element {
    addressed("result", from, to).with_text(key)
}

/// The `<db:verify/>` that asks about a key.
pub(crate) fn verify_request(request: &Request) -> xml::Element {
    addressed("verify", &request.pair.local, &request.pair.remote)
        .with("id", &*request.id)
        .with_text(&*request.key)
}

/// The `<db:result/>` with which `from` answers `to`.
pub(crate) fn result_answer(from: &Domain, to: &Domain, answer: &Answer) -> xml::Element {
    answered(addressed("result", from, to), answer)
}

/// The `<db:verify/>` with which `from` answers `to`.
pub(crate) fn verify_answer(from: &Domain, to: &Domain, id: &str, answer: &Answer) -> xml::Element {
    answered(addressed("verify", from, to).with("id", id), answer)
}

/// The error answer to a `<db:result/>` or `<db:verify/>` with an invalid address. Both addresses are
/// repeated as they were written, so that the sender recognises its question. One that is too long for any
/// domain is left out.
pub(crate) fn malformed_answer(question: &xml::Element, error: stanza::Error) -> xml::Element {
    let written = |name: &str| {
        let written = question.attribute(name).filter(|written| written.len() <= jid::MAX_PART);
        written.unwrap_or_default().to_owned()
    };
    let answer = xml::Element::new(&question.name, xml::ns::DIALBACK)
        .with("from", written("to"))
        .with("to", written("from"));
    let answer = match question.attribute("id") {
        Some(id) => answer.with("id", id),
        None => answer,
    };
    answered(answer, &Answer::Error(error))
}

/// Reads the answer in a `<db:result/>` or `<db:verify/>`; `None` when it has no known `type`.
pub(crate) fn read_answer(element: &xml::Element) -> Option<Answer> {
    match element.attribute("type")? {
        "valid" => Some(Answer::Valid),
        "invalid" => Some(Answer::Invalid),
        "error" => {
            let error = element.elements().find(|child| child.name == "error");
            Some(Answer::Error(error.map_or_else(unexplained, stanza::Error::parse)))
        }
        _ => None,
    }
}

/// Whether `from` and `to` of a dialback element are these two, in any spelling.
pub(crate) fn is_between(element: &xml::Element, from: &Domain, to: &Domain) -> bool {
    let reads_as = |name: &str, wanted: &Domain| {
        element
            .attribute(name)
            .and_then(|text| Domain::new(text).ok())
            .is_some_and(|domain| domain == *wanted)
    };
    reads_as("from", from) && reads_as("to", to)
}

fn addressed(name: &str, from: &Domain, to: &Domain) -> xml::Element {
    xml::Element::new(name, xml::ns::DIALBACK).with("from", from.wire()).with("to", to.wire())
}

fn answered(element: xml::Element, answer: &Answer) -> xml::Element {
    match answer {
        Answer::Valid => element.with("type", "valid"),
        Answer::Invalid => element.with("type", "invalid"),
        Answer::Error(error) => element.with("type", "error").with_child(error.element(xml::ns::SERVER)),
    }
}

fn unexplained() -> stanza::Error {
    stanza::Error {
        type_: stanza::ErrorType::Cancel,
        condition: stanza::Condition::UndefinedCondition,
        text: String::new(),
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[allow(clippy::expect_used)] // HMAC takes a key of any length (RFC 2104 section 2)
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    // F24
    #[test]
    fn keys_are_those_of_the_published_vectors() {
        for (secret, receiving, originating, id, expected) in [
            (
                "s3cr3tf0rd14lb4ck",
                "xmpp.example.com",
                "example.org",
                "D60000229F",
                "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
            ),
            (
                "s3cr3tf0rd14lb4ck",
                "montague.example",
                "capulet.example",
                "D60000229F",
                "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3",
            ),
            (
                "d14lb4ck43v3r",
                "capulet.example",
                "montague.example",
                "417GAF25",
                "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
            ),
        ] {
            assert_eq!(key(&Secret::new(secret), &domain(receiving), &domain(originating), id), expected);
        }
    }

    // F19
    #[test]
    fn a_key_is_bound_to_both_domains_the_stream_and_the_secret() {
        let (a, b, secret) = (domain("a.example"), domain("b.example"), Secret::new("x"));
        let right = key(&secret, &a, &b, "1");
        assert_eq!(verify(&secret, &a, &b, "1", &right), Answer::Valid);
        assert_eq!(verify(&secret, &b, &a, "1", &right), Answer::Invalid);
        assert_eq!(verify(&secret, &a, &a, "1", &right), Answer::Invalid);
        assert_eq!(verify(&secret, &a, &b, "2", &right), Answer::Invalid);
        assert_eq!(verify(&Secret::new("y"), &a, &b, "1", &right), Answer::Invalid);
        assert_eq!(verify(&secret, &a, &b, "1", ""), Answer::Invalid);
    }

    // E28
    #[test]
    fn domains_are_in_u_labels_and_read_in_any_spelling() {
        let (a, b) = (domain("xn--mnchen-3ya.example"), domain("b.example"));
        let element = result_request(&a, &b, "key");
        assert_eq!(element.attribute("from"), Some("münchen.example"));
        assert!(is_between(&element, &a, &b));
        let spelled = xml::Element::new("result", xml::ns::DIALBACK);
        let spelled = spelled.with("from", "XN--MNCHEN-3YA.example").with("to", "B.Example");
        assert!(is_between(&spelled, &a, &b));
    }

    #[test]
    fn the_secret_does_not_show() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    // F20
    #[test]
    fn an_error_answer_carries_a_stanza_condition_in_the_servers_namespace() {
        let error = stanza::Error {
            type_: stanza::ErrorType::Cancel,
            condition: stanza::Condition::ItemNotFound,
            text: "no such domain here".into(),
        };
        let (a, b) = (domain("a.example"), domain("b.example"));
        let element = result_answer(&a, &b, &Answer::Error(error.clone()));
        let inner = element.child("error", xml::ns::SERVER).unwrap();
        assert!(inner.child("item-not-found", xml::ns::STANZA_ERRORS).is_some());
        assert_eq!(read_answer(&element), Some(Answer::Error(error)));
        assert!(is_between(&element, &a, &b));
        assert!(!is_between(&element, &b, &a));
    }
}
