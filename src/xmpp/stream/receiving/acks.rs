//! The acks of a stream from a remote server as data: the count of handled stanzas, and whether more are
//! accepted.
use super::{Error, Fault};
use crate::acks::Count;

/// The acks of a stream, and the stanzas that the driver has not handled yet.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pub(super) state: State,
    acceptance: Acceptance,
    /// Stanzas that were output and not handled, mod 2^32.
    pub(super) unhandled: u32,
}

/// The acks of a stream.
#[derive(Debug, Default)]
pub(super) enum State {
    /// The peer has not requested any.
    #[default]
    Off,
    /// The peer has asked to continue the stream with this id, and the driver has to answer.
    Claimed(String),
    /// The peer could not continue a stream. It may request acks for this one.
    Unresumed,
    /// The peer gets acks.
    On {
        handled: Count,
        /// Stanzas that were output before, and are not handled: they are in no count.
        uncounted: u32,
        /// The number of stanzas that were output before the last request for an ack, mod 2^32.
        asked_at: Option<u32>,
    },
}

/// Whether stanzas of a stream with acks are accepted.
#[derive(Debug, Default)]
enum Acceptance {
    #[default]
    Open,
    /// The last ack is sent or about to be.
    Stopped,
    /// The stream ends like this as soon as all stanzas that were output are handled.
    Ending(Box<Ending>),
}

/// The way in which a stream ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The peer's closing tag.
    Footer,
    /// The peer's stream error.
    ByPeer(Error),
    /// A fault of the peer.
    Fault(Fault),
    /// A `<starttls/>` out of place.
    StartTls,
    /// The driver closes the stream.
    Close(Option<Error>),
}

/// Whether the machine reads on.
pub(super) enum Gate {
    Reading,
    /// The driver has to do something first.
    Waiting,
    /// The stream ends now.
    Ending(Box<Ending>),
}

impl Acks {
    /// Notes that a stanza was output, or the refusal of one.
    pub(super) fn output(&mut self) {
        self.unhandled = self.unhandled.wrapping_add(1);
    }

    pub(super) fn are_off(&self) -> bool {
        matches!(self.state, State::Off | State::Unresumed)
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.acceptance, Acceptance::Ending(_))
    }

    pub(super) fn are_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }

    pub(super) fn begin(&mut self, handled: Count) {
        self.state = State::On { handled, uncounted: self.unhandled, asked_at: None };
    }

    pub(super) fn handled(&mut self, stanzas: u32) {
        let stanzas = stanzas.min(self.unhandled);
        self.unhandled -= stanzas;
        if let State::On { handled, uncounted, .. } = &mut self.state {
            let before = stanzas.min(*uncounted);
            *uncounted -= before;
            handled.add(stanzas - before);
        }
    }

    /// Notes a request for an ack. Gives whether stanzas came since the last one.
    pub(super) fn ask(&mut self) -> bool {
        let State::On { handled, uncounted, asked_at } = &mut self.state else { return false };
        let output = handled.get().wrapping_add(self.unhandled.saturating_sub(*uncounted));
        asked_at.replace(output) != Some(output)
    }

    pub(super) fn is_accepting(&self) -> bool {
        matches!(self.acceptance, Acceptance::Open)
    }

    pub(super) fn stop(&mut self) {
        if self.is_accepting() {
            self.acceptance = Acceptance::Stopped;
        }
    }

    pub(super) fn give_up(&mut self) {
        self.unhandled = 0;
        if let State::On { uncounted, .. } = &mut self.state {
            *uncounted = 0;
        }
    }

    /// Notes how the stream ends. The first end counts.
    pub(super) fn end_by(&mut self, ending: Ending) {
        if !self.is_ending() {
            self.acceptance = Acceptance::Ending(Box::new(ending));
        }
    }

    /// Whether the machine reads on. An end is given once.
    pub(super) fn gate(&mut self) -> Gate {
        if self.is_ending() && self.are_on() && self.unhandled > 0 {
            return Gate::Waiting;
        }
        match std::mem::replace(&mut self.acceptance, Acceptance::Stopped) {
            Acceptance::Ending(ending) => return Gate::Ending(ending),
            other => self.acceptance = other,
        }
        match self.state {
            State::Claimed(_) => Gate::Waiting,
            State::Off | State::Unresumed | State::On { .. } => Gate::Reading,
        }
    }
}
