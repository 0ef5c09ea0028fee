//! Tests of the answers to an initiator that has proved nothing.

use std::collections::BTreeSet;

use initiating::Cause;
use xmpp::stream;

use super::*;

/// Failures of every kind that a stranger can bring about by its DNS records and by a server of its choice.
fn failures() -> Vec<Failure> {
    let address: SocketAddr = "10.1.2.3:6379".parse().unwrap();
    let question = || dns::Question { name: "10-1-2-3.b.example".into(), kind: "A" };
    let said = |text: &str| stream::Error::new(stream::Condition::PolicyViolation, text);
    let stage = Stage::Header;
    let causes = [
        Cause::NotXmpp,
        Cause::TlsUnavailable,
        Cause::TlsRefused,
        Cause::Certificate(Problem::Missing),
        Cause::NoMechanism,
        Cause::Stream(said("the internal server 10.1.2.3 says so")),
    ];
    let of_stream = causes.map(|cause| Failure::Stream {
        address,
        stage,
        failure: initiating::Failure { cause, remote: Domain::new("b.example").unwrap() },
        distrusted: None,
    });
    let reasons = [
        happy_eyeballs::Failure::Silent(Duration::from_secs(10)),
        happy_eyeballs::Failure::Refused,
        happy_eyeballs::Failure::Unreachable,
        happy_eyeballs::Failure::Near,
        happy_eyeballs::Failure::Other(io::ErrorKind::PermissionDenied),
    ];
    let mut failures: Vec<Failure> = reasons
        .map(|reason| Failure::Connect(vec![(address, reason)]))
        .into_iter()
        .chain(of_stream)
        .collect();
    failures.extend([
        Failure::Late,
        Failure::ShortLived,
        Failure::Stopping,
        Failure::Crashed,
        Failure::TlsForbidden,
        Failure::Crowded(address.ip()),
        Failure::Loop(address),
        Failure::Tls { address, error: tls::Error::NotTls },
        Failure::Tls { address, error: tls::Error::Alert(40) },
        Failure::Broken { address, stage, error: None, distrusted: None },
        Failure::Broken { address, stage, error: Some(io::ErrorKind::ConnectionReset), distrusted: None },
        Failure::TimedOut { address, stage, after: Duration::from_secs(30), distrusted: None },
        Failure::Dns(dns::Failure::NoAddress { host: "10-1-2-3.b.example".into(), exists: true }),
        Failure::Dns(dns::Failure::NoAddress { host: "10-1-2-3.b.example".into(), exists: false }),
        Failure::Dns(dns::Failure::Silent { question: question(), after: Duration::from_secs(5) }),
        Failure::Dns(dns::Failure::Refused { question: question(), code: dns::Rcode::ServFail }),
        Failure::Dns(dns::Failure::Bogus { question: question() }),
        Failure::Dns(dns::Failure::Unusable { question: question(), reason: "10.0.0.53".into() }),
    ]);
    failures
}

#[test]
fn an_initiator_that_proved_nothing_is_told_the_same_of_every_failure() {
    let remote = Domain::new("b.example").unwrap();
    let told: BTreeSet<String> =
        failures().iter().map(|failure| format!("{:?}", failure.dialback_error(&remote))).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn no_answer_to_an_initiator_has_an_address_or_the_words_of_another() {
    let remote = Domain::new("b.example").unwrap();
    let definitive = [
        dns::Failure::NoSuchDomain { domain: "b.example".into() },
        dns::Failure::NotOffered { domain: "b.example".into() },
        dns::Failure::NoService { domain: "b.example".into() },
    ];
    let mut all = failures();
    all.extend(definitive.map(Failure::Dns));
    all.extend([Failure::Denied, Failure::Overloaded]);
    for failure in all {
        let stanza::Error { text, .. } = failure.dialback_error(&remote);
        assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
        assert!(!text.contains("internal server"), "{text}");
    }
}
