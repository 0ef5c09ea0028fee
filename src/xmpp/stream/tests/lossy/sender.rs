//! The driver of the sending side: the stanzas, the ledger, and the stream that was lost.
use super::Seen;
use crate::{
    acks::{Ledger, Options, Previous, REQUEST},
    policy::{Bounds, tests::policy},
    stream::{
        End,
        initiating::{Acks, Cause, Plan, Resumption},
        tests::{
            fixture::{certificate, pair, secured},
            machine::{Opening, Opens},
        },
    },
};
use bytes::BytesMut;
use std::collections::{BTreeSet, VecDeque};

/// Stanzas have the numbers from 0.
#[derive(Debug, Default)]
pub(super) struct Sender {
    produced: u32,
    acknowledged: u32,
    /// Sent, on the stream of the ledger.
    unacked: VecDeque<u32>,
    waiting: VecDeque<u32>,
    ledger: Ledger,
    lost: Option<Previous>,
    connection: Option<Connection>,
    /// Sent again although they may have arrived.
    uncertain: BTreeSet<u32>,
}

#[derive(Debug)]
struct Connection {
    stream: Opening,
    /// Bytes on the way.
    bytes: VecDeque<u8>,
    is_open: bool,
    /// The stream has ended.
    end: Option<End>,
}

impl Sender {
    pub(super) fn produce(&mut self, stanzas: usize) {
        for _ in 0..stanzas {
            self.waiting.push_back(self.produced);
            self.produced += 1;
        }
    }

    pub(super) fn connect(&mut self) {
        let plan = Plan {
            pair: pair("a.example", "b.example"),
            policy: policy(),
            bounds: Bounds::default(),
            direct_tls: Some(secured(Some(certificate(&["b.example"], None)))),
            certificate: true,
            acks: Options { enabled: true, resume: self.lost.clone(), resumable: true },
        };
        let stream = Opening::session(plan);
        self.connection = Some(Connection { stream, bytes: VecDeque::new(), is_open: false, end: None });
        self.drive(&mut Seen::default());
    }

    /// Sends so many of the stanzas that wait. Gives the number of those that it has sent.
    pub(super) fn send(&mut self, most: usize) -> usize {
        let Some(connection) = &mut self.connection else { return 0 };
        if !connection.stream.is_established() {
            return 0;
        }
        let count = most.min(self.waiting.len());
        for number in self.waiting.drain(..count) {
            let stanza = format!("<message id='{number}' from='u@a.example' to='v@b.example'/>");
            connection.bytes.extend(stanza.bytes());
            self.unacked.push_back(number);
            self.ledger.sent(1);
        }
        count
    }

    /// Asks for an ack.
    pub(super) fn ask(&mut self) {
        if let Some(connection) = &mut self.connection
            && connection.stream.is_established()
        {
            connection.bytes.extend(REQUEST);
        }
    }

    pub(super) fn close(&mut self) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_open) {
            connection.stream.close(None);
            self.drive(&mut Seen::default());
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8], seen: &mut Seen) {
        if let Some(connection) = &mut self.connection {
            connection.stream.receive(BytesMut::from(bytes));
            self.drive(seen);
        }
    }

    fn drive(&mut self, seen: &mut Seen) {
        while let Some(connection) = &mut self.connection
            && let Some(output) = connection.stream.poll()
        {
            match output {
                Opens::Transmit(bytes) => connection.bytes.extend(&bytes),
                Opens::Established { .. } => {
                    connection.is_open = true;
                    let resumption = connection.stream.opened().resumption();
                    self.opened(resumption, seen);
                }
                Opens::Acknowledged(h) => self.settle(h),
                Opens::Ended(end) => connection.end = Some(end),
                // The receiver closes before the stream opens: the lost one is asked for again.
                Opens::Failed(failure) => {
                    assert_eq!(failure.cause, Cause::Closed);
                    connection.end = Some(End::Closed);
                }
                Opens::AcksOn(_) | Opens::Noted(_) | Opens::CertificateVerified(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn settle(&mut self, h: u32) {
        let newly = self.ledger.acknowledged(h).unwrap();
        for _ in 0..newly {
            assert_eq!(self.unacked.pop_front(), Some(self.acknowledged));
            self.acknowledged += 1;
        }
    }

    /// What the new stream says about the lost one.
    fn opened(&mut self, resumption: Resumption, seen: &mut Seen) {
        self.ledger = match resumption {
            Resumption::Resumed { h } => {
                seen.resumed += 1;
                self.settle(h);
                Ledger::starting_at(h)
            }
            Resumption::Counted { h } => {
                seen.counted += 1;
                self.settle(h);
                Ledger::new()
            }
            Resumption::Unknown | Resumption::NotAsked => {
                seen.unknown += usize::from(resumption == Resumption::Unknown);
                self.uncertain.extend(&self.unacked);
                Ledger::new()
            }
        };
        self.take_back();
        self.lost = None;
    }

    /// What was not acknowledged is sent again, before all else.
    fn take_back(&mut self) {
        while let Some(number) = self.unacked.pop_back() {
            self.waiting.push_front(number);
        }
    }

    /// Drops the connection, after closing tags went both ways or without them.
    pub(super) fn forget_connection(&mut self, orderly: bool, seen: &mut Seen) {
        let Some(mut connection) = self.connection.take() else { return };
        if !connection.is_open {
            return;
        }
        let open = connection.stream.opened();
        match open.acks() {
            // The last ack is final.
            Acks::On { .. } if orderly => {
                self.take_back();
                self.ledger = Ledger::new();
            }
            Acks::On { resumable: Some(stream) } => {
                self.lost =
                    Some(Previous { id: stream.id.clone(), handled: open.handled_count(), max: stream.max });
            }
            Acks::On { resumable: None } => panic!("the receiver resumes"),
            Acks::Requested | Acks::Off => seen.nameless += usize::from(!self.unacked.is_empty()),
        }
    }

    pub(super) fn take_bytes(&mut self, most: usize) -> Vec<u8> {
        let Some(connection) = &mut self.connection else { return Vec::new() };
        let count = most.min(connection.bytes.len());
        connection.bytes.drain(..count).collect()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the stream has ended with the closing tags of both sides.
    pub(super) fn is_over(&self) -> bool {
        let end = self.connection.as_ref().and_then(|connection| connection.end.as_ref());
        end.is_some_and(|end| {
            assert_eq!(*end, End::Closed);
            true
        })
    }

    /// Whether the next connection asks to continue a stream.
    pub(super) fn asks(&self) -> bool {
        self.lost.is_some()
    }

    /// Whether a loss of the connection now leaves no doubt: nothing was sent, or the peer can be asked.
    pub(super) fn is_certain(&mut self) -> bool {
        match &mut self.connection {
            Some(Connection { stream, is_open: true, .. }) => {
                self.unacked.is_empty() || matches!(stream.opened().acks(), Acks::On { .. })
            }
            _ => true,
        }
    }

    /// Whether all stanzas are acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.acknowledged == self.produced
    }

    pub(super) fn produced(&self) -> u32 {
        self.produced
    }

    pub(super) fn uncertain(&self) -> &BTreeSet<u32> {
        &self.uncertain
    }

    /// Each stanza is in exactly one place. Gives the number of those that are acknowledged.
    pub(super) fn check(&self) -> u32 {
        let places = self.unacked.iter().chain(&self.waiting).copied();
        assert!(places.eq(self.acknowledged..self.produced), "{self:?}");
        assert_eq!(self.ledger.unacked() as usize, self.unacked.len(), "{self:?}");
        self.acknowledged
    }
}
