//! The end of an open stream: the closing tags of both sides (RFC 6120 section 4.4), or an error.
use super::{End, Error, Stage, error::Fault, wire::Wire};

/// The state of an open stream. The machine that owns it also owns the wire, and its output can be an [`End`].
#[derive(Debug)]
pub(crate) enum State {
    Open,
    /// Our closing tag is sent. The stream ends like this when the peer closes too.
    Closing(End),
    Over,
}

impl State {
    /// Whether our closing tag is not sent yet.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether the stream is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// The point at which the stream is.
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::Open => Stage::Open,
            Self::Closing(_) => Stage::ClosingTag,
            Self::Over => Stage::Over,
        }
    }

    /// Sends the error, if there is one, and our closing tag, unless the tag is sent.
    pub(crate) fn close<O>(&mut self, wire: &mut Wire<O>, error: Option<Error>) {
        if self.is_open() {
            wire.close(error.as_ref());
            *self = Self::Closing(error.map_or(End::Closed, End::ByUs));
        }
    }

    /// Takes the peer's closing tag.
    pub(crate) fn footer<O: From<End>>(&mut self, wire: &mut Wire<O>) {
        let end = match self {
            Self::Closing(end) => end.clone(),
            Self::Open | Self::Over => End::Closed,
        };
        self.answer(wire, end);
    }

    /// Takes a stream error of the peer.
    pub(crate) fn peer_error<O: From<End>>(&mut self, wire: &mut Wire<O>, error: Error) {
        self.answer(wire, End::ByPeer(error));
    }

    /// Ends the stream for a fault of the peer.
    pub(crate) fn fail<O: From<End>>(&mut self, wire: &mut Wire<O>, fault: Fault) {
        let error = Error::from(fault);
        if self.is_open() {
            wire.close(Some(&error));
        }
        self.end(wire, End::ByUs(error));
    }

    /// Sends our closing tag unless it is sent, and ends the stream.
    fn answer<O: From<End>>(&mut self, wire: &mut Wire<O>, end: End) {
        if self.is_open() {
            wire.close(None);
        }
        self.end(wire, end);
    }

    fn end<O: From<End>>(&mut self, wire: &mut Wire<O>, end: End) {
        *self = Self::Over;
        wire.emit(end.into());
    }
}
