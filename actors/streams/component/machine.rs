//! The protocol of a component stream: a handshake first, then the open stream.

use bytes::BytesMut;
use xmpp::{
    Domain,
    component::{Handshake, Names, Open},
    policy::Bounds,
    stream::{Error, Stage},
};

/// The protocol of a component stream.
#[derive(Debug)]
pub(super) enum Machine {
    Handshake(Handshake),
    Open(Open),
}

impl Machine {
    pub(super) fn receive(&mut self, bytes: BytesMut) {
        match self {
            Self::Handshake(handshake) => handshake.receive(bytes),
            Self::Open(open) => open.receive(bytes),
        }
    }

    /// Opens the stream if a name has been claimed on it.
    pub(super) fn accept(&mut self) {
        if let Self::Handshake(handshake) = self
            && let Some(open) = handshake.accept()
        {
            *self = Self::Open(open);
        }
    }

    pub(super) fn conflict(&mut self) {
        if let Self::Handshake(handshake) = self {
            handshake.conflict();
        }
    }

    /// Takes no stanza from now on.
    pub(super) fn stop_accepting(&mut self) {
        match self {
            // It takes none.
            Self::Handshake(_) => {}
            Self::Open(open) => open.stop_accepting(),
        }
    }

    /// Whether stanzas are taken, or will be when the stream is open.
    pub(super) fn is_accepting(&self) -> bool {
        match self {
            Self::Handshake(_) => true,
            Self::Open(open) => open.is_accepting(),
        }
    }

    /// The number of stanzas that came since none are taken.
    pub(super) fn ignored(&self) -> u64 {
        match self {
            Self::Handshake(_) => 0,
            Self::Open(open) => open.ignored(),
        }
    }

    pub(super) fn close(&mut self, error: Option<Error>) {
        match self {
            Self::Handshake(handshake) => handshake.close(error),
            Self::Open(open) => open.close(error),
        }
    }

    pub(super) fn adopt(&mut self, names: Names, max_stanza: usize, bounds: Bounds) {
        match self {
            Self::Handshake(handshake) => handshake.adopt(names, max_stanza, bounds),
            Self::Open(open) => open.adopt(names, max_stanza, &bounds),
        }
    }

    pub(super) fn take_unproductive(&mut self) -> usize {
        match self {
            Self::Handshake(_) => 0,
            Self::Open(open) => open.take_unproductive(),
        }
    }

    /// The name in the component's header, configured or not.
    pub(super) fn claimed(&self) -> Option<&Domain> {
        match self {
            Self::Handshake(handshake) => handshake.claimed(),
            Self::Open(open) => Some(open.announced()),
        }
    }

    /// The node sends a request with this id to the name in the component's header.
    pub(super) fn expect_answer(&mut self, id: &str) {
        if let Self::Open(open) = self {
            open.expect_answer(id.to_owned());
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.is_open(),
            Self::Open(open) => open.is_open(),
        }
    }

    pub(super) fn has_closed(&self) -> bool {
        match self {
            Self::Handshake(handshake) => handshake.has_closed(),
            Self::Open(open) => open.has_closed(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Handshake(handshake) => handshake.stage(),
            Self::Open(open) => open.stage(),
        }
    }
}
