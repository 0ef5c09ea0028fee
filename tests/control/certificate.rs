//! An expired certificate of a remote: `explain`, error answers, log and metrics report it after one attempt.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::metrics::Watched;
use crate::support::{Certificate, Peer, Prosody};

#[test]
fn an_expired_certificate_shows_in_explain_answers_log_and_metrics() {
    let (network, place) = (Network::new(), Place::new());
    let prosody = Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External));
    let watched = Watched::start(&network, place.setup().auth(Auth::External));
    let node = &watched.node;
    let mut sender = node.inbox();
    let flow = Flow::start(node.outbox());
    let answer = sender.asks("prosody.example", PING);
    assert!(answer.is("iq", "result"), "{answer}");
    let before = place.tells(&["explain", "prosody.example"]);
    assert!(before.starts_with("prosody.example: linked "), "{before}");

    swap_for_an_expired_one(&network, &prosody);
    let told = place.tells(&["close", "prosody.example"]);
    assert!(told.contains("closed ("), "{told}");

    // One request, so one attempt for its pair.
    let answer = sender.asks("prosody.example", PING);
    let sentence = answer.expect("error").expect("text").text();
    assert!(sentence.starts_with("certificate of prosody.example expired on 20"), "{answer}");
    let line = node.eventually_logs(&["no link", "inbox.nuncio.example > prosody.example"]);
    assert!(line.contains("certificate of prosody.example expired on 20"), "{line}");
    let told = place.tells(&["explain", "prosody.example"]);
    let first = told.lines().next().unwrap();
    assert!(
        first.starts_with("prosody.example: no link; certificate of prosody.example expired on 20"),
        "{told}"
    );
    assert!(first.contains("; the operator of prosody.example must renew it; "), "{told}");
    let json = place.json(&["explain", "prosody.example"]);
    let attempts = json["events"].as_array().unwrap().iter();
    let failed = attempts.filter(|event| event["what"] == "no-link" && event["local"] == sender.name());
    assert_eq!(failed.count(), 1, "{json}");
    watched.eventually_shows("nuncio_attempts_total{purpose=\"session\",result=\"certificate\"}");
    flow.stop();
}

#[test]
fn an_expired_certificate_is_reported_even_if_dialback_succeeds() {
    let (network, place) = (Network::new(), Place::new());
    let expired = Setup::of("other.example").certificate(Certificate::Expired);
    let other = Watched::start(&network, expired);
    let watched = Watched::start(&network, place.setup());
    let answer = watched.node.inbox().asks("other.example", PING);
    assert!(answer.is("iq", "result"), "{answer}");
    let told = place.tells(&["explain", "other.example"]);
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("other.example: linked "), "{told}");
    assert!(first.contains(", dialback over TLSv1.3, though its certificate expired on 20"), "{told}");
    let verdict = |direction, verdict| {
        format!("nuncio_certificate_verdicts_total{{direction=\"{direction}\",verdict=\"{verdict}\"}}")
    };
    watched.eventually_shows(&verdict("outgoing", "expired"));
    other.eventually_shows(&verdict("incoming", "good"));
}

#[test]
fn a_refused_certificate_is_counted_on_both_sides() {
    let (network, place) = (Network::new(), Place::new());
    let strict = |setup: Setup| setup.set("s2s.strict_certificates", "true");
    let expired = strict(Setup::of("other.example")).certificate(Certificate::Expired);
    let other = Watched::start(&network, expired);
    let watched = Watched::start(&network, strict(place.setup()));
    let answer = watched.node.inbox().asks("other.example", PING);
    assert!(answer.is("iq", "error"), "{answer}");
    let answer = other.node.inbox().asks("nuncio.example", PING);
    assert!(answer.is("iq", "error"), "{answer}");
    let expired = |direction| {
        format!("nuncio_certificate_verdicts_total{{direction=\"{direction}\",verdict=\"expired\"}} 1")
    };
    watched.eventually_shows(&expired("outgoing"));
    watched.eventually_shows(&expired("incoming"));
    let told = place.tells(&["explain", "inbox.other.example"]);
    let sentence = told.lines().next().unwrap();
    assert!(sentence.contains("; its last incoming connection was refused "), "{told}");
    assert!(sentence.contains(" ago: certificate of inbox.other.example expired on 20"), "{told}");
}

#[test]
fn an_expired_certificate_of_a_peer_that_leaves_is_explained() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let expired = network.authority.certificate(&["peer.example"]).expired().issue();
    let mut peer = Peer::dials(node.address());
    peer.starts_tls("peer.example", "inbox.nuncio.example", Some(&expired));
    peer.expects("features");
    drop(peer);
    node.eventually_logs(&["secured", "from=peer.example", "certificate=\"expired on 20"]);
    node.eventually_logs(&["closed", "from=peer.example", "certificate=\"expired on 20"]);
    let told = place.tells(&["explain", "peer.example"]);
    assert!(told.contains("certificate of peer.example expired on 20"), "{told}");
}

/// Replaces Prosody's certificate with an expired one, and makes it reload its configuration.
fn swap_for_an_expired_one(network: &Network, prosody: &Prosody) {
    let names = prosody.setup().names();
    let expired = network.files(&network.authority.certificate(&names).expired().issue());
    let configuration = network.directory(prosody.domain()).join("prosody.cfg.lua");
    let configuration = fs::read_to_string(configuration).unwrap();
    let file = |key: &str| {
        let value = configuration.split_once(&format!(" {key} = \"")).unwrap().1;
        PathBuf::from(value.split_once('"').unwrap().0)
    };
    fs::copy(&expired.certificate, file("certificate")).unwrap();
    fs::copy(&expired.key, file("key")).unwrap();
    prosody.process().signal("HUP");
    prosody.process().eventually_logs(&[" prosody.example:tls", "certificates reloaded"]);
}

/// Messages to Prosody, one after the other in the background.
struct Flow {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Flow {
    fn start(mut component: Component) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (mut sent, mut told) = (0, 0);
                while !stop.load(Ordering::Relaxed) || told == 0 && sent < MOST {
                    component.sends_message("prosody.example", &sent.to_string(), "");
                    sent += 1;
                    let answer = component.next(Duration::from_millis(20));
                    told +=
                        usize::from(answer.is_some_and(|answer| answer.to_string().contains("expired on")));
                }
                (sent, told)
            }
        });
        Self { stop, thread }
    }

    /// Ends the messages: the first arrived and the last bounced with the reason.
    #[track_caller]
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, told) = self.thread.join().expect("the flow of messages");
        assert!(sent > told && told > 0, "{sent} messages, of which {told} came back with the reason");
    }
}

/// Messages of half a minute, one of which would have bounced.
const MOST: usize = 1_500;
