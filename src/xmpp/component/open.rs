//! The open stream of a component: stanzas in both directions.
use super::{Configured, Names, UNAUTHENTICATED};
use crate::{
    Domain, Stanza,
    framer::{self, Frame},
    policy::{Access, Bounds},
    stanza::{
        self, Address, Denied, Intake, Kind, Reason, Refused, Rejection,
        refusal::{domain, explain, sound_domain},
    },
    stream::{
        End, Error, Stage,
        closing::State,
        error::Fault,
        wire::{self, Wire},
    },
    truncate::truncate,
    xml::ns,
};
use bytes::{Bytes, BytesMut};
use std::{fmt, sync::Arc};

/// The open stream of a component. [`Handshake::accept`](super::Handshake::accept) gives it.
pub struct Open {
    /// The name under which the component is configured.
    component: Domain,
    /// The name in its header.
    announced: Domain,
    /// The configured names of all components.
    names: Names,
    /// The last domain that it sent from and that it serves.
    recent: Option<Domain>,
    /// The remote addresses that it may write to; `None`: all.
    access: Option<Arc<Access>>,
    /// The id of a request of the node itself to the name in its header.
    asked: Option<String>,
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
    /// A stanza from a name that the component serves, or the answer to [`Open::expect_answer`].
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
    /// Takes over the connection of a handshake, and confirms the name to the component. [`Open::adopt`] gives it its
    /// names and limits.
    pub(super) fn new(
        component: Domain,
        announced: Domain,
        mut wire: Wire<Output>,
        lang: Option<String>,
    ) -> Self {
        wire.write(&crate::xml::Element::new("handshake", ns::COMPONENT));
        let intake = wire.intake(lang);
        Self {
            component,
            announced,
            names: Names::default(),
            recent: None,
            access: None,
            asked: None,
            max_stanza: 0,
            wire,
            state: State::Open,
            acceptance: Acceptance::Open,
            intake,
            unproductive: 0,
        }
    }

    /// The name in the component's header.
    pub fn announced(&self) -> &Domain {
        &self.announced
    }

    /// The node sends the component a request with this id, to the name in its header. The answer is taken also if the
    /// component does not serve that name: it is the domain above those that it serves.
    pub fn expect_answer(&mut self, id: String) {
        self.asked = Some(id);
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

    /// Goes on with other names and limits. `max_stanza` is in bytes, for components without a limit of their own. A
    /// component that is not configured any more keeps its names, until the driver closes its stream.
    pub fn adopt(&mut self, names: Names, max_stanza: usize, bounds: &Bounds) {
        if !self.state.is_open() {
            return;
        }
        let own = self.configured(&names);
        self.max_stanza = own.and_then(|own| own.max_stanza).unwrap_or(max_stanza);
        self.wire.limit(limits(bounds, self.max_stanza));
        if let Some(own) = own {
            self.access.clone_from(&own.access);
            (self.names, self.recent) = (names, None);
        }
    }

    /// The component under the name under which it is configured.
    fn configured<'a>(&self, names: &'a Names) -> Option<&'a Configured> {
        names.get(&self.component).filter(|it| it.name == self.component)
    }

    /// Whether the component serves a domain.
    fn serves(&mut self, domain: &Domain) -> bool {
        if self.recent.as_ref() == Some(domain) {
            return true;
        }
        let serves = self.names.get(domain).is_some_and(|it| it.name == self.component);
        if serves {
            self.recent = Some(domain.clone());
        }
        serves
    }

    /// Whether this is the answer to the node's own request.
    fn is_expected(&self, stanza: &Stanza) -> bool {
        self.asked.is_some()
            && *stanza.from_domain() == self.announced
            && stanza.kind() == Kind::Iq
            && matches!(stanza.type_(), Some("result" | "error"))
            && stanza.id().as_deref() == self.asked.as_deref()
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
        if self.serves(stanza.from_domain()) {
            return self.permitted(stanza, bytes);
        }
        if self.is_expected(&stanza) {
            return Some(stanza);
        }
        // The stream of a server ends for that. A component often passes on what one of its users typed.
        let reason = Reason::ForeignFrom;
        self.unproductive += 1;
        let text = format!("{} may not send in the name of {}", self.component, stanza.from_domain());
        let answer = stanza.bounce(&reason.error(&*text)).map(|answer| answer.sent_to(&self.announced));
        self.report_refused(reason, text, bytes, answer);
        None
    }

    /// Gives the stanza back if the component may write to its recipient.
    fn permitted(&mut self, stanza: Stanza, bytes: usize) -> Option<Stanza> {
        let denied = self.access.as_ref();
        let denied = denied.filter(|access| !access.permits(stanza.to_domain(), &stanza.to()));
        let Some(denial) = denied.map(|access| access.denial) else { return Some(stanza) };
        self.unproductive += 1;
        let text = format!("{} may not exchange stanzas with {}", self.component, truncate(&stanza.to()));
        let answer = stanza.bounce(&denial.error(&*text));
        self.report(Reason::Denied, text, bytes, answer, Some(Denied::of(&stanza, true)));
        None
    }

    fn refuse_element(&mut self, element: &framer::RawElement, rejection: &Rejection) {
        self.refuse_stanza(element, rejection.reason(), explain(element, rejection));
    }

    /// Answers an element that cannot be relayed as a stanza. The answer comes from the domain that the
    /// stanza was for, if that can be read, or else from the name in the component's header. It goes to the sender of
    /// the stanza, or to that name if its `from` is unusable.
    fn refuse_stanza(&mut self, element: &framer::RawElement, reason: Reason, text: String) {
        self.unproductive += wire::work_of(element);
        let answer = match reason {
            Reason::NotAStanza => None,
            _ => {
                let from = domain(element, Address::To).unwrap_or_else(|| self.announced.clone());
                let sender = sound_domain(element, Address::From);
                let known = sender.is_some_and(|sender| self.serves(&sender));
                let to = (!known).then_some(&self.announced);
                self.intake.answer(element, &from, to, &reason.error(&*text))
            }
        };
        self.report_refused(reason, text, element.bytes.len(), answer);
    }

    fn report_refused(&mut self, reason: Reason, text: String, bytes: usize, answer: Option<Stanza>) {
        self.report(reason, text, bytes, answer, None);
    }

    fn report(
        &mut self,
        reason: Reason,
        text: String,
        bytes: usize,
        answer: Option<Stanza>,
        denied: Option<Denied>,
    ) {
        let name = self.component.clone();
        let answer = answer.filter(|_| !self.has_closed());
        let refused = Refused { reason, text, local: name.clone(), remote: name, bytes, answer, denied };
        self.wire.emit(Output::StanzaRefused(Box::new(refused)));
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("component", &self.component)
            .field("state", &self.state)
            .finish_non_exhaustive()
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
