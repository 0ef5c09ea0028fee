//! Runs the broker in memory in a task, for tests with actors.

use super::{Broker, ClientId};
use crate::{
    NodeName,
    engine::{Engine, Event, Full, Request},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::sync::mpsc;

type Act = Box<dyn FnOnce(&mut Broker, Instant) + Send>;

enum Command {
    Attach(NodeName, mpsc::Sender<Event>, mpsc::Sender<ClientId>),
    Detach(ClientId),
    Request(ClientId, Request),
    Publish(ClientId, NodeName, Bytes),
    Act(Act),
}

/// A broker in a task. It ends with its last client.
#[derive(Clone)]
pub struct Hub {
    commands: mpsc::Sender<Command>,
    max_frame: Arc<AtomicUsize>,
}

/// A client of it. A client that is dropped is gone without a word.
pub struct Client {
    id: ClientId,
    commands: mpsc::Sender<Command>,
    max_frame: Arc<AtomicUsize>,
}

impl Hub {
    /// Starts the task on the current runtime. It follows the clock of that runtime.
    pub fn start(broker: Broker) -> Self {
        let (sender, commands) = mpsc::channel(QUEUE);
        tokio::spawn(run(broker, commands));
        Self { commands: sender, max_frame: Arc::new(AtomicUsize::new(MAX_FRAME)) }
    }

    /// Permits frames of so many bytes from now on. Real clients learn it when they connect.
    pub fn permits(&self, bytes: usize) {
        self.max_frame.store(bytes, Relaxed);
    }

    /// A client that reports to `events`. `None`: the task has ended.
    pub async fn client(&self, name: NodeName, events: mpsc::Sender<Event>) -> Option<Client> {
        let (answer, mut id) = mpsc::channel(1);
        self.commands.send(Command::Attach(name, events, answer)).await.ok()?;
        let (commands, max_frame) = (self.commands.clone(), Arc::clone(&self.max_frame));
        Some(Client { id: id.recv().await?, commands, max_frame })
    }

    /// Does something to the broker: a fault, or a look at its tables.
    pub async fn act(&self, act: impl FnOnce(&mut Broker, Instant) + Send + 'static) {
        // A task that has ended has nobody to act for.
        let _ = self.commands.send(Command::Act(Box::new(act))).await;
    }
}

impl Client {
    /// Its number, for [`Hub::act`].
    pub fn id(&self) -> ClientId {
        self.id
    }
}

impl Engine for Client {
    fn request(&self, request: Request) -> Result<(), Full> {
        self.commands.try_send(Command::Request(self.id, request)).map_err(|_| Full)
    }

    fn publish(&self, to: &NodeName, frame: Bytes) -> Result<(), Full> {
        if frame.len() > self.max_frame() {
            // It is lost, as with a real client.
            return Ok(());
        }
        self.commands.try_send(Command::Publish(self.id, to.clone(), frame)).map_err(|_| Full)
    }

    fn max_frame(&self) -> usize {
        self.max_frame.load(Relaxed)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // If the queue is full, the broker goes on to report to a receiver that is closed.
        let _ = self.commands.try_send(Command::Detach(self.id));
    }
}

async fn run(mut broker: Broker, mut commands: mpsc::Receiver<Command>) {
    let mut events: BTreeMap<ClientId, mpsc::Sender<Event>> = BTreeMap::new();
    loop {
        let due = broker.next();
        let sleep = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => perform(command, &mut broker, &mut events).await,
                None => return,
            },
            () = sleep => {}
        }
        while let Some((client, event)) = broker.poll(clock::now()) {
            if let Some(events) = events.get(&client) {
                // A client that is gone takes nothing.
                let _ = events.send(event).await;
            }
        }
    }
}

async fn perform(
    command: Command,
    broker: &mut Broker,
    events: &mut BTreeMap<ClientId, mpsc::Sender<Event>>,
) {
    let now = clock::now();
    match command {
        Command::Attach(name, sender, answer) => {
            let client = broker.attach(name, now);
            events.insert(client, sender);
            // The caller may have given up.
            let _ = answer.send(client).await;
        }
        Command::Detach(client) => {
            broker.detach(client);
            events.remove(&client);
        }
        Command::Request(client, request) => broker.request(client, request, now),
        Command::Publish(client, to, frame) => broker.publish(client, &to, &frame, now),
        Command::Act(act) => act(broker, now),
    }
}

/// As the client of NATS has it.
const QUEUE: usize = 1024;

/// The default of NATS.
const MAX_FRAME: usize = 1024 * 1024;
