//! Tests of verification, names and flaws.

mod constraints;

use openssl::{error::ErrorStack, stack::Stack, x509::X509Name};
use testkit::{Authority, Purpose, Request};
use xmpp::certificate::{Name, Problem};

use super::{names::presented, *};
use crate::certificate::{Identity, Trust};

const SRV_NAME: &str = "1.3.6.1.5.5.7.8.7";
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";

fn valid(request: Request<'_>, (begins, ends): (i64, i64)) -> Request<'_> {
    request.valid(begins, ends)
}

/// The years 2020, 2020 to 2045 and 2040 to 2045, in seconds since 1970.
const PAST: (i64, i64) = (1_577_836_800, 1_609_459_200);
const PRESENT: (i64, i64) = (1_577_836_800, 2_393_107_200);
const FUTURE: (i64, i64) = (2_208_988_800, 2_393_107_200);

/// Verifies a chain against a store that trusts only `trusted`.
fn verdict(trusted: &X509, peer: Peer, chain: &[X509]) -> Option<Problem> {
    let stores = Stores::load(&[Trust::Authorities(vec![trusted.clone()])]).unwrap();
    verified(&stores, peer, chain).problems.remove(0)
}

fn verified(stores: &Stores, peer: Peer, chain: &[X509]) -> Certificate {
    let mut stack = Stack::new().unwrap();
    for certificate in chain {
        stack.push(certificate.clone()).unwrap();
    }
    verify(stores, peer, &chain[0], &stack, None)
}

#[test]
fn accepts_every_purpose_that_can_authenticate_a_server() {
    let root = Authority::named("root");
    let cases = [
        (Purpose::Unstated, None, None),
        (Purpose::Both, None, None),
        (Purpose::ServerOnly, None, None),
        (Purpose::ClientOnly, Some(Problem::WrongPurpose), None),
        (Purpose::CodeSigning, Some(Problem::WrongPurpose), Some(Problem::WrongPurpose)),
    ];
    for (purpose, as_server, as_client) in cases {
        let leaf = root.certificate(&[]).purpose(purpose).issue().chain;
        assert_eq!(verdict(root.own(), Peer::Server, &leaf), as_server);
        assert_eq!(verdict(root.own(), Peer::Client, &leaf), as_client);
    }
}

#[test]
fn follows_the_intermediates_that_the_peer_sends() {
    let root = Authority::named("root");
    let middle = root.intermediate("middle");
    let leaf = middle.issue(&[]).chain.remove(0);
    let full = [leaf.clone(), middle.own().clone()];
    assert_eq!(verdict(root.own(), Peer::Server, &full), None);
    let lacking = Problem::UnknownAuthority { issuer: "middle".into() };
    assert_eq!(verdict(root.own(), Peer::Server, &[leaf]), Some(lacking));
}

#[test]
fn names_the_authority_that_is_not_trusted() {
    let (root, other) = (Authority::named("root"), Authority::named("other"));
    let leaf = root.issue(&[]).chain.remove(0);
    let unknown = Some(Problem::UnknownAuthority { issuer: "root".into() });
    assert_eq!(verdict(other.own(), Peer::Server, std::slice::from_ref(&leaf)), unknown);
    assert_eq!(verdict(other.own(), Peer::Server, &[leaf, root.own().clone()]), unknown);
}

#[test]
fn distinguishes_authorities_of_the_same_name() {
    let (root, impostor) = (Authority::named("root"), Authority::named("root"));
    let leaf = impostor.issue(&[]).chain;
    assert!(verdict(root.own(), Peer::Server, &leaf).is_some());
    // OpenSSL would give what stays here to the next connection of the thread.
    assert_eq!(ErrorStack::get().errors().len(), 0);
}

#[test]
fn a_leaf_cannot_issue() {
    let root = Authority::named("root");
    let leaf = root.issue(&[]);
    let forged = leaf.clone().into_authority().issue(&[]);
    let chain = [forged.chain[0].clone(), leaf.chain[0].clone()];
    assert!(verdict(root.own(), Peer::Server, &chain).is_some());
}

#[test]
fn trusts_an_intermediate_that_the_operator_named() {
    let root = Authority::named("root");
    let middle = root.intermediate("middle");
    let leaf = middle.issue(&[]).chain;
    assert_eq!(verdict(middle.own(), Peer::Server, &leaf), None);
}

#[test]
fn trusts_a_self_signed_certificate_only_when_the_operator_named_it() {
    let (known, unknown) = (Request::without_authority(&[]).issue(), Request::without_authority(&[]).issue());
    for peer in [Peer::Server, Peer::Client] {
        assert_eq!(verdict(&known.chain[0], peer, &known.chain), None);
        assert_eq!(verdict(&known.chain[0], peer, &unknown.chain), Some(Problem::SelfSigned));
    }
}

#[test]
fn reports_the_dates_of_a_certificate() {
    let root = Authority::named("root");
    let at = |time| {
        let leaf = valid(root.certificate(&[]), time).issue().chain;
        verdict(root.own(), Peer::Client, &leaf)
    };
    assert_eq!(at(PAST), Some(Problem::Expired { on: "2021-01-01".into() }));
    assert_eq!(at(FUTURE), Some(Problem::NotYetValid { until: "2040-01-01".into(), soon: false }));
}

#[test]
fn reports_the_dates_of_an_authority() {
    let root = Authority::named("root");
    let below = |time, leaf| {
        let middle = valid(root.below("middle"), time).establish();
        let leaf = valid(middle.certificate(&[]), leaf).issue().chain.remove(0);
        verdict(root.own(), Peer::Server, &[leaf, middle.own().clone()])
    };
    let authority = || "middle".to_owned();
    let expired = Problem::AuthorityExpired { authority: authority(), on: "2021-01-01".into() };
    assert_eq!(below(PAST, PRESENT), Some(expired));
    let early =
        Problem::AuthorityNotYetValid { authority: authority(), until: "2040-01-01".into(), soon: false };
    assert_eq!(below(FUTURE, PRESENT), Some(early));
    assert_eq!(below(PRESENT, PAST), Some(Problem::Expired { on: "2021-01-01".into() }));
}

#[test]
fn refuses_weak_keys_and_signatures() {
    let root = Authority::named("root");
    for leaf in [root.certificate(&[]).rsa_of(1024), root.certificate(&[]).sha1()] {
        let leaf = leaf.issue().chain;
        let problem = verdict(root.own(), Peer::Server, &leaf);
        assert!(matches!(&problem, Some(Problem::Other(reason)) if reason.contains("weak")), "{problem:?}");
    }
}

#[test]
fn each_trust_store_gives_its_own_result() {
    let (ours, theirs) = (Authority::named("ours"), Authority::named("theirs"));
    let trust = [&ours, &theirs].map(|authority| Trust::Authorities(vec![authority.own().clone()]));
    let stores = Stores::load(&[&trust[..], &[Trust::Authorities(Vec::new())]].concat()).unwrap();
    let problems = verified(&stores, Peer::Server, &theirs.issue(&[]).chain).problems;
    let unknown = Some(Problem::UnknownAuthority { issuer: "theirs".into() });
    assert_eq!(problems, [unknown.clone(), None, unknown]);
}

#[test]
fn the_system_store_loads_and_does_not_trust_a_test_authority() {
    let stores = Stores::load(&[Trust::System]).unwrap();
    let problems = verified(&stores, Peer::Server, &Authority::named("root").issue(&[]).chain).problems;
    assert_eq!(problems, [Some(Problem::UnknownAuthority { issuer: "root".into() })]);
}

#[test]
fn describes_the_leaf() {
    let root = Authority::named("root");
    let middle = root.below("R11").organization("Example Trust").establish();
    let leaf = valid(middle.certificate(&[]), PRESENT).issue().chain;
    let certificate = verified(&Stores::load(&[]).unwrap(), Peer::Server, &leaf[..1]);
    assert_eq!(certificate.issuer, "Example Trust R11");
    assert_eq!(
        not_after(&leaf[0]).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(),
        2_393_107_200
    );
    assert_eq!(certificate.expires, "2045-11-01");
    assert_eq!(certificate.fingerprint.len(), 64);
    assert!(certificate.fingerprint.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(certificate.problems, []);
}

fn names(dns: &[&str], other: &[(&str, &[u8])]) -> Vec<Name> {
    let request = Request::without_authority(dns);
    let request = other.iter().fold(request, |request, (oid, der)| request.other_name(oid, der));
    presented(&request.issue().chain[0])
}

#[test]
fn reads_dns_srv_and_xmpp_names() {
    let found = names(
        &["a.example", "*.a.example"],
        &[(SRV_NAME, b"\x16\x16_xmpp-server.b.example"), (XMPP_ADDR, b"\x0c\x09c.example")],
    );
    let expected = [
        Name::Dns("a.example".into()),
        Name::Dns("*.a.example".into()),
        Name::Srv("_xmpp-server.b.example".into()),
        Name::XmppAddr("c.example".into()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_common_name_is_not_an_identifier() {
    assert_eq!(names(&[], &[]), []);
}

#[test]
fn skips_names_that_cannot_be_read() {
    let unreadable: [(&str, &[u8]); 7] = [
        (XMPP_ADDR, b"\x16\x09c.example"),   // an IA5String
        (SRV_NAME, b"\x0c\x09c.example"),    // a UTF8String
        (XMPP_ADDR, b"\x0c\x02\xff\xfe"),    // not UTF-8
        (XMPP_ADDR, b"\x0c\x0ac.example\0"), // NUL
        (XMPP_ADDR, b"\x0c\x0ac.example\n"), // line break
        (XMPP_ADDR, b"\x0c\x00"),            // empty
        ("1.2.3.4", b"\x0c\x09c.example"),   // something else
    ];
    for (oid, value) in unreadable {
        assert_eq!(names(&["a.example"], &[(oid, value)]), [Name::Dns("a.example".into())], "{value:x?}");
    }
    assert_eq!(names(&["a.example\nb.example", "a b", "c.example"], &[]), [Name::Dns("c.example".into())]);
}

/// Changes every byte of a certificate. What OpenSSL still accepts must be handled.
#[test]
fn handles_corrupted_certificates() {
    let identity = Request::without_authority(&["a.example"]).xmpp_address("c.example").issue();
    let der = identity.chain[0].to_der().unwrap();
    let stores = Stores::load(&[Trust::Authorities(Vec::new())]).unwrap();
    let mut taken = 0;
    for place in 0..der.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut der = der.clone();
            der[place] ^= change;
            if let Ok(certificate) = X509::from_der(&der) {
                taken += 1;
                assert!(verified(&stores, Peer::Client, &[certificate]).problems[0].is_some());
            }
        }
    }
    assert!(taken > 100, "only {taken} were certificates at all");
}

#[test]
fn writes_readable_names() {
    let name = |entries: &[(Nid, &str)]| {
        let mut name = X509Name::builder().unwrap();
        for (kind, text) in entries {
            name.append_entry_by_nid(*kind, text).unwrap();
        }
        readable(&name.build())
    };
    assert_eq!(
        name(&[(Nid::ORGANIZATIONNAME, "Let's Encrypt"), (Nid::COMMONNAME, "R11")]),
        "Let's Encrypt R11"
    );
    assert_eq!(name(&[(Nid::ORGANIZATIONNAME, "ISRG"), (Nid::COMMONNAME, "ISRG Root X1")]), "ISRG Root X1");
    assert_eq!(name(&[(Nid::ORGANIZATIONALUNITNAME, "unit")]), "unit");
    assert_eq!(name(&[(Nid::COUNTRYNAME, "DE")]), "an issuer without a name");
    assert_eq!(name(&[(Nid::COMMONNAME, "a\x1b[31m\nb")]), "a[31mb");
}

fn domain(name: &str) -> Domain {
    Domain::new(name).unwrap()
}

#[test]
fn finds_no_flaw_in_a_good_identity() {
    let identity = Authority::named("root").issue(&["a.example"]);
    assert_eq!(flaws(&identity.into(), &domain("a.example")), []);
}

#[test]
fn finds_the_flaws_of_an_identity() {
    let root = Authority::named("root");
    let names = &["a.example", "b.example"];
    let mut identity: Identity = valid(root.certificate(names), PAST).issue().into();
    identity.key = root.issue(&[]).key;
    let other = domain("c.example");
    let wrong_name = Flaw::WrongName { domain: other.clone(), names: "a.example, b.example".into() };
    let expired = Flaw::Expired { on: "2021-01-01".into() };
    assert_eq!(flaws(&identity, &other), [Flaw::WrongKey, wrong_name, expired]);
    let future = valid(root.certificate(names), FUTURE).issue().into();
    assert_eq!(flaws(&future, &domain("b.example")), [Flaw::NotYetValid { until: "2040-01-01".into() }]);
    let none = Identity { chain: Vec::new(), key: identity.key };
    assert_eq!(flaws(&none, &other), [Flaw::Empty]);
}
