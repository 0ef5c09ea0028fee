//! Benchmark: workloads between two running servers: floods, a traffic mix, latency and first stanzas.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::arguments::{Arguments, Work};
use crate::flood::{Flood, Outcome, Plan};
use crate::latency::Clocked;
use crate::results::{Figure, Results, quantile};
use crate::script::Script;
use crate::servers::{Kind, Pair};
use crate::support::Network;

/// Runs the selected workloads, with the server kinds in turn in every round.
pub(crate) fn run(network: &Network, arguments: &Arguments, results: &mut Results) {
    let wanted = [Work::Flood, Work::Pairs, Work::Mix, Work::Latency, Work::Cold];
    if !wanted.into_iter().any(|work| arguments.wants(work)) {
        return;
    }
    let bare = (arguments.wants(Work::Flood) || arguments.wants(Work::Latency)).then_some(Kind::Bare);
    let kinds = arguments.kinds.iter().copied().chain(bare);
    let mut benches: Vec<Bench> = kinds.map(|kind| Bench::start(network, kind, arguments)).collect();
    let loopback = loopback(network);
    for round in 0..arguments.rounds {
        // The order rotates, so that every kind is first in some round.
        let first = round % benches.len();
        benches.rotate_left(first);
        for bench in &mut benches {
            bench.round(round, arguments, results);
        }
        benches.rotate_right(first);
        if arguments.wants(Work::Flood) {
            let plan = Plan { window: WINDOWS[2], ..plan(arguments) };
            let script = [Script::messages("one.example", "two.example")];
            match loopback.run(&script, plan, &[]) {
                Ok(outcome) => {
                    eprintln!(
                        "round {round}: generator alone, {:.0}/s, {:.3} CPU-s",
                        outcome.rate(),
                        outcome.generator_cost()
                    );
                    results.add(Figure::GeneratorRate, Kind::Bare, outcome.rate());
                }
                Err(what) => results.fault(Kind::Bare, "generator alone", &what),
            }
        }
    }
}

/// Two servers with all connected components of the workloads.
struct Bench {
    pair: Pair,
    flood: Flood,
    /// Number of component pairs for floods.
    lanes: usize,
    /// The best windows for one pair and for all pairs.
    windows: Option<[u64; 2]>,
    clocked: Clocked,
    /// A second bare pipeline for latency, because a pipeline has only one connection.
    _other: Option<Pair>,
    sender: Option<TcpStream>,
    /// Domains without a link yet, each with its component.
    cold: Vec<(String, TcpStream)>,
}

impl Bench {
    fn start(network: &Network, kind: Kind, arguments: &Arguments) -> Self {
        let bare = kind == Kind::Bare;
        let lanes = if bare || !arguments.wants(Work::Pairs) { 1 } else { PAIRS };
        let cold = if bare || !arguments.wants(Work::Cold) { 0 } else { arguments.rounds * COLD };
        let names: Vec<String> = (0..lanes).map(lane).collect();
        let cold: Vec<String> = (0..cold).map(|number| format!("d{number}")).collect();
        let single = [CLOCKED.to_owned(), FIRST.to_owned()];
        let senders = [&names[..], &single].concat();
        let receivers = [&names[..], &single, &cold].concat();
        let pair = Pair::start(network, kind, &format!("{}.example", kind.name()), &senders, &receivers);
        let connected = |name: &String| (pair.connect_sender(name), pair.connect_receiver(name));
        let flood = Flood::new(names.iter().map(connected).collect()).expect("sockets");
        let cold = cold.iter().map(|name| (pair.receiver(name), pair.connect_receiver(name))).collect();
        let other = bare.then(|| Pair::start(network, kind, "bare.example", &[], &[]));
        let clocked = other.as_ref().unwrap_or(&pair);
        let clocked = Clocked::new(clocked.connect_sender(CLOCKED), clocked.connect_receiver(CLOCKED));
        let sender = (!bare).then(|| pair.connect_sender(FIRST));
        Self { pair, flood, lanes, windows: None, clocked, _other: other, sender, cold }
    }

    fn round(&mut self, round: usize, arguments: &Arguments, results: &mut Results) {
        let bare = self.pair.kind == Kind::Bare;
        let mut note =
            |figures: &[Figure], kind: Kind, work: &str, measured: Result<Vec<f64>, String>| match measured {
                Err(what) => results.fault(kind, work, &what),
                Ok(values) => {
                    let shown: Vec<_> = values.iter().map(|value| format!("{value:.3}")).collect();
                    eprintln!("round {round}: {work}, {:8} {}", kind.name(), shown.join("  "));
                    figures.iter().zip(values).for_each(|(figure, value)| results.add(*figure, kind, value));
                }
            };
        let kind = self.pair.kind;
        let figures = |outcome: Outcome| vec![outcome.rate(), outcome.cost(), outcome.generator_cost()];
        if arguments.wants(Work::Flood) {
            let measured = self.floods(1, Script::messages, arguments).map(figures);
            let shown = [Figure::FloodRate, Figure::FloodCost, Figure::GeneratorCost];
            note(&shown, kind, "one link", measured);
        }
        if arguments.wants(Work::Pairs) && !bare {
            let measured = self.floods(self.lanes, Script::messages, arguments).map(figures);
            note(&[Figure::PairsRate, Figure::PairsCost], kind, "50 pairs", measured);
        }
        if arguments.wants(Work::Mix) && !bare {
            let measured = self.floods(1, Script::mix, arguments).map(figures);
            note(&[Figure::MixRate, Figure::MixCost], kind, "mix", measured);
        }
        if arguments.wants(Work::Latency) {
            let shown = [Figure::HundredMedian, Figure::HundredTail];
            note(&shown, kind, "100 a second", self.latency(100, arguments));
            let shown = [Figure::ThousandMedian, Figure::ThousandTail];
            note(&shown, kind, "1,000 a second", self.latency(1000, arguments));
        }
        if arguments.wants(Work::Cold) && !bare {
            note(&[Figure::ColdTime], kind, "cold link", self.first_stanzas());
        }
    }

    fn floods(
        &mut self,
        lanes: usize,
        script: fn(&str, &str) -> Script,
        arguments: &Arguments,
    ) -> Result<Outcome, String> {
        let measured = arguments.time(2.0, 0.7);
        let [one, all] = *self.windows.get_or_insert_with(|| {
            let best = |lanes| {
                let scripts = scripts(&self.pair, lanes, Script::messages);
                best_window(self.pair.kind.name(), &self.flood, &scripts, &self.pair.processes(), measured)
            };
            let one = best(1);
            [one, if self.lanes == 1 { one } else { best(self.lanes) }]
        });
        let plan = Plan { window: if lanes == 1 { one } else { all }, ..plan(arguments) };
        self.flood.run(&scripts(&self.pair, lanes, script), plan, &self.pair.processes())
    }

    /// Median and 99th percentile of the latency in milliseconds, at `rate` stanzas per second.
    fn latency(&mut self, rate: u32, arguments: &Arguments) -> Result<Vec<f64>, String> {
        let clocked = &mut self.clocked;
        let script = Script::messages(&self.pair.sender(CLOCKED), &self.pair.receiver(CLOCKED));
        let every = Duration::from_secs(1) / rate;
        // The first stanza goes alone and sets up the link: Prosody reorders stanzas during the set-up.
        clocked.run(&script, 1, every)?;
        clocked.run(&script, rate as usize / 2, every)?;
        let count = (f64::from(rate) * arguments.time(5.0, 1.0).as_secs_f64()) as usize;
        let took = clocked.run(&script, count, every)?;
        Ok([0.5, 0.99].map(|part| quantile(&took, part).unwrap_or_default() * 1e3).to_vec())
    }

    /// Median time until the first stanza arrives at a cold domain, in milliseconds.
    fn first_stanzas(&mut self) -> Result<Vec<f64>, String> {
        let sender = self.sender.as_ref().ok_or("no component")?;
        let mut took = Vec::new();
        for (domain, receiver) in self.cold.drain(..COLD.min(self.cold.len())) {
            let script = Script::messages(&self.pair.sender(FIRST), &domain);
            let from = sender.try_clone().map_err(|error| error.to_string())?;
            took.extend(Clocked::new(from, receiver).run(&script, 1, Duration::ZERO)?);
            thread::sleep(PAUSE);
        }
        Ok(vec![quantile(&took, 0.5).unwrap_or_default() * 1e3])
    }
}

fn plan(arguments: &Arguments) -> Plan {
    Plan { window: WINDOWS[0], warm_up: arguments.time(0.5, 0.3), measured: arguments.time(3.0, 1.0) }
}

fn scripts(pair: &Pair, lanes: usize, script: fn(&str, &str) -> Script) -> Vec<Script> {
    (0..lanes).map(|number| script(&pair.sender(&lane(number)), &pair.receiver(&lane(number)))).collect()
}

/// Finds the window with the highest rate for these servers. It also sets up the links.
pub(crate) fn best_window(
    called: &str,
    flood: &Flood,
    scripts: &[Script],
    servers: &[u32],
    measured: Duration,
) -> u64 {
    let lanes = scripts.len();
    let try_it = |window: u64| {
        let plan = Plan { window, warm_up: Duration::from_millis(300), measured };
        flood.run(scripts, plan, servers)
    };
    // Set up the links with one stanza each first: Prosody reorders stanzas during the set-up.
    let _ = try_it(lanes as u64);
    let mut best = (0.0, WINDOWS[0]);
    let mut shown = Vec::new();
    for window in WINDOWS {
        let Ok(outcome) = try_it(window) else { continue };
        shown.push(format!("{window}: {:.0}/s {:.2} s", outcome.rate(), outcome.cost()));
        if outcome.rate() > best.0 {
            best = (outcome.rate(), window);
        }
    }
    eprintln!("window, {called:8} {lanes} pairs: {}; takes {}", shown.join(", "), best.1);
    best.1
}

/// Connects the two ends of the load generator to each other.
fn loopback(network: &Network) -> Flood {
    let pair = || {
        let listener = TcpListener::bind((network.address(), 5347))?;
        let from = TcpStream::connect(listener.local_addr()?)?;
        Flood::new(vec![(from, listener.accept()?.0)])
    };
    pair().expect("sockets")
}

fn lane(number: usize) -> String {
    format!("c{number}")
}

const PAIRS: usize = 50;

/// Number of cold links per round.
const COLD: usize = 5;

/// Pause between two cold links, in which a server finishes its remaining work.
const PAUSE: Duration = Duration::from_millis(100);

/// Name of the component that sends at a fixed rate, and of its receiver.
const CLOCKED: &str = "clock";

/// Name of the component that sends to cold domains.
const FIRST: &str = "first";

/// Candidate windows (stanzas in flight); the best one is used for each server.
const WINDOWS: [u64; 4] = [64, 256, 1024, 4096];
