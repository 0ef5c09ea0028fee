//! Benchmark: cost of one feature of two nodes, measured with and without it in the same run.

use std::io::Write as _;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::domains;
use crate::flood::{Flood, Plan};
use crate::latency::Clocked;
use crate::machine;
use crate::results::quantile;
use crate::script::Script;
use crate::servers::{Kind, Pair};
use crate::stalled;
use crate::support::Network;

/// A feature, and what it may cost.
pub(crate) struct Comparison {
    feature: &'static str,
    /// Nuncio with the feature, and without it.
    kinds: [Kind; 2],
    rows: &'static [Row],
    /// Measures warm links too.
    with_links: bool,
    /// Measures what needs new nodes.
    with_new_nodes: fn(&mut Measured, &Nodes<'_>) -> Result<(), String>,
}

/// Acknowledgements (XEP-0198): the shipped configuration against `s2s.acks = false`.
pub(crate) const ACKS: Comparison = Comparison {
    feature: "acks",
    kinds: [Kind::Nuncio, Kind::WithoutAcks],
    rows: &ACKS_ROWS,
    with_links: true,
    with_new_nodes: Measured::links,
};

/// The journal: `journal.path` is set, against the shipped configuration.
pub(crate) const JOURNAL: Comparison = Comparison {
    feature: "the journal",
    kinds: [Kind::Journaled, Kind::Nuncio],
    rows: &JOURNAL_ROWS,
    with_links: true,
    with_new_nodes: |measured, nodes| {
        measured.domains(nodes)?;
        measured.unreachable(nodes)?;
        measured.stalled(nodes)
    },
};

/// The same: the memory of what waits only.
pub(crate) const MEMORY: Comparison = Comparison {
    with_links: false,
    rows: JOURNAL_ROWS.split_at(JOURNAL_ROWS.len() - 2).1,
    with_new_nodes: |measured, nodes| {
        measured.unreachable(nodes)?;
        measured.stalled(nodes)
    },
    ..JOURNAL
};

/// How a measurement starts new nodes.
struct Nodes<'a> {
    network: &'a Network,
    kind: Kind,
    called: String,
    quick: bool,
}

/// Measures both configurations alternately in one run. Fails if a ratio exceeds its limit.
pub(crate) fn run(comparison: &Comparison, network: &Network, arguments: &Arguments) -> ExitCode {
    let Comparison { feature, kinds, .. } = comparison;
    let mut measured = [Measured::default(), Measured::default()];
    let mut benches: Vec<Bench> = Vec::new();
    if comparison.with_links {
        benches.extend([0, 1].map(|number| Bench::start(network, kinds[number], CALLED[number])));
    }
    let mut is_good = true;
    for round in 0..arguments.rounds {
        // Each configuration is first in every other round.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for number in order {
            let kind = kinds[number];
            if let Some(bench) = benches.get_mut(number)
                && let Err(what) = bench.round(arguments, &mut measured[number])
            {
                println!("FAULT {}: {what}", kind.name());
                is_good = false;
            }
            let called = format!("r{round}.{}", CALLED[number]);
            let nodes = Nodes { network, kind, called, quick: arguments.quick };
            if let Err(what) = (comparison.with_new_nodes)(&mut measured[number], &nodes) {
                println!("FAULT {}, new nodes: {what}", kind.name());
                is_good = false;
            }
        }
    }
    for row in comparison.rows {
        let [with, without] = measured.each_ref().map(|measured| quantile((row.values)(measured), 0.5));
        let (Some(with), Some(without)) = (with, without) else { continue };
        let (is_met, shown) = row.limit.judge(with, without);
        is_good &= is_met;
        println!("{}: {with:.3} with {feature}, {without:.3} without, {shown}", row.title);
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
    /// Seconds until 1,000 cold domains have their message, and processor milliseconds for each.
    domains: [Vec<f64>; 2],
    /// The most memory while messages wait for unreachable domains, in MiB.
    unreachable: Vec<f64>,
    /// The most memory while destinations that read nothing are flooded, in MiB.
    stalled: Vec<f64>,
}

struct Row {
    title: &'static str,
    values: fn(&Measured) -> &[f64],
    limit: Limit,
}

/// What a feature may cost.
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
    /// Whether it is met, and the comparison.
    fn judge(self, with: f64, without: f64) -> (bool, String) {
        let (ratio, more) = (with / without, with - without);
        let verdict = |is_met: bool| if is_met { "met" } else { "missed" };
        match self {
            Self::Ratio(most) => {
                let is_met = ratio <= most;
                (is_met, format!("ratio {ratio:.3} (at most {most}: {})", verdict(is_met)))
            }
            Self::More(most) => {
                let is_met = more <= most;
                (is_met, format!("{more:+.2} (at most {most:+}: {})", verdict(is_met)))
            }
            Self::None => (true, format!("ratio {ratio:.3}")),
        }
    }
}

const ACKS_ROWS: [Row; 7] = [
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

const JOURNAL_ROWS: [Row; 10] = [
    Row {
        title: "one warm link, CPU-s of both nodes per 100,000",
        values: |measured| &measured.flood_cost,
        limit: Limit::Ratio(1.02),
    },
    Row {
        title: "one warm link, stanzas per second",
        values: |measured| &measured.flood_rate,
        limit: Limit::None,
    },
    Row {
        title: "100 stanzas/s, median latency in ms",
        values: |measured| &measured.hundred[0],
        limit: Limit::Ratio(1.02),
    },
    Row {
        title: "100 stanzas/s, CPU-s of both nodes per 100,000",
        values: |measured| &measured.hundred[1],
        limit: Limit::Ratio(1.02),
    },
    Row {
        title: "1,000 stanzas/s, median latency in ms",
        values: |measured| &measured.thousand[0],
        limit: Limit::Ratio(1.02),
    },
    Row {
        title: "1,000 stanzas/s, CPU-s of both nodes per 100,000",
        values: |measured| &measured.thousand[1],
        limit: Limit::Ratio(1.02),
    },
    Row {
        title: "1,000 cold domains, s",
        values: |measured| &measured.domains[0],
        limit: Limit::Ratio(1.05),
    },
    Row {
        title: "1,000 cold domains, CPU-ms of both nodes each",
        values: |measured| &measured.domains[1],
        limit: Limit::Ratio(1.05),
    },
    Row {
        title: "most memory with a message to each of 100,000 unreachable domains, MiB",
        values: |measured| &measured.unreachable,
        limit: Limit::Ratio(1.05),
    },
    Row {
        title: "most memory with 1,000 destinations that read nothing and are flooded, MiB",
        values: |measured| &measured.stalled,
        limit: Limit::None,
    },
];

/// Two nodes with their connected components.
struct Bench {
    pair: Pair,
    flood: Flood,
    clocked: Clocked,
}

impl Bench {
    fn start(network: &Network, kind: Kind, called: &str) -> Self {
        let names = [FLOOD.to_owned(), CLOCK.to_owned()];
        let pair = Pair::start(network, kind, called, &names, &names);
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
    fn links(&mut self, nodes: &Nodes<'_>) -> Result<(), String> {
        let names: Vec<String> = (0..LINKS).map(|number| format!("d{number}")).collect();
        let pair = Pair::start(nodes.network, nodes.kind, &nodes.called, &names[..1], &names);
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

    /// Measures one message to each of 1,000 cold domains.
    fn domains(&mut self, nodes: &Nodes<'_>) -> Result<(), String> {
        let names: Vec<String> =
            (0..if nodes.quick { 100 } else { 1000 }).map(|number| format!("d{number}")).collect();
        let called = format!("cold.{}", nodes.called);
        let pair = Pair::start(nodes.network, nodes.kind, &called, &["c".to_owned()], &names);
        let links = domains::links(&pair, &names)?;
        let each = links.processor / names.len() as f64 * 1e3;
        eprintln!(
            "{:12} {} cold domains {:.2} s, {each:.2} CPU-ms each",
            nodes.kind.name(),
            names.len(),
            links.seconds
        );
        self.domains[0].push(links.seconds);
        self.domains[1].push(each);
        Ok(())
    }

    /// Measures the memory while a message waits for each of 100,000 domains at an address where nothing listens.
    fn unreachable(&mut self, nodes: &Nodes<'_>) -> Result<(), String> {
        let called = format!("dead.{}", nodes.called);
        let name = ["c".to_owned()];
        let pair = Pair::start(nodes.network, nodes.kind, &called, &name, &name);
        let address = nodes.network.address();
        let target = address.to_string();
        nodes.network.dns.a(&target, address);
        let mut stanzas = Vec::new();
        for number in 0..if nodes.quick { UNREACHABLE / 100 } else { UNREACHABLE } {
            let domain = format!("d{number}.unreachable.{called}");
            nodes.network.dns.srv(&format!("_xmpp-server._tcp.{domain}"), 0, 0, 5269, &target);
            Script::messages(&pair.sender("c"), &domain).write(0, &mut stanzas);
        }
        let mut from = pair.connect_sender("c");
        let sending = pair.processes()[..1].to_vec();
        let begin = Instant::now();
        let mut most = 0.0_f64;
        thread::scope(|scope| -> Result<(), String> {
            let writing = scope.spawn(move || from.write_all(&stanzas).map(|()| from));
            while begin.elapsed() < WAITING {
                most = most.max(machine::memory(&sending));
                thread::sleep(Duration::from_millis(500));
            }
            // The component stays connected until here.
            let written = writing.join().map_err(|_| "the sender panicked".to_owned())?;
            written.map(drop).map_err(|error| format!("the node does not read: {error}"))
        })?;
        eprintln!("{:12} unreachable domains: {:.0} MiB at most", nodes.kind.name(), most / 1024.0);
        self.unreachable.push(most / 1024.0);
        Ok(())
    }

    /// Measures the memory while destinations that read nothing are flooded until the bounds of the node hold.
    fn stalled(&mut self, nodes: &Nodes<'_>) -> Result<(), String> {
        let called = format!("stalled.{}", nodes.called);
        let peers = if nodes.quick { STALLED / 10 } else { STALLED };
        let most = stalled::measure(nodes.network, nodes.kind, &called, peers)?;
        eprintln!("{:12} {peers} stalled destinations: {:.0} MiB at most", nodes.kind.name(), most / 1024.0);
        self.stalled.push(most / 1024.0);
        Ok(())
    }
}

const CALLED: [&str; 2] = ["with.example", "without.example"];

/// Stanzas in flight: the window that the federation benchmark chooses for Nuncio on most machines.
const WINDOW: u64 = 1024;

/// Links whose memory is measured.
const LINKS: usize = 500;

/// Pause in which a node finishes its remaining work.
const SETTLED: Duration = Duration::from_secs(2);

/// Domains that cannot be reached.
const UNREACHABLE: usize = 100_000;

/// Destinations that read nothing.
const STALLED: usize = 1000;

/// How long messages wait for them while the memory is read: longer than the node needs to take all of them.
const WAITING: Duration = Duration::from_secs(30);

/// The component that sends as fast as possible, and the one that sends at a fixed rate.
const FLOOD: &str = "flood";
const CLOCK: &str = "clock";
