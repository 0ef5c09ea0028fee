//! The open stream of a component: stanzas in both directions.
use super::UNAUTHENTICATED;
use crate::{
    Domain, Stanza,
    framer::{self, Frame},
    policy::Bounds,
    stanza::{
        self, Address, Intake, Reason, Refused, Rejection,
        refusal::{domain, explain, sound_domain},
    },
    stream::{
        End, Error, Stage,
        closing::State,
        error::Fault,
        wire::{self, Wire},
    },
    xml::ns,
};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// The open stream of a component. [`Handshake::accept`](super::Handshake::accept) gives it.
pub struct Open {
    /// The name that the component serves.
    name: Domain,
    /// The limit for one stanza, in bytes.
    max_stanza: usize,
    wire: Wire<Output>,
    state: State,
    acceptance: Acceptance,
    intake: Intake,
    /// The work for refused elements, since the driver asked last.
    unproductive: usize,
}

/// Whether stanzas are taken.
#[derive(Debug)]
enum Acceptance {
    Open,
    /// They are not, and so many came since.
    Stopped {
        ignored: u64,
    },
}

/// The next thing for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Write these bytes.
    Transmit(Bytes),
    /// A stanza from the served name.
    Stanza(Stanza),
    /// A stanza that is refused, and the stream goes on. Its answer goes back on this stream, unless our
    /// closing tag is sent.
    StanzaRefused(Box<stanza::Refused>),
    /// The stream is over. Write what was transmitted, then close.
    Ended(End),
}

impl From<End> for Output {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl Open {
    /// Takes over the connection of a handshake, and confirms the name to the component.
    pub(super) fn new(
        name: Domain,
        mut wire: Wire<Output>,
        lang: Option<String>,
        max_stanza: usize,
        bounds: &Bounds,
    ) -> Self {
        wire.write(&crate::xml::Element::new("handshake", ns::COMPONENT));
        wire.limit(limits(bounds, max_stanza));
        let intake = wire.intake(lang);
        let (state, acceptance) = (State::Open, Acceptance::Open);
        Self { name, max_stanza, wire, state, acceptance, intake, unproductive: 0 }
    }

    /// The name that the component serves.
    pub fn name(&self) -> &Domain {
        &self.name
    }

    /// Whether the component's closing tag is missing.
    pub fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// Whether our closing tag is sent: nothing may follow it (RFC 6120 section 4.4).
    pub fn has_closed(&self) -> bool {
        !self.state.is_open()
    }

    /// The work since the last call for elements that were refused, in elements of at most 256 bytes.
    pub fn take_unproductive(&mut self) -> usize {
        std::mem::take(&mut self.unproductive)
    }

    /// Goes on with other limits. `max_stanza` is in bytes, for components without a limit of their own.
    pub fn adopt(&mut self, names: &super::Names, max_stanza: usize, bounds: &Bounds) {
        if self.state.is_open() {
            let own = names.get(&self.name).and_then(|configured| configured.max_stanza);
            self.max_stanza = own.unwrap_or(max_stanza);
            self.wire.limit(limits(bounds, self.max_stanza));
        }
    }

    /// Takes bytes that were read from the component.
    pub fn receive(&mut self, bytes: BytesMut) {
        if !self.state.is_over() {
            self.intake.begin_read();
            self.wire.receive(bytes);
        }
    }

    /// Takes no stanza from now on: those that come are neither output nor answered.
    pub fn stop_accepting(&mut self) {
        if self.is_accepting() {
            self.acceptance = Acceptance::Stopped { ignored: 0 };
        }
    }

    /// Whether stanzas are taken.
    pub fn is_accepting(&self) -> bool {
        matches!(self.acceptance, Acceptance::Open)
    }

    /// The number of stanzas that came since none are taken.
    pub fn ignored(&self) -> u64 {
        match self.acceptance {
            Acceptance::Open => 0,
            Acceptance::Stopped { ignored } => ignored,
        }
    }

    /// Closes the stream. [`Output::Ended`] follows when the component has closed its side too.
    ///
    /// A stream error is the end of the stream (RFC 6120 section 4.9.1.1): nothing is taken behind it, since an error
    /// answer could not be sent. Without an error, stanzas under way are still taken (section 4.4).
    pub fn close(&mut self, error: Option<Error>) {
        if error.is_some() {
            self.stop_accepting();
        }
        self.state.close(&mut self.wire, error);
    }

    /// The next thing to do; `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.wire.take() {
                return Some(output);
            }
            if self.state.is_over() {
                return None;
            }
            let step = match self.wire.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Element(element))) => {
                    let step = match wire::is_stanza(&element) {
                        true if self.ignores(&element) => Ok(()),
                        true => match self.stanza(element) {
                            // Nothing is ready that would come before it.
                            Some(stanza) => return Some(Output::Stanza(stanza)),
                            None => Ok(()),
                        },
                        false => self.element(&element),
                    };
                    if let Err(fault) = &step {
                        debug_assert!(fault.ends_established(), "{fault} must cost one stanza");
                    }
                    step
                }
                Ok(Some(Frame::Footer)) => {
                    self.state.footer(&mut self.wire);
                    Ok(())
                }
                // A component stream has one header, and it was in the handshake.
                Ok(Some(Frame::Header(_))) => Ok(()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.state.fail(&mut self.wire, fault);
            }
        }
    }

    /// The point at which the stream is.
    pub fn stage(&self) -> Stage {
        self.state.stage()
    }

    fn element(&mut self, framed: &framer::RawElement) -> Result<(), Fault> {
        if *self.intake.namespace(framed) != *ns::STREAM {
            if !self.ignores(framed) {
                self.refuse_element(framed, &Rejection::UnsupportedStanzaType);
            }
            return Ok(());
        }
        self.wire.confine(framed, UNAUTHENTICATED)?;
        let element = self.wire.read(framed, wire::TAGS)?;
        if element.is("error", ns::STREAM) {
            self.state.peer_error(&mut self.wire, Error::parse(&element));
        } else if self.state.is_open() {
            self.refuse_element(framed, &Rejection::UnsupportedStanzaType);
        }
        Ok(())
    }

    /// Counts an element that is not taken. Gives `false` while elements are taken.
    fn ignores(&mut self, element: &framer::RawElement) -> bool {
        let Acceptance::Stopped { ignored } = &mut self.acceptance else { return false };
        *ignored += 1;
        self.unproductive += wire::work_of(element);
        true
    }

    /// Takes a stanza in; `None` when it is refused.
    fn stanza(&mut self, element: framer::RawElement) -> Option<Stanza> {
        if element.bytes.len() > self.max_stanza {
            let text = format!("a stanza of more than {} bytes", self.max_stanza);
            self.refuse_stanza(&element, Reason::TooLarge, text);
            return None;
        }
        let bytes = element.bytes.len();
        let stanza = match self.intake.take(element) {
            Ok(stanza) => stanza,
            Err(refused) => {
                self.refuse_element(&refused.1, &refused.0);
                return None;
            }
        };
        if *stanza.from_domain() == self.name {
            return Some(stanza);
        }
        // The stream of a server ends for that. A component often passes on what one of its users typed.
        let reason = Reason::ForeignFrom;
        self.unproductive += 1;
        let text = format!("{} may not send in the name of {}", self.name, stanza.from_domain());
        let answer = stanza.bounce(&reason.error(&*text)).map(|answer| answer.sent_to(&self.name));
        self.report_refused(reason, text, bytes, answer);
        None
    }

    fn refuse_element(&mut self, element: &framer::RawElement, rejection: &Rejection) {
        self.refuse_stanza(element, rejection.reason(), explain(element, rejection));
    }

    /// Answers an element that cannot be relayed as a stanza. The answer comes from the domain that the
    /// stanza was for, if that can be read, or else from the component's own name. It goes to the sender of
    /// the stanza, or to the component's own name if its `from` is unusable.
    fn refuse_stanza(&mut self, element: &framer::RawElement, reason: Reason, text: String) {
        self.unproductive += wire::work_of(element);
        let answer = match reason {
            Reason::NotAStanza => None,
            _ => {
                let from = domain(element, Address::To).unwrap_or_else(|| self.name.clone());
                let known = sound_domain(element, Address::From).is_some_and(|sender| sender == self.name);
                let to = (!known).then_some(&self.name);
                self.intake.answer(element, &from, to, &reason.error(&*text))
            }
        };
        self.report_refused(reason, text, element.bytes.len(), answer);
    }

    fn report_refused(&mut self, reason: Reason, text: String, bytes: usize, answer: Option<Stanza>) {
        let name = self.name.clone();
        let answer = answer.filter(|_| !self.has_closed());
        let refused = Refused { reason, text, local: name.clone(), remote: name, bytes, answer };
        self.wire.emit(Output::StanzaRefused(Box::new(refused)));
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("name", &self.name).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The limits for elements. A stanza that is too long is refused alone if it can still be read to its end.
fn limits(bounds: &Bounds, max_stanza: usize) -> framer::Limits {
    bounds.for_known(max_stanza.saturating_mul(READ_TO_ITS_END))
}

/// A stanza of a component is read to its end, and only this stanza is refused, up to so many times the
/// allowed length. A longer one ends the stream: the node would have to keep all of it. Components are few
/// and known.
const READ_TO_ITS_END: usize = 4;
