//! Tests of the opening side as tables of XML: what the remote sends, what it gets, how the stream ends.
use super::*;
use crate::{
    certificate::{Certificate, Problem},
    dialback,
    policy::{Mechanism, Tls, tests::policy},
    sasl,
    stream::{
        Stage,
        tests::{
            fixture::{certificate, initiating_event, pair, secured},
            machine::{Opening, Opens},
        },
    },
};
use Mechanism::{Dialback, External};

mod acks;
mod answers;
mod authentication;
mod negotiation;
mod reasons;
mod resumption;

/// The remote server's end of the wire.
struct Peer {
    stream: Opening,
    /// The outputs that transmit nothing.
    events: Vec<String>,
    /// The outputs for observers.
    notes: Vec<Note>,
}

impl Peer {
    fn new(plan: Plan) -> Self {
        Self { stream: Opening::session(plan), events: Vec::new(), notes: Vec::new() }
    }

    /// A server that we ask about a key.
    fn asked(plan: Plan, request: dialback::Request) -> Self {
        Self { stream: Opening::verification(plan, request), events: Vec::new(), notes: Vec::new() }
    }

    /// Within TLS, behind our second header. The server has shown a certificate that proves it.
    fn secured(plan: Plan) -> Self {
        let mut peer = Self::new(Plan { direct_tls: Some(secured(trusted())), ..plan });
        peer.gets();
        peer.events.clear();
        peer
    }

    /// Sends, and gives the answer. If the handshake fails, the server sends no further reason.
    fn sends(&mut self, xml: &str) -> String {
        let mut answer = self.says(xml);
        self.stream.conclude();
        answer += &self.gets();
        answer
    }

    /// Sends, and gives the answer. More may follow.
    fn says(&mut self, xml: &str) -> String {
        self.stream.receive(BytesMut::from(xml));
        self.gets()
    }

    fn gets(&mut self) -> String {
        let mut answer = String::new();
        while let Some(output) = self.stream.poll() {
            match &output {
                Opens::Transmit(_) => answer += &initiating_event(&output),
                Opens::Noted(note) => self.notes.push(note.clone()),
                _ => self.events.push(initiating_event(&output)),
            }
        }
        answer
    }

    /// Answers our header, with features.
    fn opens(&mut self, features: &str) -> String {
        self.sends(&format!("{}<stream:features>{features}</stream:features>", header("version='1.0'")))
    }

    fn last(&self) -> &str {
        self.events.last().map_or("", String::as_str)
    }
}

fn header(attributes: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         from='b.example' to='a.example' id='D6' {attributes}>"
    )
}

fn plan(policy: Policy) -> Plan {
    Plan {
        pair: pair("a.example", "b.example"),
        policy,
        bounds: Bounds::default(),
        direct_tls: None,
        certificate: true,
        acks: crate::acks::Options::default(),
    }
}

fn terms(tls: Tls, auth: &[Mechanism]) -> Policy {
    Policy { tls, auth: auth.to_vec(), ..policy() }
}

fn trusted() -> Option<Certificate> {
    Some(certificate(&["b.example"], None))
}

/// Our key for the stream `D6`.
fn key() -> String {
    let plan = plan(policy());
    dialback::key(&plan.policy.secret, &plan.pair.remote, &plan.pair.local, "D6")
}

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const EXTERNAL: &str =
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
