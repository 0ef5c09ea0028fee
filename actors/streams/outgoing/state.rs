//! The states of an outgoing session, from the attempt to the end of its link.

use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;
use xmpp::stream::initiating;

use super::{ending::Ending, inbound::Inbound};
use crate::{
    dial::attempt::{Adopt, Lost, PendingDial, StaticRoute},
    streams::connection::Connection,
};
use net::tls;

/// The state of the stream. What only an open stream needs is in a box of its own: thousands of attempts may wait at a time.
pub(super) enum State {
    /// The actor has not started.
    New(Box<PendingDial>),
    /// An attempt is being made.
    Dialing {
        /// Ends the attempt.
        attempt: AbortHandle,
        /// The configuration that came meanwhile; the attempt runs under the one before.
        adopted: Option<Adopt>,
        /// The lost stream that it asks for.
        lost: Option<Box<Lost>>,
    },
    /// The stream takes stanzas.
    Open(Box<Session>),
    /// The stream takes no more stanzas; the link is still up.
    Closing(Box<Session>, Box<Ending>),
    /// The link is down.
    Closed(Box<Ending>),
    /// The attempt failed: the actor stops.
    Failed,
}

/// The authenticated stream.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) machine: Box<initiating::Open>,
    pub(super) inbound: Inbound,
    /// When the peer's certificate expires.
    pub(super) expires: Option<SystemTime>,
    /// The certificates of the peer, to verify them again under a new configuration.
    pub(super) peer_chain: Option<tls::PeerChain>,
    /// The configured address of the remote, if the attempt used one.
    pub(super) route: Option<StaticRoute>,
    /// When the peer closes an idle stream, with a margin (XEP-0478).
    pub(super) peer_idle_timeout: Option<Duration>,
}

impl State {
    pub(super) fn session(&self) -> Option<&Session> {
        match self {
            Self::Open(session) | Self::Closing(session, _) => Some(session),
            Self::New(_) | Self::Dialing { .. } | Self::Closed(_) | Self::Failed => None,
        }
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Open(session) | Self::Closing(session, _) => Some(session),
            Self::New(_) | Self::Dialing { .. } | Self::Closed(_) | Self::Failed => None,
        }
    }

    pub(super) fn ending_mut(&mut self) -> Option<&mut Ending> {
        match self {
            Self::Closing(_, ending) | Self::Closed(ending) => Some(ending),
            Self::New(_) | Self::Dialing { .. } | Self::Open(_) | Self::Failed => None,
        }
    }

    /// An open stream takes no more stanzas.
    pub(super) fn begin_closing(&mut self, ending: Ending) {
        let ending = Box::new(ending);
        *self = match std::mem::replace(self, Self::Failed) {
            Self::Open(session) => Self::Closing(session, ending),
            other => other,
        };
    }

    /// The link of a closing stream is down.
    pub(super) fn finish_closing(&mut self) {
        *self = match std::mem::replace(self, Self::Failed) {
            Self::Closing(_, ending) => Self::Closed(ending),
            other => other,
        };
    }
}
