//! The text output of probes, compared literally. Placeholders replace addresses, dates and digests.

use super::bench::{Bench, shows};
use crate::support::{Network, Node, Prosody, Setup};

#[test]
fn a_closed_port() {
    let bench = Bench::new();
    bench.network.publish("peer.example", bench.peer);
    compare(&bench.shows(), include_str!("screens/a_closed_port.txt"));
}

#[test]
fn a_prosody_that_accepts_certificate_and_key() {
    let network = Network::new();
    let _node = Node::start(&network, Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\""));
    let _prosody = Prosody::start(&network, Setup::of("peer.example"));
    let shown = shows(&network.directory("nuncio.example").join("nuncio.toml"), "peer.example");
    compare(&shown, include_str!("screens/a_prosody_that_accepts_certificate_and_key.txt"));
}

#[test]
fn a_remote_that_cannot_reach_us_and_has_a_bad_certificate() {
    let bench = Bench::new();
    bench.network.publish("nuncio.example", bench.own);
    let identity = bench.network.authority.certificate(&["peer.example"]).expired().issue();
    bench.plays_secured(&identity, |peer| {
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'/>");
        peer.expects("result");
        peer.sends(
            "<db:result from='peer.example' to='nuncio.example' type='error'><error type='wait'>\
             <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
        );
    });
    compare(&bench.shows(), include_str!("screens/a_remote_that_cannot_reach_us.txt"));
}

/// Compares two screens line by line.
#[track_caller]
fn compare(shown: &str, expected: &str) {
    let shown = steady(shown);
    assert!(shown == expected, "--- shown ---\n{shown}\n--- expected ---\n{expected}");
}

/// Replaces what differs from run to run with placeholders, and sorts DNS answers, whose order varies.
fn steady(text: &str) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = signs(line);
        match blocks.last_mut() {
            Some(block) if line.starts_with(&" ".repeat(22)) => {
                block.push('\n');
                block.push_str(&line);
            }
            _ => blocks.push(line),
        }
    }
    // Only the order of questions without a finding varies.
    let is_question = |block: &String| block.starts_with("  ok     dns") || block.starts_with("  none   dns");
    for run in blocks.chunk_by_mut(|a, b| is_question(a) && is_question(b)) {
        // Questions about a service come before those about its targets.
        run.sort_by_key(|block| (!block.contains(" _xmpp"), block["  none   ".len()..].to_owned()));
    }
    blocks.join("\n") + "\n"
}

fn signs(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let (before, core) = word.split_at(word.len() - word.trim_start_matches('(').len());
        let bare = core.trim_end_matches([',', ')', '.']);
        let after = &core[bare.len()..];
        let host = bare.split(':').next().unwrap_or_default();
        let sign = if host.starts_with("127.") {
            bare.replacen(host, "ADDRESS", 1)
        } else if bare.len() == 64 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            "DIGEST".to_owned()
        } else if bare.len() == 10 && bare.starts_with("20") && bare.matches('-').count() == 2 {
            "DAY".to_owned()
        } else if bare.starts_with("TLS_") {
            "CIPHER".to_owned()
        } else {
            bare.to_owned()
        };
        format!("{before}{sign}{after}")
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match (line.find("valid from "), line.find("connected in ")) {
        (Some(at), _) => format!("{}valid from TIME to TIME", &line[..at]),
        (_, Some(at)) => {
            let (_, rest) = line[at..].split_once(" ms").unwrap_or_default();
            format!("{}connected in N ms{rest}", &line[..at])
        }
        _ => line,
    }
}
