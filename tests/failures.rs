//! Domains that cannot be reached: each sender gets the right error in time, and other traffic is not affected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Auth, Behaviour, Component, Element, Listener, NEVER, Network, Node, Prosody, SOON, Server, Setup, plays,
};

// rows: E13 E14
#[test]
fn each_failure_is_answered_in_time_beside_a_healthy_domain() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("healthy.example").auth(Auth::External));
    // One node for failures that are answered at once, with timeouts longer than the test; one for timeouts.
    let node = Node::start(&network, endless());
    let waiting = Node::start(&network, impatient("impatient.example"));
    let failures = failures(&network);
    let healthy = [&node, &waiting].map(|node| Healthy::start(node.outbox(), prosody.domain()));

    let (mut sender, mut waiter) = (node.inbox(), waiting.inbox());
    let start = Instant::now();
    for failure in &failures {
        let asker = if failure.earliest.is_some() { &mut waiter } else { &mut sender };
        asker.sends(&question(asker.name(), failure.domain));
    }
    let mut complaints = Vec::new();
    let late = failures.iter().filter(|failure| failure.earliest.is_some()).count();
    for (asker, count) in [(&mut sender, failures.len() - late), (&mut waiter, late)] {
        for _ in 0..count {
            let answer = asker.next(SOON).expect("an answer for each failure");
            let took = start.elapsed();
            let failure = failures.iter().find(|failure| answer.attribute("from").ends_with(failure.domain));
            complaints.extend(failure.expect("an answer from who was asked").complaint(&answer, took));
        }
    }
    healthy.into_iter().for_each(Healthy::stop);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A domain that fails, and the expected answer.
struct Failure {
    domain: &'static str,
    kind: &'static str,
    condition: &'static str,
    /// Text that the answer must contain, besides the domain or an address.
    cause: &'static str,
    /// Seconds before which the answer must not arrive, if it depends on a timeout.
    earliest: Option<u64>,
}

impl Failure {
    /// The difference from the expected answer, if there is one.
    fn complaint(&self, answer: &Element, took: Duration) -> Option<String> {
        let back = answer.is("iq", "error")
            && answer.attribute("from") == format!("someone@{}", self.domain)
            && answer.attribute("id") == format!("to {}", self.domain)
            && answer.child("ping").is_some_and(|ping| ping.namespace == "urn:xmpp:ping");
        let error = answer.expect("error");
        let condition = error.attribute("type") == self.kind && error.child(self.condition).is_some();
        let sentence = error.expect("text").text();
        let cause = sentence.contains(self.cause);
        let place = sentence.contains(self.domain) || sentence.contains("127.");
        let time = took >= Duration::from_secs(self.earliest.unwrap_or_default());
        let wrong = [
            (back, "not the question back"),
            (condition, "another condition"),
            (cause, "the sentence does not name the cause"),
            (place, "the sentence names neither domain nor address"),
            (time, "too early"),
        ];
        let wrong: Vec<_> = wrong.iter().filter(|(right, _)| !right).map(|(_, wrong)| *wrong).collect();
        let told = || format!("{}, after {took:?}: {}: {answer}", self.domain, wrong.join(", "));
        (!wrong.is_empty()).then(told)
    }
}

/// Sets up every failing domain.
fn failures(network: &Network) -> Vec<Failure> {
    let not_found = ("cancel", "remote-server-not-found");
    let timeout = ("wait", "remote-server-timeout");
    let mut failures = Vec::new();
    let mut fails = |domain, (kind, condition), cause, earliest| {
        failures.push(Failure { domain, kind, condition, cause, earliest });
    };
    let dns = &network.dns;
    let identity = |names: &[&str]| network.authority.issue(names);

    fails("missing.example", not_found, "does not exist", AT_ONCE);

    dns.srv("_xmpp-server._tcp.without.example", 0, 0, 0, ".");
    dns.a("without.example", network.address());
    fails("without.example", not_found, "no XMPP service", AT_ONCE);

    dns.behaves("broken.example", Behaviour::ServerFailure);
    fails("broken.example", timeout, "SERVFAIL", AT_ONCE);

    dns.behaves("mute.example", Behaviour::Silence);
    fails("mute.example", timeout, "did not answer", Some(1));

    network.publish("closed.example", network.address());
    fails("closed.example", timeout, "refused", AT_ONCE);

    let address = network.address();
    network.publish("deaf.example", address);
    let deaf = Listener::deaf(address);
    fails("deaf.example", timeout, "no answer", Some(2));
    // Kept until the process ends.
    std::mem::forget(deaf);

    plays(listener(network, "silent.example"), |mut peer| peer.waits_for_the_end());
    fails("silent.example", timeout, "no answer", Some(3));

    plays(listener(network, "web.example"), |mut peer| {
        peer.expects_header();
        peer.sends("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>Bad Request</html>");
    });
    fails("web.example", timeout, "does not speak XMPP", AT_ONCE);

    let other = identity(&["somebody.example"]);
    plays(listener(network, "other.example"), move |mut peer| {
        peer.answers_to_tls("other.example", &other);
        peer.waits_for_the_end();
    });
    fails("other.example", timeout, "certificate", AT_ONCE);

    let expired = network.authority.certificate(&["expired.example"]).expired().issue();
    plays(listener(network, "expired.example"), move |mut peer| {
        peer.answers_to_tls("expired.example", &expired);
        peer.waits_for_the_end();
    });
    fails("expired.example", timeout, "expired on", AT_ONCE);

    plays(listener(network, "clear.example"), |mut peer| {
        peer.expects_header();
        peer.sends_header("clear.example", "inbox.nuncio.example", "id='clear'");
        peer.sends_features("");
        // RFC 7590, section 3.1: a client may request TLS although it is not offered.
        if peer.next(SOON).is_ok() {
            peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
        }
    });
    fails("clear.example", timeout, "TLS", AT_ONCE);

    plays(listener(network, "stranger.example"), |mut peer| {
        peer.expects_header();
        peer.sends_header("stranger.example", "inbox.nuncio.example", "id='stranger'");
        peer.sends(
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error></stream:stream>",
        );
    });
    fails("stranger.example", timeout, "host-unknown", AT_ONCE);
    failures
}

#[test]
fn a_refused_certificate_is_the_reason_even_if_the_peer_hangs_up() {
    let network = Network::new();
    let identity = network.authority.issue(&["refusing.example"]);
    plays(listener(&network, "refusing.example"), move |mut peer| {
        peer.answers_to_tls("refusing.example", &identity);
        peer.sends_features(BOTH);
        peer.expects("auth");
        peer.sends(
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>\
             <text>your certificate has expired</text></failure>",
        );
        // Without a closing tag.
        peer.expects("result");
    });
    let node = Node::start(&network, setup().auth(Auth::Both));
    let answer = node.inbox().asks("refusing.example", PING);
    let wanted = "refusing.example refused our certificate (not-authorized: your certificate has expired)";
    assert_eq!(answer.expect("error").expect("text").text(), wanted);
}

#[test]
fn dialback_instead_of_a_certificate_is_logged_with_the_reason() {
    let network = Network::new();
    let identity = network.authority.issue(&["somebody.example"]);
    plays(listener(&network, "crossed.example"), move |mut peer| {
        peer.answers_to_tls("crossed.example", &identity);
        peer.sends_features(BOTH);
        peer.expects("result");
    });
    let node = Node::start(&network, setup().auth(Auth::Both));
    let answer = node.inbox().asks("crossed.example", PING);
    let sentence = answer.expect("error").expect("text").text();
    let wanted = "closed the connection while we were waiting for the answer to our dialback key; only dialback was \
                  left, since its certificate is for another name (somebody.example), not for crossed.example";
    assert!(sentence.ends_with(wanted), "{sentence}");
}

// rows: E13
#[test]
fn a_domain_without_service_is_never_dialed() {
    let network = Network::new();
    let address = network.address();
    network.dns.srv("_xmpp-server._tcp.without.example", 0, 0, 0, ".");
    network.dns.a("without.example", address);
    let listener = Listener::at(address);
    let node = Node::start(&network, setup());
    let answer = node.inbox().asks("without.example", PING);
    assert!(answer.expect("error").child("remote-server-not-found").is_some(), "{answer}");
    assert!(listener.accepted().is_none(), "the domain's address was dialed");
}

// rows: A14
#[test]
fn the_next_target_is_tried_when_the_first_fails_after_tcp() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("good.example").unpublished());
    let http = network.address();
    plays(Listener::at(http), |mut peer| {
        peer.expects_header();
        peer.sends("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    network.dns.srv("_xmpp-server._tcp.good.example", 1, 0, 5269, "first.good.example");
    network.dns.srv("_xmpp-server._tcp.good.example", 2, 0, 5269, "second.good.example");
    network.dns.a("first.good.example", http);
    network.dns.a("second.good.example", prosody.address());
    let node = Node::start(&network, setup());
    let answer = node.inbox().asks("good.example", PING);
    assert!(answer.is("iq", "result"), "{answer}");
}

// rows: E8 E13
#[test]
fn a_message_to_an_unknown_domain_bounces_with_its_content() {
    let network = Network::new();
    let node = Node::start(&network, setup());
    let mut sender = node.inbox();
    sender.sends_message("someone@missing.example/there", "lost", "é &lt; &amp;");
    let answer = sender.receives_id("lost");
    assert!(answer.is("message", "error"), "{answer}");
    assert_eq!(answer.attribute("from"), "someone@missing.example/there");
    assert_eq!(answer.attribute("to"), format!("tester@{}", sender.name()));
    assert_eq!(answer.expect("body").text(), "é < &");
    assert!(answer.expect("error").child("remote-server-not-found").is_some(), "{answer}");
}

// rows: E7 E8 E15
#[test]
fn errors_and_results_are_never_answered() {
    let network = Network::new();
    let node = Node::start(&network, setup());
    let mut sender = node.inbox();
    let from = format!("tester@{}", sender.name());
    for (name, kind) in [("message", "error"), ("presence", "error"), ("iq", "error"), ("iq", "result")] {
        sender.sends(&format!("<{name} from='{from}' to='missing.example' id='{kind}' type='{kind}'/>"));
    }
    sender.sends_message("missing.example", "last", "");
    let first = sender.next(SOON).expect("an answer to the last");
    assert_eq!(first.attribute("id"), "last");
}

#[test]
fn a_denied_domain_is_refused_at_once_and_not_looked_up() {
    let network = Network::new();
    let setup = setup().set("s2s.deny", "[\"*.denied.example\"]");
    let node = Node::start(&network, setup);
    let answer = node.inbox().asks("a.denied.example", PING);
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "cancel", "{answer}");
    assert!(error.child("not-allowed").is_some(), "{answer}");
    assert!(network.dns.questions().iter().all(|question| !question.contains("denied")));
}

/// A node that accepts certificates only.
fn setup() -> Setup {
    of("nuncio.example")
}

fn of(domain: &str) -> Setup {
    Setup::of(domain).auth(Auth::External)
}

/// A node with short timeouts.
fn impatient(domain: &str) -> Setup {
    of(domain)
        .set("s2s.connect_timeout", "\"3s\"")
        .set("s2s.handshake_timeout", "\"8s\"")
        .set("dns.timeout", "\"2s\"")
}

/// A node with timeouts longer than a test.
fn endless() -> Setup {
    let times =
        ["s2s.connect_timeout", "s2s.handshake_timeout", "s2s.attempt_timeout", "dns.timeout", "promise.iq"];
    times.into_iter().fold(setup(), |setup, time| setup.set(time, NEVER))
}

/// Publishes `domain` and listens at its address.
fn listener(network: &Network, domain: &str) -> Listener {
    let address = network.address();
    network.publish(domain, address);
    Listener::at(address)
}

fn question(from: &str, to: &str) -> String {
    format!("<iq type='get' id='to {to}' from='tester@{from}' to='someone@{to}'>{PING}</iq>")
}

/// Requests to a reachable domain, repeated in the background.
struct Healthy {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Healthy {
    fn start(mut component: Component, domain: &str) -> Self {
        let domain = domain.to_owned();
        // The link is established before the measurement.
        component.asks(&domain, PING);
        let stop = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut count = 0;
                while count <= ENOUGH || !stop.load(Ordering::Relaxed) {
                    let answer = component.asks(&domain, PING);
                    assert!(answer.is("iq", "result"), "{answer}");
                    count += 1;
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends the traffic. Behind a failing domain an answer would be later than a test waits.
    #[track_caller]
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("healthy traffic");
    }
}

/// The least number of requests to the healthy domain.
const ENOUGH: usize = 5;

/// Shorter than each configured timeout.
const AT_ONCE: Option<u64> = None;

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

const BOTH: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>\
                    <dialback xmlns='urn:xmpp:features:dialback'/>";
