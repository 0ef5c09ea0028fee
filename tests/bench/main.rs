//! Federation benchmark: Nuncio, Prosody and ejabberd run the same workloads alternately in one run.

// A benchmark may panic on any failure. Its support modules come from the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod answers;
mod arguments;
mod bad;
mod cluster;
mod cost;
mod domains;
mod figure;
mod flood;
mod handshake;
mod hoster;
mod latency;
mod machine;
mod pipeline;
mod relay;
mod resets;
mod rest;
mod results;
mod scale;
mod script;
mod servers;
mod stalled;
mod store;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests need all of it, this some")]
mod support;
mod table;
mod warm;
mod wire;

use std::process::ExitCode;

use arguments::Arguments;
use results::Results;
use store::Circumstances;
use support::Network;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if pipeline::is_half(&words) {
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::read(&words) {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let circumstances = Circumstances::note(&arguments);
    eprintln!("{}", circumstances.describe());
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // The other servers work with the name resolution of ejabberd too.
    let network = Network::for_ejabberd();
    if arguments.scale {
        scale::run(&network);
        return ExitCode::SUCCESS;
    }
    if arguments.acks {
        return cost::run(&cost::ACKS, &network, &arguments);
    }
    if arguments.journal {
        return cost::run(&cost::JOURNAL, &network, &arguments);
    }
    if arguments.memory {
        return cost::run(&cost::MEMORY, &network, &arguments);
    }
    if arguments.bad {
        return bad::run(&network, &arguments);
    }
    if arguments.cluster {
        return cluster::run(&network, &arguments);
    }
    if arguments.resets {
        return resets::run(&network, &arguments);
    }
    if arguments.hoster {
        return hoster::run(&network, &arguments);
    }
    let mut results = Results::default();
    for work in [rest::run, handshake::run, warm::run, domains::run] {
        work(&network, &arguments, &mut results);
    }
    println!("{}\n\n{}", circumstances.describe(), table::render(&results));
    results.faults.iter().for_each(|fault| println!("FAULT {fault}"));
    if arguments.store {
        match store::store(&results, &circumstances) {
            Ok(where_) => println!("{where_}"),
            Err(error) => {
                eprintln!("the results could not be stored: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if results.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
