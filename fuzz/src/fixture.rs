//! The fixture of the targets: policies and certificates, and the conversion of an input to events.

use bytes::BytesMut;
use xmpp::{
    Domain,
    certificate::{Certificate, Name, Problem, TrustStore},
    dialback::Secret,
    policy::{MalformedStanza, Mechanism, Policy, Tls, UnknownRecipient},
    stream::Secured,
};

/// One event of a stream. In an input the control characters 1 to 8 stand for the events that are not bytes of the peer.
/// They are not allowed in XML, so no valid input is lost.
pub(crate) enum Act<'a> {
    /// The peer sends something.
    Bytes(BytesMut),
    /// The TLS handshake has succeeded, with a certificate for these names.
    Secured(&'a [&'a str]),
    /// The answer that the machine waits for is positive (`true`) or negative.
    Decided(bool),
    /// The machine gets no answer.
    Undecided,
    /// The node closes the stream.
    Close,
}

/// Divides an input into events. The caller has removed the first byte, which selects the policy.
pub(crate) fn acts(input: &[u8]) -> impl Iterator<Item = Act<'_>> {
    let is_act = |byte: &u8| (1..=8).contains(byte);
    input.chunk_by(move |a, b| !is_act(a) && !is_act(b)).map(|piece| match piece {
        [1] => Act::Secured(&["b.example"]),
        [2] => Act::Secured(&["c.example", "*.b.example"]),
        [3] => Act::Secured(&[]),
        [4] => Act::Decided(true),
        [5] => Act::Decided(false),
        [6] => Act::Undecided,
        [7] => Act::Close,
        // An empty read.
        [8] => Act::Bytes(BytesMut::new()),
        bytes => Act::Bytes(bytes.into()),
    })
}

/// Whether the peer may have sent this text: the input contains its characters in this order. Events and markup may be
/// between them.
pub(crate) fn may_say(input: &[u8], text: &str) -> bool {
    let mut rest = input.iter();
    // References are not resolved: with one, any text may have been sent.
    input.contains(&b'&') || text.bytes().all(|wanted| rest.any(|byte| *byte == wanted))
}

/// The policy that the first byte of an input selects.
pub(crate) fn policy(choice: u8) -> Policy {
    Policy {
        tls: [Tls::Required, Tls::Optional, Tls::Disabled, Tls::Optional][usize::from(choice & 3)],
        auth: match choice >> 2 & 3 {
            0 | 1 => vec![Mechanism::External, Mechanism::Dialback],
            2 => vec![Mechanism::External],
            _ => vec![Mechanism::Dialback],
        },
        strict_certificates: choice & 16 != 0,
        dialback_after_external: choice & 8 != 0,
        dialback_shortcut: choice & 128 != 0,
        trust: TrustStore(0),
        max_stanza: 64 * 1024,
        max_stanza_unauthenticated: MAX_STANZA_UNAUTHENTICATED,
        unknown_recipient: match choice & 64 {
            0 => UnknownRecipient::Close,
            _ => UnknownRecipient::Bounce,
        },
        malformed_stanza: match choice & 64 {
            0 => MalformedStanza::Close,
            _ => MalformedStanza::Bounce,
        },
        idle_seconds: 3600,
        secret: Secret::new(DIALBACK_SECRET),
        acks: None,
    }
}

/// A TLS session with a valid certificate for these names; without a certificate if there are no names.
pub(crate) fn secured(names: &[&str]) -> Secured {
    let certificate = Certificate {
        names: names.iter().map(|name| Name::Dns((*name).to_owned())).collect(),
        problems: vec![None::<Problem>],
        constraints: Vec::new(),
        fingerprint: "00".repeat(32),
        issuer: "Test CA".to_owned(),
        expires: "2026-11-01".to_owned(),
    };
    Secured {
        certificate: Some(certificate).filter(|_| !names.is_empty()),
        protocol: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
    }
}

/// Whether that certificate proves `domain`.
pub(crate) fn proves(secured: Option<&Secured>, domain: &Domain) -> bool {
    let certificate = secured.and_then(|secured| secured.certificate.as_ref());
    certificate.is_some_and(|certificate| certificate.proves(domain, TrustStore(0)).is_ok())
}

/// Consecutive stream ids, so that a corpus can contain them.
pub(crate) fn ids() -> Box<dyn FnMut() -> String + Send> {
    let mut last = 0;
    Box::new(move || {
        last += 1;
        format!("id{last}")
    })
}

pub(crate) fn domain(name: &str) -> Domain {
    Domain::new(name).expect("a domain of ours")
}

/// The default of the node, in bytes.
const MAX_STANZA_UNAUTHENTICATED: usize = 10 * 1024;

/// The secret of the dialback keys of the node.
pub(crate) const DIALBACK_SECRET: &str = "s3cr3tf0rd14lb4ck";
