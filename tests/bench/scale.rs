//! Benchmark: 10,000 simultaneous links between two nodes with 100 domains each, first idle, then in use.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::machine;
use crate::script::{Numbers, Script};
use crate::servers::{Kind, Pair};
use crate::support::Network;
use crate::wire::LONGEST;

/// Sets up the links with one message each. Then it sends the same number of messages over all links and over
/// 100 links, in two ways. At full speed, 100 links have more messages per write than 10,000 links. At a
/// fixed rate, every message is written alone.
pub(crate) fn run(network: &Network) {
    let names: Vec<String> = (0..SIDE).map(|number| format!("d{number}")).collect();
    let pair = Pair::start(network, Kind::Nuncio, "scale.example", &names, &names);
    let mut ends = Ends {
        from: names.iter().map(|name| pair.connect_sender(name)).collect(),
        to: names.iter().map(|name| pair.connect_receiver(name)).collect(),
        names,
        pair,
    };
    let (memory, links) = (machine::memory(&ends.pair.processes()), SIDE * SIDE);
    let cold = ends.send(1, |_, _| true);
    let held = (machine::memory(&ends.pair.processes()) - memory) / links as f64;
    println!("{links} links: all established after {:.1} s, {held:.1} KiB each (both ends)", cold.seconds);
    for round in 0..ROUNDS {
        let few = ends.send(links / SIDE * EACH, |from, to| from == to);
        let all = ends.send(EACH, |_, _| true);
        println!(
            "round {round}: {} messages at full speed over {SIDE} links {:.2} CPU-s, over all {links} {:.2} CPU-s",
            links * EACH,
            few.processor,
            all.processor
        );
    }
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let few = ends.send_clocked(|number| (number % SIDE, number % SIDE));
            let all = ends.send_clocked(|number| (number % SIDE, number / SIDE));
            let each = |cost: &Cost| cost.processor / links as f64 * 1e6;
            println!(
                "round {round}: a message alone, {} a second: over {SIDE} links {:.1} CPU-us, over all {links} {:.1} CPU-us",
                1.0 / EVERY.as_secs_f64(),
                each(&few),
                each(&all)
            );
            all.processor / few.processor
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    println!(
        "a message alone costs {:.2} times as much over {links} links as over {SIDE}",
        ratios[ROUNDS / 2]
    );
}

struct Ends {
    pair: Pair,
    names: Vec<String>,
    from: Vec<TcpStream>,
    to: Vec<TcpStream>,
}

struct Cost {
    seconds: f64,
    processor: f64,
}

impl Ends {
    /// Sends `count` messages over each wanted link, in turn, and waits until all have arrived.
    fn send(&mut self, count: usize, wanted: impl Fn(usize, usize) -> bool) -> Cost {
        let wanted = |from, to| wanted(from, to);
        let scripts: Vec<Vec<u8>> = (0..SIDE)
            .map(|from| {
                let mut bytes = Vec::new();
                for _ in 0..count {
                    for to in (0..SIDE).filter(|to| wanted(from, *to)) {
                        let names =
                            [self.pair.sender(&self.names[from]), self.pair.receiver(&self.names[to])];
                        Script::messages(&names[0], &names[1]).write(0, &mut bytes);
                    }
                }
                bytes
            })
            .collect();
        let expected: Vec<usize> =
            (0..SIDE).map(|to| (0..SIDE).filter(|from| wanted(*from, to)).count() * count).collect();
        self.measure(&expected, |from| {
            thread::scope(|scope| {
                for (from, bytes) in from.iter_mut().zip(&scripts) {
                    scope.spawn(move || from.write_all(bytes).expect("the first node reads"));
                }
            });
        })
    }

    /// Sends `SIDE * SIDE` messages at a fixed rate; `which` maps the number of a message to its link.
    fn send_clocked(&mut self, which: impl Fn(usize) -> (usize, usize)) -> Cost {
        let mut expected = vec![0; SIDE];
        let messages: Vec<(usize, Vec<u8>)> = (0..SIDE * SIDE)
            .map(|number| {
                let (from, to) = which(number);
                expected[to] += 1;
                let names = [self.pair.sender(&self.names[from]), self.pair.receiver(&self.names[to])];
                let mut bytes = Vec::new();
                Script::messages(&names[0], &names[1]).write(0, &mut bytes);
                (from, bytes)
            })
            .collect();
        self.measure(&expected, |from| {
            let begin = Instant::now();
            for (at, (sender, bytes)) in (0..).zip(&messages) {
                thread::sleep((begin + EVERY * at).saturating_duration_since(Instant::now()));
                from[*sender].write_all(bytes).expect("the first node reads");
            }
        })
    }

    /// Measures the cost of `send`, until every receiver has the expected number of messages.
    fn measure(&mut self, expected: &[usize], send: impl FnOnce(&mut [TcpStream])) -> Cost {
        let servers = self.pair.processes();
        let (begin, processor) = (Instant::now(), machine::processor_seconds(&servers));
        thread::scope(|scope| {
            for (to, count) in self.to.iter_mut().zip(expected) {
                scope.spawn(move || await_messages(to, *count));
            }
            send(&mut self.from);
        });
        let seconds = begin.elapsed().as_secs_f64();
        thread::sleep(SETTLED);
        Cost { seconds, processor: machine::processor_seconds(&servers) - processor }
    }
}

fn await_messages(to: &mut TcpStream, count: usize) {
    to.set_read_timeout(Some(LONGEST)).expect("a socket");
    let mut numbers = Numbers::new(READ);
    let mut came = 0;
    while came < count {
        let length = to.read(numbers.room()).expect("every message arrives");
        assert!(length > 0, "the second node closed the connection");
        numbers.read(length, |_| came += 1);
    }
}

/// Number of domains per node.
const SIDE: usize = 100;

/// Number of messages per link, if all links are used.
const EACH: usize = 20;

/// Interval between messages at a fixed rate.
const EVERY: Duration = Duration::from_micros(500);

const ROUNDS: usize = 5;

/// Pause after a burst, in which a node finishes its remaining work.
const SETTLED: Duration = Duration::from_secs(1);

const READ: usize = 64 * 1024;
