//! Parts that tests and benchmarks of the actors put in place of a remote server and of a listener.

#![allow(clippy::expect_used, clippy::panic, reason = "a test cannot go on without them")]

use actix::{Actor, Context, Handler};
use bytes::BytesMut;
use mailbox::Queued;
use xmpp::{
    DomainPair,
    acks::Wish,
    certificate::TrustStore,
    dialback,
    policy::{Bounds, MalformedStanza, Mechanism, Policy, Tls, UnknownRecipient},
    stream::initiating::{Handshake, Open, Output, Plan},
};

use crate::streams::caller;

/// An open outgoing stream, after a negotiation in clear text with dialback.
///
/// # Panics
/// The machine does not accept the answers of the remote server.
pub fn established(pair: &DomainPair) -> Box<Open> {
    established_with_acks(pair, Wish::default(), "")
}

/// The same with acknowledgements, which the remote server offers; `answer` is its answer about a lost stream.
///
/// # Panics
/// The machine does not accept the answers of the remote server.
pub fn established_with_acks(pair: &DomainPair, acks: Wish, answer: &str) -> Box<Open> {
    let offer = if acks.enabled { "<sm xmlns='urn:xmpp:sm:3'/>" } else { "" };
    let mut machine = Handshake::session(Plan {
        pair: pair.clone(),
        policy: policy(),
        bounds: Bounds::default(),
        direct_tls: None,
        certificate: false,
        acks,
    });
    let DomainPair { local, remote } = pair;
    let answers = format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' id='1' from='{remote}' to='{local}' version='1.0'>\
         <stream:features><dialback xmlns='urn:xmpp:features:dialback'/>{offer}</stream:features>\
         <db:result from='{remote}' to='{local}' type='valid'/>{answer}"
    );
    while machine.poll().is_some() {}
    machine.receive(BytesMut::from(answers.as_bytes()));
    loop {
        match machine.poll().expect("the negotiation goes through") {
            Output::Completed(open) => return open,
            Output::Failed(failure) => panic!("{failure}"),
            _ => {}
        }
    }
}

fn policy() -> Policy {
    Policy {
        tls: Tls::Disabled,
        auth: vec![Mechanism::Dialback],
        strict_certificates: false,
        dialback_after_external: false,
        dialback_shortcut: false,
        trust: TrustStore(0),
        max_stanza: 100_000,
        max_stanza_unauthenticated: 10_000,
        idle_seconds: 0,
        secret: dialback::Secret::new("secret"),
        acks: None,
        unknown_recipient: UnknownRecipient::Close,
        malformed_stanza: MalformedStanza::Bounce,
    }
}

/// An actor in place of a listener: it ignores the events of its connections.
#[derive(Debug)]
pub struct DeafListener;

impl Actor for DeafListener {
    type Context = Context<Self>;
}

impl Handler<Queued<caller::Ended>> for DeafListener {
    type Result = ();

    fn handle(&mut self, ended: Queued<caller::Ended>, _: &mut Context<Self>) {
        ended.open();
    }
}

impl Handler<Queued<caller::Proved>> for DeafListener {
    type Result = ();

    fn handle(&mut self, proved: Queued<caller::Proved>, _: &mut Context<Self>) {
        proved.open();
    }
}

impl Handler<Queued<caller::Mistaken>> for DeafListener {
    type Result = ();

    fn handle(&mut self, mistaken: Queued<caller::Mistaken>, _: &mut Context<Self>) {
        mistaken.open();
    }
}
