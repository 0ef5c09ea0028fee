//! Benchmark: 20,000 messages at 2,000 per second over a link that is reset ten times.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::answers;
use crate::arguments::Arguments;
use crate::script::{Numbers, Script};
use crate::servers::{Kind, One};
use crate::support::{Network, Proxy, Reset};

/// The sending and the receiving server. Nuncio sends to a peer that resumes streams and to one that only acknowledges.
const CASES: [[Kind; 2]; 4] = [
    [Kind::Nuncio, Kind::Nuncio],
    [Kind::Nuncio, Kind::Acknowledging],
    [Kind::Ejabberd, Kind::Ejabberd],
    [Kind::Prosody, Kind::Prosody],
];

/// The result of one run.
struct Outcome {
    missing: usize,
    bounced: usize,
    repeats: usize,
    /// Messages that came after one with a greater number, repeats not counted.
    out_of_order: usize,
    longest_gap: Duration,
}

/// Runs all cases in turn. Fails if a message of Nuncio is missing or bounced, if its longest gap or its repeats exceed their limits,
/// or if it repeats anything to another node.
pub(crate) fn run(network: &Network, arguments: &Arguments) -> ExitCode {
    let mut is_good = true;
    for round in 0..arguments.rounds {
        for [sending, receiving] in CASES.into_iter().filter(|[sending, _]| arguments.kinds.contains(sending))
        {
            for seen_by in [Reset::Both, Reset::Initiator] {
                let called = format!("{seen_by:?}{round}.{}", sending.name()).to_lowercase();
                let outcome = Bench::start(network, [sending, receiving], &called).run(arguments, seen_by);
                println!(
                    "{} to {}, reset seen by {seen_by:?}: missing {}, bounced {}, repeated {}, out of order {}, longest gap {} ms",
                    sending.name(),
                    receiving.name(),
                    outcome.missing,
                    outcome.bounced,
                    outcome.repeats,
                    outcome.out_of_order,
                    outcome.longest_gap.as_millis()
                );
                is_good &= sending != Kind::Nuncio || outcome.is_good(receiving);
            }
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Outcome {
    fn is_good(&self, receiving: Kind) -> bool {
        let most = if receiving == Kind::Nuncio { 0 } else { REPEATS * CUTS };
        self.missing + self.bounced + self.out_of_order == 0
            && self.repeats <= most
            && self.longest_gap <= LONGEST_GAP
    }
}

/// Two servers with a proxy between them.
struct Bench {
    sending: One,
    receiving: One,
    proxy: Proxy,
}

impl Bench {
    fn start(network: &Network, [sending, receiving]: [Kind; 2], called: &str) -> Self {
        let mut proxy = None;
        let name = [NAME.to_owned()];
        let receiving =
            One::start_at(network, receiving, &format!("two.{called}.example"), &name, |address| {
                proxy.insert(Proxy::start(network.address(), address)).address()
            });
        let sending = One::start(network, sending, &format!("one.{called}.example"), &name);
        Self { sending, receiving, proxy: proxy.expect("an address") }
    }

    fn run(self, arguments: &Arguments, seen_by: Reset) -> Outcome {
        let Self { sending, receiving, proxy } = self;
        let domain = |server: &One| format!("{NAME}.{}", server.domain);
        let script = Script::messages(&domain(&sending), &domain(&receiving));
        let (mut from, mut to) = (sending.connect(NAME), receiving.connect(NAME));
        let mut errors = from.try_clone().expect("a socket");
        errors.set_read_timeout(Some(POLL)).expect("a socket");
        to.set_read_timeout(Some(POLL)).expect("a socket");
        let count = (arguments.time(10.0, 1.0).as_secs_f64() / EVERY.as_secs_f64()) as usize;
        let is_over = AtomicBool::new(false);
        let (arrivals, bounced) = thread::scope(|scope| {
            let bounced = scope.spawn(|| answers::count(&mut errors, &is_over));
            let writer = scope.spawn(|| send(&mut from, &script, count));
            let arrivals = receive(&mut to, count, || proxy.resets(seen_by));
            is_over.store(true, Ordering::Relaxed);
            writer.join().expect("the sender").expect("the server reads");
            (arrivals, bounced.join().expect("the count"))
        });
        Outcome {
            missing: arrivals.times.iter().filter(|times| **times == 0).count(),
            bounced,
            repeats: arrivals.times.iter().map(|times| times.saturating_sub(1)).sum(),
            out_of_order: arrivals.out_of_order,
            longest_gap: arrivals.longest_gap,
        }
    }
}

fn send(to: &mut TcpStream, script: &Script, count: usize) -> io::Result<()> {
    let begin = Instant::now();
    let mut stanza = Vec::new();
    for (at, number) in (0..).zip(0..count as u64) {
        stanza.clear();
        script.write(number, &mut stanza);
        thread::sleep((begin + EVERY * at).saturating_duration_since(Instant::now()));
        to.write_all(&stanza)?;
    }
    Ok(())
}

/// What the receiving component gets.
struct Arrivals {
    /// How often each message came.
    times: Vec<usize>,
    out_of_order: usize,
    longest_gap: Duration,
}

/// Receives until everything is there, or nothing has come for [`TO_ARRIVE`]. Cuts in the middle of each part.
fn receive(from: &mut TcpStream, count: usize, cut: impl Fn()) -> Arrivals {
    let mut arrivals = Arrivals { times: vec![0; count], out_of_order: 0, longest_gap: Duration::ZERO };
    let (mut numbers, mut last) = (Numbers::new(64 * 1024), Instant::now());
    let (mut arrived, mut greatest, mut cuts) = (0, 0, 0);
    while arrived < count && last.elapsed() < TO_ARRIVE {
        let Ok(length @ 1..) = from.read(numbers.room()) else { continue };
        // The first message needs a link.
        if arrived > 0 {
            arrivals.longest_gap = arrivals.longest_gap.max(last.elapsed());
        }
        last = Instant::now();
        numbers.read(length, |number| {
            let Some(times) = usize::try_from(number).ok().and_then(|at| arrivals.times.get_mut(at)) else {
                return;
            };
            *times += 1;
            if *times == 1 {
                arrived += 1;
                arrivals.out_of_order += usize::from(number < greatest);
                greatest = greatest.max(number);
            }
        });
        if cuts < CUTS && arrived > count * (2 * cuts + 1) / (2 * CUTS + 1) {
            cuts += 1;
            cut();
        }
    }
    arrivals
}

/// 2,000 messages per second.
const EVERY: Duration = Duration::from_micros(500);

const CUTS: usize = 10;

/// The limit for repeats after a reset to a peer that does not resume.
const REPEATS: usize = 5;

const LONGEST_GAP: Duration = Duration::from_secs(1);

/// How long a read waits before the end of the run is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Timeout without any arrival.
const TO_ARRIVE: Duration = Duration::from_secs(15);

/// The component at each server.
const NAME: &str = "inbox";
