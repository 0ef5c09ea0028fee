//! Stanzas as fast as servers take them, over one or many pairs of components at once, on one thread.
//!
//! A pair has so many stanzas on their way at once and no more: servers are neither made to buffer without end nor left
//! without work. Every stanza is looked for, in order.

use std::cell::{Cell, RefCell};
use std::io;
use std::net;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet};

use crate::machine;
use crate::script::{Numbers, Script};

/// Pairs of components that stay connected, and what runs them.
pub(crate) struct Flood {
    runtime: Runtime,
    lanes: Vec<Rc<Lane>>,
}

/// How long, and how much at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Stanzas on their way at once, all pairs together.
    pub(crate) window: u64,
    /// Before it counts.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Stanzas that arrived in the time measured.
    pub(crate) stanzas: u64,
    pub(crate) seconds: f64,
    /// Processor seconds of the servers in it.
    pub(crate) processor: f64,
    /// Processor seconds of the load generator in it.
    pub(crate) generator: f64,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.stanzas as f64 / self.seconds
    }

    /// Processor seconds of the servers per 100,000 stanzas.
    pub(crate) fn cost(&self) -> f64 {
        self.processor / self.stanzas as f64 * 1e5
    }

    /// The same of the load generator.
    pub(crate) fn generator_cost(&self) -> f64 {
        self.generator / self.stanzas as f64 * 1e5
    }
}

/// A pair of components, the first of which sends to the second.
struct Lane {
    from: TcpStream,
    to: TcpStream,
    sent: Cell<u64>,
    arrived: Cell<u64>,
    /// The number that has to come next.
    expected: Cell<u64>,
    room: Notify,
    fault: RefCell<Option<String>>,
}

impl Flood {
    /// Takes over connected pairs.
    pub(crate) fn new(pairs: Vec<(net::TcpStream, net::TcpStream)>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let taken = |stream: net::TcpStream| {
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        };
        let lane = |(from, to)| {
            Ok(Rc::new(Lane {
                from: taken(from)?,
                to: taken(to)?,
                sent: Cell::new(0),
                arrived: Cell::new(0),
                expected: Cell::new(0),
                room: Notify::new(),
                fault: RefCell::new(None),
            }))
        };
        let lanes = pairs.into_iter().map(lane).collect::<io::Result<_>>()?;
        drop(entered);
        Ok(Self { runtime, lanes })
    }

    /// Sends what `scripts` say, one for each pair, over the first so many pairs, and charges the processes `servers`.
    ///
    /// # Errors
    ///
    /// What went wrong, for people: a stanza that did not arrive, or not in order.
    pub(crate) fn run(&self, scripts: &[Script], plan: Plan, servers: &[u32]) -> Result<Outcome, String> {
        let lanes = &self.lanes[..scripts.len()];
        let window = (plan.window / lanes.len() as u64).max(1);
        LocalSet::new().block_on(&self.runtime, async {
            let readers: Vec<JoinHandle<()>> = lanes
                .iter()
                .flat_map(|lane| {
                    let receiver = Rc::clone(lane).receive();
                    let listener = Rc::clone(lane).hear_errors();
                    [tokio::task::spawn_local(receiver), tokio::task::spawn_local(listener)]
                })
                .collect();
            let stop = Cell::new(false);
            let send = futures_util::future::join_all(
                lanes.iter().zip(scripts).map(|(lane, script)| lane.send(script, window, &stop)),
            );
            let measure = async {
                tokio::time::sleep(plan.warm_up).await;
                let before = Moment::of(lanes, servers);
                tokio::time::sleep(plan.measured).await;
                let after = Moment::of(lanes, servers);
                stop.set(true);
                lanes.iter().for_each(|lane| lane.room.notify_one());
                before.until(&after)
            };
            let (_, outcome) = tokio::join!(send, measure);
            await_the_last(lanes).await;
            readers.iter().for_each(JoinHandle::abort);
            lanes.iter().try_for_each(|lane| lane.verdict())?;
            Ok(outcome)
        })
    }
}

impl Lane {
    async fn send(&self, script: &Script, window: u64, stop: &Cell<bool>) {
        let mut output = Vec::new();
        // A server that is given a few stanzas at a time has no chance to take many in one turn.
        let step = (window / 4).clamp(1, MOST_AT_ONCE);
        while !stop.get() && self.is_well() {
            let room = (window + self.arrived.get()).saturating_sub(self.sent.get());
            if room < step {
                self.room.notified().await;
                continue;
            }
            output.clear();
            let first = self.sent.get();
            for number in first..first + room.min(MOST_AT_ONCE) {
                script.write(number, &mut output);
                self.sent.set(number + 1);
            }
            if let Err(error) = write(&self.from, &output).await {
                self.fail(format!("the sending component was cut off: {error}"));
            }
        }
    }

    async fn receive(self: Rc<Self>) {
        let mut numbers = Numbers::new(READ);
        loop {
            let length = match read(&self.to, numbers.room()).await {
                Ok(length) => length,
                Err(error) => return self.fail(format!("the receiving component was cut off: {error}")),
            };
            numbers.read(length, |number| {
                self.arrived.set(self.arrived.get() + 1);
                let expected = self.expected.replace(number + 1);
                if number != expected {
                    self.fail(format!("stanza {number} came in the place of {expected}"));
                }
            });
            self.room.notify_one();
        }
    }

    /// What comes back to the sender is an error.
    async fn hear_errors(self: Rc<Self>) {
        let mut buffer = vec![0; READ];
        loop {
            match read(&self.from, &mut buffer).await {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length.min(600)]).into_owned();
                    if !text.trim().is_empty() {
                        self.fail(format!("the sender was answered: {text}"));
                    }
                }
                Err(error) => return self.fail(format!("the sending component was cut off: {error}")),
            }
        }
    }

    fn fail(&self, what: String) {
        self.fault.borrow_mut().get_or_insert(what);
        self.room.notify_one();
    }

    fn is_well(&self) -> bool {
        self.fault.borrow().is_none()
    }

    /// Says what is wrong, once: the next run begins anew.
    fn verdict(&self) -> Result<(), String> {
        let missing = self.sent.get().saturating_sub(self.arrived.get());
        self.arrived.set(self.sent.get());
        self.expected.set(self.sent.get());
        match self.fault.take() {
            Some(fault) => Err(fault),
            None if missing > 0 => Err(format!("{missing} stanzas did not arrive within {TO_ARRIVE:?}")),
            None => Ok(()),
        }
    }
}

/// Waits until all that was sent is there, or nothing comes any more.
async fn await_the_last(lanes: &[Rc<Lane>]) {
    let arrived = || lanes.iter().map(|lane| lane.arrived.get()).sum::<u64>();
    let sent: u64 = lanes.iter().map(|lane| lane.sent.get()).sum();
    let (mut last, mut since) = (arrived(), Instant::now());
    while last < sent && since.elapsed() < TO_ARRIVE {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if arrived() > last {
            (last, since) = (arrived(), Instant::now());
        }
    }
}

/// All counters at once.
struct Moment {
    at: Instant,
    arrived: u64,
    processor: f64,
    generator: f64,
}

impl Moment {
    fn of(lanes: &[Rc<Lane>], servers: &[u32]) -> Self {
        Self {
            processor: machine::processor_seconds(servers),
            generator: machine::own_processor_seconds(),
            arrived: lanes.iter().map(|lane| lane.arrived.get()).sum(),
            at: Instant::now(),
        }
    }

    fn until(&self, later: &Self) -> Outcome {
        Outcome {
            stanzas: later.arrived - self.arrived,
            seconds: (later.at - self.at).as_secs_f64(),
            processor: later.processor - self.processor,
            generator: later.generator - self.generator,
        }
    }
}

async fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How long nothing may arrive while something is on its way.
const TO_ARRIVE: Duration = Duration::from_secs(15);

/// Stanzas in one write: some 40 KB.
const MOST_AT_ONCE: u64 = 128;

const READ: usize = 64 * 1024;
