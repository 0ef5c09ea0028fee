//! Acks on the stream of a remote server (XEP-0198): we count its stanzas, and say so when it asks.
//!
//! A stanza is handled when the driver says so, since the router may have no room for it. The count that is
//! sent never includes a stanza that may still be dropped. The last count, which goes before our closing tag,
//! is final: nothing that comes later is accepted, and nothing that was accepted is left out of it.
//! Therefore the end of a stream waits until the driver has handled what was output.
use super::{
    Fault,
    acks::{Ending, Gate, State},
    negotiation::Asked,
    open::{Open, Output},
    wire,
};
use crate::{
    acks::{self, Count, Malformed, TooHigh},
    framer,
    truncate::truncate,
    xml::ns,
};

/// The answer to a request to continue a lost stream, [`Output::Resume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The stream goes on here. So many of its stanzas were handled, mod 2^32.
    Continue {
        /// The final count of the lost connection.
        handled: u32,
    },
    /// The stream is over, but its count is remembered.
    Expired {
        /// The final count.
        handled: u32,
    },
    /// Nothing is known of the stream, or it is not the peer's.
    Unknown,
    /// The request makes no sense here.
    Unexpected,
    /// Another connection of the peer has made the same request later. This stream ends with `conflict`: any `<failed/>`
    /// would say that the lost stream is over.
    Overtaken,
    /// The count is not final yet. The stream ends with `resource-constraint`, and the peer may ask again on another.
    NotYet,
}

impl Open {
    /// Notes that the driver has handled so many stanzas of the stream, in the order of the outputs: the
    /// router has accepted them, or they are answered. An [`Output::Stanza`] is one, and an
    /// [`Output::StanzaRefused`] is one if its reason [is about a stanza](crate::stanza::Reason).
    ///
    /// To be called on every stream from the start, with acks or without: the machine knows which stanzas
    /// count. Call [`Open::poll`] afterwards, since the end of a stream may have waited for this.
    pub fn handled(&mut self, stanzas: u32) {
        debug_assert!(stanzas <= self.acks.unhandled, "more stanzas than were output");
        self.acks.handled(stanzas);
    }

    /// Answers requests of the peer for an ack, with the number of stanzas that are handled by now. One
    /// answer is enough for all requests so far.
    pub fn acknowledge(&mut self) {
        if !self.negotiation.is_closing() {
            self.write_ack();
        }
    }

    /// The number of stanzas that were output and are not handled.
    pub fn unhandled(&self) -> u32 {
        self.acks.unhandled
    }

    /// The number of stanzas that are handled, mod 2^32, since acks were enabled; over all connections of a
    /// stream that was resumed. Zero without acks.
    pub fn handled_count(&self) -> u32 {
        match &self.acks.state {
            State::On { handled, .. } => handled.get(),
            State::Off | State::Claimed(_) | State::Unresumed => 0,
        }
    }

    /// Whether the peer gets acks.
    pub fn has_acks(&self) -> bool {
        self.acks.are_on()
    }

    /// Accepts no stanza from now on, if the stream has acks: those that come are neither output nor
    /// answered, and no ack counts them. The peer has to send them again. Those that were output can still be
    /// [handled](Self::handled). A stream without acks is not affected.
    pub fn stop_accepting(&mut self) {
        self.acks.stop();
    }

    /// Gives up the stanzas that were output and not handled: they never will be, and no ack counts them. An
    /// end of the stream that waits for them takes place. Call [`Open::poll`] afterwards.
    pub fn give_up_unhandled(&mut self) {
        self.acks.stop();
        self.acks.give_up();
    }

    /// Answers [`Output::Resume`]. The stream reads on. Gives whether the lost stream goes on here: never
    /// unless `claim` says so, and not if this one is closing meanwhile. The count of a stream that does not
    /// go on stays with the driver.
    #[must_use = "a count may be lost otherwise"]
    pub fn resumed(&mut self, claim: Claim) -> bool {
        let State::Claimed(previd) = &mut self.acks.state else { return false };
        let previd = std::mem::take(previd);
        self.acks.state = State::Unresumed;
        if self.negotiation.is_closing() {
            return false;
        }
        let answer = match claim {
            Claim::Continue { handled } => {
                self.acks.begin(Count::starting_at(handled));
                acks::resumed(&previd, handled)
            }
            Claim::Expired { handled } => acks::failed("item-not-found", Some(handled)),
            Claim::Unknown => acks::failed("item-not-found", None),
            Claim::Unexpected => acks::failed("unexpected-request", None),
            Claim::Overtaken => return self.end_unanswered(Fault::Overtaken),
            Claim::NotYet => return self.end_unanswered(Fault::NotYielded),
        };
        self.negotiation.wire.write(&answer);
        self.acks.are_on()
    }

    /// Ends a stream whose request to continue another has no answer.
    fn end_unanswered(&mut self, fault: Fault) -> bool {
        self.end_by(Ending::Fault(fault));
        false
    }

    /// Whether an element is one of acks, and the peer may have them.
    pub(super) fn is_of_acks(&self, element: &framer::RawElement) -> bool {
        (self.acks.are_on() || self.negotiation.policy().acks.is_some())
            && self.negotiation.wire.is_in(element, ns::ACKS)
    }

    /// Takes an element of acks. What has no place or cannot be read does not end the stream (XEP-0198 section
    /// 6 calls such errors recoverable), except a second request for acks and a count that is too high.
    pub(super) fn acks_element(&mut self, element: &framer::RawElement) -> Result<(), Fault> {
        let name = wire::local_name(element);
        let is_productive = name == b"r" && self.acks.ask();
        if !is_productive {
            self.unproductive += wire::work_of(element);
        }
        if self.is_closing() {
            return Ok(());
        }
        match (name, self.acks.are_on()) {
            (b"r", true) => self.negotiation.wire.emit(Output::AckDue),
            (b"r", false) => {}
            (b"a", true) => match acks::read::answer(element) {
                Ok(0) => {}
                Ok(h) => return Err(Fault::TooHigh(TooHigh { h, sent: 0 })),
                Err(malformed) => self.report_malformed("a", malformed),
            },
            (b"enable", true) => return Err(Fault::EnabledTwice),
            (b"enable", false) => {
                let element = self.negotiation.read(element)?;
                self.enable_acks(acks::read::enable(&element));
            }
            (b"resume", false) if matches!(self.acks.state, State::Off) => {
                let element = self.negotiation.read(element)?;
                return self.claim(acks::read::resume(&element));
            }
            (b"resume", _) => self.negotiation.wire.write(&acks::failed("unexpected-request", None)),
            (name, _) => {
                let name = String::from_utf8_lossy(name);
                let reason =
                    format!("<{}/> of acks, which answers nothing that was requested here", truncate(&name));
                self.negotiation.report(Asked::Acks, reason);
            }
        }
        Ok(())
    }

    fn enable_acks(&mut self, resumable: bool) {
        let resume_for = self.negotiation.policy().acks.and_then(|offer| offer.resume_for);
        let resume_for = resume_for.filter(|_| resumable);
        let resume = resume_for.map(|_| self.negotiation.new_id());
        let enabled = acks::enabled(resume.as_deref().zip(resume_for));
        self.negotiation.wire.write(&enabled);
        self.acks.begin(Count::new());
        self.negotiation.wire.emit(Output::AcksEnabled { resume });
    }

    /// Takes a request to continue a lost stream.
    fn claim(&mut self, request: Result<(String, u32), Malformed>) -> Result<(), Fault> {
        match request {
            Err(malformed) => {
                self.report_malformed("resume", malformed);
                self.negotiation.wire.write(&acks::failed("bad-request", None));
            }
            Ok((_, h)) if h > 0 => return Err(Fault::TooHigh(TooHigh { h, sent: 0 })),
            Ok(_) if self.negotiation.policy().acks.is_none_or(|offer| offer.resume_for.is_none()) => {
                self.negotiation.wire.write(&acks::failed("feature-not-implemented", None));
            }
            Ok((previd, h)) => {
                self.acks.state = State::Claimed(previd.clone());
                self.negotiation.wire.emit(Output::Resume { previd, h });
            }
        }
        Ok(())
    }

    fn report_malformed(&mut self, name: &str, malformed: Malformed) {
        self.negotiation.report(Asked::Acks, format!("<{name}/> of acks has {malformed}"));
    }

    /// Whether stanzas are accepted. Behind the last ack none are.
    pub(super) fn accepts(&self) -> bool {
        !self.acks.are_on() || self.acks.is_accepting() && !self.negotiation.is_closing()
    }

    /// Ends the stream, at once or when the driver has handled what was output.
    pub(super) fn end_by(&mut self, ending: Ending) {
        self.acks.end_by(ending);
        if let Gate::Ending(ending) = self.acks.gate() {
            self.finish(*ending);
        }
    }

    /// Sends the last ack and our closing tag.
    pub(super) fn finish(&mut self, ending: Ending) {
        if !self.negotiation.is_closing() {
            self.write_ack();
        }
        match ending {
            Ending::Footer => self.negotiation.footer(),
            Ending::ByPeer(error) => self.negotiation.peer_error(error),
            Ending::Fault(fault) => self.negotiation.fail(fault),
            Ending::StartTls => self.negotiation.refuse_tls(),
            Ending::Close(error) => self.negotiation.close(error),
        }
    }

    fn write_ack(&mut self) {
        if let State::On { handled, .. } = &self.acks.state {
            self.negotiation.wire.push(&acks::answer(handled.get()));
        }
    }
}
