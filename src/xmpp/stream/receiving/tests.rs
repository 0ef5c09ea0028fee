//! Tests of the accepting side as tables of XML: what the remote sends, what it gets, and the outputs for the
//! driver.
use super::*;
use crate::{
    certificate::Certificate,
    policy::{Mechanism::External, Policy, tests::policy},
    stream::tests::{
        fixture::{certificate, domain, ids, pair, receiving_event, rules, secured},
        machine::{Accepting, Accepts},
    },
};

mod acks;
mod authentication;
mod bad_stanzas;
mod change;
mod cost;
mod excess;
mod last_acks;
mod legacy;
mod negotiation;
mod resumption;
mod stanzas;
mod styles;

/// A remote server's end of the wire.
struct Peer {
    stream: Accepting,
    /// The outputs that transmit nothing.
    events: Vec<String>,
    requests: Vec<dialback::Request>,
}

impl Peer {
    fn new(rules: Arc<Rules>) -> Self {
        Self { stream: Accepting::new(rules, None, ids()), events: Vec::new(), requests: Vec::new() }
    }

    /// On a stream with direct TLS, with this certificate.
    fn secured(rules: Arc<Rules>, certificate: Option<Certificate>) -> Self {
        Self { stream: Accepting::new(rules, Some(secured(certificate)), ids()), ..Self::new(other_rules()) }
    }

    /// Sends, and gives the answer.
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

    /// Shows a key once more. No server is asked again.
    fn is_verified_already(&mut self, local: &str, remote: &str) -> bool {
        let answer = self.sends(&format!("<db:result from='{remote}' to='{local}'>key</db:result>"));
        self.requests.is_empty() && answer.ends_with(" type='valid'/>")
    }

    /// The stream has ended with `condition`, which was sent before the closing tag.
    fn ends_with(&self, answer: &str, condition: &str) {
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

/// The rules of a node with `a.example` and `also.example`, and the default policy.
fn node() -> Arc<Rules> {
    rules(&["a.example", "also.example"], policy(), true)
}

/// The same with TLS left to the peer.
fn lax() -> Arc<Rules> {
    rules(&["a.example", "also.example"], Policy { tls: Tls::Optional, ..policy() }, true)
}

fn other_rules() -> Arc<Rules> {
    rules(&["x"], policy(), false)
}

fn trusted() -> Option<Certificate> {
    Some(certificate(&["b.example"], None))
}
