//! The limits of accepted connections, as the configuration sets them.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::addresses::Bounds;
use crate::streams::accepted::Peer;
use net::subnet::Subnet;

/// Limits of accepted connections. All but the first two are for connections that have not authenticated.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// One permit for each connection that is served, shared by listeners.
    pub connection_permits: Arc<Semaphore>,
    /// The number of these permits. One address can have three quarters of them.
    pub connections: usize,
    /// Connections that are served at one time; as many more may wait.
    pub unauthenticated: usize,
    /// Connections of one address that are served at one time; further ones wait. An IPv6 /64 is one address.
    pub per_address: usize,
    /// The factor by which that limit grows for an address with authenticated connections; 1: it does not
    /// grow.
    pub growth: usize,
    /// Connections of one address that may end without authentication per minute.
    pub attempts: usize,
    /// The time limit for a first byte and a direct TLS handshake, and for the wait in the queue.
    pub handshake_timeout: Duration,
    /// The addresses that may connect over TCP, besides loopback; `None`: all.
    pub allow: Option<Arc<[Subnet]>>,
}

impl Limits {
    /// Whether this peer may connect. The permissions of the file decide about the peers of a Unix socket, and only
    /// processes on this machine have a loopback address.
    pub(super) fn permits(&self, peer: Peer) -> bool {
        let (Peer::Tcp(address), Some(allow)) = (peer, &self.allow) else { return true };
        let ip = address.ip().to_canonical();
        ip.is_loopback() || allow.iter().any(|network| network.contains(ip))
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            per_address: self.per_address,
            growth: self.growth,
            unauthenticated: self.unauthenticated,
            attempts: self.attempts,
            share: (self.connections / 4).saturating_mul(3) + (self.connections % 4 * 3).div_ceil(4),
        }
    }
}
