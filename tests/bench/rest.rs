//! Benchmark: memory of an idle server.

use std::thread;
use std::time::Duration;

use crate::arguments::{Arguments, Work};
use crate::machine;
use crate::results::{Figure, Results};
use crate::servers::One;
use crate::support::Network;

/// Starts one server of every kind in every round. It runs alone, so that it shares no page with another
/// server of its kind.
pub(crate) fn run(network: &Network, arguments: &Arguments, results: &mut Results) {
    if !arguments.wants(Work::Rest) {
        return;
    }
    for round in 0..arguments.rounds {
        for kind in arguments.kinds.iter().copied() {
            let domain = format!("rest{round}.{}.example", kind.name());
            let server = One::start(network, kind, &domain, &["c".to_owned()]);
            let _component = server.connect("c");
            thread::sleep(SETTLED);
            let memory = machine::memory(&[server.id()]) / 1024.0;
            eprintln!("round {round}: at rest, {:8} {memory:6.1} MiB", kind.name());
            results.add(Figure::RestMemory, kind, memory);
        }
    }
}

const SETTLED: Duration = Duration::from_secs(2);
