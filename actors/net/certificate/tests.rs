//! Tests of verification, names and flaws.

mod constraints;

use openssl::{error::ErrorStack, stack::Stack, x509::X509Name};
use xmpp::certificate::{Name, Problem};

use super::{
    names::presented,
    toy::{Authority, Strength, Time, Usage, Wish, self_signed},
    *,
};
use crate::certificate::{Identity, Trust};

const SRV_NAME: &str = "1.3.6.1.5.5.7.8.7";
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";

/// Verifies a chain against a store that trusts only `trusted`.
fn verdict(trusted: &X509, peer: Peer, chain: &[X509]) -> Option<Problem> {
    let stores = Stores::load(&[Trust::Authorities(vec![trusted.clone()])]).unwrap();
    judged(&stores, peer, chain).problems.remove(0)
}

fn judged(stores: &Stores, peer: Peer, chain: &[X509]) -> Certificate {
    let mut stack = Stack::new().unwrap();
    for certificate in chain {
        stack.push(certificate.clone()).unwrap();
    }
    judge(stores, peer, &chain[0], &stack, None)
}

#[test]
fn accepts_every_purpose_that_can_authenticate_a_server() {
    let root = Authority::new("root");
    let cases = [
        (Usage::Unsaid, None, None),
        (Usage::Both, None, None),
        (Usage::Server, None, None),
        (Usage::Client, Some(Problem::WrongPurpose), None),
        (Usage::Code, Some(Problem::WrongPurpose), Some(Problem::WrongPurpose)),
    ];
    for (usage, as_server, as_client) in cases {
        let leaf = root.issue(&Wish { usage, ..Wish::default() }).chain;
        assert_eq!(verdict(&root.certificate, Peer::Server, &leaf), as_server);
        assert_eq!(verdict(&root.certificate, Peer::Client, &leaf), as_client);
    }
}

#[test]
fn follows_the_intermediates_that_the_peer_sends() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle", Time::Now);
    let leaf = middle.issue(&Wish::default()).chain.remove(0);
    let full = [leaf.clone(), middle.certificate.clone()];
    assert_eq!(verdict(&root.certificate, Peer::Server, &full), None);
    let lacking = Problem::UnknownAuthority { issuer: "Toy middle".into() };
    assert_eq!(verdict(&root.certificate, Peer::Server, &[leaf]), Some(lacking));
}

#[test]
fn names_the_authority_that_is_not_trusted() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let leaf = root.issue(&Wish::default()).chain.remove(0);
    let unknown = Some(Problem::UnknownAuthority { issuer: "Toy root".into() });
    assert_eq!(verdict(&other.certificate, Peer::Server, std::slice::from_ref(&leaf)), unknown);
    assert_eq!(verdict(&other.certificate, Peer::Server, &[leaf, root.certificate.clone()]), unknown);
}

#[test]
fn distinguishes_authorities_of_the_same_name() {
    let (root, impostor) = (Authority::new("root"), Authority::new("root"));
    let leaf = impostor.issue(&Wish::default()).chain;
    assert!(verdict(&root.certificate, Peer::Server, &leaf).is_some());
    // The next connection of the thread would read errors that are left in the queue.
    assert_eq!(ErrorStack::get().errors().len(), 0);
}

#[test]
fn a_leaf_cannot_issue() {
    let root = Authority::new("root");
    let leaf = root.issue(&Wish::default());
    let forged = toy::issued_by(&leaf);
    let chain = [forged.chain[0].clone(), leaf.chain[0].clone()];
    assert!(verdict(&root.certificate, Peer::Server, &chain).is_some());
}

#[test]
fn trusts_an_intermediate_that_the_operator_named() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle", Time::Now);
    let leaf = middle.issue(&Wish::default()).chain;
    assert_eq!(verdict(&middle.certificate, Peer::Server, &leaf), None);
}

#[test]
fn trusts_a_self_signed_certificate_only_when_the_operator_named_it() {
    let (known, unknown) = (self_signed(&Wish::default()), self_signed(&Wish::default()));
    for peer in [Peer::Server, Peer::Client] {
        assert_eq!(verdict(&known.chain[0], peer, &known.chain), None);
        assert_eq!(verdict(&known.chain[0], peer, &unknown.chain), Some(Problem::SelfSigned));
    }
}

#[test]
fn reports_the_dates_of_a_certificate() {
    let root = Authority::new("root");
    let at = |time| {
        let leaf = root.issue(&Wish { time, ..Wish::default() }).chain;
        verdict(&root.certificate, Peer::Client, &leaf)
    };
    assert_eq!(at(Time::Past), Some(Problem::Expired { on: "2021-01-01".into() }));
    assert_eq!(at(Time::Future), Some(Problem::NotYetValid { until: "2040-01-01".into(), soon: false }));
}

#[test]
fn reports_the_dates_of_an_authority() {
    let root = Authority::new("root");
    let below = |time, leaf| {
        let middle = root.intermediate("middle", time);
        let leaf = middle.issue(&Wish { time: leaf, ..Wish::default() }).chain.remove(0);
        verdict(&root.certificate, Peer::Server, &[leaf, middle.certificate.clone()])
    };
    let authority = || "Toy middle".to_owned();
    let expired = Problem::AuthorityExpired { authority: authority(), on: "2021-01-01".into() };
    assert_eq!(below(Time::Past, Time::Now), Some(expired));
    let early =
        Problem::AuthorityNotYetValid { authority: authority(), until: "2040-01-01".into(), soon: false };
    assert_eq!(below(Time::Future, Time::Now), Some(early));
    assert_eq!(below(Time::Now, Time::Past), Some(Problem::Expired { on: "2021-01-01".into() }));
}

#[test]
fn refuses_weak_keys_and_signatures() {
    let root = Authority::new("root");
    for strength in [Strength::Weak, Strength::Sha1] {
        let leaf = root.issue(&Wish { strength, ..Wish::default() }).chain;
        let problem = verdict(&root.certificate, Peer::Server, &leaf);
        assert!(matches!(&problem, Some(Problem::Other(reason)) if reason.contains("weak")), "{problem:?}");
    }
}

#[test]
fn each_trust_store_gives_its_own_result() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let trust = [&ours, &theirs].map(|authority| Trust::Authorities(vec![authority.certificate.clone()]));
    let stores = Stores::load(&[&trust[..], &[Trust::Authorities(Vec::new())]].concat()).unwrap();
    let problems = judged(&stores, Peer::Server, &theirs.issue(&Wish::default()).chain).problems;
    let unknown = Some(Problem::UnknownAuthority { issuer: "Toy theirs".into() });
    assert_eq!(problems, [unknown.clone(), None, unknown]);
}

#[test]
fn the_system_store_loads_and_does_not_trust_a_toy() {
    let stores = Stores::load(&[Trust::System]).unwrap();
    let problems =
        judged(&stores, Peer::Server, &Authority::new("root").issue(&Wish::default()).chain).problems;
    assert_eq!(problems, [Some(Problem::UnknownAuthority { issuer: "Toy root".into() })]);
}

#[test]
fn describes_the_leaf() {
    let leaf = Authority::new("root").issue(&Wish::default()).chain;
    let certificate = judged(&Stores::load(&[]).unwrap(), Peer::Server, &leaf);
    assert_eq!(certificate.issuer, "Toy root");
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
    presented(&self_signed(&Wish { dns, other, ..Wish::default() }).chain[0])
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
    let wish = Wish { dns: &["a.example"], other: &[(XMPP_ADDR, b"\x0c\x09c.example")], ..Wish::default() };
    let der = self_signed(&wish).chain[0].to_der().unwrap();
    let stores = Stores::load(&[Trust::Authorities(Vec::new())]).unwrap();
    let mut taken = 0;
    for place in 0..der.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut der = der.clone();
            der[place] ^= change;
            if let Ok(certificate) = X509::from_der(&der) {
                taken += 1;
                assert!(judged(&stores, Peer::Client, &[certificate]).problems[0].is_some());
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
    let identity = Authority::new("root").issue(&Wish { dns: &["a.example"], ..Wish::default() });
    assert_eq!(flaws(&identity, &domain("a.example")), []);
}

#[test]
fn finds_the_flaws_of_an_identity() {
    let root = Authority::new("root");
    let names = &["a.example", "b.example"];
    let mut identity = root.issue(&Wish { dns: names, time: Time::Past, ..Wish::default() });
    identity.key = root.issue(&Wish::default()).key;
    let other = domain("c.example");
    let wrong_name = Flaw::WrongName { domain: other.clone(), names: "a.example, b.example".into() };
    let expired = Flaw::Expired { on: "2021-01-01".into() };
    assert_eq!(flaws(&identity, &other), [Flaw::WrongKey, wrong_name, expired]);
    let future = root.issue(&Wish { dns: names, time: Time::Future, ..Wish::default() });
    assert_eq!(flaws(&future, &domain("b.example")), [Flaw::NotYetValid { until: "2040-01-01".into() }]);
    let none = Identity { chain: Vec::new(), key: identity.key };
    assert_eq!(flaws(&none, &other), [Flaw::Empty]);
}
