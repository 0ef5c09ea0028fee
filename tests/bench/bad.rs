//! Benchmark: a healthy destination beside dead and stalled ones, 1,000 messages per second to each.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::answers;
use crate::arguments::Arguments;
use crate::latency::Clocked;
use crate::machine;
use crate::results::quantile;
use crate::script::{Numbers, Script};
use crate::servers::{Kind, Pair};
use crate::support::{Listener, Network, Peer};

/// Numbers of bad destinations beside the healthy one.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    dead: usize,
    stalled: usize,
}

const CASES: [Case; 2] =
    [Case { name: "three", dead: 1, stalled: 1 }, Case { name: "ten", dead: 5, stalled: 4 }];

/// The result of one run.
struct Outcome {
    /// Latency at the healthy destination, in seconds.
    took: Vec<f64>,
    missing: usize,
    bounced: usize,
    /// The largest memory of the sending server, and before the run, in KiB.
    memory: [f64; 2],
}

/// Runs all cases with each kind in turn. Fails if Nuncio is much slower than ejabberd, or bounces anything.
pub(crate) fn run(network: &Network, arguments: &Arguments) -> ExitCode {
    let mut is_good = true;
    for case in CASES {
        let mut ejabberd = None;
        // ejabberd first, as it is the measure for Nuncio.
        let mut kinds = arguments.kinds.clone();
        kinds.sort_by_key(|kind| *kind != Kind::Ejabberd);
        for kind in kinds {
            let outcomes: Vec<Outcome> = (0..arguments.rounds)
                .map(|round| Bench::start(network, kind, case, round).run(arguments))
                .collect();
            let of = |part| {
                let each: Vec<f64> =
                    outcomes.iter().filter_map(|outcome| quantile(&outcome.took, part)).collect();
                quantile(&each, 0.5).unwrap_or(f64::NAN) * 1e3
            };
            let (median, tail) = (of(0.5), of(0.99));
            let bounced: usize = outcomes.iter().map(|outcome| outcome.bounced).sum();
            let missing: usize = outcomes.iter().map(|outcome| outcome.missing).sum();
            let largest = |which: usize| {
                outcomes.iter().map(|outcome| outcome.memory[which]).fold(0.0, f64::max) / 1024.0
            };
            println!(
                "{} destinations, {} dead, {} stalled, {:8}: healthy p50 {median:.2} ms, p99 {tail:.2} ms, \
                 bounced {bounced}, missing {missing}, memory {:.0} MiB before, {:.0} MiB at most",
                case.name,
                case.dead,
                case.stalled,
                kind.name(),
                largest(1),
                largest(0),
            );
            match kind {
                Kind::Ejabberd => ejabberd = Some((median, tail)),
                Kind::Nuncio => is_good &= judge((median, tail), ejabberd) && bounced == 0 && missing == 0,
                _ => {}
            }
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Compares the median and the tail with those of ejabberd, if that was measured.
fn judge(nuncio: (f64, f64), ejabberd: Option<(f64, f64)>) -> bool {
    let Some(ejabberd) = ejabberd else { return true };
    let [median, tail] = [nuncio.0 / ejabberd.0, nuncio.1 / ejabberd.1];
    let is_met = median <= AT_MOST && tail <= AT_MOST;
    let verdict = if is_met { "met" } else { "missed" };
    println!("  to ejabberd: p50 {median:.2}, p99 {tail:.2} (at most {AT_MOST}: {verdict})");
    is_met
}

/// A pair of servers, and the bad destinations.
struct Bench {
    pair: Pair,
    sender: TcpStream,
    clocked: Clocked,
    /// Reads nothing before the run.
    receiver: TcpStream,
    scripts: Vec<Script>,
    healthy: Script,
    over: Arc<AtomicBool>,
    stalled: Vec<JoinHandle<()>>,
}

impl Bench {
    fn start(network: &Network, kind: Kind, case: Case, round: usize) -> Self {
        let called = format!("{}{round}.{}.example", case.name, kind.name());
        let pair = Pair::start(network, kind, &called, &names(&["from", "warm"]), &names(&["to", "warm"]));
        let from = pair.sender("from");
        let over = Arc::<AtomicBool>::default();
        let mut domains = Vec::new();
        for number in 0..case.dead {
            let domain = format!("dead{number}.{called}");
            // Nothing listens at a new address.
            network.publish(&domain, network.address());
            domains.push(domain);
        }
        let mut stalled = Vec::new();
        for number in 0..case.stalled {
            let (domain, address) = (format!("stalled{number}.{called}"), network.address());
            network.publish(&domain, address);
            let (listener, identity) = (Listener::at(address), network.authority.issue(&[&domain]));
            let (over, name) = (Arc::clone(&over), domain.clone());
            domains.push(domain);
            stalled.push(thread::spawn(move || {
                let mut peers: Vec<Peer> = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    if let Some(mut peer) = listener.accepted() {
                        peer.answers_to_external(&name, &identity);
                        peers.push(peer);
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            }));
        }
        let scripts = domains.iter().map(|domain| Script::messages(&from, domain)).collect();
        let healthy = Script::messages(&from, &pair.receiver("to"));
        let (sender, receiver) = (pair.connect_sender("from"), pair.connect_receiver("to"));
        let clocked = Clocked::new(pair.connect_sender("warm"), pair.connect_receiver("warm"));
        Self { pair, sender, clocked, receiver, scripts, healthy, over, stalled }
    }

    fn run(mut self, arguments: &Arguments) -> Outcome {
        // The servers are past their start, and have resolved names.
        let warm = Script::messages(&self.pair.sender("warm"), &self.pair.receiver("warm"));
        self.clocked.run(&warm, 100, EVERY * 5).expect("a healthy link");
        let count = (arguments.time(10.0, 2.0).as_secs_f64() / EVERY.as_secs_f64()) as usize;
        let sending = self.pair.processes()[..1].to_vec();
        let before = machine::memory(&sending);
        let sent: Vec<OnceLock<Instant>> = (0..count).map(|_| OnceLock::new()).collect();
        let mut errors = self.sender.try_clone().expect("a socket");
        errors.set_read_timeout(Some(POLL)).expect("a socket");
        self.receiver.set_read_timeout(Some(POLL)).expect("a socket");
        let (is_over, scripts, healthy) = (AtomicBool::new(false), &self.scripts, &self.healthy);
        let (took, bounced, largest) = thread::scope(|scope| {
            let bounced = scope.spawn(|| answers::count(&mut errors, &is_over));
            let largest = scope.spawn(|| largest_memory(&sending, &is_over));
            let sender = &mut self.sender;
            let writer = scope.spawn(|| send(sender, healthy, scripts, &sent));
            let took = receive(&mut self.receiver, &sent);
            is_over.store(true, Ordering::Relaxed);
            writer.join().expect("the sender").expect("the server reads");
            (took, bounced.join().expect("the count"), largest.join().expect("the memory"))
        });
        self.over.store(true, Ordering::Relaxed);
        self.stalled.drain(..).for_each(|peer| drop(peer.join()));
        Outcome { missing: count - took.len(), took, bounced, memory: [largest, before] }
    }
}

/// Sends one message to each destination, healthy first, every [`EVERY`].
fn send(to: &mut TcpStream, healthy: &Script, bad: &[Script], sent: &[OnceLock<Instant>]) -> io::Result<()> {
    let begin = Instant::now();
    let mut stanzas = Vec::new();
    for (at, number) in (0..).zip(0..sent.len() as u64) {
        stanzas.clear();
        healthy.write(number, &mut stanzas);
        bad.iter().for_each(|script| script.write(number, &mut stanzas));
        thread::sleep((begin + EVERY * at).saturating_duration_since(Instant::now()));
        let _ = sent[at as usize].set(Instant::now());
        to.write_all(&stanzas)?;
    }
    Ok(())
}

/// Receives at the healthy destination until everything is there, or nothing has come for [`TO_ARRIVE`].
fn receive(from: &mut TcpStream, sent: &[OnceLock<Instant>]) -> Vec<f64> {
    let (mut numbers, mut took, mut last) = (Numbers::new(64 * 1024), Vec::new(), Instant::now());
    while took.len() < sent.len() && last.elapsed() < TO_ARRIVE {
        let Ok(length @ 1..) = from.read(numbers.room()) else { continue };
        let now = Instant::now();
        last = now;
        numbers.read(length, |number| {
            let sent = usize::try_from(number).ok().and_then(|at| sent.get(at)).and_then(OnceLock::get);
            took.extend(sent.map(|sent| now.duration_since(*sent).as_secs_f64()));
        });
    }
    took
}

fn largest_memory(processes: &[u32], is_over: &AtomicBool) -> f64 {
    let mut largest = 0.0_f64;
    while !is_over.load(Ordering::Relaxed) {
        largest = largest.max(machine::memory(processes));
        thread::sleep(Duration::from_millis(500));
    }
    largest
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The interval between two messages to one destination.
const EVERY: Duration = Duration::from_millis(1);

/// How long a read waits before the end of the run is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Timeout without any arrival.
const TO_ARRIVE: Duration = Duration::from_secs(15);

/// The largest ratio of Nuncio's latency to that of ejabberd.
const AT_MOST: f64 = 1.5;
