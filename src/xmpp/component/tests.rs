use super::*;
use crate::stream::tests::fixture::{domain, ids};

struct Component {
    stream: Accepting,
    events: Vec<String>,
}

impl Component {
    fn new() -> Self {
        let names = HashMap::from([(domain("echo.example"), Secret::new("secret"))]);
        Self { stream: Accepting::new(Arc::new(names), 20_000, Bounds::default(), ids()), events: Vec::new() }
    }

    fn sends(&mut self, xml: &str) -> String {
        self.stream.receive(BytesMut::from(xml));
        self.gets()
    }

    fn gets(&mut self) -> String {
        let mut answer = String::new();
        while let Some(output) = self.stream.poll() {
            match output {
                Output::Transmit(bytes) => {
                    answer += &String::from_utf8(bytes.to_vec()).unwrap().replace('"', "'");
                }
                Output::Claimed { name } => self.events.push(format!("claimed {name}")),
                Output::Stanza(stanza) => {
                    self.events.push(String::from_utf8(stanza.bytes().to_vec()).unwrap());
                }
                Output::Ended(end) => self.events.push(end.to_string()),
            }
        }
        answer
    }

    /// Past the handshake and the decision.
    fn served() -> Self {
        let mut component = Self::new();
        component.sends(&header("jabber:component:accept", "to='echo.example'"));
        component.sends(&handshake("id1"));
        component.stream.accept();
        assert_eq!(component.gets(), "<handshake/>");
        component.events.clear();
        component
    }
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
fn a_component_is_told_why_it_is_refused() {
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
fn a_component_speaks_for_its_name_only() {
    for (stanza, condition) in [
        ("<message from='u@other.example' to='v@b.example'/>", "invalid-from"),
        ("<message from='u@x.echo.example' to='v@b.example'/>", "invalid-from"),
        ("<message to='v@b.example'/>", "improper-addressing"),
        ("<message from='u@echo.example'/>", "improper-addressing"),
        ("<message xmlns='jabber:client' from='u@echo.example' to='v@b.example'/>", "invalid-namespace"),
    ] {
        let mut component = Component::served();
        let answer = component.sends(stanza);
        assert!(answer.starts_with(&format!("<stream:error><{condition} ")), "{stanza}: {answer}");
    }
    let mut component = Component::served();
    component.sends("<message xmlns='jabber:component:accept' from='u@ECHO.example' to='v@b.example'/>");
    assert_eq!(component.events, ["<message from='u@echo.example' to='v@b.example'/>"]);
}

// E24
#[test]
fn a_served_component_gets_the_room_of_the_configuration() {
    let mut component = Component::served();
    let stanza =
        |size| format!("<message from='u@echo.example' to='v@b.example'>{}</message>", "x".repeat(size));
    assert_eq!(component.sends(&stanza(15_000)), "");
    assert_eq!(component.events.len(), 1);
    assert!(component.sends(&stanza(20_000)).contains("<policy-violation "));
}

// B16, B17, B35
#[test]
fn a_component_stream_closes_from_either_side() {
    let mut component = Component::served();
    assert_eq!(component.sends("</stream:stream>"), "</stream:stream>");
    assert_eq!(component.events, ["closed"]);

    let mut component = Component::served();
    component.stream.close(Some(Error::new(crate::stream::Condition::SystemShutdown, "")));
    assert!(component.gets().ends_with("</stream:stream>"));
    let stanza = "<message from='u@echo.example' to='v@b.example'/>";
    assert_eq!(component.sends(stanza), "");
    assert_eq!(component.sends("</stream:stream>"), "");
    assert_eq!(component.events, [stanza, "closed by us: system-shutdown"]);

    let mut component = Component::new();
    component.stream.close(None);
    assert!(component.gets().starts_with("<?xml"));
}

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
