//! Benchmark: cost of acknowledgements between two nodes (XEP-0198), shipped against `s2s.acks = false`.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::flood::{Flood, Plan};
use crate::latency::Clocked;
use crate::machine;
use crate::results::quantile;
use crate::script::Script;
use crate::servers::{Kind, Pair};
use crate::support::Network;

/// Measures both configurations alternately in one run. Fails if a ratio exceeds its limit.
pub(crate) fn run(network: &Network, arguments: &Arguments) -> ExitCode {
    let mut measured = [Measured::default(), Measured::default()];
    let mut benches = KINDS.map(|kind| Bench::start(network, kind));
    let mut is_good = true;
    for round in 0..arguments.rounds {
        // Each configuration is first in every other round.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for number in order {
            if let Err(what) = benches[number].round(arguments, &mut measured[number]) {
                println!("FAULT {}: {what}", KINDS[number].name());
                is_good = false;
            }
            if let Err(what) = measured[number].links(network, KINDS[number], round) {
                println!("FAULT {}, held links: {what}", KINDS[number].name());
                is_good = false;
            }
        }
    }
    for row in &ROWS {
        let [with, without] = measured.each_ref().map(|measured| quantile((row.values)(measured), 0.5));
        let (Some(with), Some(without)) = (with, without) else { continue };
        let (is_met, shown) = row.limit.judge(with, without);
        is_good &= is_met;
        let verdict = if is_met { "met" } else { "missed" };
        println!("{}: {with:.3} with acks, {without:.3} without, {shown}: {verdict}", row.title);
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The values of one configuration, one per round.
#[derive(Debug, Default)]
struct Measured {
    flood_cost: Vec<f64>,
    flood_rate: Vec<f64>,
    /// Median latency in ms, and processor seconds of both nodes per 100,000 stanzas.
    hundred: [Vec<f64>; 2],
    thousand: [Vec<f64>; 2],
    link_memory: Vec<f64>,
}

struct Row {
    title: &'static str,
    values: fn(&Measured) -> &[f64],
    limit: Limit,
}

/// What acknowledgements may cost.
#[derive(Clone, Copy)]
enum Limit {
    /// At most this ratio.
    Ratio(f64),
    /// At most so much more.
    More(f64),
    /// Shown only.
    None,
}

impl Limit {
    fn judge(self, with: f64, without: f64) -> (bool, String) {
        let (ratio, more) = (with / without, with - without);
        match self {
            Self::Ratio(most) => (ratio <= most, format!("ratio {ratio:.3} (at most {most})")),
            Self::More(most) => (more <= most, format!("{more:+.2} (at most {most:+})")),
            Self::None => (true, format!("ratio {ratio:.3}")),
        }
    }
}

const ROWS: [Row; 7] = [
    Row {
        title: "one warm link, CPU-s of both nodes per 100,000",
        values: |measured| &measured.flood_cost,
        limit: Limit::Ratio(1.08),
    },
    Row {
        title: "one warm link, stanzas per second",
        values: |measured| &measured.flood_rate,
        limit: Limit::None,
    },
    Row {
        title: "100 stanzas/s, median latency in ms",
        values: |measured| &measured.hundred[0],
        limit: Limit::Ratio(1.03),
    },
    Row {
        title: "100 stanzas/s, CPU-s of both nodes per 100,000",
        values: |measured| &measured.hundred[1],
        limit: Limit::Ratio(1.03),
    },
    Row {
        title: "1,000 stanzas/s, median latency in ms",
        values: |measured| &measured.thousand[0],
        limit: Limit::Ratio(1.03),
    },
    Row {
        title: "1,000 stanzas/s, CPU-s of both nodes per 100,000",
        values: |measured| &measured.thousand[1],
        limit: Limit::Ratio(1.03),
    },
    Row {
        title: "memory of a held idle link in KiB, both ends",
        values: |measured| &measured.link_memory,
        limit: Limit::More(1.0),
    },
];

/// Two nodes with their connected components.
struct Bench {
    pair: Pair,
    flood: Flood,
    clocked: Clocked,
}

impl Bench {
    fn start(network: &Network, kind: Kind) -> Self {
        let names = [FLOOD.to_owned(), CLOCK.to_owned()];
        let pair = Pair::start(network, kind, called(kind), &names, &names);
        let flood = Flood::new(vec![(pair.connect_sender(FLOOD), pair.connect_receiver(FLOOD))]);
        let clocked = Clocked::new(pair.connect_sender(CLOCK), pair.connect_receiver(CLOCK));
        Self { pair, flood: flood.expect("sockets"), clocked }
    }

    fn round(&mut self, arguments: &Arguments, measured: &mut Measured) -> Result<(), String> {
        let (pair, processes) = (&self.pair, self.pair.processes());
        let script = [Script::messages(&pair.sender(FLOOD), &pair.receiver(FLOOD))];
        let plan =
            Plan { window: WINDOW, warm_up: arguments.time(0.5, 0.3), measured: arguments.time(5.0, 1.0) };
        let outcome = self.flood.run(&script, plan, &processes)?;
        measured.flood_cost.push(outcome.cost());
        measured.flood_rate.push(outcome.rate());

        let script = Script::messages(&pair.sender(CLOCK), &pair.receiver(CLOCK));
        self.clocked.run(&script, 100, Duration::from_millis(5))?;
        for (rate, values) in [(100, &mut measured.hundred), (1000, &mut measured.thousand)] {
            let every = Duration::from_secs(1) / rate;
            let count = (f64::from(rate) * arguments.time(10.0, 2.0).as_secs_f64()) as usize;
            let before = machine::processor_seconds(&processes);
            let took = self.clocked.run(&script, count, every)?;
            let cost = machine::processor_seconds(&processes) - before;
            values[0].extend(quantile(&took, 0.5).map(|median| median * 1e3));
            values[1].push(cost / count as f64 * 1e5);
        }
        eprintln!(
            "{:12} {:.3} CPU-s at {:.0}/s; 100/s {:.3} ms, 1,000/s {:.3} ms; load {:.1}",
            pair.kind.name(),
            outcome.cost(),
            outcome.rate(),
            measured.hundred[0].last().copied().unwrap_or_default(),
            measured.thousand[0].last().copied().unwrap_or_default(),
            machine::load_average()
        );
        Ok(())
    }
}

impl Measured {
    /// Measures the memory of [`LINKS`] held links between two new nodes.
    fn links(&mut self, network: &Network, kind: Kind, round: usize) -> Result<(), String> {
        let names: Vec<String> = (0..LINKS).map(|number| format!("d{number}")).collect();
        let pair = Pair::start(network, kind, &format!("r{round}.{}", called(kind)), &names[..1], &names);
        let (from, first) = (pair.connect_sender("d0"), pair.sender("d0"));
        let receivers: Vec<_> = names.iter().map(|name| pair.connect_receiver(name)).collect();
        thread::sleep(SETTLED);
        let before = machine::memory(&pair.processes());
        let mut held = Vec::new();
        for (name, receiver) in names.iter().zip(receivers) {
            let script = Script::messages(&first, &pair.receiver(name));
            let from = from.try_clone().map_err(|error| error.to_string())?;
            let mut clocked = Clocked::new(from, receiver);
            clocked.run(&script, 1, Duration::ZERO)?;
            // The component stays connected.
            held.push(clocked);
        }
        // Longer than a node waits before it asks for an acknowledgement.
        thread::sleep(2 * SETTLED);
        self.link_memory.push((machine::memory(&pair.processes()) - before) / LINKS as f64);
        Ok(())
    }
}

fn called(kind: Kind) -> &'static str {
    match kind {
        Kind::WithoutAcks => "without.example",
        _ => "with.example",
    }
}

const KINDS: [Kind; 2] = [Kind::Nuncio, Kind::WithoutAcks];

/// Stanzas in flight: the window that the federation benchmark chooses for Nuncio on most machines.
const WINDOW: u64 = 1024;

/// Links whose memory is measured.
const LINKS: usize = 500;

/// Pause in which a node finishes its remaining work.
const SETTLED: Duration = Duration::from_secs(2);

/// The component that sends as fast as possible, and the one that sends at a fixed rate.
const FLOOD: &str = "flood";
const CLOCK: &str = "clock";
