//! The stream of a component: handshake, addresses and refused stanzas.

mod closing;
mod names;

use super::*;
use crate::{
    stanza::Reason,
    stream::tests::fixture::{domain, ids},
};

struct Component {
    stream: Stream,
    events: Vec<String>,
}

/// The stream of a component through its whole life.
enum Stream {
    Handshake(Handshake),
    Open(Open),
}

impl Stream {
    fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Handshake(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    fn close(&mut self, error: Option<Error>) {
        match self {
            Self::Handshake(handshake) => handshake.close(error),
            Self::Open(open) => open.close(error),
        }
    }

    fn accept(&mut self) {
        if let Self::Handshake(handshake) = self
            && let Some(open) = handshake.accept()
        {
            *self = Self::Open(open);
        }
    }

    fn conflict(&mut self) {
        if let Self::Handshake(handshake) = self {
            handshake.conflict();
        }
    }

    fn take_unproductive(&mut self) -> usize {
        match self {
            Self::Handshake(_) => 0,
            Self::Open(open) => open.take_unproductive(),
        }
    }

    fn opened(&mut self) -> &mut Open {
        match self {
            Self::Handshake(_) => panic!("the stream is not open"),
            Self::Open(open) => open,
        }
    }

    fn stage(&self) -> Stage {
        match self {
            Self::Handshake(handshake) => handshake.stage(),
            Self::Open(open) => open.stage(),
        }
    }
}

impl Component {
    fn new() -> Self {
        Self::among(&configured(&[
            ("echo.example", &["echo.example"]),
            ("small.example", &["small.example"]),
            ("many.example", &["many.example", "more.example", "*.rooms.example"]),
            ("*.all.example", &["*.all.example"]),
        ]))
    }

    fn among(names: &Names) -> Self {
        let handshake = Handshake::new(Arc::clone(names), 20_000, Bounds::default(), ids());
        Self { stream: Stream::Handshake(handshake), events: Vec::new() }
    }

    fn sends(&mut self, xml: &str) -> String {
        self.stream.receive(BytesMut::from(xml));
        self.gets()
    }

    fn gets(&mut self) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (mut answer, mut events) = (String::new(), Vec::new());
        match &mut self.stream {
            Stream::Handshake(handshake) => {
                while let Some(output) = handshake.poll() {
                    match output {
                        Output::Transmit(bytes) => answer += &text(&bytes),
                        Output::Claimed { name } => events.push(format!("claimed {name}")),
                        Output::Ended(end) => events.push(end.to_string()),
                    }
                }
            }
            Stream::Open(open) => {
                while let Some(output) = open.poll() {
                    match output {
                        open::Output::Transmit(bytes) => answer += &text(&bytes),
                        open::Output::Stanza(stanza) => events.push(text(stanza.bytes())),
                        open::Output::StanzaRefused(refused) => events.push(match &refused.answer {
                            Some(answer) => format!("bounced {}", text(answer.bytes())),
                            None => format!("dropped {}", refused.reason),
                        }),
                        open::Output::Ended(end) => events.push(end.to_string()),
                    }
                }
            }
        }
        self.events.append(&mut events);
        answer.replace('"', "'")
    }

    /// Past the handshake and the decision.
    fn served() -> Self {
        Self::served_as("echo.example")
    }

    /// The same, with this name in its header.
    fn served_as(announced: &str) -> Self {
        let mut component = Self::new();
        component.sends(&header("jabber:component:accept", &format!("to='{announced}'")));
        component.sends(&handshake("id1"));
        component.stream.accept();
        assert_eq!(component.gets(), "<handshake/>");
        component.events.clear();
        component
    }
}

/// Components with their names, each with the secret `secret`.
fn configured(components: &[(&str, &[&str])]) -> Names {
    let component = |name: &str| {
        let max_stanza = (name == "small.example").then_some(11_000);
        Configured { max_stanza, ..Configured::new(Domain::named(name).unwrap(), Secret::new("secret")) }
    };
    let names = components
        .iter()
        .flat_map(|(name, names)| names.iter().map(|each| (Domain::named(each).unwrap(), component(name))));
    Arc::new(names.collect())
}

fn header(namespace: &str, attributes: &str) -> String {
    format!(
        "<stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

fn handshake(id: &str) -> String {
    format!("<handshake>{}</handshake>", hex(&Sha1::digest(format!("{id}secret"))))
}

// K2: the digest is that of `printf 3BF96D32password | sha1sum`
#[test]
fn the_handshake_is_the_lower_case_digest_of_id_and_secret() {
    let secret = Secret::new("password");
    let right = "7b91a4c7fb1d39e50c768ce28ea97d026ec6ca40";
    assert!(secret.admits("3BF96D32", right));
    assert!(!secret.admits("3BF96D32", &right.to_uppercase()));
    assert!(!secret.admits("3BF96D33", right));
    assert!(!secret.admits("3BF96D32", ""));
    assert_eq!(format!("{secret:?}"), "Secret(…)");
}

// K1, K2
#[test]
fn a_component_with_the_right_secret_gets_its_name_when_it_is_free() {
    let mut component = Component::new();
    let answer = component.sends(&header("jabber:component:accept", "to='echo.example'"));
    let expected = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' from='echo.example' id='id1'>";
    assert_eq!(answer, expected);
    let stanza = "<message from='u@echo.example' to='v@b.example'/>";
    assert_eq!(component.sends(&(handshake("id1") + stanza)), "");
    assert_eq!(component.events, ["claimed echo.example"], "nothing is read before the decision");
    component.stream.accept();
    assert_eq!(component.gets(), "<handshake/>");
    assert_eq!(component.events.last().unwrap(), stanza);
}

// K1, B23, B27
#[test]
fn a_component_may_make_the_namespace_of_streams_the_default_one() {
    let mut component = Component::new();
    let answer = component.sends("<stream xmlns='http://etherx.jabber.org/streams' to='echo.example'>");
    assert!(answer.ends_with(" from='echo.example' id='id1'>"), "{answer}");
    component.sends(&handshake("id1").replace("<handshake", "<handshake xmlns='jabber:component:accept'"));
    component.stream.accept();
    assert_eq!(component.gets(), "<handshake/>");
    component.sends(
        "<message xmlns='jabber:component:accept' from='u@echo.example' to='v@b.example'><body/></message>",
    );
    assert_eq!(
        component.events.last().unwrap(),
        "<message from='u@echo.example' to='v@b.example'><body/></message>"
    );
    assert_eq!(component.sends("</stream>"), "</stream:stream>");
}

// B16
#[test]
fn a_root_that_is_closed_at_once_is_answered_with_a_stream_that_is_closed() {
    let mut component = Component::new();
    let answer = component.sends(&header("jabber:component:accept", "to='echo.example'").replace('>', "/>"));
    assert!(answer.ends_with(" from='echo.example' id='id1'></stream:stream>"), "{answer}");
    assert_eq!(component.events, ["closed"]);
}

// K1, K2, B30
#[test]
fn a_refused_component_gets_the_reason() {
    let known = header("jabber:component:accept", "to='echo.example'");
    for (sent, condition) in [
        (header("jabber:server", "to='echo.example'"), "invalid-namespace"),
        ("<a/>".to_owned(), "invalid-namespace"),
        ("<a>".to_owned(), "invalid-namespace"),
        ("<!DOCTYPE a>".to_owned(), "restricted-xml"),
        (header("jabber:component:accept", "to='a@b'"), "improper-addressing"),
        (header("jabber:component:accept", "to='other.example'").replace('>', "/>"), "host-unknown"),
        (header("jabber:component:accept", "to='other.example'"), "host-unknown"),
        (header("jabber:component:accept", ""), "host-unknown"),
        (known.clone() + &handshake("id2"), "not-authorized"),
        (known.clone() + "<handshake/>", "not-authorized"),
        (known.clone() + "<message from='u@echo.example' to='v@b.example'/>", "not-authorized"),
        (known.clone() + "<foo/>", "unsupported-stanza-type"),
        (known.clone() + "<handshake xmlns='jabber:client'/>", "invalid-namespace"),
        (known + &format!("<handshake>{}", "x".repeat(5000)), "policy-violation"),
    ] {
        let mut component = Component::new();
        let answer = component.sends(&sent);
        assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "), "{answer}");
        assert!(answer.contains(&format!("<stream:error><{condition} ")), "{sent}: {answer}");
        assert!(!answer.contains("from=''"), "no name is left out, not written as an empty one: {answer}");
        assert!(answer.ends_with("</stream:stream>"), "{answer}");
        assert!(
            component.events[0].starts_with(&format!("closed by us: {condition}")),
            "{:?}",
            component.events
        );
    }
}

// K1
#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let mut component = Component::new();
    component.sends(&header("jabber:component:accept", "to='echo.example'"));
    component.sends(&handshake("id1"));
    component.stream.conflict();
    let answer = component.gets();
    assert!(answer.starts_with("<stream:error><conflict "), "{answer}");
    component.stream.accept();
    assert_eq!(component.gets(), "", "the decision stands");
}

// K3, B25
#[test]
fn a_component_sends_from_its_own_name_only() {
    for stanza in [
        "<message from='u@other.example' to='v@b.example'/>",
        "<message from='u@x.echo.example' to='v@b.example'/>",
        "<message from='user@evil.example/x@echo.example' to='v@b.example'/>",
    ] {
        let mut component = Component::served();
        assert_eq!(component.sends(stanza), "");
        let refused = component.events.last().unwrap();
        assert!(refused.starts_with("bounced <message "), "{stanza}: {refused}");
        assert!(refused.contains("<forbidden ") && refused.contains("to='echo.example'"), "{refused}");
    }
    let mut component = Component::served();
    component.sends("<message xmlns='jabber:component:accept' from='u@ECHO.example' to='v@b.example'/>");
    assert_eq!(component.events, ["<message from='u@echo.example' to='v@b.example'/>"]);
}

/// A bad stanza, and the condition of its answer; "" when it has none.
type Bad = (&'static str, &'static str);

/// Stanzas that are refused for a reason. A reason without any does not compile.
fn examples(reason: Reason) -> &'static [Bad] {
    match reason {
        Reason::NotAStanza => &[
            ("<foo/>", ""),
            ("<handshake/>", ""),
            ("<stream:features/>", ""),
            ("<foo xmlns='jabber:client' from='u@echo.example' to='v@b.example'/>", ""),
            ("<message xmlns='urn:x' from='u@echo.example' to='v@b.example'/>", ""),
        ],
        Reason::NoTo => &[
            ("<presence from='echo.example'/>", "bad-request"),
            ("<message from='u@echo.example'><body>x</body></message>", "bad-request"),
            ("<iq type='set' from='u@echo.example'><q xmlns='urn:q'/></iq>", "bad-request"),
            ("<iq type='result' from='u@echo.example'/>", ""),
            ("<message type='error' from='u@echo.example'/>", ""),
            ("<presence/>", "bad-request"),
        ],
        Reason::NoFrom => &[
            ("<message to='v@b.example'/>", "bad-request"),
            ("<iq type='get' to='v@b.example'/>", "bad-request"),
            ("<iq type='result' to='v@b.example'/>", ""),
        ],
        Reason::BadTo => &[
            ("<message from='u@echo.example' to='a b@x.example'/>", "jid-malformed"),
            ("<iq type='get' from='u@echo.example' to='x@y@z'/>", "jid-malformed"),
            ("<presence from='u@echo.example' to=''/>", "jid-malformed"),
            ("<message xmlns='jabber:client' from='u@echo.example' to='@x.example'/>", "jid-malformed"),
            ("<message type='error' from='u@echo.example' to='@x.example'/>", ""),
        ],
        Reason::BadFrom => &[
            ("<message from='19:x%thread.skype@echo.example/u' to='v@b.example'/>", "jid-malformed"),
            ("<message from='a@b@echo.example' to='v@b.example'/>", "jid-malformed"),
            ("<presence from='' to='v@b.example'/>", "jid-malformed"),
            ("<message from='\u{ff20}@echo.example' to='@'/>", "jid-malformed"),
            ("<iq type='result' from='@echo.example' to='v@b.example'/>", ""),
        ],
        Reason::ForeignFrom => &[
            ("<message from='u@other.example' to='v@b.example'/>", "forbidden"),
            ("<iq type='get' from='user@evil/x@echo.example' to='v@b.example'/>", "forbidden"),
            ("<presence from='echo' to='v@b.example'/>", "forbidden"),
            ("<iq type='result' from='other.example' to='v@b.example'/>", ""),
        ],
        Reason::TooLarge => &[(LARGE, "policy-violation")],
        Reason::Displaced => &[(DISPLACED, "policy-violation")],
        Reason::Namespace => &[(TWINS, "bad-request")],
        // A server's alone: whatever a component writes to is routed.
        Reason::NotProved | Reason::NotServed => &[],
        // `names` has tests of it.
        Reason::Denied => &[],
        // Never seen; `from_element` alone makes one.
        Reason::Unreadable => &[],
    }
}

/// Two attributes that become one when the content namespace does.
const TWINS: &str = "<message xmlns:a='jabber:server' xmlns:b='jabber:component:accept' a:x='' b:x='' \
                     from='u@echo.example' to='v@b.example'/>";

/// Stand for stanzas that are long.
const LARGE: &str = "large";
const DISPLACED: &str = "displaced";

fn written(bad: &str) -> String {
    match bad {
        LARGE => format!("<message from='u@echo.example' to='v@b.example'>{}</message>", "x".repeat(70_000)),
        DISPLACED => format!(
            "<s:message xmlns:s='jabber:component:accept' xmlns='urn:{}' from='u@echo.example' to='v@b.example'>{}\
             </s:message>",
            "x".repeat(700),
            "<a/>".repeat(100)
        ),
        short => short.to_owned(),
    }
}

// rows: B26 E1 E3 E5 E10 K3
#[test]
fn a_bad_stanza_of_a_component_costs_one_stanza() {
    let good =
        |number: usize| format!("<message id='{number}' from='w@echo.example/♥' to='v{number}@a.example'/>");
    let mut tried = 0;
    for (bad, condition) in Reason::ALL.iter().flat_map(|reason| examples(*reason)) {
        let bad = written(bad);
        let mut component = Component::served();
        let run: String = good(100) + &bad + &(0..20).map(good).collect::<String>();
        assert_eq!(component.sends(&run), "", "{bad}");
        let refused = component.events.remove(1);
        assert_eq!(component.events, [100].into_iter().chain(0..20).map(good).collect::<Vec<_>>(), "{bad}");
        match *condition {
            "" => assert!(refused.starts_with("dropped "), "{bad}: {refused}"),
            condition => {
                assert!(refused.starts_with("bounced "), "{bad}: {refused}");
                assert!(refused.contains(&format!("<{condition} ")), "{bad}: {refused}");
            }
        }
        assert_eq!(component.stream.stage().to_string(), "open");
        tried += 1;
    }
    assert!(tried > 25, "{tried}");
}

// rows: E8 K3
#[test]
fn an_answer_to_a_component_repeats_no_address_that_was_refused() {
    for (bad, to, from) in [
        ("<message from='u@echo.example/r' to='a b@x.example'/>", "u@echo.example/r", "x.example"),
        ("<message from='u@echo.example/r' to='x@y@z'/>", "u@echo.example/r", "echo.example"),
        ("<message from='u@echo.example/r'/>", "u@echo.example/r", "echo.example"),
        ("<message from='a b@echo.example' to='v@b.example'/>", "echo.example", "b.example"),
        ("<message to='v@b.example'/>", "echo.example", "b.example"),
        ("<message from='u@other.example' to='v@b.example'/>", "echo.example", "v@b.example"),
    ] {
        let mut component = Component::served();
        component.stream.receive(BytesMut::from(bad));
        let Stream::Open(open) = &mut component.stream else { panic!("not open") };
        let Some(open::Output::StanzaRefused(refused)) = open.poll() else { panic!("{bad}") };
        let answer = refused.answer.unwrap();
        assert_eq!((&*answer.to(), &*answer.from()), (to, from), "{bad}");
    }
}

// B16
// E24
#[test]
fn a_served_component_gets_the_room_of_the_configuration() {
    let mut component = Component::served();
    let stanza =
        |size| format!("<message from='u@echo.example' to='v@b.example'>{}</message>", "x".repeat(size));
    assert_eq!(component.sends(&stanza(15_000)), "");
    assert_eq!(component.events.len(), 1);
    assert_eq!(component.sends(&stanza(20_000)), "");
    assert!(component.events.last().unwrap().contains("<policy-violation "));
    assert!(component.sends(&stanza(80_000)).contains("<policy-violation "));
}

// E24
#[test]
fn a_component_may_have_a_limit_of_its_own() {
    let mut component = Component::new();
    component.sends(&header("jabber:component:accept", "to='small.example'"));
    component.sends(&handshake("id1"));
    component.stream.accept();
    component.gets();
    component.events.clear();
    let stanza =
        |size| format!("<message from='u@small.example' to='v@b.example'>{}</message>", "x".repeat(size));
    assert_eq!(component.sends(&(stanza(12_000) + &stanza(10_000))), "");
    assert!(component.events[0].contains("<policy-violation "), "{:?}", component.events);
    assert_eq!(component.events[1], stanza(10_000));
}

// B16, B17, B35
#[test]
fn a_component_may_come_byte_by_byte() {
    let all = header("jabber:component:accept", "to='echo.example'") + &handshake("id1");
    let mut component = Component::new();
    for byte in all.bytes() {
        component.stream.receive(BytesMut::from(&[byte][..]));
        component.gets();
    }
    assert_eq!(component.events, ["claimed echo.example"]);
}

#[test]
fn refused_elements_are_counted_for_the_driver() {
    let mut component = Component::served();
    component.sends(&"<message from='u@echo.example' to='v@b.example'/>".repeat(10));
    assert_eq!(component.stream.take_unproductive(), 0, "stanzas are what a stream is for");
    for useless in [
        "<foo/>",
        "<message from='u@echo.example' to='@'/>",
        "<message from='other.example' to='b.example'/>",
    ] {
        component.sends(&useless.repeat(10));
        assert_eq!(component.stream.take_unproductive(), 10, "{useless}");
    }
}

#[test]
fn the_open_stream_reads_what_came_before_the_decision() {
    let mut component = Component::new();
    let stanza = "<message from='u@echo.example' to='v@b.example'/>";
    component.sends(&header("jabber:component:accept", "to='echo.example'"));
    component.sends(&format!("{}{}", handshake("id1"), &stanza[..20]));
    component.sends(&stanza[20..]);
    assert_eq!(component.events, ["claimed echo.example"]);
    component.stream.accept();
    assert_eq!(component.gets(), "<handshake/>");
    assert_eq!(component.events, ["claimed echo.example", stanza]);
}
