//! A message broker in memory that misbehaves on request: it answers late or not at all, executes what it did not answer,
//! loses and repeats reports and frames, loses connections, and loses its data.
//!
//! [`Broker`] is a machine: a test calls [`Broker::poll`] with the times that it likes. [`Hub`] runs it in a task and gives
//! clients that implement [`Engine`](super::Engine).

mod faults;
mod hub;
mod tables;

use super::{Bucket, EngineError, Event, Op, Request};
use crate::NodeName;
use bytes::Bytes;
pub use faults::{Faults, random};
pub use hub::{Client, Hub};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tables::{Change, Tables};

/// A client at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(usize);

struct Connected {
    name: NodeName,
    /// Grows with each connection: what was meant for an earlier one is dropped. `up` says whether there is one.
    connection: u64,
    up: bool,
    cut_off: bool,
    gone: bool,
    open: BTreeSet<u64>,
}

enum Action {
    Connect(usize),
    Execute {
        client: usize,
        connection: u64,
        request: Request,
        answers: bool,
    },
    Deliver {
        client: usize,
        connection: u64,
        event: Event,
    },
    /// The event comes even if the connection is lost meanwhile.
    Tell {
        client: usize,
        event: Event,
    },
}

/// The broker.
pub struct Broker {
    /// How it misbehaves from now on.
    pub faults: Faults,
    random: u64,
    running: bool,
    tables: Tables,
    remembered: Option<Tables>,
    clients: Vec<Connected>,
    queue: BTreeMap<(Instant, u64), Action>,
    number: u64,
}

impl Broker {
    /// A broker that runs and is empty. The seed determines all faults.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            faults,
            random: seed,
            running: true,
            tables: Tables::default(),
            remembered: None,
            clients: Vec::new(),
            queue: BTreeMap::new(),
            number: 0,
        }
    }

    /// A client, which connects at once and again after each loss.
    pub fn attach(&mut self, name: NodeName, now: Instant) -> ClientId {
        self.clients.push(Connected {
            name,
            connection: 0,
            up: false,
            cut_off: false,
            gone: false,
            open: BTreeSet::new(),
        });
        let client = self.clients.len() - 1;
        self.connects(client, now);
        ClientId(client)
    }

    /// The client is gone without a word. What it sent may still be executed.
    pub fn detach(&mut self, client: ClientId) {
        let state = &mut self.clients[client.0];
        (state.gone, state.up) = (true, false);
        state.connection += 1;
    }

    /// As [`super::Engine::request`].
    pub fn request(&mut self, client: ClientId, request: Request, now: Instant) {
        let ClientId(client) = client;
        let id = request.id;
        let state = &mut self.clients[client];
        if !state.up {
            return self.fails(client, id, now);
        }
        assert!(state.open.insert(id), "the number {id} is used twice");
        let connection = state.connection;
        let at = now + self.delay();
        let timeout = now + self.faults.timeout;
        if self.chance(self.faults.request_lost) {
            return self.fails(client, id, timeout);
        }
        if self.chance(self.faults.late) {
            self.fails(client, id, timeout);
            let at = timeout + self.up_to(self.faults.late_by);
            return self.push(at, Action::Execute { client, connection, request, answers: false });
        }
        let answers = !self.chance(self.faults.answer_lost);
        if !answers {
            self.fails(client, id, timeout);
        }
        self.push(at, Action::Execute { client, connection, request, answers });
    }

    /// As [`super::Engine::publish`].
    pub fn publish(&mut self, client: ClientId, to: &NodeName, frame: &Bytes, now: Instant) {
        if !self.clients[client.0].up {
            return;
        }
        for target in 0..self.clients.len() {
            if self.clients[target].name == *to
                && self.clients[target].up
                && !self.chance(self.faults.frame_lost)
            {
                self.delivers(target, &Event::Frame(frame.clone()), now);
            }
        }
    }

    /// The next event for a client, if it is due.
    pub fn poll(&mut self, now: Instant) -> Option<(ClientId, Event)> {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                return None;
            }
            let ((at, _), action) = entry.remove_entry();
            if let Some((client, event)) = self.performs(action, at) {
                return Some((ClientId(client), event));
            }
        }
        None
    }

    /// When the next event may be due.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The broker stops. All connections are lost.
    pub fn stops(&mut self, now: Instant) {
        self.running = false;
        self.disconnects_all(now);
    }

    /// The broker starts again.
    pub fn starts(&mut self, now: Instant) {
        self.running = true;
        (0..self.clients.len()).for_each(|client| self.connects(client, now));
    }

    /// All data is lost, also the tables. The clients notice it, and connect again.
    pub fn loses_data(&mut self, now: Instant) {
        self.tables.lose();
        self.disconnects_all(now);
        (0..self.clients.len()).for_each(|client| self.connects(client, now));
    }

    /// The next [`Self::rolls_back`] brings the present data back.
    pub fn remembers(&mut self) {
        self.remembered = Some(self.tables.clone());
    }

    /// The power fails: the broker is there again with older data, and nothing shows that.
    pub fn rolls_back(&mut self, now: Instant) {
        if let Some(tables) = self.remembered.take().filter(|tables| tables.is_of(&self.tables)) {
            self.tables = tables;
        }
        self.disconnects_all(now);
        (0..self.clients.len()).for_each(|client| self.connects(client, now));
    }

    /// The connection of a client is lost, and it connects again.
    pub fn disconnects(&mut self, client: ClientId, now: Instant) {
        self.loses(client.0, now);
        self.connects(client.0, now);
    }

    /// A client cannot reach the broker until [`Self::rejoins`].
    pub fn cuts_off(&mut self, client: ClientId, now: Instant) {
        self.clients[client.0].cut_off = true;
        self.loses(client.0, now);
    }

    /// The client can reach the broker again.
    pub fn rejoins(&mut self, client: ClientId, now: Instant) {
        self.clients[client.0].cut_off = false;
        self.connects(client.0, now);
    }

    /// The records of a table, for tests.
    pub fn records(&self, bucket: Bucket) -> Vec<(String, Bytes)> {
        self.tables.all(bucket).into_iter().map(|(key, entry)| (key, entry.value)).collect()
    }

    /// Writes a record as an operator would, with the broker's own tools.
    pub fn writes(&mut self, bucket: Bucket, key: &str, value: Bytes, now: Instant) {
        let key = key.to_owned();
        let present = self.tables.all(bucket).into_iter().find(|(other, _)| *other == key);
        let op = match present {
            Some((_, entry)) => Op::Update { key, value, revision: entry.revision },
            None => Op::Create { key, value },
        };
        if let Some((_, Some(change))) = self.tables.execute(&Request { id: 0, bucket, op }) {
            self.reports(&change, now);
        }
    }

    /// Deletes a record as an operator would.
    pub fn deletes(&mut self, bucket: Bucket, key: &str, now: Instant) {
        let all = self.tables.all(bucket);
        let Some((_, entry)) = all.into_iter().find(|(other, _)| other == key) else { return };
        let op = Op::Delete { key: key.to_owned(), revision: entry.revision };
        if let Some((_, Some(change))) = self.tables.execute(&Request { id: 0, bucket, op }) {
            self.reports(&change, now);
        }
    }

    fn performs(&mut self, action: Action, at: Instant) -> Option<(usize, Event)> {
        match action {
            Action::Connect(client) => self.connected(client, at),
            Action::Execute { client, connection, request, answers } => {
                let (answer, change) =
                    if self.running { self.tables.execute(&request)? } else { return None };
                if let Some(change) = change {
                    self.reports(&change, at);
                }
                if answers && self.clients[client].connection == connection {
                    let event = Event::Answered { id: request.id, answer: Ok(answer) };
                    let arrives = at + self.delay();
                    self.push(arrives, Action::Deliver { client, connection, event });
                }
                None
            }
            Action::Deliver { client, connection, event } => {
                let state = &mut self.clients[client];
                if !state.up || state.connection != connection {
                    return None;
                }
                match &event {
                    Event::Answered { id, .. } if !state.open.remove(id) => None,
                    _ => Some((client, event)),
                }
            }
            Action::Tell { client, event } => {
                let state = &mut self.clients[client];
                let answered = matches!(&event, Event::Answered { id, .. } if !state.open.remove(id));
                (!state.gone && !answered).then_some((client, event))
            }
        }
    }

    fn connected(&mut self, client: usize, at: Instant) -> Option<(usize, Event)> {
        let state = &mut self.clients[client];
        if state.up || state.cut_off || state.gone || !self.running {
            return None;
        }
        (state.up, state.connection) = (true, state.connection + 1);
        let created = self.tables.create();
        for bucket in [Bucket::Nodes, Bucket::Seats] {
            for (key, entry) in self.tables.all(bucket) {
                let (revision, value) = (entry.revision, Some(entry.value));
                self.delivers(client, &Event::Changed { bucket, key, revision, value }, at);
            }
        }
        Some((client, Event::Up { generation: self.tables.generation(), created }))
    }

    fn connects(&mut self, client: usize, now: Instant) {
        let at = now + self.delay() + self.up_to(self.faults.reconnect);
        self.push(at, Action::Connect(client));
    }

    fn disconnects_all(&mut self, now: Instant) {
        (0..self.clients.len()).for_each(|client| self.loses(client, now));
    }

    fn loses(&mut self, client: usize, now: Instant) {
        let state = &mut self.clients[client];
        if !std::mem::replace(&mut state.up, false) {
            return;
        }
        for id in state.open.clone() {
            self.fails(client, id, now);
        }
        let event = Event::Down { reason: "the connection is lost".to_owned() };
        self.push(now, Action::Tell { client, event });
    }

    fn fails(&mut self, client: usize, id: u64, at: Instant) {
        self.clients[client].open.insert(id);
        let event = Event::Answered { id, answer: Err(EngineError::Unreachable) };
        self.push(at, Action::Tell { client, event });
    }

    fn reports(&mut self, change: &Change, at: Instant) {
        if change.bucket == Bucket::Claims {
            return;
        }
        let (bucket, key, revision) = (change.bucket, change.key.clone(), change.revision);
        let event = Event::Changed { bucket, key, revision, value: change.value.clone() };
        for client in 0..self.clients.len() {
            if self.clients[client].up && !self.chance(self.faults.report_lost) {
                self.delivers(client, &event, at);
            }
        }
    }

    /// Delivers an event, and sometimes again.
    fn delivers(&mut self, client: usize, event: &Event, now: Instant) {
        let connection = self.clients[client].connection;
        for _ in 0..=u8::from(self.chance(self.faults.twice)) {
            let at = now + self.delay();
            self.push(at, Action::Deliver { client, connection, event: event.clone() });
        }
    }

    fn push(&mut self, at: Instant, action: Action) {
        self.number += 1;
        self.queue.insert((at, self.number), action);
    }

    fn delay(&mut self) -> Duration {
        let (least, most) = self.faults.delay;
        least + self.up_to(most.saturating_sub(least))
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random() % nanos.max(1))
    }

    fn chance(&mut self, in_a_thousand: u64) -> bool {
        in_a_thousand > 0 && self.random() % 1000 < in_a_thousand
    }

    fn random(&mut self) -> u64 {
        random(&mut self.random)
    }
}
