//! Benchmark: the memory of a node with 1,000 destinations that accept a link and then read nothing, while a component
//! floods them until the bounds of the node hold.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem;

use crate::machine;
use crate::servers::{Kind, One};
use crate::support::{Identity, Listener, Network, Peer, plays};

/// The most memory of the node in KiB, from before the flood until [`FURTHER`] after the first stanza was refused.
pub(crate) fn measure(network: &Network, kind: Kind, called: &str, peers: usize) -> Result<f64, String> {
    let is_over = Arc::new(AtomicBool::new(false));
    let address = network.address();
    let identity = network.authority.issue(&[&format!("*.stalled.{called}")]);
    let until = Arc::clone(&is_over);
    plays(Listener::at(address), move |peer| stalls(peer, &identity, &until));
    let pattern = format!("[[remote]]\nname = \"*.stalled.{called}\"\naddress = \"{address}:5269\"\n");
    let node = One::start_with(network, kind, &format!("one.{called}"), &["c".to_owned()], |setup| {
        // Links that do not read are to stay for the whole measurement.
        setup.block(&pattern).set("s2s.write_timeout", "\"30m\"").set("s2s.keepalive", "\"30m\"")
    });
    let stream = node.connect("c");
    let (mut from, mut answers) = (stream.try_clone().map_err(|error| error.to_string())?, stream);
    answers.set_read_timeout(Some(Duration::from_millis(200))).map_err(|error| error.to_string())?;
    let (domain, filling) = (format!("c.{}", node.domain), "x".repeat(BODY));
    let refused = AtomicUsize::new(0);
    let mut most = 0.0_f64;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                let peer = number % peers;
                let message = format!(
                    "<message from='a@{domain}' to='b@d{peer}.stalled.{called}' id='{number}'><body>{filling}</body></message>"
                );
                if is_over.load(Relaxed) || from.write_all(message.as_bytes()).is_err() {
                    return;
                }
            }
        });
        scope.spawn(|| {
            let mut bytes = vec![0; 1 << 16];
            while !is_over.load(Relaxed) {
                // A pause without an answer is a timeout.
                let read = answers.read(&mut bytes).unwrap_or_default();
                let found = memmem::find_iter(&bytes[..read], "resource-constraint");
                refused.fetch_add(found.count(), Relaxed);
            }
        });
        let (began, mut first) = (Instant::now(), None);
        while began.elapsed() < LONGEST && first.is_none_or(|first: Instant| first.elapsed() < FURTHER) {
            most = most.max(machine::memory(&[node.id()]));
            if first.is_none() && refused.load(Relaxed) > 0 {
                first = Some(Instant::now());
            }
            thread::sleep(Duration::from_millis(250));
        }
        is_over.store(true, Relaxed);
    });
    match refused.load(Relaxed) {
        0 => Err(format!("no bound was reached within {LONGEST:?}: {most:.0} KiB")),
        _ => Ok(most),
    }
}

/// A server of any domain that accepts a link, and then reads nothing.
fn stalls(mut peer: Peer, identity: &Identity, is_over: &AtomicBool) {
    let header = peer.expects_header();
    let (domain, node) = (header.attribute("to").to_owned(), header.attribute("from").to_owned());
    peer.sends_header(&domain, &node, "id='1'");
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(identity);
    peer.expects_header();
    peer.sends_header(&domain, &node, "id='2'");
    peer.accepts_external(&domain);
    while !is_over.load(Relaxed) {
        thread::sleep(Duration::from_millis(500));
    }
}

/// Bytes of the text of a message.
const BODY: usize = 1000;

/// How long the flood goes on after the first stanza was refused.
const FURTHER: Duration = Duration::from_secs(15);

/// The time within which a bound is reached.
const LONGEST: Duration = Duration::from_secs(150);
