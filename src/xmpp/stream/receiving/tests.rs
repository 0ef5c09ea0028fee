//! What a remote server may do to us, as tables of XML: what it sends, what it gets, what the driver is told.
use super::*;
use crate::{
    certificate::Certificate,
    policy::{Mechanism::External, Policy, tests::policy},
    stream::tests::{
        fixture::{certificate, domain, ids, pair, receiving_event, rules, secured},
        machine::{Accepting, Accepts},
    },
};

mod authentication;
mod bad_stanzas;
mod change;
mod cost;
mod excess;
mod legacy;
mod negotiation;
mod stanzas;
mod styles;

/// A remote server's end of the wire.
struct Peer {
    stream: Accepting,
    /// what the driver was told that is not to be transmitted
    events: Vec<String>,
    requests: Vec<dialback::Request>,
}

impl Peer {
    fn new(rules: Arc<Rules>) -> Self {
        Self { stream: Accepting::new(rules, None, ids()), events: Vec::new(), requests: Vec::new() }
    }

    /// On a stream with direct TLS, where it showed `certificate`.
    fn secured(rules: Arc<Rules>, certificate: Option<Certificate>) -> Self {
        Self {
            stream: Accepting::new(rules, Some(secured(certificate)), ids()),
            ..Self::new(rules_of_nobody())
        }
    }

    /// Sends, and gives what comes back.
    fn sends(&mut self, xml: &str) -> String {
        self.stream.receive(BytesMut::from(xml));
        self.gets()
    }

    /// Sends byte for byte, a poll after each.
    fn dribbles(&mut self, xml: &[u8]) -> String {
        let mut answer = String::new();
        for byte in xml {
            self.stream.receive(BytesMut::from(&[*byte][..]));
            answer += &self.gets();
        }
        answer
    }

    fn gets(&mut self) -> String {
        let mut answer = String::new();
        while let Some(output) = self.stream.poll() {
            match &output {
                Accepts::Open(open::Output::Transmit(_)) => answer += &receiving_event(&output),
                Accepts::Open(open::Output::Verify(request)) => {
                    self.events.push(receiving_event(&output));
                    self.requests.push(request.clone());
                }
                _ => self.events.push(receiving_event(&output)),
            }
        }
        answer
    }

    fn opens(&mut self) -> String {
        self.sends(&header("from='b.example' to='a.example' version='1.0'"))
    }

    /// Proves itself by dialback from `b.example`, with the header already exchanged.
    fn is_verified(&mut self, local: &str, remote: &str) -> String {
        let mut answer = self.sends(&format!("<db:result from='{remote}' to='{local}'>key</db:result>"));
        let request = self.requests.pop().unwrap_or_else(|| panic!("no question: {answer}"));
        self.stream.verified(&request, Ok(dialback::Answer::Valid));
        answer += &self.gets();
        answer
    }

    /// Shows a key once more; nobody is asked again.
    fn is_verified_already(&mut self, local: &str, remote: &str) -> bool {
        let answer = self.sends(&format!("<db:result from='{remote}' to='{local}'>key</db:result>"));
        self.requests.is_empty() && answer.ends_with(" type='valid'/>")
    }

    /// The stream ended with `condition`, which the peer was told before the closing tag.
    fn is_told(&self, answer: &str, condition: &str) {
        let error = format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
        assert!(answer.contains(&error), "wanted {condition}: {answer}");
        assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
        let last = self.events.last().unwrap();
        assert!(last.starts_with(&format!("[closed by us: {condition}")), "{last}");
        assert_eq!(answer.matches("<stream:stream ").count(), 1, "one opening tag: {answer}");
    }
}

fn header(attributes: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

/// A node with `a.example` and `also.example`, and the terms of the configuration's defaults.
fn node() -> Arc<Rules> {
    rules(&["a.example", "also.example"], policy(), true)
}

/// The same with TLS left to the peer.
fn lax() -> Arc<Rules> {
    rules(&["a.example", "also.example"], Policy { tls: Tls::Optional, ..policy() }, true)
}

fn rules_of_nobody() -> Arc<Rules> {
    rules(&["x"], policy(), false)
}

fn trusted() -> Option<Certificate> {
    Some(certificate(&["b.example"], None))
}
