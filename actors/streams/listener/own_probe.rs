//! Connections of this node's own `nuncio probe`. They are served like any other, but are not recorded and
//! not counted in the metrics, since they say nothing about the domain in whose name the probe connects.
//!
//! The control socket announces such a connection by its address and port, before it sends its first byte.
//! Only users with access to the control socket can do so, and no other peer can avoid the record.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use tokio::sync::oneshot;

use super::Listener;
use crate::{
    observe::{metrics::MetricsHandle, recorder::RecorderHandle},
    streams::incoming,
};
use mailbox::Queued;

/// Expect a connection of the probe.
#[derive(Debug)]
pub(crate) struct ExpectProbe {
    /// The address from which the probe connects.
    pub address: SocketAddr,
    /// Gets an answer once the connection is expected.
    pub answer: oneshot::Sender<()>,
}

/// Announced connections that have not sent a byte yet.
#[derive(Debug, Default)]
pub(super) struct ExpectedProbes(VecDeque<(SocketAddr, Instant)>);

impl ExpectedProbes {
    fn add(&mut self, address: SocketAddr, now: Instant) {
        self.0.retain(|(_, since)| now.duration_since(*since) < EXPECTED_FOR);
        if self.0.len() >= EXPECTED {
            self.0.pop_front();
        }
        self.0.push_back((canonical(address), now));
    }

    /// Whether a connection from this address was announced. Each announcement is for one connection.
    fn take(&mut self, address: SocketAddr, now: Instant) -> bool {
        let address = canonical(address);
        let index = self
            .0
            .iter()
            .position(|(own, since)| *own == address && now.duration_since(*since) < EXPECTED_FOR);
        index.and_then(|index| self.0.remove(index)).is_some()
    }
}

impl Listener {
    /// The dependencies of the stream from `address`: without recorder and metrics if it is the probe's.
    pub(super) fn environment_for(
        &mut self,
        address: SocketAddr,
        environment: incoming::Environment,
    ) -> incoming::Environment {
        if !self.probes.take(address, clock::now()) {
            return environment;
        }
        log::info!(
            target: super::LOG, address:% = address;
            "connection of this node's own probe: not recorded"
        );
        incoming::Environment {
            recorder: RecorderHandle::disabled(),
            metrics: MetricsHandle::default(),
            ..environment
        }
    }
}

impl Handler<Queued<ExpectProbe>> for Listener {
    type Result = ();

    fn handle(&mut self, expect: Queued<ExpectProbe>, _: &mut Context<Self>) {
        let ExpectProbe { address, answer } = expect.into_message();
        self.probes.add(address, clock::now());
        // The command may have been cancelled.
        let _ = answer.send(());
    }
}

/// A socket for both address families sees IPv4 peers at mapped addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The probe has at most one connection to each of our addresses at a time.
const EXPECTED: usize = 16;

/// The probe sends its first bytes as soon as it has the answer. Later another peer may have the port.
const EXPECTED_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_for_one_connection_from_that_address_within_a_time() {
        let (mut expected, now) = (ExpectedProbes::default(), clock::now());
        let address: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        expected.add(address, now);
        assert!(!expected.take("127.0.0.1:4001".parse().unwrap(), now));
        assert!(!expected.take("127.0.0.2:4000".parse().unwrap(), now));
        assert!(expected.take("[::ffff:127.0.0.1]:4000".parse().unwrap(), now));
        assert!(!expected.take(address, now), "one connection");
        expected.add(address, now);
        assert!(!expected.take(address, now + EXPECTED_FOR), "too late");
    }

    #[test]
    fn the_number_of_announcements_is_bounded() {
        let (mut expected, now) = (ExpectedProbes::default(), clock::now());
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        (0..1000).for_each(|port| expected.add(address(port), now));
        assert_eq!(expected.0.len(), EXPECTED);
        assert!(expected.take(address(999), now) && !expected.take(address(0), now));
    }
}
