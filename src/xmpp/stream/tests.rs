//! Both roles against each other in memory: the outcome for each pair of policies, for each split of the
//! bytes.
pub(crate) mod bad;
pub(crate) mod fixture;
mod lossy;
pub(crate) mod machine;
mod pair;
mod properties;

use crate::policy::{Mechanism, Policy, Tls, tests::policy};
use fixture::{certificate, rules};
use pair::{Cut, Pair, Side};

/// A side: its policy, and the certificate that the other side sees.
fn side(policy: Policy, shows: Shows) -> Side {
    Side { policy, certificate: shows.certificate() }
}

#[derive(Clone, Copy)]
enum Shows {
    Nothing,
    Trusted,
    SelfSigned,
}

impl Shows {
    fn certificate(self) -> pair::Shown {
        match self {
            Self::Nothing => Box::new(|_| None),
            Self::Trusted => Box::new(|name| Some(certificate(&[name], None))),
            Self::SelfSigned => {
                Box::new(|name| Some(certificate(&[name], Some(crate::certificate::Problem::SelfSigned))))
            }
        }
    }
}

fn terms(tls: Tls, auth: &[Mechanism]) -> Policy {
    Policy { tls, auth: auth.to_vec(), ..policy() }
}

fn strict() -> Policy {
    Policy { strict_certificates: true, ..policy() }
}

use Mechanism::{Dialback, External};
use Shows::{Nothing, SelfSigned, Trusted};
use Tls::{Disabled, Optional, Required};

const BOTH: &[Mechanism] = &[External, Dialback];
const CLEAR: bool = false;
const SECURED: bool = true;

/// The streams that open: our side, the other side, the mechanism, and whether over TLS.
fn agreeable() -> Vec<(&'static str, Side, Side, Mechanism, bool)> {
    vec![
        ("both trusted", side(policy(), Trusted), side(policy(), Trusted), External, SECURED),
        ("both strict", side(strict(), Trusted), side(strict(), Trusted), External, SECURED),
        ("ours self-signed", side(policy(), SelfSigned), side(policy(), Trusted), Dialback, SECURED),
        ("theirs self-signed", side(policy(), Trusted), side(policy(), SelfSigned), Dialback, SECURED),
        ("both self-signed", side(policy(), SelfSigned), side(policy(), SelfSigned), Dialback, SECURED),
        ("we have none", side(policy(), Nothing), side(terms(Optional, BOTH), Trusted), Dialback, SECURED),
        (
            "dialback only, over TLS",
            side(terms(Required, &[Dialback]), Trusted),
            side(terms(Required, &[Dialback]), Trusted),
            Dialback,
            SECURED,
        ),
        (
            "dialback preferred",
            side(terms(Required, &[Dialback, External]), Trusted),
            side(policy(), Trusted),
            Dialback,
            SECURED,
        ),
        (
            "EXTERNAL only",
            side(terms(Required, &[External]), Trusted),
            side(terms(Required, &[External]), Trusted),
            External,
            SECURED,
        ),
        (
            "they cannot TLS and need not",
            side(terms(Optional, BOTH), Trusted),
            side(terms(Optional, BOTH), Nothing),
            Dialback,
            CLEAR,
        ),
        (
            "they will not TLS",
            side(terms(Optional, BOTH), Trusted),
            side(terms(Disabled, BOTH), Trusted),
            Dialback,
            CLEAR,
        ),
        (
            "we will not TLS",
            side(terms(Disabled, BOTH), Trusted),
            side(terms(Optional, BOTH), Trusted),
            Dialback,
            CLEAR,
        ),
        (
            "TLS is taken when offered",
            side(terms(Optional, BOTH), Trusted),
            side(policy(), Trusted),
            External,
            SECURED,
        ),
    ]
}

// C1, C2, C7, C14, D2, D3, D12, F4, F10, I4, I9, 3L
#[test]
fn a_stream_opens_under_all_compatible_policies() {
    for (name, ours, theirs, mechanism, secured) in agreeable() {
        let mut pair = Pair::new(&ours, &theirs);
        pair.drive();
        assert_eq!(pair.established(), Some((mechanism, secured)), "{name}: {}", pair.log());
        assert_eq!(pair.authorized(), [("b.example".to_owned(), mechanism)], "{name}");
        pair.delivers_a_stanza();
        pair.closes();
    }
}

// I4, I9
#[test]
fn a_stream_opens_with_direct_tls() {
    for (name, ours, theirs, mechanism, secured) in agreeable() {
        if secured {
            let mut pair = Pair::direct(&ours, &theirs);
            pair.drive();
            assert_eq!(pair.established(), Some((mechanism, secured)), "{name}: {}", pair.log());
            assert!(!pair.log().contains("starttls"), "{name}");
            pair.delivers_a_stanza();
        }
    }
}

#[test]
fn the_outcome_does_not_depend_on_the_split_of_the_bytes() {
    for (name, ours, theirs, ..) in agreeable() {
        let mut whole = Pair::new(&ours, &theirs);
        whole.drive();
        whole.delivers_a_stanza();
        let cuts = (1..=pair::STRIDE).map(Cut::From).chain([Cut::Everywhere]);
        for cut in cuts {
            let mut pair = Pair::new(&ours, &theirs).cut(cut);
            pair.drive();
            pair.delivers_a_stanza();
            assert_eq!(pair.log(), whole.log(), "{name}, {cut:?}");
        }
    }
}

// C11, C14, D18, D23, 3L
#[test]
fn no_stream_opens_under_incompatible_policies() {
    for (name, ours, theirs, reason) in [
        (
            "they have no TLS, we demand it",
            side(policy(), Trusted),
            side(terms(Optional, BOTH), Nothing),
            "b.example does not offer TLS (required by s2s.tls)",
        ),
        (
            "they demand TLS, we forbid it",
            side(terms(Disabled, BOTH), Trusted),
            side(policy(), Trusted),
            "b.example requires TLS, which s2s.tls = \"disabled\" forbids",
        ),
        (
            "we are strict, theirs is self-signed",
            side(strict(), Trusted),
            side(policy(), SelfSigned),
            "certificate of b.example is self-signed",
        ),
        (
            "they are strict, ours is self-signed",
            side(policy(), SelfSigned),
            side(strict(), Trusted),
            "b.example closed the stream: policy-violation (certificate of a.example is self-signed)",
        ),
        (
            "EXTERNAL only, theirs is self-signed",
            side(terms(Required, &[External]), Trusted),
            side(policy(), SelfSigned),
            "certificate of b.example is self-signed",
        ),
        (
            "we have no certificate, so they cannot ask us over TLS",
            side(policy(), Nothing),
            side(policy(), Trusted),
            "b.example could not verify our dialback key: remote-server-timeout \
             (a.example does not offer TLS (required by s2s.tls))",
        ),
        (
            "dialback here, EXTERNAL there",
            side(terms(Required, &[Dialback]), Trusted),
            side(terms(Required, &[External]), Trusted),
            "b.example offers no authentication that s2s.auth allows",
        ),
        (
            "EXTERNAL only, no TLS",
            side(terms(Disabled, &[External]), Trusted),
            side(terms(Optional, BOTH), Trusted),
            "b.example offers no authentication that s2s.auth allows",
        ),
    ] {
        let mut pair = Pair::new(&ours, &theirs);
        pair.drive();
        assert_eq!(pair.failure().as_deref(), Some(reason), "{name}: {}", pair.log());
        assert!(pair.authorized().is_empty(), "{name}");
    }
}

// F7, F16
#[test]
fn a_key_that_the_authority_rejects_proves_nothing() {
    let ours = side(policy(), SelfSigned);
    let mut pair = Pair::new(&ours, &side(policy(), Trusted)).with_forged_key();
    pair.drive();
    assert_eq!(pair.failure().as_deref(), Some("b.example says our dialback key is invalid"));
    assert!(pair.authorized().is_empty());
}

// F11, F13, F18
#[test]
fn an_authority_answers_about_its_keys_and_the_stream_ends() {
    for (tls, shows) in
        [(Required, Trusted), (Optional, Nothing), (Disabled, Nothing), (Required, SelfSigned)]
    {
        let authority = rules(&["b.example"], terms(tls, BOTH), !matches!(shows, Nothing));
        for (key, expected) in [("right", "valid"), ("wrong", "invalid")] {
            let asked =
                pair::verify(&authority, &terms(Optional, BOTH), &shows.certificate(), key == "right");
            assert!(asked.ends_with(&format!("verified {expected}")), "{tls:?}: {asked}");
        }
    }
}
