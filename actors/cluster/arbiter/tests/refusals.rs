//! A broker that refuses the record of the node, for example since its table permits only short records.

use super::cluster::{BEAT, LEASE, name, names};
use crate::{
    arbiter::{Arbiter, Config, Output},
    engine::{Answer, Bucket, EngineError, Event, Op},
    ferry::codec::Versions,
    record::Process,
};
use std::time::Instant;

/// An arbiter with a broker that has no records. It refuses those of nodes until it no longer does.
struct Lone {
    arbiter: Arbiter,
    refuses: bool,
}

impl Lone {
    fn new(now: Instant) -> Self {
        let config = Config {
            own: name("n0"),
            versions: Versions::OWN,
            lease: LEASE,
            secret: "secret".to_owned(),
            names: names("names"),
            process: Process { host: String::new(), pid: 1, place: String::new(), since: String::new() },
        };
        let mut arbiter = Arbiter::new(config, now, || 7, |_| false);
        arbiter.handle(Event::Up { generation: [1; 3], created: false }, now);
        Self { arbiter, refuses: true }
    }

    /// Answers all requests. Gives what else the arbiter has told.
    fn answers(&mut self, now: Instant) -> Vec<Output> {
        self.arbiter.tick(now);
        let mut told = Vec::new();
        while let Some(output) = self.arbiter.poll() {
            let Output::Request(request) = output else {
                told.push(output);
                continue;
            };
            let answer = match request.op {
                Op::Create { .. } if self.refuses => Err(EngineError::Refused(REASON.to_owned())),
                Op::Create { .. } => Ok(Answer::Written { revision: 1 }),
                Op::Read { .. } => Ok(Answer::Entry(None)),
                Op::List => Ok(Answer::Entries(Vec::new())),
                Op::Next { .. } => Ok(Answer::Next(None)),
                op => panic!("{op:?}"),
            };
            self.arbiter.handle(Event::Answered { id: request.id, answer }, now);
        }
        told
    }
}

#[test]
fn a_refusal_of_the_own_record_is_told_and_reported_until_the_record_is_accepted() {
    let now = clock::now();
    let mut lone = Lone::new(now);
    let refused = Output::Refused { bucket: Bucket::Nodes, reason: REASON.to_owned() };
    assert_eq!(lone.answers(now), std::slice::from_ref(&refused));
    // The record is read before it is written again: that read succeeds.
    for beats in 1..=3 {
        let now = now + BEAT * beats;
        assert!(lone.answers(now).contains(&refused));
        let report = lone.arbiter.report(now);
        assert_eq!((report.refusal.as_deref(), report.lease), (Some(REASON), None));
    }
    lone.refuses = false;
    let now = now + BEAT * 4;
    let told = lone.answers(now);
    assert!(matches!(&told[..], [Output::LeaseHeld { .. }]), "{told:?}");
    assert_eq!(lone.arbiter.report(now).refusal, None);
}

const REASON: &str = "message size exceeds maximum allowed";
