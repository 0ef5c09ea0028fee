//! Connections of this node's own `nuncio probe`: they are served as any other, and leave no record or metric, since
//! they say nothing about the domain in whose name the probe asks.
//!
//! Only who may use the control socket can announce one, by the address and port that it comes from, before it sends
//! its first byte. So no other peer can hide.

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

/// A connection of the probe comes from this address.
#[derive(Debug)]
pub struct ExpectProbe {
    /// The probe's end of the connection.
    pub address: SocketAddr,
    /// Answered once it is expected.
    pub answer: oneshot::Sender<()>,
}

/// Announced connections that have not sent a byte yet.
#[derive(Debug, Default)]
pub(super) struct Expected(VecDeque<(SocketAddr, Instant)>);

impl Expected {
    fn add(&mut self, address: SocketAddr, now: Instant) {
        self.0.retain(|(_, since)| now.duration_since(*since) < FOR);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((canonical(address), now));
    }

    /// Whether a connection from there was announced; each announcement is for one.
    fn take(&mut self, address: SocketAddr, now: Instant) -> bool {
        let address = canonical(address);
        let place =
            self.0.iter().position(|(own, since)| *own == address && now.duration_since(*since) < FOR);
        place.and_then(|place| self.0.remove(place)).is_some()
    }
}

impl Listener {
    /// What the stream from `address` is given, with nobody to record it if it is the probe's.
    pub(super) fn surroundings_for(
        &mut self,
        address: SocketAddr,
        environment: incoming::Environment,
    ) -> incoming::Environment {
        if !self.probes.take(address, clock::now()) {
            return environment;
        }
        log::info!(target: super::LOG, address:% = address; "connection of this node's own probe: not recorded");
        incoming::Environment {
            notes: RecorderHandle::disabled(),
            tally: MetricsHandle::default(),
            ..environment
        }
    }
}

impl Handler<Queued<ExpectProbe>> for Listener {
    type Result = ();

    fn handle(&mut self, expect: Queued<ExpectProbe>, _: &mut Context<Self>) {
        let ExpectProbe { address, answer } = expect.open();
        self.probes.add(address, clock::now());
        // A command that was given up needs no answer.
        let _ = answer.send(());
    }
}

/// A socket for both families sees IPv4 peers at mapped addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The probe has at most one connection to each of our addresses at a time.
const MOST: usize = 16;

/// The probe sends its first bytes as soon as it has the answer. Later the port may be another peer's.
const FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_for_one_connection_from_that_address_and_soon() {
        let (mut expected, now) = (Expected::default(), clock::now());
        let address: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        expected.add(address, now);
        assert!(!expected.take("127.0.0.1:4001".parse().unwrap(), now));
        assert!(!expected.take("127.0.0.2:4000".parse().unwrap(), now));
        assert!(expected.take("[::ffff:127.0.0.1]:4000".parse().unwrap(), now));
        assert!(!expected.take(address, now), "one connection");
        expected.add(address, now);
        assert!(!expected.take(address, now + FOR), "too late");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (mut expected, now) = (Expected::default(), clock::now());
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        (0..1000).for_each(|port| expected.add(address(port), now));
        assert_eq!(expected.0.len(), MOST);
        assert!(expected.take(address(999), now) && !expected.take(address(0), now));
    }
}
