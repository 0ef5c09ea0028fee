//! What tests of streams are made from, and what both machines say in words.
use crate::{
    Domain, DomainPair, Stanza,
    certificate::{Certificate, Name, Problem},
    dialback::Secret,
    policy::{Hosted, Pattern, Policy, Rules},
    stream::{Secured, initiating, receiving},
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
        limits: Vec::new(),
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

/// Ids that count, so that tests can name them.
pub(crate) fn ids() -> Box<dyn FnMut() -> String + Send> {
    let mut last = 0;
    Box::new(move || {
        last += 1;
        format!("id{last}")
    })
}

/// An output of the receiving side in words; what is transmitted as it is.
pub(crate) fn receiving_event(output: &receiving::Output) -> String {
    use receiving::Output;
    match output {
        Output::Transmit(bytes) => text(bytes),
        Output::StartTls => "[start tls]".to_owned(),
        Output::Opened { from, to, .. } => {
            format!("[opened by {} for {to}]", from.as_ref().map_or("nobody", Domain::as_str))
        }
        Output::Verify(request) => format!("[verify {} {} {}]", request.pair, request.id, request.key),
        Output::Authorized { pair, mechanism } => format!("[authorized {pair} by {mechanism}]"),
        Output::Stanza(stanza) => format!("[stanza {}]", stanza_text(stanza)),
        Output::StanzaRefused(refused) => match &refused.answer {
            Some(answer) => format!("[bounced {}]", stanza_text(answer)),
            None => format!("[dropped {}]", refused.reason),
        },
        Output::Refused { reason, .. } => format!("[refused: {reason}]"),
        Output::Ended(end) => format!("[{end}]"),
    }
}

/// An output of the initiating side in words; what is transmitted as it is.
pub(crate) fn initiating_event(output: &initiating::Output) -> String {
    use crate::dialback::Answer;
    use initiating::Output;
    match output {
        Output::Transmit(bytes) => text(bytes),
        Output::StartTls => "[start tls]".to_owned(),
        Output::Judged(verdict) => format!("[judged {}]", if verdict.is_ok() { "good" } else { "bad" }),
        Output::Noted(_) => "[noted]".to_owned(),
        Output::Established(established) => {
            let tls = if established.secured { "TLS" } else { "clear text" };
            format!("[established by {} over {tls}]", established.mechanism)
        }
        Output::Verified(Answer::Valid) => "[verified valid]".to_owned(),
        Output::Verified(Answer::Invalid) => "[verified invalid]".to_owned(),
        Output::Verified(Answer::Error(error)) => format!("[verified error {error}]"),
        Output::Unasked { element } => format!("[unasked {element}]"),
        Output::Failed(failure) => format!("[failed: {failure}]"),
        Output::Answer(stanza) => format!("[answer {}]", stanza_text(stanza)),
        Output::Stray(stray) => format!("[dropped: {stray}]"),
        Output::Ended(end) => format!("[{end}]"),
    }
}

/// What is transmitted, with one kind of quotes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap().replace('"', "'")
}

fn stanza_text(stanza: &Stanza) -> String {
    text(stanza.bytes())
}
