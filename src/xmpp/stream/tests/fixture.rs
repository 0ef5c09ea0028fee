//! Fixtures for tests of streams, and the outputs of both roles as text.
use super::machine::{Accepts, Opens};
use crate::{
    Domain, DomainPair, Stanza,
    certificate::{Certificate, Name, Problem},
    dialback::Secret,
    policy::{Hosted, Pattern, Policy, Rules},
    stream::{Secured, receiving::open::Output},
};
use std::sync::Arc;

pub(crate) fn domain(name: &str) -> Domain {
    Domain::new(name).unwrap()
}

/// `ours > theirs`.
pub(crate) fn pair(local: &str, remote: &str) -> DomainPair {
    DomainPair { local: domain(local), remote: domain(remote) }
}

pub(crate) fn certificate(names: &[&str], problem: Option<Problem>) -> Certificate {
    Certificate {
        names: names.iter().map(|name| Name::Dns((*name).to_owned())).collect(),
        problems: vec![problem],
        constraints: Vec::new(),
        fingerprint: "00".repeat(32),
        issuer: "Test CA".to_owned(),
        expires: "2026-11-01".to_owned(),
    }
}

pub(crate) fn secured(certificate: Option<Certificate>) -> Secured {
    Secured { certificate, protocol: "TLSv1.3".to_owned(), cipher: "TLS_AES_256_GCM_SHA384".to_owned() }
}

/// Rules of a node that hosts `hosted`, with dialback keys made from its first name.
pub(crate) fn rules(hosted: &[&str], policy: Policy, certificate: bool) -> Arc<Rules> {
    let names = hosted.iter().map(|name| (domain(name), Hosted { certificate }));
    let deny = vec![Pattern::parse("denied.example").unwrap()];
    let policy = Policy { secret: Secret::new(hosted[0]), ..policy };
    Arc::new(Rules::new(names, policy, Vec::new(), vec![Pattern::Any], deny))
}

/// Ids with a counter, so that tests know them.
pub(crate) fn ids() -> Box<dyn FnMut() -> String + Send> {
    let mut last = 0;
    Box::new(move || {
        last += 1;
        format!("id{last}")
    })
}

/// An output of the accepting side as text. Transmitted bytes stay as they are.
pub(crate) fn receiving_event(output: &Accepts) -> String {
    match output {
        Accepts::StartTls => "[start tls]".to_owned(),
        Accepts::Opened { from, to } => {
            format!("[opened by {} for {to}]", from.as_ref().map_or("nobody", Domain::as_str))
        }
        Accepts::Open(output) => match output {
            Output::Transmit(bytes) => text(bytes),
            Output::Verify(request) => format!("[verify {} {} {}]", request.pair, request.id, request.key),
            Output::Authorized { pair, mechanism } => format!("[authorized {pair} by {mechanism}]"),
            Output::Stanza(stanza) => format!("[stanza {}]", stanza_text(stanza)),
            Output::StanzaRefused(refused) => match &refused.answer {
                Some(answer) => format!("[bounced {}]", stanza_text(answer)),
                None => format!("[dropped {}]", refused.reason),
            },
            Output::Refused { reason, .. } => format!("[refused: {reason}]"),
            Output::AcksEnabled { resume } => format!("[acks enabled, {}]", resumable(resume.as_deref())),
            Output::AckDue => "[ack due]".to_owned(),
            Output::Resume { previd, h } => format!("[resume {previd} after {h}]"),
            Output::Ended(end) => format!("[{end}]"),
        },
    }
}

/// An output of the opening side as text. Transmitted bytes stay as they are.
pub(crate) fn initiating_event(output: &Opens) -> String {
    use crate::dialback::Answer;
    match output {
        Opens::Transmit(bytes) => text(bytes),
        Opens::StartTls => "[start tls]".to_owned(),
        Opens::CertificateVerified(verdict) => {
            format!("[certificate {}]", if verdict.is_ok() { "good" } else { "bad" })
        }
        Opens::Noted(_) => "[noted]".to_owned(),
        Opens::Established { mechanism, secured } => {
            let tls = if *secured { "TLS" } else { "clear text" };
            format!("[established by {mechanism} over {tls}]")
        }
        Opens::Verified(Answer::Valid) => "[verified valid]".to_owned(),
        Opens::Verified(Answer::Invalid) => "[verified invalid]".to_owned(),
        Opens::Verified(Answer::Error(error)) => format!("[verified error {error}]"),
        Opens::Unsolicited(element) => format!("[unsolicited {element}]"),
        Opens::Failed(failure) => format!("[failed: {failure}]"),
        Opens::Answer(stanza) => format!("[answer {}]", stanza_text(stanza)),
        Opens::Stray(stray) => format!("[dropped: {stray}]"),
        Opens::AcksOn(stream) => {
            format!("[acks on, {}]", resumable(stream.as_ref().map(|stream| &*stream.id)))
        }
        Opens::AcksRefused(reason) => format!("[acks refused: {reason}]"),
        Opens::Acknowledged(h) => format!("[acknowledged {h}]"),
        Opens::Ended(end) => format!("[{end}]"),
    }
}

fn resumable(id: Option<&str>) -> String {
    id.map_or_else(|| "not resumable".to_owned(), |id| format!("resumable as {id}"))
}

/// Transmitted bytes, with one kind of quotes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap().replace('"', "'")
}

fn stanza_text(stanza: &Stanza) -> String {
    text(stanza.bytes())
}
