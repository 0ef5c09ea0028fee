//! Tests of the ferry: two ends and a channel between them.

mod channel;
mod lies;
mod rules;
mod schedules;

use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp::Domain;

use super::{
    Body, CarriedBatch, Control, Frame, GivenBack, Header, Inbound, Outbound, Over, Parcel, Parcels, Ranges,
    Reported, Returned, Settlements, decode,
};
use crate::name::{Incarnation, NodeName};

/// A generator of numbers that are the same in every run (xorshift64).
pub(super) struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn header() -> Header {
    Header { from: name("a"), incarnation: Incarnation(7), to: Incarnation(u64::MAX), session: 3 }
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

/// The two ends of a session.
fn ends<C>(window: usize, limit: usize, now: Instant) -> (Outbound<C>, Inbound) {
    (Outbound::new(header(), window, now), Inbound::new(header().answer(name("b")), limit))
}

/// A parcel with one stanza, which begins with its number and has about this length.
fn parcel(number: u64, length: usize) -> Parcel {
    let stanza = Bytes::from(format!("<iq>{number}{}</iq>", " ".repeat(length)));
    Parcel { begins: number == 1, batches: vec![batch(vec![stanza])] }
}

fn batch(stanzas: Vec<Bytes>) -> CarriedBatch {
    let domain = |name| Domain::new(name).expect("a domain");
    CarriedBatch {
        from: domain("a.example"),
        to: domain("b.example"),
        age: Duration::ZERO,
        returning: false,
        times: 0,
        may_have_arrived: false,
        stanzas,
    }
}

/// A report of settled parcels only.
fn settled<C>(settled: Vec<C>) -> Reported<C> {
    Reported { settled, returned: Vec::new() }
}

fn body(frame: &Bytes) -> Body {
    decode(frame).expect("a frame of this node").body
}

fn parcels(frame: &Bytes) -> Parcels {
    let Body::Parcels(parcels) = body(frame) else { panic!("{frame:?}") };
    parcels
}

fn control(frame: &Bytes) -> Control {
    let Body::Control(control) = body(frame) else { panic!("{frame:?}") };
    control
}

fn over(frame: &Bytes) -> Over {
    let Body::Over(over) = body(frame) else { panic!("{frame:?}") };
    over
}
