//! Acks on the stream that we open (XEP-0198): requested behind authentication, then counted in both
//! directions.
//!
//! The peer acknowledges our stanzas: the driver gives each count to its [`Ledger`](crate::acks::Ledger). We
//! acknowledge the error stanzas that the peer sends here.
use super::{
    Handshake, State as HandshakeState, Stray,
    counted::{Acks, Resumable, Resumption},
    open::{Open, Output},
    session::{Awaited, Session},
};
use crate::{
    acks::{self, Count, Previous},
    framer,
    policy::Mechanism,
    stream::{error::Fault, wire},
    xml::{self, Element, ns},
};

impl Handshake<Session> {
    /// Goes on behind authentication: the stream opens, with a request for acks if the peer offers them. If
    /// it is to continue another, the answer to that comes first.
    pub(super) fn reach(&mut self, mechanism: Mechanism) {
        let options = &self.plan.acks;
        self.state = match &options.resume {
            _ if !options.enabled || !self.features.acks => HandshakeState::Reached(mechanism),
            Some(Previous { id, handled, .. }) => {
                self.wire.write(&acks::resume(id, *handled));
                HandshakeState::Goal(Awaited::Resumption(mechanism))
            }
            None => return self.enable(mechanism),
        };
    }

    fn enable(&mut self, mechanism: Mechanism) {
        self.wire.write(&acks::enable(self.plan.acks.resumable));
        self.goal.counted.acks = Acks::Requested;
        self.state = HandshakeState::Reached(mechanism);
    }

    /// Takes the answer to `<resume/>`. Gives `false` when it is none.
    pub(super) fn resumption_answer(&mut self, mechanism: Mechanism, element: &Element) -> bool {
        let Some(Previous { id, handled, max }) = self.plan.acks.resume.take() else { return false };
        let counted = &mut self.goal.counted;
        match element.name.as_str() {
            "resumed" => {
                match acks::read::resumed(element, &id) {
                    Ok(h) => {
                        counted.resumption = Resumption::Resumed { h };
                        counted.handled = Count::starting_at(handled);
                        counted.acks = Acks::On { resumable: Some(Resumable { id, max }) };
                    }
                    // Our next stanza has a number that we do not know, and a second request would be a
                    // fault. The stream is usable without acks, so it is used.
                    Err(malformed) => {
                        counted.resumption = Resumption::Unknown;
                        counted.malformed = Some(malformed);
                    }
                }
                self.state = HandshakeState::Reached(mechanism);
            }
            "failed" => {
                counted.resumption = match acks::read::failed(element) {
                    Some(h) => Resumption::Counted { h },
                    None => Resumption::Unknown,
                };
                self.enable(mechanism);
            }
            _ => {
                self.plan.acks.resume = Some(Previous { id, handled, max });
                return false;
            }
        }
        true
    }
}

impl Open {
    /// The acks of the stream.
    pub fn acks(&self) -> &Acks {
        &self.counted.acks
    }

    /// The answer to the request to resume another stream.
    pub fn resumption(&self) -> Resumption {
        self.counted.resumption
    }

    /// The number of stanzas of the peer that were handled on this stream, mod 2^32: `handled` of
    /// [`Previous`] when it is resumed.
    pub fn handled_count(&self) -> u32 {
        self.counted.handled.get()
    }

    /// Whether an element is one of acks, and the stream has them.
    pub(super) fn is_of_acks(&self, element: &framer::RawElement) -> bool {
        self.counted.acks != Acks::Off && self.wire.is_in(element, ns::ACKS)
    }

    /// Takes an element of acks. One that has no place here does not end the stream, nor does an ack that
    /// cannot be read: XEP-0198 section 6 calls such errors recoverable. The request then stays without an
    /// answer, which has a time limit of its own.
    pub(super) fn acks_element(&mut self, element: &framer::RawElement) -> Result<(), Fault> {
        match (wire::local_name(element), &self.counted.acks) {
            (b"a", Acks::On { .. }) => match acks::read::answer(element) {
                Ok(h) => self.wire.emit(Output::Acknowledged { h }),
                Err(_) => self.stray(Stray::BadAck),
            },
            (b"r", Acks::On { .. }) => self.counted.asked = true,
            (b"r", Acks::Requested | Acks::Off) => {}
            (b"enabled", Acks::Requested) if self.is_short(element) => {
                let element = self.wire.read(element, wire::TAGS)?;
                let resumable = acks::read::enabled(&element).map(|(id, max)| Resumable { id, max });
                self.counted.acks = Acks::On { resumable: resumable.clone() };
                self.wire.emit(Output::AcksOn { resumable });
            }
            (b"failed", Acks::Requested) if self.is_short(element) => {
                let element = self.wire.read(element, wire::TAGS)?;
                self.counted.acks = Acks::Off;
                self.wire.emit(Output::AcksRefused { reason: acks::read::condition(&element) });
            }
            _ => self.stray(Stray::NoStanza),
        }
        Ok(())
    }

    /// Whether an element is worth reading. A longer one is dropped.
    fn is_short(&self, element: &framer::RawElement) -> bool {
        element.bytes.len() <= self.policy().max_stanza_unauthenticated
            && !xml::has_more_tags(&element.bytes, wire::TAGS)
    }

    /// Counts a stanza of the peer, whatever becomes of it: the peer counts it too.
    pub(super) fn count(&mut self, element: &framer::RawElement) {
        if matches!(self.counted.acks, Acks::On { .. }) && self.wire.is_counted(element) {
            self.counted.handled.add(1);
        }
    }

    /// Answers the requests of the peer. Gives whether there were any.
    pub(super) fn answer_request(&mut self) -> bool {
        let asked = std::mem::take(&mut self.counted.asked) && !self.is_closing();
        if asked {
            self.counted.write(&mut self.wire);
        }
        asked
    }
}
