//! The open stream to a remote domain: our stanzas go out, and only answers come in.
//!
//! The machine does not see our stanzas: the driver writes them between two `Transmit`s. The peer may send no
//! stanzas here. One that it sends costs itself, and the stream goes on.
//!
//! COMPAT: ejabberd (23.01 and later) answers some of our stanzas, such as one to an address that it cannot
//! read, on the stream that they came on. An error stanza from the remote domain to ours is therefore taken
//! as the answer that it is.
//!
//! This is safe: the peer is the server that gets our stanzas for this domain, under a policy that is as
//! strict as the one for a stream from it. A peer that could forge an answer could also have kept the stanza.
//! An error is never answered, so nothing is amplified. A `result` has data, and no deployed server sends one
//! here: it has to come on a stream that the remote opens, like all other stanzas.
use super::{
    Stray,
    counted::{Acks, Counted, Resumable},
};
use crate::{
    DomainPair,
    framer::{self, Frame},
    policy::{Bounds, Mechanism, Policy},
    stanza::{Intake, Stanza},
    stream::{
        End, Error, Header, Secured, Stage,
        closing::State,
        error::Fault,
        features::StreamLimits,
        wire::{self, Wire},
    },
    truncate::truncate,
    xml::{self, ns},
};
use bytes::{Bytes, BytesMut};

/// An open stream to a remote domain. A [`Session`](super::Session) ends in it.
#[derive(Debug)]
pub struct Open {
    pair: DomainPair,
    policy: Policy,
    mechanism: Mechanism,
    secured: Option<Secured>,
    /// Announced by the peer.
    limits: StreamLimits,
    pub(super) wire: Wire<Output>,
    state: State,
    /// Reads error stanzas; `None` when the peer's header is so long that no answer is taken.
    intake: Option<Intake>,
    /// Elements read so far, those of the handshake included.
    elements: usize,
    /// An answer without a question was reported.
    unsolicited: bool,
    pub(super) counted: Counted,
}

/// The next thing for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Write these bytes.
    Transmit(Bytes),
    /// An error stanza between the domains of the pair: the answer to a stanza of ours.
    Answer(Stanza),
    /// The peer has sent something else, which is dropped.
    Stray(Stray),
    /// The peer has sent an answer to a question that we did not ask. It is ignored; reported once, for the
    /// log.
    Unsolicited {
        /// `result` or `verify`.
        element: String,
    },
    /// The peer acknowledges stanzas from now on. Those since the [request](super::Acks::Requested) count.
    AcksOn {
        /// As in [`Acks::On`].
        resumable: Option<Resumable>,
    },
    /// The peer has refused the request for acks, or its answer cannot be used. The stream goes on without
    /// them.
    AcksRefused {
        /// The condition of the peer, or the fault of its answer.
        reason: String,
    },
    /// The peer has handled so many stanzas: a count for the [`Ledger`](crate::acks::Ledger). If that refuses
    /// it, close the stream with the error. Acks come after [`Open::close`] too, until the stream is over.
    Acknowledged {
        /// The count, mod 2^32.
        h: u32,
    },
    /// The stream is over. Write what was transmitted, then close.
    Ended(End),
}

/// The results of a handshake for the open stream.
pub(super) struct Negotiated {
    pub(super) pair: DomainPair,
    pub(super) policy: Policy,
    pub(super) mechanism: Mechanism,
    pub(super) secured: Option<Secured>,
    /// Announced by the peer.
    pub(super) limits: StreamLimits,
    /// The peer's header.
    pub(super) header: Header,
    pub(super) bounds: Bounds,
    /// Elements read so far.
    pub(super) elements: usize,
    /// An answer without a question was reported.
    pub(super) unsolicited: bool,
    pub(super) counted: Counted,
}

impl From<End> for Output {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl Open {
    /// Goes on behind a handshake, on its wire.
    pub(super) fn new(negotiated: Negotiated, mut wire: Wire<Output>) -> Self {
        let Negotiated { pair, policy, mechanism, secured, limits, header, .. } = negotiated;
        let Negotiated { bounds, elements, unsolicited, counted, .. } = negotiated;
        // An answer may be as long as our stanzas.
        wire.limit(bounds.for_known(policy.max_stanza.saturating_add(LONGER_BY)));
        // A header that declares much would make each answer long.
        let intake = wire.confine_header(&header).is_ok().then(|| wire.intake(header.lang));
        if let Some(malformed) = counted.malformed {
            wire.emit(Output::AcksRefused { reason: format!("its <resumed/> has {malformed}") });
        }
        let state = State::Open;
        Self { pair, policy, mechanism, secured, limits, wire, state, intake, elements, unsolicited, counted }
    }

    /// The mechanism that authenticated us.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The TLS session; `None` in clear text.
    pub fn transport(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// The terms for the peer.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The peer's limit for one stanza, in bytes (XEP-0478).
    pub fn max_stanza(&self) -> Option<usize> {
        self.limits.max_bytes
    }

    /// The seconds without traffic after which the peer closes the stream (XEP-0478).
    pub fn idle_seconds(&self) -> Option<u64> {
        self.limits.idle_seconds
    }

    /// Whether the peer's closing tag is missing.
    pub fn is_open(&self) -> bool {
        !self.wire.is_closed()
    }

    /// The point at which the stream is.
    pub fn stage(&self) -> Stage {
        self.state.stage()
    }

    /// Takes bytes that were read from the peer.
    pub fn receive(&mut self, bytes: BytesMut) {
        if self.state.is_over() {
            return;
        }
        if let Some(intake) = &mut self.intake {
            intake.begin_read();
        }
        self.wire.receive(bytes);
    }

    /// Closes the stream, behind a last ack if it has acks: nothing that the peer sends from now on is taken,
    /// except its acks. [`Output::Ended`] follows when the peer has closed its side too.
    pub fn close(&mut self, error: Option<Error>) {
        self.write_last_ack();
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
                Ok(None) if self.answer_request() => Ok(()),
                Ok(None) => return None,
                Ok(Some(Frame::Element(element))) if self.is_of_acks(&element) => self.acks_element(&element),
                // The last ack is sent, and the peer sends again what it does not count.
                Ok(Some(Frame::Element(element))) if self.is_too_late(&element) => Ok(()),
                Ok(Some(Frame::Element(element))) if !concerns_the_stream(&element, &self.policy) => {
                    self.count(&element);
                    match self.read_answer(element) {
                        // Nothing is ready that would come before it.
                        Ok(answer) => return Some(Output::Answer(answer)),
                        Err(stray) => self.stray(stray),
                    }
                    Ok(())
                }
                Ok(Some(Frame::Element(element))) => self.element(&element),
                Ok(Some(Frame::Footer)) => {
                    self.write_last_ack();
                    self.state.footer(&mut self.wire);
                    Ok(())
                }
                // A stream has one header between two restarts, and the last one was in the handshake.
                Ok(Some(Frame::Header(_))) => Ok(()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = step {
                self.write_last_ack();
                self.state.fail(&mut self.wire, fault);
            }
        }
    }

    fn element(&mut self, element: &framer::RawElement) -> Result<(), Fault> {
        self.elements += 1;
        if self.elements > ELEMENTS {
            return Err(Fault::TooMany("elements that are not an answer"));
        }
        let element = self.wire.read(element, wire::TAGS_OF_FEATURES)?;
        match (element.namespace.as_str(), element.name.as_str()) {
            (ns::STREAM, "error") => {
                self.write_last_ack();
                self.state.peer_error(&mut self.wire, Error::parse(&element));
            }
            _ if !self.state.is_open() => {}
            (ns::STREAM, "features") => {}
            (ns::DIALBACK, _) if !self.unsolicited => {
                self.unsolicited = true;
                self.wire.emit(Output::Unsolicited { element: truncate(&element.name).into_owned() });
            }
            (ns::DIALBACK, _) => {}
            _ => self.stray(Stray::NoStanza),
        }
        Ok(())
    }

    fn read_answer(&mut self, element: framer::RawElement) -> Result<Stanza, Stray> {
        if !wire::is_stanza(&element) {
            return Err(Stray::NoStanza);
        }
        let stanza = self.intake.as_mut().map(|intake| intake.admit(element));
        let Some(Ok(stanza)) = stanza else { return Err(Stray::Malformed) };
        if *stanza.from_domain() != self.pair.remote || *stanza.to_domain() != self.pair.local {
            return Err(Stray::OtherDomains);
        }
        match stanza.type_().map(xml::unescape).as_deref() {
            Some("error") => Ok(stanza),
            _ => Err(Stray::NoAnswer),
        }
    }

    /// Writes the last ack, unless our closing tag is sent.
    fn write_last_ack(&mut self) {
        if self.state.is_open() {
            self.counted.write(&mut self.wire);
        }
    }

    /// Whether our closing tag is sent.
    pub(super) fn is_closing(&self) -> bool {
        !self.state.is_open()
    }

    /// Whether a stanza comes behind our last ack.
    fn is_too_late(&self, element: &framer::RawElement) -> bool {
        self.is_closing() && matches!(self.counted.acks, Acks::On { .. }) && wire::is_stanza(element)
    }

    /// Reports an element that is dropped.
    pub(super) fn stray(&mut self, stray: Stray) {
        if self.state.is_open() {
            self.wire.emit(Output::Stray(stray));
        }
    }
}

/// Whether an element without a place on an open stream may end it, or be a late answer of the negotiation.
/// All others need not be read.
pub(super) fn concerns_the_stream(element: &framer::RawElement, policy: &Policy) -> bool {
    matches!(wire::local_name(element), b"error" | b"features" | b"result" | b"verify")
        && element.bytes.len() <= policy.max_stanza_unauthenticated
}

/// An answer is longer than the stanza that it answers by an error with a text, in bytes.
const LONGER_BY: usize = 4 * 1024;

/// Elements of one stream that are read. A negotiation has about ten. Elements that an open stream drops
/// unread do not count.
pub(super) const ELEMENTS: usize = 64;
