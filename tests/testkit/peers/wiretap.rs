//! A relay between two servers that reads the streams it passes on. It ends TLS on both sides.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::eventually::{SOON, eventually};
use super::{Element, Event, Nothing, SM, Wire, h};
use crate::Identity;

/// The relay. It passes on elements, so blanks between them are lost.
pub struct Wiretap {
    address: Ipv4Addr,
    shared: Arc<Shared>,
}

/// An element that was passed on.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The number of its connection, from 0 on.
    pub connection: usize,
    /// It came from the server that opened the connection.
    pub from_initiator: bool,
    /// Both sides used TLS.
    pub over_tls: bool,
    /// The element.
    pub element: Element,
}

/// What the receiving server had counted when a connection was cut.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The count in the answer to a request that the relay sent behind the last stanza.
    pub h: u32,
    /// The ids of the stanzas that were passed on after `<enable/>`.
    pub ids: Vec<String>,
}

struct Shared {
    /// Shown to the server that opens a connection.
    to_initiator: Identity,
    /// Shown to the server that accepts it.
    to_receiver: Identity,
    passed: Mutex<Vec<Passed>>,
    connections: AtomicUsize,
    /// A connection that has passed on so many stanzas after `<enable/>` asks for the count, and is then reset.
    cuts_after: AtomicUsize,
    counted: Mutex<Vec<Counted>>,
}

impl Wiretap {
    /// Listens at the server port of `address`, and passes on to that of `server`. It shows the certificate `to_initiator`
    /// to the server that opens a connection, and `to_receiver` to `server`.
    pub fn start(address: Ipv4Addr, server: Ipv4Addr, to_initiator: Identity, to_receiver: Identity) -> Self {
        let listener = TcpListener::bind(SocketAddrV4::new(address, 5269)).unwrap();
        let shared = Arc::new(Shared {
            to_initiator,
            to_receiver,
            passed: Mutex::default(),
            connections: AtomicUsize::new(0),
            cuts_after: AtomicUsize::new(usize::MAX),
            counted: Mutex::default(),
        });
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // The server may be away for the moment.
                let Ok(far) = TcpStream::connect(SocketAddrV4::new(server, 5269)) else { continue };
                let number = kept.connections.fetch_add(1, Ordering::SeqCst);
                let relay = Relay::between(near, far, number, Arc::clone(&kept));
                thread::spawn(move || relay.passes_on());
            }
        });
        Self { address, shared }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Everything that was passed on so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// Waits until the one connection with stream management has passed on at least so many stanzas, asks the receiving
    /// server for its count, and resets the connection on both sides. Nothing that arrives meanwhile is passed on.
    #[track_caller]
    pub fn counts_and_cuts(&self, at_least: usize) -> Counted {
        self.shared.cuts_after.store(at_least, Ordering::SeqCst);
        let counted = eventually("the connection is counted", || self.shared.counted.lock().unwrap().pop());
        self.shared.cuts_after.store(usize::MAX, Ordering::SeqCst);
        counted
    }
}

/// One connection.
struct Relay {
    near: Wire,
    far: Wire,
    number: usize,
    shared: Arc<Shared>,
    /// The domain in the last header of the initiator.
    domain: String,
    /// The closing tag of each side, initiator first.
    closing: [String; 2],
    /// The ids of the stanzas after `<enable/>`.
    ids: Option<Vec<String>>,
}

impl Relay {
    fn between(near: TcpStream, far: TcpStream, number: usize, shared: Arc<Shared>) -> Self {
        Self {
            near: Wire::new(near),
            far: Wire::new(far),
            number,
            shared,
            domain: String::new(),
            closing: [String::new(), String::new()],
            ids: None,
        }
    }

    /// Passes on elements until a side ends the connection, or until it is cut.
    fn passes_on(mut self) {
        loop {
            if self.is_to_be_cut() {
                return self.counts();
            }
            for from_initiator in [true, false] {
                loop {
                    let side = if from_initiator { &mut self.near } else { &mut self.far };
                    match side.next(GLANCE) {
                        Ok(event) => self.passes(event, from_initiator),
                        Err(Nothing::Late) => break,
                        Err(Nothing::Ended) => return,
                    }
                    if self.is_to_be_cut() {
                        break;
                    }
                }
            }
        }
    }

    fn is_to_be_cut(&self) -> bool {
        let least = self.shared.cuts_after.load(Ordering::SeqCst);
        self.ids.as_ref().is_some_and(|ids| ids.len() >= least)
    }

    fn passes(&mut self, event: Event, from_initiator: bool) {
        let other = if from_initiator { &mut self.far } else { &mut self.near };
        let closing = &mut self.closing[usize::from(!from_initiator)];
        match event {
            Event::Opened(header) => {
                let text = header.to_string();
                let tag = text.trim_start_matches('<').split_whitespace().next().unwrap_or_default();
                *closing = format!("</{tag}>");
                if from_initiator {
                    self.domain = header.attribute("to").to_owned();
                }
                other.send(&text);
            }
            Event::Closed => other.send(closing),
            Event::Element(element) => {
                other.send(&element.to_string());
                self.notes(element, from_initiator);
            }
        }
    }

    /// Keeps the element, and does what it means for the connection.
    fn notes(&mut self, element: Element, from_initiator: bool) {
        match (element.name.as_str(), element.namespace.as_str(), from_initiator) {
            ("proceed", "urn:ietf:params:xml:ns:xmpp-tls", false) => self.secures(),
            ("success", "urn:ietf:params:xml:ns:xmpp-sasl", false) => {
                self.near.restart();
                self.far.restart();
            }
            ("enable", SM, true) => self.ids = Some(Vec::new()),
            ("message" | "presence" | "iq", "jabber:server", true) => {
                self.ids.iter_mut().for_each(|ids| ids.push(element.attribute("id").to_owned()));
            }
            _ => {}
        }
        let over_tls = self.near.is_secured();
        let passed = Passed { connection: self.number, from_initiator, over_tls, element };
        self.shared.passed.lock().unwrap().push(passed);
    }

    /// Makes both TLS handshakes.
    fn secures(&mut self) {
        let near = self.near.secure_as_server(Some(&self.shared.to_initiator));
        let far = self.far.secure_as_client(Some(&self.shared.to_receiver), &self.domain);
        near.and(far).unwrap_or_else(|error| panic!("TLS with {}: {error}", self.domain));
    }

    /// Asks the receiving server for its count, and resets both sides. The answer may be one for several requests, so answers
    /// are read until one has as many stanzas as were passed on.
    fn counts(mut self) {
        let ids = self.ids.take().unwrap_or_default();
        self.far.send(&format!("<r xmlns='{SM}'/>"));
        loop {
            match self.far.next(SOON) {
                Ok(Event::Element(element)) if element.name == "a" && element.namespace == SM => {
                    let h = h(&element);
                    if h as usize >= ids.len() {
                        self.near.reset();
                        self.far.reset();
                        self.shared.counted.lock().unwrap().push(Counted { h, ids });
                        return;
                    }
                }
                Ok(_) => {}
                Err(why) => panic!("no count of {}: {why:?} after\n{}", ids.len(), self.far.transcript()),
            }
        }
    }
}

/// How long the relay waits for one side before it looks at the other.
const GLANCE: Duration = Duration::from_millis(1);
