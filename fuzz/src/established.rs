//! Open streams: they end only for a reason on the list of `xmpp::stream::error`, and the valid stanzas before and after
//! a refused one are delivered in order.
//!
//! An input is divided into slots. A slot that consists of complete first-level elements is sent between two valid
//! stanzas, the markers. The last slot may contain any bytes.

use crate::fixture::{self, domain};
use bytes::BytesMut;
use std::sync::Arc;
use xmpp::{
    DomainPair, Stanza,
    acks::{Offer, Options},
    component::{self, Configured, Secret},
    framer::{Frame, Framer, Limits},
    policy::{Bounds, Hosted, MalformedStanza, Pattern, Policy, Rules, Tls, UnknownRecipient},
    stream::{Condition, End, initiating, receiving},
};

/// The stream of another server.
pub(crate) fn receiving(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let policy = Policy {
        tls: Tls::Required,
        malformed_stanza: if choice & 16 == 0 { MalformedStanza::Bounce } else { MalformedStanza::Close },
        acks: (choice & 32 != 0).then_some(Offer { resume_for: None }),
        ..fixture::policy(choice & 64)
    };
    let hosted = ["a.example", "d.example"].map(|name| (domain(name), Hosted { certificate: true }));
    let rules = Arc::new(Rules::new(hosted, policy.clone(), vec![], vec![Pattern::Any], vec![]));
    let direct_tls = Some(fixture::secured(&["b.example"]));
    let mut handshake = receiving::Handshake::new(rules, direct_tls, fixture::ids());
    let mut log = Log::new(HEADER, "b.example", "a.example");
    handshake.receive(BytesMut::from([HEADER, AUTH].concat().as_str()));
    let opened = std::iter::from_fn(|| handshake.poll()).find_map(|output| match output {
        receiving::Output::Completed(open) => Some(open),
        _ => None,
    });
    let mut stream = opened.expect("the stream opens");
    stream.receive(BytesMut::from(HEADER));
    if choice & 32 != 0 {
        stream.receive(BytesMut::from(ENABLE));
    }
    drain_receiving(&mut stream, &mut log);
    for piece in log.pieces(input) {
        stream.receive(piece);
        drain_receiving(&mut stream, &mut log);
    }
    log.check_end(|end| match end {
        End::ByUs(error) => match error.condition {
            Condition::InvalidFrom => true,
            // A count of stanzas that were not sent.
            Condition::UndefinedCondition => error.too_high.is_some(),
            Condition::HostUnknown => policy.unknown_recipient == UnknownRecipient::Close,
            Condition::ImproperAddressing
            | Condition::UnsupportedStanzaType
            | Condition::InvalidNamespace => policy.malformed_stanza == MalformedStanza::Close,
            condition => is_about_bytes(condition),
        },
        End::Closed | End::ByPeer(_) => true,
    });
}

/// A stream that we opened, on which error stanzas are answers and everything else is dropped.
pub(crate) fn initiating(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let policy = Policy { tls: Tls::Required, ..fixture::policy(choice & 64) };
    let mut handshake = initiating::Handshake::session(initiating::Plan {
        pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
        policy,
        bounds: Bounds::default(),
        direct_tls: Some(fixture::secured(&["b.example"])),
        certificate: true,
        acks: Options { enabled: choice & 32 != 0, ..Options::default() },
    });
    let mut log = Log::new(RESPONSE, "b.example", "a.example");
    log.type_ = " type='error'";
    let mut opened = None;
    let features = if choice & 32 != 0 { FEATURES } else { "<stream:features/>" };
    for setup in [RESPONSE, EXTERNAL, SUCCESS, RESPONSE, features] {
        handshake.receive(BytesMut::from(setup));
        while let Some(output) = handshake.poll() {
            if let initiating::Output::Completed(open) = output {
                opened = Some(open);
            }
        }
    }
    let mut stream = opened.expect("the stream opens");
    if choice & 32 != 0 {
        stream.receive(BytesMut::from(ENABLED));
    }
    for piece in log.pieces(input) {
        stream.receive(piece);
        drain_initiating(&mut stream, &mut log);
    }
    log.check_end(|end| match end {
        End::ByUs(error) => is_about_bytes(error.condition),
        End::Closed | End::ByPeer(_) => true,
    });
}

/// The stream of a component.
pub(crate) fn component(input: &[u8]) {
    let name = domain("c.example");
    let names = [(name.clone(), Configured::new(name, Secret::new("secret")))].into_iter().collect();
    let bounds = Bounds::default();
    let mut handshake = component::Handshake::new(Arc::new(names), 64 * 1024, bounds, fixture::ids());
    let mut log = Log::new(COMPONENT_HEADER, "c.example", "b.example");
    handshake.receive(BytesMut::from([COMPONENT_HEADER, HANDSHAKE].concat().as_str()));
    while handshake.poll().is_some() {}
    let mut stream = handshake.accept().expect("the stream opens");
    drain_component(&mut stream, &mut log);
    for piece in log.pieces(input) {
        stream.receive(piece);
        drain_component(&mut stream, &mut log);
    }
    log.check_end(|end| match end {
        End::ByUs(error) => is_about_bytes(error.condition),
        End::Closed | End::ByPeer(_) => true,
    });
}

fn drain_receiving(stream: &mut receiving::Open, log: &mut Log) {
    while let Some(output) = stream.poll() {
        match output {
            receiving::open::Output::Stanza(stanza) => {
                log.stanza(&stanza);
                stream.handled(1);
            }
            receiving::open::Output::StanzaRefused(refused) => {
                log.answer(refused.answer.as_ref());
                stream.handled(refused.reason.is_about_a_stanza().into());
            }
            receiving::open::Output::AckDue => stream.acknowledge(),
            receiving::open::Output::Ended(end) => log.end = Some(end),
            _ => {}
        }
    }
}

fn drain_initiating(stream: &mut initiating::Open, log: &mut Log) {
    while let Some(output) = stream.poll() {
        match output {
            initiating::open::Output::Answer(stanza) => {
                assert_eq!(stanza.type_(), Some("error"), "an answer that is no error");
                log.stanza(&stanza);
            }
            initiating::open::Output::Ended(end) => log.end = Some(end),
            _ => {}
        }
    }
}

fn drain_component(stream: &mut component::Open, log: &mut Log) {
    while let Some(output) = stream.poll() {
        match output {
            component::open::Output::Stanza(stanza) => log.stanza(&stanza),
            component::open::Output::StanzaRefused(refused) => log.answer(refused.answer.as_ref()),
            component::open::Output::Ended(end) => log.end = Some(end),
            _ => {}
        }
    }
}

/// Whether the condition is about bytes: no valid XML, or too many.
fn is_about_bytes(condition: Condition) -> bool {
    matches!(
        condition,
        Condition::NotWellFormed
            | Condition::RestrictedXml
            | Condition::UnsupportedEncoding
            | Condition::BadFormat
            | Condition::PolicyViolation
    )
}

/// The outputs of a stream.
struct Log {
    header: &'static str,
    from: &'static str,
    to: &'static str,
    /// The attribute `type` of the markers.
    type_: &'static str,
    /// Markers that were sent.
    sent: usize,
    /// Markers that were delivered.
    arrived: usize,
    end: Option<End>,
}

impl Log {
    fn new(header: &'static str, from: &'static str, to: &'static str) -> Self {
        Self { header, from, to, type_: "", sent: 0, arrived: 0, end: None }
    }

    /// Divides an input into slots, with markers between them.
    fn pieces(&mut self, input: &[u8]) -> Vec<BytesMut> {
        let slots: Vec<&[u8]> = input.split(|byte| *byte == CUT).collect();
        let mut pieces = vec![self.marker()];
        for (number, slot) in slots.iter().enumerate() {
            if is_whole(self.header, slot) {
                pieces.extend([BytesMut::from(*slot), self.marker()]);
            } else if number + 1 == slots.len() {
                pieces.push(BytesMut::from(*slot));
            }
        }
        pieces
    }

    fn marker(&mut self) -> BytesMut {
        let Self { from, to, type_, sent: id, .. } = *self;
        self.sent += 1;
        BytesMut::from(format!("<message{type_} from='x@{from}' to='y@{to}' id='{MARKER}{id}'/>").as_str())
    }

    fn stanza(&mut self, stanza: &Stanza) {
        assert!(self.end.is_none(), "a stanza after the end");
        assert_eq!(stanza.from_domain().as_str(), self.from, "a stanza that the stream did not prove");
        let id = stanza.id();
        if id.as_deref() == Some(&format!("{MARKER}{}", self.arrived)) {
            self.arrived += 1;
        }
    }

    /// Checks that an error answer is a valid stanza for the sender.
    fn answer(&self, answer: Option<&Stanza>) {
        let Some(answer) = answer else { return };
        assert_eq!(answer.type_(), Some("error"));
        assert_eq!(answer.to_domain().as_str(), self.from, "an answer to another domain");
        answer.element().expect("an answer that xml-rs reads");
    }

    fn check_end(&self, may_end: impl Fn(&End) -> bool) {
        match &self.end {
            None => assert_eq!(self.arrived, self.sent, "a valid stanza was lost"),
            Some(end) => assert!(may_end(end), "ended for a reason that is not on the list: {end}"),
        }
    }
}

/// Whether bytes are complete first-level elements of a stream with this header.
fn is_whole(header: &str, slot: &[u8]) -> bool {
    let mut framer = Framer::new(Limits::default());
    let mut bytes = BytesMut::from(header);
    let opened = framer.next(&mut bytes);
    assert!(matches!(opened, Ok(Some(Frame::Header(_)))), "{opened:?}");
    bytes.extend_from_slice(slot);
    loop {
        match framer.next(&mut bytes) {
            Ok(Some(Frame::Element(_))) => {}
            Ok(None) => return bytes.is_empty(),
            Ok(Some(_)) | Err(_) => return false,
        }
    }
}

/// The separator of slots: a byte that is not allowed in XML.
const CUT: u8 = 1;

/// The id of the markers. It is in no dictionary, so inputs do not contain it.
const MARKER: &str = "marker-5b1e-";

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' version='1.0'>";

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

const RESPONSE: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' id='1' version='1.0'>";

const EXTERNAL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
     <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";

const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";

const FEATURES: &str = "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";

const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3'/>";

const COMPONENT_HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
     xmlns:stream='http://etherx.jabber.org/streams' to='c.example'>";

/// SHA-1 of the first id and the secret.
const HANDSHAKE: &str = "<handshake>885c5ef356b2a95cf5cf94adf6071a3e4014132c</handshake>";
