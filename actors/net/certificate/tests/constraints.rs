//! Authorities that may not vouch for every name: each spelling and kind of name, in both roles.

use xmpp::certificate::TrustStore;

use super::*;

/// Permitted subtrees or excluded ones, of names of the DNS.
fn subtrees(tag: u8, domains: &[&str]) -> Vec<u8> {
    let value = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
        [&[tag], &length[..], content].concat()
    };
    let all: Vec<u8> =
        domains.iter().flat_map(|domain| value(0x30, &value(0x82, domain.as_bytes()))).collect();
    value(0x30, &value(tag, &all))
}

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;

/// Whether a leaf below the authority with these constraints proves a domain, to a peer in each of the roles.
fn proves(constraints: &[u8], wish: impl Fn(Request<'_>) -> Request<'_>, wanted: &str) -> [bool; 2] {
    let root = Authority::named("root");
    let middle = root.below("constrained").constraints(constraints).establish();
    let leaf = wish(middle.certificate(&[])).issue().chain.remove(0);
    let stores = Stores::load(&[Trust::Authorities(vec![root.own().clone()])]).unwrap();
    [Peer::Server, Peer::Client].map(|peer| {
        let certificate = verified(&stores, peer, &[leaf.clone(), middle.own().clone()]);
        certificate.proves(&domain(wanted), TrustStore(0)).is_ok()
    })
}

fn dns_proves(constraints: &[u8], name: &str, wanted: &str) -> [bool; 2] {
    proves(constraints, |leaf| leaf.dns_name(name), wanted)
}

#[test]
fn an_excluded_name_is_refused_in_every_spelling() {
    for subtree in ["b.example", "B.EXAMPLE", ".b.example", "b.example.", "example", ""] {
        let constraints = subtrees(EXCLUDED, &["c.test", subtree]);
        for (name, wanted) in [
            ("b.example", "b.example"),
            ("b.example.", "b.example"),
            ("B.Example", "b.example"),
            ("B.Example.", "b.example"),
            ("x.b.example", "x.b.example"),
            ("x.b.example.", "x.b.example"),
            ("*.b.example", "x.b.example"),
            ("*.b.example.", "x.b.example"),
            ("*.example", "b.example"),
            ("*.example.", "b.example"),
        ] {
            assert_eq!(dns_proves(&constraints, name, wanted), [false; 2], "{subtree:?} excluded, {name}");
        }
    }
    for name in ["xn--bcher-kva.example", "xn--bcher-kva.example.", "XN--BCHER-KVA.Example."] {
        for subtree in ["xn--bcher-kva.example", "XN--bcher-kva.EXAMPLE", "xn--bcher-kva.example."] {
            let constraints = subtrees(EXCLUDED, &[subtree]);
            assert_eq!(dns_proves(&constraints, name, "bücher.example"), [false; 2], "{subtree} {name}");
        }
    }
}

#[test]
fn a_name_that_is_not_excluded_is_taken() {
    let constraints = subtrees(EXCLUDED, &["b.example", "c.example"]);
    for name in ["a.example", "A.Example", "ab.example"] {
        assert_eq!(dns_proves(&constraints, name, name), [true; 2], "{name}");
    }
}

#[test]
fn only_permitted_names_are_taken_in_every_spelling() {
    let constraints = subtrees(PERMITTED, &["b.example", "xn--bcher-kva.example"]);
    for (name, wanted) in [
        ("b.example", "b.example"),
        ("B.Example", "b.example"),
        ("x.b.example", "x.b.example"),
        ("*.b.example", "x.b.example"),
        ("XN--bcher-kva.example", "bücher.example"),
    ] {
        assert_eq!(dns_proves(&constraints, name, wanted), [true; 2], "{name}");
    }
    for (name, wanted) in [
        ("a.example", "a.example"),
        ("a.example.", "a.example"),
        ("ab.example", "ab.example"),
        ("*.example", "b.example"),
        ("b.example.a.test", "b.example.a.test"),
    ] {
        assert_eq!(dns_proves(&constraints, name, wanted), [false; 2], "{name}");
    }
}

#[test]
fn other_kinds_of_names_evade_no_constraint() {
    for constraints in [subtrees(EXCLUDED, &["c.example"]), subtrees(PERMITTED, &["b.example"])] {
        for other in [
            (SRV_NAME, &b"\x16\x16_xmpp-server.b.example"[..]),
            (SRV_NAME, b"\x16\x17_xmpp-server.b.example."),
            (XMPP_ADDR, b"\x0c\x09b.example"),
            (XMPP_ADDR, b"\x0c\x0ab.example."),
            (XMPP_ADDR, b"\x0c\x0bB\xef\xbc\x8eExample"),
        ] {
            let proved = proves(&constraints, |leaf| leaf.other_name(other.0, other.1), "b.example");
            assert_eq!(proved, [false; 2], "{other:x?}");
        }
    }
}

#[test]
fn constraints_in_utf_8_mean_the_same_domain() {
    let constraints = subtrees(EXCLUDED, &["bücher.example"]);
    for name in ["xn--bcher-kva.example", "xn--bcher-kva.example.", "XN--BCHER-KVA.example"] {
        assert_eq!(dns_proves(&constraints, name, "bücher.example"), [false; 2], "{name}");
    }
    assert_eq!(dns_proves(&constraints, "a.example", "a.example"), [true; 2]);
}
