//! Properties that hold for any input of a peer.
use super::{
    fixture::{certificate, domain, ids, rules, secured},
    machine::{Accepting, Accepts, Opening, Opens},
};
use crate::{
    DomainPair,
    acks::{Offer, Options, Previous},
    dialback::Answer,
    framer::{Frame, Framer, Limits},
    policy::{Bounds, Policy, Tls, tests::policy},
    stream::{
        initiating::Plan,
        receiving::{Claim, open::Output},
    },
};
use bytes::BytesMut;
use proptest::prelude::*;
use std::time::Duration;

/// Pieces of real streams, so that chance gets deep into the machines, and of bad ones.
const PIECES: [&str; 40] = [
    "<?xml version='1.0'?>",
    "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' id='1' version='1.0'>",
    "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' id='1'>",
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    "<stream:features/>",
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism>\
     </mechanisms><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>YQ==</response>",
    "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
    "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<db:result from='b.example' to='a.example'>key</db:result>",
    "<db:result from='b.example' to='a.example' type='valid'/>",
    "<db:result from='b.example' to='a.example' type='error'/>",
    "<db:result from='c.example' to='unknown.example'>key</db:result>",
    "<db:verify from='b.example' to='a.example' id='\"&lt;'>key</db:verify>",
    "<db:verify from='b.example'/>",
    "<message from='u@b.example' to='v@a.example'><body>&amp;</body></message>",
    "<iq from='u@c.example' to='v@a.example' type='get' id='1'/>",
    "<x:foo/>",
    "<foo xmlns='urn:example'>",
    "</stream:stream>",
    "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "\u{0}&<!",
    "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>",
    "<enable xmlns='urn:xmpp:sm:3'/>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='x'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='lost' h='0'/>",
    "<resumed xmlns='urn:xmpp:sm:3' previd='lost' h='7'/>",
    "<failed xmlns='urn:xmpp:sm:3' h='7'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='0'/>",
    "<a xmlns='urn:xmpp:sm:3' h='x'/>",
];

/// The action of the driver between two pieces.
#[derive(Clone, Copy, Debug)]
enum Act {
    Piece(usize, usize),
    Secured,
    Verified,
    Close,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        20 => (0..PIECES.len(), 1..200_usize).prop_map(|(piece, cut)| Act::Piece(piece, cut)),
        // Without a header there is no stream to speak of.
        5 => (1..200_usize).prop_map(|cut| Act::Piece(1, cut)),
        3 => Just(Act::Secured),
        3 => Just(Act::Verified),
        1 => Just(Act::Close),
    ];
    prop::collection::vec(act, 0..40)
}

/// Reads what a machine sends: headers first, nothing behind the closing tag, well-formed XML in between.
struct Reader {
    framer: Framer,
    unread: BytesMut,
    closed: bool,
    open: bool,
}

impl Reader {
    fn new() -> Self {
        Self { framer: Framer::new(Limits::default()), unread: BytesMut::new(), closed: false, open: false }
    }

    fn reads(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        // Our own machines restart the framer at each `<stream:stream`. This test has to do it.
        while !self.unread.is_empty() {
            assert!(!self.closed, "behind the closing tag: {:?}", self.unread);
            if self.unread.starts_with(b"<?xml") && self.open {
                self.framer.restart();
            }
            match self.framer.next(&mut self.unread).unwrap() {
                Some(Frame::Header(_)) => self.open = true,
                Some(Frame::Element(_)) => assert!(self.open),
                Some(Frame::Footer) => self.closed = true,
                None => panic!("half an element: {:?}", self.unread),
            }
        }
    }
}

fn cut(piece: &str, cut: usize) -> Vec<BytesMut> {
    piece.as_bytes().chunks(cut).map(BytesMut::from).collect()
}

fn lax() -> Policy {
    Policy { tls: Tls::Optional, ..with_acks() }
}

fn with_acks() -> Policy {
    Policy { acks: Some(Offer { resume_for: Some(Duration::from_secs(60)) }), ..policy() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_receiving_side_accepts_any_input_and_sends_valid_xml(acts in acts(), trusted: bool) {
        let rules = rules(&["a.example"], if trusted { with_acks() } else { lax() }, true);
        let mut stream = Accepting::new(rules, None, ids());
        let (mut reader, mut requests, mut over) = (Reader::new(), Vec::new(), false);
        for act in acts {
            let parts = match act {
                Act::Piece(piece, size) => cut(PIECES[piece], size),
                Act::Secured => {
                    stream.secured(secured(trusted.then(|| certificate(&["b.example"], None))));
                    Vec::new()
                }
                Act::Verified => {
                    if let Some(request) = requests.pop() {
                        stream.verified(&request, Ok(Answer::Valid));
                    }
                    Vec::new()
                }
                Act::Close => {
                    stream.close(None);
                    Vec::new()
                }
            };
            for part in parts.into_iter().chain([BytesMut::new()]) {
                stream.receive(part);
                while let Some(output) = stream.poll() {
                    prop_assert!(!over, "{output:?} after the end");
                    match output {
                        Accepts::Open(Output::Transmit(bytes)) => reader.reads(&bytes),
                        Accepts::Open(Output::Verify(request)) => requests.push(request),
                        Accepts::Open(Output::Stanza(_)) => stream.opened().handled(1),
                        Accepts::Open(Output::AckDue) => stream.opened().acknowledge(),
                        Accepts::Open(Output::Resume { .. }) => {
                            let goes_on = stream.opened().resumed(Claim::Continue { handled: 7 });
                            prop_assert!(goes_on);
                        }
                        Accepts::Open(Output::Ended(_)) => over = true,
                        _ => {}
                    }
                }
            }
        }
    }

    #[test]
    fn the_initiating_side_accepts_any_input_and_sends_valid_xml(acts in acts(), trusted: bool) {
        let mut stream = Opening::session(Plan {
            pair: DomainPair { local: domain("a.example"), remote: domain("b.example") },
            policy: if trusted { policy() } else { lax() },
            bounds: Bounds::default(),
            direct_tls: None,
            certificate: true,
            acks: Options {
                enabled: true,
                resume: trusted.then(|| Previous { id: "lost".to_owned(), handled: 3, max: None }),
                resumable: true,
            },
        });
        let (mut reader, mut over) = (Reader::new(), false);
        for act in acts {
            let parts = match act {
                Act::Piece(piece, size) => cut(PIECES[piece], size),
                Act::Secured => {
                    stream.secured(secured(trusted.then(|| certificate(&["b.example"], None))));
                    Vec::new()
                }
                Act::Verified => Vec::new(),
                Act::Close => {
                    stream.close(None);
                    Vec::new()
                }
            };
            for part in parts.into_iter().chain([BytesMut::new()]) {
                stream.receive(part);
                while let Some(output) = stream.poll() {
                    prop_assert!(!over, "{output:?} after the end");
                    match output {
                        Opens::Transmit(bytes) => reader.reads(&bytes),
                        Opens::Ended(_) | Opens::Failed(_) => over = true,
                        _ => {}
                    }
                }
            }
        }
    }
}
