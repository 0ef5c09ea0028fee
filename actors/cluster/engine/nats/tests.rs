//! The client against real servers. Each test starts its own.

mod examination;
mod faults;
mod permissions;
mod replicas;
mod requests;
mod server;

use super::{Login, Nats, Settings, connect};
use crate::{
    NodeName,
    engine::{Answer, Bucket, Engine, EngineError, Event, Op, Request},
};
use bytes::Bytes;
use server::Server;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};
use tokio::sync::mpsc;

/// A client with its events.
struct Peer {
    nats: Nats,
    events: RefCell<mpsc::Receiver<Event>>,
    /// Events that were read while another one was waited for.
    read: RefCell<VecDeque<Event>>,
    last: Cell<u64>,
}

impl Peer {
    fn start(name: &str, servers: Vec<String>, change: impl FnOnce(&mut Settings)) -> Self {
        let cluster = node("example");
        let mut settings = Settings { cluster, servers, login: Login::None, replicas: 1 };
        change(&mut settings);
        let (sender, events) = mpsc::channel(1024);
        let nats = connect(settings, node(name), sender).unwrap();
        Self { nats, events: RefCell::new(events), read: RefCell::default(), last: Cell::new(0) }
    }

    /// Starts a client and waits until the broker is there.
    async fn up(name: &str, server: &Server) -> Self {
        let peer = Self::start(name, vec![server.address()], |_| {});
        peer.event(|event| matches!(event, Event::Up { .. }).then_some(())).await;
        peer
    }

    /// The first event that fits, of those that nobody has taken.
    #[expect(clippy::await_holding_refcell_ref, reason = "a test waits for one event at a time, in one task")]
    async fn event<T>(&self, fits: impl Fn(&Event) -> Option<T>) -> T {
        let mut read = self.read.borrow_mut();
        let mut seen = 0;
        let search = async {
            loop {
                while let Some(event) = read.get(seen) {
                    if let Some(found) = fits(event) {
                        read.remove(seen);
                        return found;
                    }
                    seen += 1;
                }
                let event = self.events.borrow_mut().recv().await.expect("the client goes on");
                read.push_back(event);
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(60), search).await;
        found.unwrap_or_else(|_| panic!("the event does not come; these came: {:?}", self.read))
    }

    async fn generation(&self) -> ([u64; 3], bool) {
        self.event(|event| match event {
            Event::Up { generation, created } => Some((*generation, *created)),
            _ => None,
        })
        .await
    }

    async fn down(&self) -> String {
        self.event(|event| match event {
            Event::Down { reason } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    fn send(&self, bucket: Bucket, op: Op) -> u64 {
        let id = self.last.get() + 1;
        self.last.set(id);
        self.nats.request(Request { id, bucket, op }).unwrap();
        id
    }

    async fn answer(&self, id: u64) -> Result<Answer, EngineError> {
        self.event(|event| match event {
            Event::Answered { id: answered, answer } if *answered == id => Some(answer.clone()),
            _ => None,
        })
        .await
    }

    async fn ask(&self, bucket: Bucket, op: Op) -> Result<Answer, EngineError> {
        let id = self.send(bucket, op);
        self.answer(id).await
    }

    async fn create(&self, bucket: Bucket, key: &str, value: &str) -> Result<Answer, EngineError> {
        self.ask(bucket, Op::Create { key: key.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) })
            .await
    }

    async fn read(&self, bucket: Bucket, key: &str) -> Option<String> {
        match self.ask(bucket, Op::Read { key: key.to_owned() }).await {
            Ok(Answer::Entry(entry)) => entry.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a report of a change.
    async fn changed(&self, key: &str, value: Option<&str>) {
        self.event(|event| match event {
            Event::Changed { key: changed, value: reported, .. } => {
                (changed == key && reported.as_deref() == value.map(str::as_bytes)).then_some(())
            }
            _ => None,
        })
        .await;
    }
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}
