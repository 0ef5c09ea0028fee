//! Streams with acks (XEP-0198): counts are what a model counts, the last ack goes before our closing tag, and nothing is
//! accepted behind it.

use crate::{
    fixture::{self, domain, policy},
    reader::Reader,
};
use bytes::BytesMut;
use std::{sync::Arc, time::Duration};
use xmpp::{
    DomainPair,
    acks::{Offer, Options, Previous},
    policy::{Bounds, Hosted, Pattern, Policy, Rules, Tls},
    stream::{
        initiating::{self, Acks, Resumable, Resumption},
        receiving::{self, Claim, open::Output},
    },
    xml::{self, Element},
};

/// The stream of another server. Control characters that XML has no use for are what the driver does.
pub(crate) fn receiving(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let mut session = Receiving::new(choice);
    for act in input.chunk_by(|a, b| !is_act(a) && !is_act(b)) {
        session.act(act);
    }
}

fn is_act(byte: &u8) -> bool {
    matches!(byte, 1..=8 | 11 | 12 | 14)
}

/// An open stream, and a model of its counts.
struct Receiving {
    stream: Box<receiving::Open>,
    reader: Reader,
    on: bool,
    /// Stanzas that were output and not handled, and whether they count.
    unhandled: Vec<bool>,
    handled: u32,
    is_claimed: bool,
    stopped: bool,
    over: bool,
}

impl Receiving {
    fn new(choice: u8) -> Self {
        let resume_for = (choice & 32 == 0).then_some(Duration::from_secs(120));
        let terms = Policy { tls: Tls::Required, acks: Some(Offer { resume_for }), ..policy(choice & 64) };
        let hosted = ["a.example", "d.example"].map(|name| (domain(name), Hosted { certificate: true }));
        let rules = Arc::new(Rules::new(hosted, terms, vec![], vec![Pattern::Any], vec![]));
        let direct_tls = Some(fixture::secured(&["b.example"]));
        let mut handshake = receiving::Handshake::new(rules, direct_tls, fixture::ids());
        let mut reader = Reader::new();
        let setup = [HEADER, AUTH, HEADER].concat();
        reader.received(setup.len());
        handshake.receive(BytesMut::from(setup.as_str()));
        let mut opened = None;
        while let Some(output) = handshake.poll() {
            match output {
                receiving::Output::Transmit(bytes) => drop(reader.sent(&bytes)),
                receiving::Output::Completed(open) => opened = Some(open),
                _ => {}
            }
        }
        let mut session = Self {
            stream: opened.expect("the stream opens"),
            reader,
            on: false,
            unhandled: Vec::new(),
            handled: 0,
            is_claimed: false,
            stopped: false,
            over: false,
        };
        session.drain();
        session
    }

    /// Does what an input wants, then all that the machine wants.
    fn act(&mut self, act: &[u8]) {
        match act {
            [1] => self.handle(1),
            [2] => self.handle(self.unhandled.len()),
            [3] => self.stream.acknowledge(),
            [4] => self.answer(Claim::Continue { handled: u32::MAX - 1 }),
            [5] => self.answer(Claim::Expired { handled: 7 }),
            [6] => self.answer(Claim::Unknown),
            [12] => self.answer(Claim::Overtaken),
            [14] => self.answer(Claim::NotYet),
            [7] => {
                // A claim is void then.
                self.is_claimed = false;
                self.stream.close(None);
            }
            [8] => {
                self.stream.stop_accepting();
                self.stopped = true;
            }
            [11] => {
                self.stream.give_up_unhandled();
                self.stopped = true;
                self.unhandled.clear();
            }
            bytes => {
                self.reader.received(bytes.len());
                self.stream.receive(bytes.into());
            }
        }
        self.drain();
        assert_eq!(self.stream.unhandled() as usize, self.unhandled.len());
        assert_eq!(self.stream.has_acks(), self.on);
        assert_eq!(self.stream.handled_count(), if self.on { self.handled } else { 0 });
    }

    fn handle(&mut self, count: usize) {
        let count = count.min(self.unhandled.len());
        let counted = self.unhandled.drain(..count).filter(|counts| *counts).count();
        self.handled = self.handled.wrapping_add(u32::try_from(counted).expect("few"));
        self.stream.handled(u32::try_from(count).expect("few"));
    }

    fn answer(&mut self, claim: Claim) {
        let goes_on = self.stream.resumed(claim);
        let was_claimed = std::mem::take(&mut self.is_claimed);
        if let Claim::Continue { handled } = claim
            && was_claimed
        {
            assert!(goes_on);
            self.begin(handled);
        }
    }

    fn begin(&mut self, handled: u32) {
        assert!(!std::mem::replace(&mut self.on, true), "acks twice");
        self.handled = handled;
    }

    fn drain(&mut self) {
        let was_closed = self.reader.is_closed();
        let mut acks = 0;
        while let Some(output) = self.stream.poll() {
            assert!(!self.over, "{output:?} after the end");
            assert!(!self.is_claimed, "{output:?} before the answer to a claim");
            match output {
                Output::Transmit(bytes) => {
                    for element in self.reader.sent(&bytes) {
                        acks += usize::from(self.is_ack(&element));
                    }
                }
                Output::Stanza(_) => self.output(),
                Output::StanzaRefused(refused) if refused.reason.is_about_a_stanza() => self.output(),
                Output::AcksEnabled { resume } => {
                    assert!(resume.is_none_or(|id| id.starts_with("id")));
                    self.begin(0);
                }
                Output::AckDue => assert!(self.on),
                Output::Resume { previd, h } => {
                    assert!((1..=4000).contains(&previd.len()) && h == 0);
                    self.is_claimed = true;
                }
                Output::Ended(_) => self.over = true,
                _ => {}
            }
        }
        if self.on && self.reader.is_closed() && !was_closed {
            assert!(acks > 0, "no last ack");
            assert!(self.unhandled.is_empty(), "the last ack is not final");
        }
    }

    fn output(&mut self) {
        assert!(!self.on || !self.stopped && !self.reader.is_closed(), "accepted behind the last ack");
        self.unhandled.push(self.on);
    }

    /// Whether an element is an ack, which has to be right.
    fn is_ack(&self, element: &Element) -> bool {
        let is_ack = element.is("a", SM);
        if is_ack {
            assert!(self.on, "an ack that was not requested");
            assert_eq!(element.attribute("h"), Some(&*self.handled.to_string()));
        }
        is_ack
    }
}

/// A stream that we opened, with the request to continue another.
pub(crate) fn initiating(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let previous = Previous { id: "lost".to_owned(), handled: u32::MAX - 1, max: None };
    let resume = (choice & 1 != 0).then_some(previous);
    let mut handshake = initiating::Handshake::session(initiating::Plan {
        pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
        policy: Policy { tls: Tls::Required, ..policy(choice & 64) },
        bounds: Bounds::default(),
        direct_tls: Some(fixture::secured(&["b.example"])),
        certificate: true,
        acks: Options { enabled: true, resume, resumable: choice & 2 != 0 },
    });
    let mut reader = Reader::new();
    let mut opened: Option<Box<initiating::Open>> = None;
    let (mut counted, mut over) = (0_u32, false);
    let setup = [RESPONSE, EXTERNAL, SUCCESS, RESPONSE, FEATURES].map(str::as_bytes);
    for piece in setup.into_iter().chain(input.split_inclusive(is_act)) {
        let (piece, closes) = match piece.split_last() {
            Some((act, piece)) if is_act(act) => (piece, *act == 7),
            _ => (piece, false),
        };
        reader.received(piece.len());
        match &mut opened {
            None => handshake.receive(piece.into()),
            Some(open) => open.receive(piece.into()),
        }
        while opened.is_none()
            && let Some(output) = handshake.poll()
        {
            match output {
                initiating::Output::Transmit(bytes) => drop(reader.sent(&bytes)),
                initiating::Output::Completed(open) => {
                    if matches!(open.resumption(), Resumption::Resumed { .. }) {
                        counted = u32::MAX - 1;
                        assert_eq!(open.handled_count(), counted);
                    }
                    opened = Some(open);
                }
                initiating::Output::Failed(_) => return,
                _ => {}
            }
        }
        let Some(open) = &mut opened else { continue };
        if closes {
            open.close(None);
        }
        while let Some(output) = open.poll() {
            assert!(!over, "{output:?} after the end");
            let is_on = matches!(open.acks(), Acks::On { .. });
            match output {
                initiating::open::Output::Transmit(bytes) => {
                    let sent = reader.sent(&bytes);
                    let acks: Vec<_> = sent.iter().filter(|element| element.is("a", SM)).collect();
                    assert!(is_on || acks.is_empty(), "an ack without acks");
                    let h = open.handled_count().to_string();
                    assert!(acks.iter().all(|ack| ack.attribute("h") == Some(&*h)), "{acks:?}, {h}");
                    assert!(!is_on || !reader.is_closed() || !acks.is_empty(), "no last ack");
                }
                initiating::open::Output::Answer(_) => {
                    assert!(!is_on || !reader.is_closed(), "an answer behind the last ack");
                }
                initiating::open::Output::AcksOn { resumable } => {
                    assert!(resumable.is_none_or(|Resumable { id, .. }| (1..=4000).contains(&id.len())));
                }
                initiating::open::Output::Ended(_) => over = true,
                _ => {}
            }
        }
        let now = open.handled_count();
        assert!(now.wrapping_sub(counted) <= u32::try_from(input.len()).expect("short"), "{counted}, {now}");
        counted = now;
    }
}

/// The values of `h`, `previd` and `max`, which a peer may write as it likes.
pub(crate) fn values(input: &[u8]) {
    // A character that XML cannot express becomes another one.
    let escaped = xml::escape(&String::from_utf8_lossy(input)).into_owned();
    if escaped.len() > MAX_VALUE {
        return;
    }
    let text = xml::unescape(&escaped).into_owned();
    let count = is_count(&text).then(|| text.parse::<u32>().expect("a count"));
    let is_id = (1..=4000).contains(&text.len());

    // A count in an ack, and in the answer to a request to continue a stream.
    let answer = initiated(&format!("<resumed xmlns='{SM}' previd='lost' h='{escaped}'/>"));
    let resumption = count.map_or(Resumption::Unknown, |h| Resumption::Resumed { h });
    assert_eq!(answer.resumption(), resumption, "{text:?}");
    let answer = initiated(&format!("<failed xmlns='{SM}' h='{escaped}'/>"));
    let resumption = count.map_or(Resumption::Unknown, |h| Resumption::Counted { h });
    assert_eq!(answer.resumption(), resumption, "{text:?}");
    let mut open = initiated(&format!("<failed xmlns='{SM}'/>"));
    open.receive(format!("<enabled xmlns='{SM}'/><a xmlns='{SM}' h='{escaped}'/>").as_bytes().into());
    let acknowledged = std::iter::from_fn(|| open.poll()).find_map(|output| match output {
        initiating::open::Output::Acknowledged { h } => Some(h),
        initiating::open::Output::Ended(end) => panic!("{end}"),
        _ => None,
    });
    assert_eq!(acknowledged, count, "{text:?}");

    // The id and the time of a stream.
    let mut open = initiated(&format!("<failed xmlns='{SM}'/>"));
    let enabled = format!("<enabled xmlns='{SM}' resume='true' id='{escaped}' max='{escaped}'/>");
    open.receive(enabled.as_bytes().into());
    while open.poll().is_some() {}
    let max = count.map(|seconds| Duration::from_secs(seconds.into()));
    let resumable = is_id.then(|| Resumable { id: text.clone(), max });
    assert_eq!(*open.acks(), Acks::On { resumable });

    // The same from a peer that opens the stream.
    let mut session = Receiving::new(0);
    let resume = format!("<resume xmlns='{SM}' previd='{escaped}' h='0'/>");
    session.act(resume.as_bytes());
    assert_eq!(session.is_claimed, is_id);
    let mut session = Receiving::new(0);
    session.act(format!("<resume xmlns='{SM}' previd='x' h='{escaped}'/>").as_bytes());
    assert_eq!(session.is_claimed, count == Some(0), "{text:?}");
}

/// A stream that asked to continue the stream `lost`, and got this answer.
fn initiated(answer: &str) -> Box<initiating::Open> {
    let previous = Previous { id: "lost".to_owned(), handled: 0, max: None };
    let mut handshake = initiating::Handshake::session(initiating::Plan {
        pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
        policy: Policy { tls: Tls::Required, ..policy(0) },
        bounds: Bounds::default(),
        direct_tls: Some(fixture::secured(&["b.example"])),
        certificate: true,
        acks: Options { enabled: true, resume: Some(previous), resumable: true },
    });
    for piece in [RESPONSE, EXTERNAL, SUCCESS, RESPONSE, FEATURES, answer] {
        handshake.receive(BytesMut::from(piece));
        while let Some(output) = handshake.poll() {
            if let initiating::Output::Completed(open) = output {
                return open;
            }
        }
    }
    panic!("the stream opens whatever the answer is")
}

/// What a count is, said in another way than the node does.
fn is_count(text: &str) -> bool {
    let mut value = 0_u64;
    for character in text.chars() {
        let Some(digit) = "0123456789".find(character) else { return false };
        value = value.saturating_mul(10).saturating_add(digit as u64);
    }
    !text.is_empty() && text.chars().count() <= 10 && value < 1 << 32
}

/// A bit more than an id may have, and short enough for two in an element before authentication, in bytes.
const MAX_VALUE: usize = 4500;

const SM: &str = "urn:xmpp:sm:3";

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' version='1.0'>";

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

const RESPONSE: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' id='1' version='1.0'>";

const EXTERNAL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
     <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";

const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

const FEATURES: &str = "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";
