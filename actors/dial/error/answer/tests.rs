//! Tests of the answers to an initiator that is not authenticated.

use std::{collections::BTreeSet, io, net::SocketAddr, time::Duration};

use xmpp::{
    certificate::Problem,
    stream::{
        self, Stage,
        initiating::{self, Cause},
    },
};

use super::{super::At, *};
use net::{dns, happy_eyeballs, tls};

/// Errors of every kind that an initiator can cause by its DNS records and a server of its choice.
fn errors() -> Vec<AttemptError> {
    let address: SocketAddr = "10.1.2.3:6379".parse().unwrap();
    let question = || dns::Question { name: "10-1-2-3.b.example".into(), kind: "A" };
    let said = |text: &str| stream::Error::new(stream::Condition::PolicyViolation, text);
    let at = || At { address, stage: Stage::Header, distrusted: None };
    let causes = [
        Cause::NotXmpp,
        Cause::TlsUnavailable,
        Cause::TlsRefused,
        Cause::Certificate(Problem::Missing),
        Cause::NoMechanism,
        Cause::Stream(said("the internal server 10.1.2.3 says so")),
    ];
    let of_stream = causes.map(|cause| AttemptError::Stream {
        at: at(),
        failure: initiating::Failure { cause, remote: Domain::new("b.example").unwrap() },
    });
    let reasons = [
        happy_eyeballs::ConnectError::Silent(Duration::from_secs(10)),
        happy_eyeballs::ConnectError::Refused,
        happy_eyeballs::ConnectError::Unreachable,
        happy_eyeballs::ConnectError::LocalScope,
        happy_eyeballs::ConnectError::Other(io::ErrorKind::PermissionDenied),
    ];
    let mut errors: Vec<AttemptError> = reasons
        .map(|reason| AttemptError::Connect(vec![(address, reason)]))
        .into_iter()
        .chain(of_stream)
        .collect();
    errors.extend([
        AttemptError::Late,
        AttemptError::ShortLived,
        AttemptError::Stopping,
        AttemptError::NodesUnreachable,
        AttemptError::Crashed,
        AttemptError::TlsForbidden,
        AttemptError::Crowded(address.ip()),
        AttemptError::Loop(address),
        AttemptError::Tls { address, error: tls::Error::NotTls },
        AttemptError::Tls { address, error: tls::Error::Alert(40) },
        AttemptError::Broken { at: at(), error: None },
        AttemptError::Broken { at: at(), error: Some(io::ErrorKind::ConnectionReset) },
        AttemptError::TimedOut { at: at(), after: Duration::from_secs(30) },
        AttemptError::Dns(dns::LookupError::NoAddress { host: "10-1-2-3.b.example".into(), exists: true }),
        AttemptError::Dns(dns::LookupError::NoAddress { host: "10-1-2-3.b.example".into(), exists: false }),
        AttemptError::Dns(dns::LookupError::Silent { question: question(), after: Duration::from_secs(5) }),
        AttemptError::Dns(dns::LookupError::Refused {
            question: question(),
            code: dns::Rcode::ServerFailure,
        }),
        AttemptError::Dns(dns::LookupError::Bogus { question: question() }),
        AttemptError::Dns(dns::LookupError::Unusable { question: question(), reason: "10.0.0.53".into() }),
    ]);
    errors
}

#[test]
fn an_initiator_that_is_not_authenticated_gets_the_same_answer_for_every_failure() {
    let remote = Domain::new("b.example").unwrap();
    let answers: BTreeSet<String> =
        errors().iter().map(|error| format!("{:?}", error.dialback_error(&remote))).collect();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[test]
fn no_answer_to_an_initiator_contains_an_address_or_the_text_of_another_server() {
    let remote = Domain::new("b.example").unwrap();
    let definitive = [
        dns::LookupError::NoSuchDomain { domain: "b.example".into() },
        dns::LookupError::NotOffered { domain: "b.example".into() },
        dns::LookupError::NoService { domain: "b.example".into() },
    ];
    let mut all = errors();
    all.extend(definitive.map(AttemptError::Dns));
    all.extend([AttemptError::Denied, AttemptError::Overloaded]);
    for error in all {
        let stanza::Error { text, .. } = error.dialback_error(&remote);
        assert!(!text.contains(|c: char| c.is_ascii_digit()), "{text}");
        assert!(!text.contains("internal server"), "{text}");
    }
}
