//! Benchmark: two nodes of a cluster. The same stanzas directly, through another node, and to a component at another node.

mod scene;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use self::scene::{PAIRS, Scene, Way, cold_domain};
use crate::arguments::{Arguments, Work};
use crate::flood::{Flood, Outcome, Plan};
use crate::latency::Clocked;
use crate::machine;
use crate::results::quantile;
use crate::script::Script;
use crate::support::Network;
use crate::warm::best_window;

/// Runs all measurements, with the ways in turn in every round. Fails if a target is missed or a stanza is missing.
pub(crate) fn run(network: &Network, arguments: &Arguments) -> ExitCode {
    let cold = arguments.rounds * COLD * 2;
    let scene = Scene::start(network, cold);
    let mut benches = Way::ALL.map(|way| Bench::start(&scene, way));
    let mut first = First::start(&scene, cold);
    let mut is_good = true;
    for round in 0..arguments.rounds {
        // The order rotates, so that every way is first in some round.
        let start = round % benches.len();
        benches.rotate_left(start);
        for bench in &mut benches {
            if let Err(what) = bench.round(round, &scene, arguments) {
                println!("FAULT {}: {what}", bench.way.name());
                is_good = false;
            }
        }
        benches.rotate_right(start);
        if arguments.wants(Work::Cold)
            && let Err(what) = first.round(round)
        {
            println!("FAULT cold links: {what}");
            is_good = false;
        }
    }
    if let Err(what) = scene.check(cold / 2) {
        println!("FAULT {what}");
        is_good = false;
    }
    is_good &= report(&benches, &first);
    let memory = scene.processes().map(|process| machine::memory(&[process]) / 1024.0);
    let alone = machine::memory(&[scene.alone()]) / 1024.0;
    println!(
        "memory at the end, MiB: {}, a node alone {alone:.1}",
        SERVERS
            .iter()
            .zip(memory)
            .map(|(name, mib)| format!("{name} {mib:.1}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The components of one way, and what was measured.
struct Bench {
    way: Way,
    flood: Flood,
    /// The best windows for one pair and for all pairs.
    windows: Option<[u64; 2]>,
    clocked: Clocked,
    /// One per round, for one pair and for all pairs.
    floods: [Vec<Outcome>; 2],
    /// For each rate, the median and the 99th percentile of every round, in ms.
    latency: [[Vec<f64>; 2]; RATES.len()],
}

impl Bench {
    fn start(scene: &Scene, way: Way) -> Self {
        let (flood, clocked) = (scene.flood(way), scene.clocked(way));
        Self { way, flood, windows: None, clocked, floods: Default::default(), latency: Default::default() }
    }

    fn round(&mut self, round: usize, scene: &Scene, arguments: &Arguments) -> Result<(), String> {
        if arguments.wants(Work::Flood) {
            self.floods(round, scene, arguments)?;
        }
        if arguments.wants(Work::Latency) {
            self.latencies(round, arguments)?;
        }
        Ok(())
    }

    fn floods(&mut self, round: usize, scene: &Scene, arguments: &Arguments) -> Result<(), String> {
        let (way, processes) = (self.way, scene.processes());
        let scripts: Vec<Script> = (0..PAIRS).map(|number| way.script(number)).collect();
        let windows = *self.windows.get_or_insert_with(|| {
            let measured = arguments.time(2.0, 0.7);
            [1, PAIRS]
                .map(|lanes| best_window(way.name(), &self.flood, &scripts[..lanes], &processes, measured))
        });
        for (number, (lanes, window)) in [1, PAIRS].into_iter().zip(windows).enumerate() {
            let plan = Plan { window, warm_up: arguments.time(0.5, 0.3), measured: arguments.time(3.0, 1.0) };
            let outcome = self.flood.run(&scripts[..lanes], plan, &processes)?;
            eprintln!(
                "round {round}: {:14} {lanes:2} pairs {:7.0}/s, CPU-s per 100,000: {}; generator {:.3}",
                way.name(),
                outcome.rate(),
                shares(&outcome.costs()),
                outcome.generator_cost()
            );
            self.floods[number].push(outcome);
        }
        Ok(())
    }

    fn latencies(&mut self, round: usize, arguments: &Arguments) -> Result<(), String> {
        let way = self.way;
        let script = way.script(PAIRS);
        self.clocked.run(&script, 1, Duration::ZERO)?;
        for (rate, values) in RATES.into_iter().zip(&mut self.latency) {
            let every = Duration::from_secs(1) / rate;
            self.clocked.run(&script, rate as usize / 2, every)?;
            let count = (f64::from(rate) * arguments.time(5.0, 1.0).as_secs_f64()) as usize;
            let took = self.clocked.run(&script, count, every)?;
            for (part, values) in PARTS.into_iter().zip(values.iter_mut()) {
                values.push(quantile(&took, part).unwrap_or_default() * 1e3);
            }
            let shown = values.each_ref().map(|values| values.last().copied().unwrap_or_default());
            eprintln!("round {round}: {:14} {rate}/s {:.3} ms, p99 {:.3} ms", way.name(), shown[0], shown[1]);
        }
        Ok(())
    }

    fn rate(&self, number: usize) -> f64 {
        let rates: Vec<f64> = self.floods[number].iter().map(Outcome::rate).collect();
        quantile(&rates, 0.5).unwrap_or_default()
    }

    /// The medians of the processor seconds of each server per 100,000 stanzas.
    fn costs(&self, number: usize) -> Vec<f64> {
        let all: Vec<Vec<f64>> = self.floods[number].iter().map(Outcome::costs).collect();
        (0..SERVERS.len())
            .map(|server| {
                let costs: Vec<f64> = all.iter().map(|costs| costs[server]).collect();
                quantile(&costs, 0.5).unwrap_or_default()
            })
            .collect()
    }

    fn latency(&self, rate: usize, part: usize) -> f64 {
        quantile(&self.latency[rate][part], 0.5).unwrap_or_default()
    }
}

/// The first stanza to a domain, through a node of the cluster and through a node alone.
struct First {
    senders: [(String, std::net::TcpStream); 2],
    receivers: Vec<(String, std::net::TcpStream)>,
    took: [Vec<f64>; 2],
}

impl First {
    fn start(scene: &Scene, cold: usize) -> Self {
        let receivers = (0..cold).map(|number| (cold_domain(number), scene.cold_receiver(number))).collect();
        Self { senders: scene.first_senders(), receivers, took: Default::default() }
    }

    fn round(&mut self, round: usize) -> Result<(), String> {
        for number in 0..2 * COLD {
            let Some((domain, receiver)) = self.receivers.pop() else { break };
            let which = (round + number) % 2;
            let (name, sender) = &self.senders[which];
            let from = sender.try_clone().map_err(|error| error.to_string())?;
            let script = Script::messages(name, &domain);
            self.took[which].extend(Clocked::new(from, receiver).run(&script, 1, Duration::ZERO)?);
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// Prints the medians of what was measured. False if a target is missed.
fn report(benches: &[Bench; 3], first: &First) -> bool {
    let is_good = report_floods(benches) & report_latencies(benches);
    let [cluster, alone] = first.took.each_ref().map(|took| quantile(took, 0.5));
    if let (Some(cluster), Some(alone)) = (cluster, alone) {
        let (cluster, alone) = (cluster * 1e3, alone * 1e3);
        println!(
            "cold link, first stanza there after ms: {cluster:.2} in a cluster, {alone:.2} with a node alone"
        );
    }
    is_good
}

fn report_floods(benches: &[Bench; 3]) -> bool {
    let [direct, relayed, across] = benches;
    let mut is_good = true;
    for (number, pairs) in ["one pair".to_owned(), format!("{PAIRS} pairs")].into_iter().enumerate() {
        if benches.iter().any(|bench| bench.floods[number].is_empty()) {
            continue;
        }
        println!(
            "{pairs}, stanzas per second, with the load generator and the remote server on the same cores: \
             {:.0} relayed, {:.0} direct, {:.0} to a component",
            relayed.rate(number),
            direct.rate(number),
            across.rate(number)
        );
        for bench in benches {
            println!("{pairs}, {}, CPU-s per 100,000: {}", bench.way.name(), shares(&bench.costs(number)));
        }
        // Without the remote server, which is the last one.
        let cost: f64 = relayed.costs(number)[..SERVERS.len() - 1].iter().sum();
        let rate = 2e5 / cost;
        is_good &= rate >= RATE;
        println!(
            "{pairs}, relayed: by that processor time two cores carry {rate:.0} stanzas per second through a, b and the broker \
             (at least {RATE}: {})",
            verdict(rate >= RATE)
        );
    }
    is_good
}

fn report_latencies(benches: &[Bench; 3]) -> bool {
    let mut is_good = true;
    for (number, rate) in RATES.into_iter().enumerate() {
        if benches.iter().any(|bench| bench.latency[number][0].is_empty()) {
            continue;
        }
        let [direct, relayed, across] =
            benches.each_ref().map(|bench| [0, 1].map(|part| bench.latency(number, part)));
        let added = relayed[0] - direct[0];
        is_good &= added <= ADDED;
        println!(
            "{rate} stanzas/s, median latency in ms: {:.3} relayed, {:.3} direct, {:.3} to a component; {added:+.3} (at most +{ADDED}: {})",
            relayed[0],
            direct[0],
            across[0],
            verdict(added <= ADDED)
        );
        println!(
            "{rate} stanzas/s, p99 latency in ms: {:.3} relayed, {:.3} direct, {:.3} to a component",
            relayed[1], direct[1], across[1]
        );
    }
    is_good
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

fn shares(costs: &[f64]) -> String {
    let shares: Vec<_> = SERVERS.iter().zip(costs).map(|(name, cost)| format!("{name} {cost:.3}")).collect();
    shares.join(", ")
}

/// The processes that are measured.
const SERVERS: [&str; 4] = ["a", "b", "broker", "remote"];

/// Stanzas per second in the measurements of latency.
const RATES: [u32; 2] = [100, 1000];

/// The quantiles of latency that are shown.
const PARTS: [f64; 2] = [0.5, 0.99];

/// Cold links per round, in the cluster and without it.
const COLD: usize = 5;

/// Pause between two cold links, in which a server finishes its remaining work.
const PAUSE: Duration = Duration::from_millis(100);

/// Stanzas per second that two cores are to relay.
const RATE: f64 = 300_000.0;

/// What the median latency may grow by, in ms.
const ADDED: f64 = 0.3;
