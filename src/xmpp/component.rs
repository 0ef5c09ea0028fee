//! External components (XEP-0114), the accepting side: a shared secret lets a program serve one of our names.
use crate::{
    Domain, Stanza,
    dialback::hex,
    framer::{self, Frame},
    policy::Bounds,
    stanza::{
        self, Address, Intake, Reason, Refused, Rejection,
        refusal::{domain, explain, sound_domain},
    },
    stream::{
        End, Error, Header,
        error::Fault,
        wire::{self, Wire},
    },
    xml::{Element, ns},
};
use bytes::{Bytes, BytesMut};
use sha1::{Digest, Sha1};
use std::{collections::HashMap, fmt, sync::Arc};
use subtle::ConstantTimeEq;

/// What a component proves itself with; never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the configured text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Compares what a component shows on the stream `id`, in a time that tells nothing about the right answer.
    fn admits(&self, id: &str, shown: &str) -> bool {
        let right = hex(&Sha1::digest(format!("{id}{}", self.0)));
        right.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Configuration of one component name.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The shared secret of the handshake.
    pub secret: Secret,
    /// Bytes of one of its stanzas, if they are limited otherwise than those of all.
    pub max_stanza: Option<usize>,
}

impl From<Secret> for Configured {
    /// With the limits of all.
    fn from(secret: Secret) -> Self {
        Self { secret, max_stanza: None }
    }
}

/// One accepted component stream.
pub struct Accepting {
    names: Arc<HashMap<Domain, Configured>>,
    ids: Box<dyn FnMut() -> String + Send>,
    max_stanza: usize,
    bounds: Bounds,
    wire: Wire<Output>,
    state: State,
    /// of our header
    id: String,
    /// the name in its header, whether we know it or not
    claimed: Option<Domain>,
    /// what the component claims, and from `ExpectStanza` on serves
    name: Option<Domain>,
    intake: Intake,
    /// work for refused elements, since the driver asked last
    unproductive: usize,
    /// how the stream ends when the component closes too
    ending: End,
}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// bytes to write
    Transmit(Bytes),
    /// the handshake is right; answer with [`Accepting::accept`] or [`Accepting::conflict`], nothing is read until then
    Claimed {
        /// which name it wants to serve
        name: Domain,
    },
    /// a stanza from the served name
    Stanza(Stanza),
    /// a stanza that was refused, and the stream goes on; its answer goes back on this stream, unless our closing tag
    /// is out
    StanzaRefused(Box<stanza::Refused>),
    /// the stream is over: flush what was transmitted, then close
    Ended(End),
}

/// What the stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectHeader,
    ExpectHandshake,
    /// of the driver: whether the name is free
    ExpectDecision,
    ExpectStanza,
    /// our closing tag is out
    ExpectFooter,
    Over,
}

/// A whole stream for a program that is turned away at the door: it says why and nothing else. `id` is unpredictable.
pub fn refusal(id: String, error: &Error) -> Bytes {
    wire::refusal(ns::COMPONENT, &Header { id: Some(id), ..Header::default() }, error)
}

impl Accepting {
    /// A stream that waits for its header. `max_stanza` is in bytes, for components without a limit of their own; `ids` gives unpredictable stream ids, never one
    /// twice.
    pub fn new(
        names: Arc<HashMap<Domain, Configured>>,
        max_stanza: usize,
        bounds: Bounds,
        ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        let limits = bounds.for_stranger(max_stanza.min(UNAUTHENTICATED));
        let wire = Wire::new(ns::COMPONENT, limits, Output::Transmit);
        Self {
            names,
            ids,
            max_stanza,
            bounds,
            intake: wire.intake(None),
            wire,
            state: State::ExpectHeader,
            id: String::new(),
            claimed: None,
            name: None,
            unproductive: 0,
            ending: End::Closed,
        }
    }

    /// Whether the component has opened its stream and not closed it.
    pub fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// The name in the component's header, also when it is not configured or the secret was wrong.
    pub fn claimed(&self) -> Option<&Domain> {
        self.claimed.as_ref()
    }

    /// The work since the last call for elements that were refused: as `stream::Receiving` gives it.
    pub fn take_unproductive(&mut self) -> usize {
        std::mem::take(&mut self.unproductive)
    }

    /// Whether our closing tag is out: nothing may follow it (RFC 6120 section 4.4).
    pub fn has_closed(&self) -> bool {
        matches!(self.state, State::ExpectFooter | State::Over)
    }

    /// Goes on with other secrets and limits. A handshake that is still to come is judged by the new secrets.
    pub fn adopt(&mut self, names: Arc<HashMap<Domain, Configured>>, max_stanza: usize, bounds: Bounds) {
        (self.names, self.max_stanza, self.bounds) = (names, max_stanza, bounds);
        let own = self.name.as_ref().and_then(|name| self.names.get(name)?.max_stanza);
        match self.state {
            State::ExpectStanza => {
                self.max_stanza = own.unwrap_or(max_stanza);
                self.wire.limit(bounds.for_known(self.max_stanza.saturating_mul(READ_TO_ITS_END)));
            }
            State::ExpectHeader | State::ExpectHandshake | State::ExpectDecision => {
                self.wire.limit(bounds.for_stranger(max_stanza.min(UNAUTHENTICATED)));
            }
            State::ExpectFooter | State::Over => {}
        }
    }

    /// Takes what was read.
    pub fn receive(&mut self, bytes: BytesMut) {
        if self.state != State::Over {
            self.intake.begin_read();
            self.wire.receive(bytes);
        }
    }

    /// Lets a claimed name be served here.
    pub fn accept(&mut self) {
        if self.state == State::ExpectDecision {
            self.wire.write(&Element::new("handshake", ns::COMPONENT));
            let own = self.name.as_ref().and_then(|name| self.names.get(name)?.max_stanza);
            self.max_stanza = own.unwrap_or(self.max_stanza);
            // What is longer than a stanza may be and can still be read to its end costs itself.
            self.wire.limit(self.bounds.for_known(self.max_stanza.saturating_mul(READ_TO_ITS_END)));
            self.state = State::ExpectStanza;
        }
    }

    /// Refuses a claimed name because another connection serves it.
    pub fn conflict(&mut self) {
        if self.state == State::ExpectDecision {
            self.refuse(Fault::NameTaken.into());
        }
    }

    /// Closes the stream; stanzas under way are still taken until the component's closing tag, then `Ended`.
    pub fn close(&mut self, error: Option<Error>) {
        match self.state {
            State::ExpectFooter | State::Over => return,
            State::ExpectHeader => self.open(None),
            State::ExpectHandshake | State::ExpectDecision => self.name = None,
            State::ExpectStanza => {}
        }
        self.wire.close(error.as_ref());
        self.ending = error.map_or(End::Closed, End::ByUs);
        self.state = State::ExpectFooter;
    }

    /// The next thing to do, `None` when more bytes (or a decision) are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.wire.take() {
                return Some(output);
            }
            if matches!(self.state, State::ExpectDecision | State::Over) {
                return None;
            }
            let step = match self.wire.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Header(bytes))) => self.header(&bytes),
                Ok(Some(Frame::Element(element))) => {
                    let established = self.is_served();
                    let step = match wire::is_stanza(&element) {
                        true => match self.stanza(element) {
                            // Nothing is ready that would come before it.
                            Ok(Some(stanza)) => return Some(Output::Stanza(stanza)),
                            step => step.map(drop),
                        },
                        false => self.element(&element),
                    };
                    if let (Err(fault), true) = (&step, established) {
                        debug_assert!(fault.ends_established(), "{fault} must cost one stanza");
                    }
                    step
                }
                Ok(Some(Frame::Footer)) => {
                    self.footer();
                    Ok(())
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.refuse(fault.into());
            }
        }
    }

    /// What the stream waits for, in words for the log.
    pub fn stage(&self) -> &'static str {
        match self.state {
            State::ExpectHeader => "waiting for the stream header",
            State::ExpectHandshake => "waiting for the handshake",
            State::ExpectDecision => "waiting for the name",
            State::ExpectStanza => "open",
            State::ExpectFooter => "waiting for the closing tag",
            State::Over => "over",
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.state != State::ExpectHeader {
            return Ok(());
        }
        let header = self.wire.header(bytes)?;
        self.wire.confine_header(&header)?;
        self.claimed.clone_from(&header.to);
        let known = header.to.clone().filter(|to| self.names.contains_key(to));
        self.intake = self.wire.intake(header.lang);
        self.open(known.clone());
        self.state = State::ExpectHandshake;
        self.name = known;
        match self.name {
            Some(_) => Ok(()),
            None => Err(Fault::UnknownHost(header.to.as_ref().map(Domain::to_string))),
        }
    }

    /// Whether the name is served here, and its stanzas are taken.
    fn is_served(&self) -> bool {
        matches!(self.state, State::ExpectStanza | State::ExpectFooter) && self.name.is_some()
    }

    fn element(&mut self, framed: &framer::Element) -> Result<(), Fault> {
        let served = self.is_served();
        if served && *self.intake.namespace(framed) != *ns::STREAM {
            self.refuse_element(framed, &Rejection::UnsupportedStanzaType);
            return Ok(());
        }
        self.wire.confine(framed, UNAUTHENTICATED)?;
        let element = self.wire.read(framed, wire::TAGS)?;
        match (element.namespace.as_str(), element.name.as_str(), self.state) {
            (ns::STREAM, "error", _) => {
                if self.state != State::ExpectFooter {
                    self.wire.close(None);
                }
                self.end(End::ByPeer(Error::parse(&element)));
                Ok(())
            }
            (_, _, State::ExpectFooter) => Ok(()),
            (ns::COMPONENT, "handshake", State::ExpectHandshake) => self.handshake(element.text().trim()),
            _ if served => {
                self.refuse_element(framed, &Rejection::UnsupportedStanzaType);
                Ok(())
            }
            (ns::CLIENT | ns::SERVER, ..) => Err(Fault::ForeignElement { name: element.name }),
            _ => Err(Fault::Unexpected { name: element.name }),
        }
    }

    fn handshake(&mut self, shown: &str) -> Result<(), Fault> {
        let claim = self.name.as_ref().and_then(|name| Some((name, self.names.get(name)?)));
        match claim.filter(|(_, configured)| configured.secret.admits(&self.id, shown)) {
            Some((name, _)) => {
                let name = name.clone();
                self.state = State::ExpectDecision;
                self.wire.emit(Output::Claimed { name });
            }
            None => return Err(Fault::Handshake),
        }
        Ok(())
    }

    /// Takes a stanza in; `None` when it is refused and the stream goes on.
    fn stanza(&mut self, element: framer::Element) -> Result<Option<Stanza>, Fault> {
        let (true, Some(name)) = (self.is_served(), &self.name) else {
            return Err(Fault::Early);
        };
        if element.bytes.len() > self.max_stanza {
            let text = format!("a stanza of more than {} bytes", self.max_stanza);
            self.refuse_stanza(&element, Reason::TooLarge, text);
            return Ok(None);
        }
        let bytes = element.bytes.len();
        let stanza = match self.intake.take(element) {
            Ok(stanza) => stanza,
            Err(refused) => {
                self.refuse_element(&refused.1, &refused.0);
                return Ok(None);
            }
        };
        if stanza.from_domain() == name {
            return Ok(Some(stanza));
        }
        // A server's stream ends for that. What a component writes there is often what one of its users typed.
        let reason = Reason::ForeignFrom;
        self.unproductive += 1;
        let text = format!("{name} may not send in the name of {}", stanza.from_domain());
        let answer = stanza.bounce(&reason.error(&*text)).map(|answer| answer.sent_to(name));
        self.tell_refused(reason, text, bytes, answer);
        Ok(None)
    }

    fn refuse_element(&mut self, element: &framer::Element, rejection: &Rejection) {
        self.refuse_stanza(element, rejection.reason(), explain(element, rejection));
    }

    /// Answers an element that is no stanza that can go on. The answer comes from the domain that the stanza was for, as
    /// far as that can be read, or else from the component's own name. It goes to the stanza's sender, or when its `from`
    /// is unusable to the component's own name.
    fn refuse_stanza(&mut self, element: &framer::Element, reason: Reason, text: String) {
        self.unproductive += wire::work_of(element);
        let Some(name) = &self.name else { return };
        let answer = match reason {
            Reason::NotAStanza => None,
            _ => {
                let from = domain(element, Address::To).unwrap_or_else(|| name.clone());
                let known = sound_domain(element, Address::From).is_some_and(|sender| sender == *name);
                let to = (!known).then_some(name);
                self.intake.answer(element, &from, to, &reason.error(&*text))
            }
        };
        self.tell_refused(reason, text, element.bytes.len(), answer);
    }

    fn tell_refused(&mut self, reason: Reason, text: String, bytes: usize, answer: Option<Stanza>) {
        let Some(name) = self.name.clone() else { return };
        let answer = answer.filter(|_| !self.has_closed());
        let refused = Refused { reason, text, local: name.clone(), remote: name, bytes, answer };
        self.wire.emit(Output::StanzaRefused(Box::new(refused)));
    }

    fn footer(&mut self) {
        if self.state != State::ExpectFooter {
            self.wire.close(None);
        }
        self.end(self.ending.clone());
    }

    fn open(&mut self, name: Option<Domain>) {
        self.id = (self.ids)();
        self.wire.open(&Header { from: name, id: Some(self.id.clone()), ..Header::default() });
    }

    /// Ends the stream with an error, which needs an opening tag before it (RFC 6120 4.9.1.2).
    fn refuse(&mut self, error: Error) {
        match self.state {
            State::Over => return,
            State::ExpectHeader => self.open(None),
            _ => {}
        }
        if self.state != State::ExpectFooter {
            self.wire.close(Some(&error));
        }
        self.end(End::ByUs(error));
    }

    fn end(&mut self, end: End) {
        self.state = State::Over;
        self.wire.emit(Output::Ended(end));
    }
}

impl fmt::Debug for Accepting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting")
            .field("state", &self.state)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A component's stanza is read to its end, and refused alone, up to so many times the length that is allowed. What is
/// longer ends the stream: the node would have to hold all of it. Components are few and known.
const READ_TO_ITS_END: usize = 4;

/// Bytes of a header or handshake: both are a few hundred.
const UNAUTHENTICATED: usize = 4096;

#[cfg(test)]
mod tests;
