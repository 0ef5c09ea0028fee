//! Load generator for maximum throughput over one or many pairs of components, on one thread.
//!
//! Each pair has a limited window of stanzas in flight: the servers neither buffer without limit nor idle.
//! The generator checks that every stanza arrives, in order.

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

/// Connected pairs of components, and the runtime that drives them.
pub(crate) struct Flood {
    runtime: Runtime,
    lanes: Vec<Rc<Lane>>,
}

/// Window and durations of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Stanzas in flight, all pairs together.
    pub(crate) window: u64,
    /// Time before the measurement starts.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Result of one run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Stanzas that arrived during the measurement.
    pub(crate) stanzas: u64,
    pub(crate) seconds: f64,
    /// Processor seconds of each server during the measurement.
    processors: Vec<f64>,
    /// Processor seconds of the load generator during the measurement.
    pub(crate) generator: f64,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.stanzas as f64 / self.seconds
    }

    /// Processor seconds of the servers per 100,000 stanzas.
    pub(crate) fn cost(&self) -> f64 {
        self.costs().iter().sum()
    }

    /// Processor seconds of each server per 100,000 stanzas.
    pub(crate) fn costs(&self) -> Vec<f64> {
        self.processors.iter().map(|seconds| seconds / self.stanzas as f64 * 1e5).collect()
    }

    /// Processor seconds of the load generator per 100,000 stanzas.
    pub(crate) fn generator_cost(&self) -> f64 {
        self.generator / self.stanzas as f64 * 1e5
    }
}

/// A pair of components: the first sends to the second.
struct Lane {
    from: TcpStream,
    to: TcpStream,
    sent: Cell<u64>,
    arrived: Cell<u64>,
    /// The number expected in the next stanza.
    expected: Cell<u64>,
    room: Notify,
    fault: RefCell<Option<String>>,
}

impl Flood {
    /// Takes ownership of connected pairs.
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

    /// Sends `scripts`, one per pair, over the first `scripts.len()` pairs, and measures the processor time
    /// of the processes `servers`.
    ///
    /// # Errors
    ///
    /// Returns a message if a stanza is missing or out of order, or if a connection fails.
    pub(crate) fn run(&self, scripts: &[Script], plan: Plan, servers: &[u32]) -> Result<Outcome, String> {
        let lanes = &self.lanes[..scripts.len()];
        let window = (plan.window / lanes.len() as u64).max(1);
        LocalSet::new().block_on(&self.runtime, async {
            let readers: Vec<JoinHandle<()>> = lanes
                .iter()
                .flat_map(|lane| {
                    let receiver = Rc::clone(lane).receive();
                    let listener = Rc::clone(lane).receive_errors();
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
        // Small writes would keep a server from handling many stanzas in one turn.
        let step = (window / 4).clamp(1, MOST_AT_ONCE);
        while !stop.get() && self.has_no_fault() {
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
                self.fail(format!("the connection of the sending component failed: {error}"));
            }
        }
    }

    async fn receive(self: Rc<Self>) {
        let mut numbers = Numbers::new(READ);
        loop {
            let length = match read(&self.to, numbers.room()).await {
                Ok(length) => length,
                Err(error) => {
                    return self.fail(format!("the connection of the receiving component failed: {error}"));
                }
            };
            numbers.read(length, |number| {
                self.arrived.set(self.arrived.get() + 1);
                let expected = self.expected.replace(number + 1);
                if number != expected {
                    self.fail(format!("stanza {number} arrived instead of {expected}"));
                }
            });
            self.room.notify_one();
        }
    }

    /// Fails the run if the sender receives anything: a reply can only be an error.
    async fn receive_errors(self: Rc<Self>) {
        let mut buffer = vec![0; READ];
        loop {
            match read(&self.from, &mut buffer).await {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length.min(600)]).into_owned();
                    if !text.trim().is_empty() {
                        self.fail(format!("the sender received an answer: {text}"));
                    }
                }
                Err(error) => {
                    return self.fail(format!("the connection of the sending component failed: {error}"));
                }
            }
        }
    }

    fn fail(&self, what: String) {
        self.fault.borrow_mut().get_or_insert(what);
        self.room.notify_one();
    }

    fn has_no_fault(&self) -> bool {
        self.fault.borrow().is_none()
    }

    /// Returns the fault of this run, and resets the counters for the next run.
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

/// Waits until all sent stanzas have arrived, or until none has arrived for `TO_ARRIVE`.
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

/// A snapshot of all counters.
struct Moment {
    at: Instant,
    arrived: u64,
    /// Of each server.
    processors: Vec<f64>,
    generator: f64,
}

impl Moment {
    fn of(lanes: &[Rc<Lane>], servers: &[u32]) -> Self {
        Self {
            processors: servers.iter().map(|server| machine::processor_seconds(&[*server])).collect(),
            generator: machine::own_processor_seconds(),
            arrived: lanes.iter().map(|lane| lane.arrived.get()).sum(),
            at: Instant::now(),
        }
    }

    fn until(&self, later: &Self) -> Outcome {
        Outcome {
            stanzas: later.arrived - self.arrived,
            seconds: (later.at - self.at).as_secs_f64(),
            processors: later
                .processors
                .iter()
                .zip(&self.processors)
                .map(|(later, first)| later - first)
                .collect(),
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

/// Timeout without any arrival while stanzas are in flight.
const TO_ARRIVE: Duration = Duration::from_secs(15);

/// Maximum number of stanzas in one write, about 40 KB.
const MOST_AT_ONCE: u64 = 128;

const READ: usize = 64 * 1024;
