//! The policy in both roles: every combination of the operator's settings and the remote's TLS and certificate.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Auth, BINARY, Component, Element, Event, Listener, Network, Node, Nothing, Peer, SOON, Server, Setup,
    Tls, configuration, connect_from, offers_external, plays,
};

mod kinds;
mod real;
mod retreat;
mod script;
mod table;

use script::{Manner, Remotes};
use table::{Case, May, Proof, Shown, Way};

// rows: B13 C1 C2 C14 D1 D2 D17 D18 D21 D23
#[test]
fn incoming_streams_follow_the_policy_table() {
    let fixture = Fixture::new(true);
    let mut inbox = fixture.node.inbox();
    let mut proved = Vec::new();
    for case in Case::configurable() {
        for proof in [Proof::External, Proof::Dialback] {
            let id = format!("{} {proof:?}", case.label());
            assert_eq!(fixture.dials(&case, proof, &id), case.admits(proof), "{id}");
            if case.admits(proof) {
                proved.push(id);
            }
        }
        fixture.speaks_too_early(&case);
    }
    // Exactly the authenticated stanzas arrive: an early one would arrive before the last.
    fixture.node.outbox().sends_message(INBOX, "the last", "");
    inbox.receives_id("the last");
    let mut heard = Vec::new();
    while let Some(stanza) = inbox.next(Duration::ZERO) {
        heard.push(stanza.attribute("id").to_owned());
    }
    proved.retain(|id| !heard.contains(id));
    assert!(!heard.iter().any(|id| id.starts_with("early")), "{heard:?}");
    proved.iter().for_each(|id| drop(inbox.receives_id(id)));
}

// rows: B14 C9 C11 C14 D3 D17 D18 D21 D23
#[test]
fn outgoing_streams_follow_the_policy_table() {
    let fixture = Fixture::new(false);
    for manner in Manner::ALL {
        let mut sender = Component::connect(fixture.node.address(), manner.local());
        for case in Case::configurable() {
            let domain = fixture.remotes.domain(&case);
            sender.sends(&format!(
                "<iq type='get' id='{0}' from='tester@{1}' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>",
                case.label(),
                manner.local()
            ));
        }
        for case in Case::configurable() {
            let label = format!("{manner:?} {}", case.label());
            if let Some(proof) = manner.expected(&case) {
                let seen = fixture.remotes.eventually_saw_a_stanza(&case, manner);
                assert_eq!((seen.secured, seen.proof), (case.is_secured(), Some(proof)), "{label}");
            } else {
                let answer = sender.receives_id(&case.label());
                let error = answer.expect("error");
                assert!(error.child("remote-server-timeout").is_some(), "{label}: {answer}");
                let (sentence, blame) = (error.expect("text").text(), manner.blame(&case));
                assert!(sentence.contains(blame), "{label}: nothing of {blame:?} in {sentence:?}");
            }
        }
    }
    // Every step on the way was allowed too.
    for seen in fixture.remotes.seen() {
        let case = fixture.remotes.case(&seen.label);
        let proof = seen.proof.expect("no stanza before authentication");
        assert!(case.admits(proof) && seen.secured == case.is_secured(), "{seen:?}");
        assert!(seen.secured || proof == Proof::Dialback, "EXTERNAL without TLS: {seen:?}");
    }
}

#[test]
fn combinations_outside_the_table_are_not_configurable() {
    let network = Network::new();
    let unheard = Case::all().into_iter().filter(|case| case.may == May::Unheard);
    for case in unheard.filter(|case| case.shown == Shown::Good) {
        assert_eq!((case.tls, case.auth), (Tls::Disabled, Auth::External));
        let setup = Setup::of("nuncio.example").block(&case.block("peer.example", ""));
        let file = network.directory("check").join("nuncio.toml");
        fs::write(&file, configuration(&network, &setup, network.address())).unwrap();
        let checked = Command::new(BINARY).args(["check", "--config"]).arg(&file).output().unwrap();
        assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    }
}

/// A node with a policy for each of the remotes, and the script that plays them.
struct Fixture {
    node: Node,
    remotes: Arc<Remotes>,
    network: Network,
}

impl Fixture {
    /// For incoming streams with callbacks, or for outgoing streams.
    fn new(called_back: bool) -> Self {
        let network = Network::new();
        let address = network.address();
        let remotes = Arc::new(Remotes::new(&network, called_back));
        let direct = Shown::ALL.map(|shown| (shown, network.address()));
        let mut setup = Setup::of("nuncio.example")
            .set("s2s.handshake_timeout", "\"10s\"")
            .set("limits.max_attempts_per_address", "6000");
        for manner in Manner::ALL {
            setup = setup.component(manner.local());
        }
        for case in Case::configurable() {
            let domain = remotes.domain(&case);
            let more = match case.way {
                Way::StartTls => format!("address = \"{address}:5269\""),
                Way::Direct => String::new(),
            };
            setup = setup.block(&case.block(&domain, &more));
            if let Some((_, address)) =
                direct.iter().find(|(shown, _)| *shown == case.shown && more.is_empty())
            {
                network.publish_direct_tls(&domain, *address);
            }
        }
        let node = Node::start(&network, setup);
        let script = Arc::clone(&remotes);
        plays(Listener::at(address), move |peer| script.is_dialed(peer));
        for (shown, address) in direct {
            let script = Arc::clone(&remotes);
            plays(Listener::at_port(address, 5270), move |peer| script.is_dialed_directly(peer, shown));
        }
        Self { node, remotes, network }
    }

    /// Connects as the remote of `case`, as far as the node permits. None: the node closed the stream.
    fn reaches(&self, case: &Case) -> Option<Peer> {
        let domain = self.remotes.domain(case);
        // The node limits verifications per source address.
        let source = self.network.address();
        let mut peer = Peer::accepted(connect_from(source, (self.node.address(), 5269).into()));
        let clear = (case.way == Way::StartTls).then(|| {
            peer.sends_header(&domain, INBOX, "");
            peer.expects_header();
            let features = peer.expects("features");
            let starttls = features.child("starttls");
            let required = starttls.is_some_and(|starttls| starttls.child("required").is_some());
            assert_eq!(
                (starttls.is_some(), required),
                (case.tls != Tls::Disabled, case.tls == Tls::Required)
            );
            assert!(!offers_external(&features), "EXTERNAL without TLS: {features}");
            features
        });
        let features = match clear {
            Some(features) if !case.is_secured() => features,
            clear => {
                if clear.is_some() {
                    peer.asks_for_tls();
                }
                peer.secures_as_client(self.remotes.identity(case.shown), INBOX);
                peer.sends_header(&domain, INBOX, "");
                peer.expects_header();
                match peer.next(SOON) {
                    Ok(Event::Element(features)) if features.name == "features" => {
                        assert!(features.child("starttls").is_none(), "{case:?}: {features}");
                        features
                    }
                    Ok(Event::Element(error)) => {
                        assert_eq!(case.may, May::No, "{error}");
                        assert!(error.child("policy-violation").is_some(), "{error}");
                        let text = error.expect("text").text();
                        assert!(text.contains(case.blame()), "{text}");
                        peer.expects_closed();
                        peer.finishes();
                        return None;
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        assert_eq!(offers_external(&features), case.admits(Proof::External), "{case:?}: {features}");
        let dialback = features.child("dialback").is_some();
        assert_eq!(dialback, case.admits(Proof::Dialback), "{case:?}: {features}");
        assert_eq!(peer.is_secured(), case.is_secured());
        Some(peer)
    }

    /// Whether the remote can authenticate so. Then it sends a message, otherwise it tries to.
    fn dials(&self, case: &Case, proof: Proof, id: &str) -> bool {
        let Some(mut peer) = self.reaches(case) else { return false };
        let domain = self.remotes.domain(case);
        let proved = match proof {
            Proof::External => {
                peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
                let proved = peer.next(SOON);
                match element(proved) {
                    success if success.name == "success" => {
                        peer.restarts();
                        peer.sends_header(&domain, INBOX, "");
                        peer.expects_header();
                        peer.expects("features");
                        true
                    }
                    failure => {
                        assert_eq!(failure.name, "failure", "{failure}");
                        let condition =
                            if case.is_secured() { "not-authorized" } else { "encryption-required" };
                        failure.expect(condition);
                        false
                    }
                }
            }
            Proof::Dialback => {
                peer.sends(&format!("<db:result from='{domain}' to='{INBOX}'>a key</db:result>"));
                let result = peer.expects("result");
                if result.attribute("type") == "error" {
                    result.expect("error").expect("policy-violation");
                }
                result.attribute("type") == "valid"
            }
        };
        let id = if proved { id } else { "early" };
        peer.sends(&message(&domain, id));
        if !proved {
            peer.expects_error("not-authorized");
        }
        proved
    }

    /// Sends a message before authentication.
    fn speaks_too_early(&self, case: &Case) {
        if let Some(mut peer) = self.reaches(case) {
            peer.sends(&message(&self.remotes.domain(case), "early"));
            peer.expects_error("not-authorized");
        }
    }
}

#[track_caller]
fn element(event: Result<Event, Nothing>) -> Element {
    match event {
        Ok(Event::Element(element)) => element,
        other => panic!("no element but {other:?}"),
    }
}

fn message(from: &str, id: &str) -> String {
    format!("<message from='a@{from}' to='b@{INBOX}' id='{id}'><body/></message>")
}

const INBOX: &str = "inbox.nuncio.example";
