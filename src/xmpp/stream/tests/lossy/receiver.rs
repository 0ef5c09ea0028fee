//! The driver of the receiving side: the router, the open connections, and the memory of lost streams.
use crate::{
    acks::Offer,
    dialback::Answer,
    policy::{Policy, tests::policy},
    stream::{
        End,
        receiving::{Claim, open::Output},
        tests::{
            fixture::{certificate, rules, secured},
            machine::{Accepting, Accepts},
        },
    },
};
use bytes::BytesMut;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

#[derive(Default)]
pub(super) struct Receiver {
    /// What the router has accepted, in order.
    accepted: Vec<u32>,
    checked: Check,
    connection: Option<Connection>,
    /// A connection that the sender has lost, and this side has not, with the bytes on the way.
    half_open: Option<(Connection, Vec<u8>)>,
    /// The final counts of lost streams.
    memory: HashMap<String, Memory>,
    ids: Arc<AtomicUsize>,
}

/// The part of the accepted stanzas that is checked.
#[derive(Default)]
struct Check {
    stanzas: usize,
    next: u32,
    repeated: usize,
}

enum Memory {
    Resumable(u32),
    Count(u32),
}

struct Connection {
    stream: Accepting,
    /// Bytes on the way.
    bytes: VecDeque<u8>,
    /// Stanzas that the router has not accepted.
    offered: VecDeque<u32>,
    is_due: bool,
    /// The id of the stream.
    id: Option<String>,
    /// The id that the peer wants to continue.
    claimed: Option<String>,
}

impl Connection {
    fn receive(&mut self, bytes: &[u8]) {
        self.stream.receive(BytesMut::from(bytes));
        self.drive();
    }

    fn drive(&mut self) {
        while let Some(output) = self.stream.poll() {
            let Accepts::Open(output) = output else { continue };
            match output {
                Output::Transmit(bytes) => self.bytes.extend(&bytes),
                Output::Stanza(stanza) => {
                    self.offered.push_back(stanza.id().unwrap().parse().unwrap());
                }
                Output::AcksEnabled { resume } => self.id = resume,
                Output::AckDue => self.is_due = true,
                Output::Resume { previd, h } => {
                    assert_eq!(h, 0);
                    self.claimed = Some(previd);
                }
                Output::Verify(request) => self.stream.verified(&request, Ok(Answer::Valid)),
                Output::Authorized { .. } => {}
                Output::Ended(end) => assert!(matches!(end, End::Closed), "{end}"),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The router accepts so many stanzas.
    fn handle(&mut self, most: usize) -> Vec<u32> {
        let count = most.min(self.offered.len());
        let accepted = self.offered.drain(..count).collect();
        if let Accepting::Open(open) = &mut self.stream {
            open.handled(u32::try_from(count).unwrap());
            if self.is_due {
                open.acknowledge();
            }
            self.is_due = false;
        }
        self.drive();
        accepted
    }

    fn handled_count(&self) -> u32 {
        match &self.stream {
            Accepting::Open(open) => open.handled_count(),
            Accepting::Handshake(_) => 0,
        }
    }
}

impl Receiver {
    /// Takes a new connection. Without a claim nothing protects against bytes of the old one, so they are
    /// lost.
    pub(super) fn connect(&mut self, claims: bool) {
        if !claims && let Some((connection, _)) = self.half_open.take() {
            self.part(connection);
        }
        let acks = Some(Offer { resume_for: Some(Duration::from_secs(60)) });
        let rules = rules(&["b.example"], Policy { acks, ..policy() }, true);
        let ids = Arc::clone(&self.ids);
        let ids = Box::new(move || format!("id{}", ids.fetch_add(1, Ordering::Relaxed)));
        let shown = secured(Some(certificate(&["a.example"], None)));
        self.connection = Some(Connection {
            stream: Accepting::new(rules, Some(shown), ids),
            bytes: VecDeque::new(),
            offered: VecDeque::new(),
            is_due: false,
            id: None,
            claimed: None,
        });
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            connection.receive(bytes);
        }
    }

    pub(super) fn handle(&mut self, most: usize) {
        if let Some(connection) = &mut self.connection {
            self.accepted.extend(connection.handle(most));
        }
    }

    pub(super) fn close(&mut self) {
        if let Some(connection) = &mut self.connection
            && matches!(connection.stream, Accepting::Open(_))
        {
            connection.stream.close(None);
            connection.drive();
        }
    }

    /// Loses a connection: at once, or as soon as its stream is continued on another.
    pub(super) fn lose(&mut self, half_open: bool, on_the_way: Vec<u8>) {
        let Some(connection) = self.connection.take() else { return };
        match half_open && connection.id.is_some() {
            true => {
                if let Some((older, _)) = self.half_open.replace((connection, on_the_way)) {
                    self.part(older);
                }
            }
            false => self.part(connection),
        }
    }

    /// Remembers the count of a lost stream, once the router has accepted what came on it.
    fn part(&mut self, mut connection: Connection) {
        self.accepted.extend(connection.handle(usize::MAX));
        if let Some(id) = connection.id.take() {
            self.memory.insert(id, Memory::Resumable(connection.handled_count()));
        }
    }

    /// The stream of a connection that is still open goes on elsewhere. Bytes that come later change nothing.
    fn yield_half_open(&mut self, id: &str) {
        let Some((mut connection, on_the_way)) =
            self.half_open.take_if(|(connection, _)| connection.id.as_deref() == Some(id))
        else {
            return;
        };
        connection.stream.opened().stop_accepting();
        self.accepted.extend(connection.handle(usize::MAX));
        let count = connection.handled_count();
        self.memory.insert(id.to_owned(), Memory::Resumable(count));
        connection.receive(&on_the_way);
        assert!(connection.offered.is_empty(), "accepted behind the final count");
        assert_eq!(connection.handled_count(), count);
    }

    /// Answers the claim of a peer. `resumes`: where there is a choice, the stream goes on.
    pub(super) fn answer(&mut self, resumes: bool) {
        let Some(id) = self.connection.as_mut().and_then(|connection| connection.claimed.take()) else {
            return;
        };
        self.yield_half_open(&id);
        let claim = match self.memory.get(&id) {
            Some(Memory::Resumable(handled)) if resumes => Claim::Continue { handled: *handled },
            Some(Memory::Resumable(handled) | Memory::Count(handled)) => Claim::Expired { handled: *handled },
            None => Claim::Unknown,
        };
        let Some(connection) = &mut self.connection else { return };
        if connection.stream.opened().resumed(claim) {
            connection.id = Some(id);
        }
        connection.drive();
    }

    /// Loses the memory, and all connections.
    pub(super) fn forget(&mut self) {
        self.memory.clear();
        self.half_open = None;
        if let Some(connection) = &mut self.connection {
            connection.id = None;
            self.accepted.extend(connection.handle(usize::MAX));
        }
    }

    /// From now on lost streams have a count only.
    pub(super) fn expire(&mut self) {
        for memory in self.memory.values_mut() {
            if let Memory::Resumable(handled) = *memory {
                *memory = Memory::Count(handled);
            }
        }
    }

    pub(super) fn take_bytes(&mut self, most: usize) -> Vec<u8> {
        let Some(connection) = &mut self.connection else { return Vec::new() };
        let count = most.min(connection.bytes.len());
        connection.bytes.drain(..count).collect()
    }

    /// Whether the router has not accepted all.
    pub(super) fn has_offered(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.offered.is_empty())
    }

    /// The number of stanzas that were accepted, repeated ones once.
    pub(super) fn accepted(&self) -> u32 {
        self.checked.next
    }

    /// The number of stanzas that were accepted again.
    pub(super) fn repeated(&self) -> usize {
        self.checked.repeated
    }

    /// What was accepted is a prefix of all stanzas, in order; only `uncertain` ones come again. Gives its
    /// length.
    pub(super) fn check(&mut self, uncertain: &BTreeSet<u32>) -> u32 {
        let checked = &mut self.checked;
        for number in &self.accepted[checked.stanzas..] {
            match number.cmp(&checked.next) {
                std::cmp::Ordering::Equal => checked.next += 1,
                std::cmp::Ordering::Less => {
                    assert!(uncertain.contains(number), "{number} came twice");
                    checked.repeated += 1;
                }
                std::cmp::Ordering::Greater => panic!("{number} came, {} is missing", checked.next),
            }
        }
        checked.stanzas = self.accepted.len();
        checked.next
    }
}
