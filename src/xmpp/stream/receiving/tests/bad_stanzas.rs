//! A bad stanza costs one stanza: every reason in the list, with other stanzas around it.
use super::*;
use crate::{
    policy::UnknownRecipient,
    stanza::{Condition, Reason},
    stream::tests::bad::{examples, written},
};

fn open() -> Peer {
    let lenient = Policy { tls: Tls::Optional, unknown_recipient: UnknownRecipient::Bounce, ..policy() };
    let mut peer = Peer::new(rules(&["a.example", "also.example"], lenient, true));
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer.is_verified("also.example", "other.example");
    peer.events.clear();
    peer
}

fn good(number: usize) -> String {
    match number % 2 {
        0 => format!("<message id='{number}' from='w@b.example/♥' to='v@a.example'/>"),
        _ => format!("<message id='{number}' from='w@other.example' to='v@also.example'/>"),
    }
}

// rows: B24 B26 E1 E3 E5 E7 E10 F14
#[test]
fn a_bad_stanza_costs_one_stanza() {
    let mut tried = 0;
    for (bad, condition) in Reason::ALL.iter().flat_map(|reason| examples(*reason)) {
        let bad = written(bad);
        let run: String = good(100) + &bad + &(0..20).map(good).collect::<String>();
        for whole in [true, false] {
            let mut peer = open();
            let sent = if whole { peer.sends(&run) } else { peer.dribbles(run.as_bytes()) };
            assert_eq!(sent, "", "{bad}");
            let stanzas: Vec<_> =
                peer.events.iter().filter(|event| event.starts_with("[stanza")).map(String::as_str).collect();
            let expected: Vec<_> =
                [100].into_iter().chain(0..20).map(|n| format!("[stanza {}]", good(n))).collect();
            assert_eq!(stanzas, expected, "{bad}");
            let refused = &peer.events[1];
            match *condition {
                "" => assert!(refused.starts_with("[dropped "), "{bad}: {refused}"),
                condition => {
                    assert!(refused.starts_with("[bounced "), "{bad}: {refused}");
                    assert!(refused.contains(&format!("<{condition} ")), "{bad}: {refused}");
                    assert!(refused.contains("type='error'"), "{bad}: {refused}");
                }
            }
            assert_eq!(peer.events.len(), 22, "{bad}: {:?}", peer.events);
            assert_eq!(peer.stream.stage().to_string(), "open");
        }
        tried += 1;
    }
    assert!(tried > 35, "{tried}");
}

// rows: E8
#[test]
fn the_answer_to_a_bad_address_is_valid() {
    for (bad, answer) in [
        (
            "<message from='u@b.example/r' to='a b@a.example' id='&apos;1' type='chat'><body>x</body></message>",
            "<message from='a.example' to='u@b.example/r' id='&apos;1' type='error'><body>x</body>E</message>",
        ),
        (
            "<message to='v@also.example/' from='u@b.example'/>",
            "<message type='error' to='u@b.example' from='a.example'>E</message>",
        ),
        (
            "<iq type='get' to='' from='u@B.example'/>",
            "<iq type='error' to='u@b.example' from='a.example'>E</iq>",
        ),
    ] {
        let mut peer = open();
        peer.stream.receive(BytesMut::from(bad));
        let Some(Accepts::Open(open::Output::StanzaRefused(refused))) = peer.stream.poll() else {
            panic!("{bad}")
        };
        let sent = refused.answer.unwrap();
        let error = Element::parse(sent.bytes(), &[(String::new(), ns::SERVER.to_owned())]).unwrap();
        let error = stanza::Error::parse(error.child("error", ns::SERVER).unwrap());
        assert_eq!((error.type_, error.condition), (stanza::ErrorType::Modify, Condition::JidMalformed));
        let expected = answer.replace('E', &error.element(ns::SERVER).write(ns::SERVER, &[]));
        let read = |text: &[u8]| {
            let mut element = Element::parse(text, &[(String::new(), ns::SERVER.to_owned())]).unwrap();
            element.attributes.sort();
            element
        };
        assert_eq!(read(sent.bytes()), read(expected.as_bytes()), "{bad}");
        assert_eq!((refused.local.as_str(), refused.remote.as_str()), ("a.example", "b.example"));
        assert_eq!(refused.bytes, bad.len());
    }
    // What is too long to come back is known by its id.
    let mut peer = open();
    let long = format!("<message from='u@b.example' to='@' id='7'>{}</message>", "x".repeat(100_000));
    peer.stream.receive(BytesMut::from(&*long));
    let Some(Accepts::Open(open::Output::StanzaRefused(refused))) = peer.stream.poll() else {
        panic!("not refused")
    };
    let answer = refused.answer.unwrap();
    assert!(answer.bytes().len() < 1000);
    assert_eq!((&*answer.to(), answer.id().as_deref()), ("u@b.example", Some("7")));
}

// rows: F14
#[test]
fn a_dialback_element_with_a_bad_address_costs_no_pair() {
    for bad in [
        "<db:result from='a b' to='a.example'>key</db:result>",
        "<db:result from='c.example' to='u@a.example'>key</db:result>",
        "<db:result from='c.example'>key</db:result>",
        "<db:verify from='' to='a.example' id='1'>key</db:verify>",
        "<db:verify from='c.example' to='..' id='1'>key</db:verify>",
    ] {
        let mut peer = open();
        let answer = peer.sends(&(bad.to_owned() + &good(0) + &good(1)));
        assert!(answer.contains("type='error'") && answer.contains("<jid-malformed "), "{bad}: {answer}");
        let stanzas = peer.events.iter().filter(|event| event.starts_with("[stanza")).count();
        assert_eq!(stanzas, 2, "{bad}: {:?}", peer.events);
    }
}

// rows: E5
#[test]
fn one_pair_that_wants_the_stream_closed_does_not_close_it_for_a_stanza_of_another() {
    let policy = Policy { tls: Tls::Optional, ..policy() };
    let strict = Policy { malformed_stanza: crate::policy::MalformedStanza::Close, ..policy.clone() };
    let hosted = [(domain("a.example"), crate::policy::Hosted { certificate: true })];
    let pattern = crate::policy::Pattern::parse("strict.example").unwrap();
    let any = vec![crate::policy::Pattern::Any];
    let rules = Arc::new(Rules::new(hosted, policy, vec![(pattern, strict)], any, Vec::new()));
    let open = || {
        let mut peer = Peer::new(Arc::clone(&rules));
        peer.opens();
        peer.is_verified("a.example", "b.example");
        peer.is_verified("a.example", "strict.example");
        peer
    };
    for of_nobody_or_b in
        ["<message from='@' to='a.example'/>", "<message from='b.example' to='@'/>", "<foo/>"]
    {
        let mut peer = open();
        assert_eq!(peer.sends(of_nobody_or_b), "", "{of_nobody_or_b}");
    }
    let answer = open().sends("<message from='u@strict.example' to='@'/>");
    assert!(answer.contains("<improper-addressing "), "{answer}");
}

#[test]
fn elements_that_bring_no_stanza_are_counted_for_the_driver() {
    for (useless, each) in [
        ("<foo/>".to_owned(), 1),
        ("<message from='@b.example' to='v@a.example'/>".to_owned(), 1),
        ("<db:result from='b.example' to='a.example'>key</db:result>".to_owned(), 1),
        ("<db:result/>".to_owned(), 1),
        (format!("<foo xmlns='urn:{}'/>", "x".repeat(600)), 3),
    ] {
        let mut peer = open();
        peer.stream.take_unproductive();
        peer.sends(&(0..20).map(good).collect::<String>());
        assert_eq!(peer.stream.take_unproductive(), 0, "stanzas are what a stream is for");
        peer.sends(&useless.repeat(10));
        assert_eq!(peer.stream.take_unproductive(), 10 * each, "{useless}");
        assert_eq!(peer.stream.take_unproductive(), 0, "counted once");
    }
}
