//! Frames between nodes: any bytes are a frame or an error, and no frame harms the two ends of a session.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use cluster::{
    ferry::{Body, CarriedBatch, Frame, Header, Inbound, Outbound, Over, Parcel, Reported, codec, decode},
    name::{Incarnation, NodeName},
};

use crate::fixture::domain;

/// The input is a sequence of frames, each behind its length in two bytes.
pub(crate) fn run(mut input: &[u8]) {
    // What a whole input is, if it is a frame.
    check(input);
    let mut session = Session::new();
    while let Some((length, rest)) = input.split_at_checked(2) {
        let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        if let Some(frame) = check(frame) {
            session.handle(frame);
        }
        input = rest;
    }
    session.end(None);
}

/// What was read is written as something that is read in the same way.
fn check(bytes: &[u8]) -> Option<Frame> {
    let frame = decode(&Bytes::copy_from_slice(bytes)).ok()?;
    assert_eq!(decode(&codec::encode(&frame)).as_ref(), Ok(&frame));
    Some(frame)
}

/// Both ends, with parcels that were sent and parcels that were received.
struct Session {
    outbound: Option<Outbound<u64>>,
    inbound: Inbound,
    now: Instant,
    delivered: u64,
    returned: BTreeSet<u64>,
}

impl Session {
    fn new() -> Self {
        let node = |name| NodeName::new(name).expect("a name");
        let header = Header { from: node("a"), incarnation: Incarnation(1), to: Incarnation(2), session: 1 };
        #[expect(clippy::disallowed_methods, reason = "the machines get the time; any will do")]
        let now = Instant::now();
        let inbound = Inbound::new(header.answer(node("b")), 2_000);
        let mut outbound = Outbound::new(header, 2_000, now);
        for number in 1..=SENT + 2 {
            let batch = CarriedBatch {
                from: domain("a.example"),
                to: domain("b.example"),
                age: Duration::ZERO,
                returning: false,
                times: 0,
                may_have_arrived: false,
                stanzas: vec![Bytes::from_static(b"<iq/>")],
            };
            assert_eq!(
                outbound.send(Parcel { begins: number == 1, batches: vec![batch] }, 5, number, now),
                number
            );
            if number <= SENT {
                outbound.poll(now).expect("a frame");
            }
        }
        Self { outbound: Some(outbound), inbound, now, delivered: 0, returned: BTreeSet::new() }
    }

    fn handle(&mut self, frame: Frame) {
        match frame.body {
            Body::Parcels(parcels) => {
                for (number, _) in self.inbound.handle(parcels, self.now).unwrap_or_default() {
                    self.delivered += 1;
                    assert_eq!(number, self.delivered);
                    match number % 4 {
                        0 => {}
                        1 => self.inbound.give_back(number, None, self.now),
                        _ => self.inbound.settle(number, self.now),
                    }
                }
            }
            Body::Control(control) => {
                let Some(outbound) = &mut self.outbound else { return };
                let reported = outbound.handle(&control, self.now).unwrap_or_default();
                self.reports(reported);
            }
            Body::Over(over) => self.end(Some(&over)),
            Body::Contest(_) => {}
        }
        self.now += Duration::from_millis(30);
        let mut frames = 0;
        while let Some(frame) = self.inbound.poll(self.now) {
            assert!(matches!(check(&frame).expect("a frame of this node").body, Body::Control(_)));
            frames += 1;
        }
        while let Some(frame) = self.outbound.as_mut().and_then(|outbound| outbound.poll(self.now)) {
            assert!(matches!(check(&frame).expect("a frame of this node").body, Body::Parcels(_)));
            frames += 1;
        }
        assert!(frames <= 2 + SENT, "{frames} frames after one");
    }

    fn reports(&mut self, reported: Reported<u64>) {
        self.returns(reported.settled);
        self.returns(reported.returned.into_iter().map(|back| back.custody).collect());
    }

    /// Each parcel comes back once.
    fn returns(&mut self, settled: Vec<u64>) {
        for number in settled {
            assert!((1..=SENT + 2).contains(&number) && self.returned.insert(number), "{number}");
        }
    }

    fn end(&mut self, over: Option<&Over>) {
        let Some(outbound) = self.outbound.take() else { return };
        let ended = outbound.end(over);
        self.reports(ended.reported);
        let unsettled: Vec<_> = ended.unsettled.into_iter().map(|unsettled| unsettled.custody).collect();
        assert!(unsettled.is_sorted());
        self.returns(unsettled);
        assert_eq!(self.returned.len() as u64, SENT + 2, "nothing is missing");
    }
}

/// The parcels that were sent before the input, each in its own frame.
const SENT: u64 = 10;
