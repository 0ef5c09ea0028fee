//! An authenticated stream to a remote domain.

use std::{fmt, net::SocketAddr, time::SystemTime};

use xmpp::stream::initiating::Open;

use crate::{
    flow::trace::Trace,
    settings::{HostPort, Remote},
};
use net::{stream::Stream, tls};

/// An authenticated stream, which takes stanzas.
pub struct Session {
    /// The connection.
    pub stream: Stream,
    /// The protocol of the stream.
    pub machine: Box<Open>,
    /// The trace of the bytes on the stream so far.
    pub trace: Trace,
    /// The address of the peer.
    pub address: SocketAddr,
    /// The time at which the peer's certificate expires; `None` without one.
    pub expires: Option<SystemTime>,
    /// The certificates of the peer, to verify them again after a reload.
    pub peer_chain: Option<tls::PeerChain>,
    /// The address in the configuration, if the DNS was not used.
    pub route: Option<StaticRoute>,
}

/// The address of a remote domain in the configuration (`address` in `[[remote]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// The address.
    pub address: HostPort,
    /// Whether TLS comes first (XEP-0368).
    pub direct_tls: bool,
}

impl StaticRoute {
    /// The address in the policy for a remote domain; `None` if the DNS is used.
    pub fn of(remote: &Remote) -> Option<Self> {
        Some(Self { address: remote.address.clone()?, direct_tls: remote.direct_tls })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("address", &self.address).finish_non_exhaustive()
    }
}
