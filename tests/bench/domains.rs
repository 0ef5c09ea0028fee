//! Benchmark: one stanza to each of 1,000 cold domains.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream as Stream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::arguments::{Arguments, Work};
use crate::machine;
use crate::results::{Figure, Results};
use crate::script::{Numbers, Script};
use crate::servers::Pair;
use crate::support::Network;
use crate::wire::LONGEST;

/// Runs the measurement in every round, with new servers of every kind.
pub(crate) fn run(network: &Network, arguments: &Arguments, results: &mut Results) {
    if !arguments.wants(Work::Thousand) {
        return;
    }
    let count = if arguments.quick { FEW } else { DOMAINS };
    let names: Vec<String> = (0..count).map(|number| format!("d{number}")).collect();
    for round in 0..arguments.rounds {
        for kind in arguments.kinds.iter().copied() {
            let called = format!("r{round}.{}.example", kind.name());
            let pair = Pair::start(network, kind, &called, &["c".to_owned()], &names);
            match links(&pair, &names) {
                Err(what) => results.fault(kind, "domains", &what),
                Ok(Links { seconds, processor, memory }) => {
                    let each = count as f64;
                    eprintln!(
                        "round {round}: {count} cold domains, {:8} {seconds:7.2} s, {:6.2} CPU-ms and {:5.1} KiB each",
                        kind.name(),
                        processor / each * 1e3,
                        memory / each
                    );
                    results.add(Figure::DomainsTime, kind, seconds);
                    results.add(Figure::DomainsCost, kind, processor / each * 1e3);
                    results.add(Figure::DomainsMemory, kind, memory / each);
                }
            }
        }
    }
}

/// Total cost of all links of one run.
pub(crate) struct Links {
    pub(crate) seconds: f64,
    /// Processor seconds of both servers.
    pub(crate) processor: f64,
    /// Memory of both servers, in KiB.
    memory: f64,
}

/// Sends one message to each domain, and waits until all have arrived.
pub(crate) fn links(pair: &Pair, names: &[String]) -> Result<Links, String> {
    let mut from = pair.connect_sender("c");
    let receivers: Vec<TcpStream> = names.iter().map(|name| pair.connect_receiver(name)).collect();
    thread::sleep(SETTLED);
    let servers = pair.processes();
    let (memory, processor) = (machine::memory(&servers), machine::processor_seconds(&servers));
    let mut stanzas = Vec::new();
    for name in names {
        Script::messages(&pair.sender("c"), &pair.receiver(name)).write(0, &mut stanzas);
    }
    let begin = Instant::now();
    let from = &mut from;
    let arrived = thread::scope(|scope| {
        // A separate thread writes, because a server may read slowly while it connects.
        scope.spawn(move || std::io::Write::write_all(from, &stanzas));
        await_all(receivers, LONGEST)
    });
    let (arrived, _held) = arrived.map_err(|error| error.to_string())?;
    let seconds = begin.elapsed().as_secs_f64();
    if arrived < names.len() {
        return Err(format!(
            "{} of {} did not arrive within {LONGEST:?}",
            names.len() - arrived,
            names.len()
        ));
    }
    thread::sleep(SETTLED);
    Ok(Links {
        seconds,
        processor: machine::processor_seconds(&servers) - processor,
        memory: machine::memory(&servers) - memory,
    })
}

/// Waits until every receiver has one stanza, or until the timeout. Returns the number of receivers that have
/// one, and the sockets.
pub(crate) fn await_all(
    receivers: Vec<TcpStream>,
    within: Duration,
) -> std::io::Result<(usize, Vec<TcpStream>)> {
    let held = receivers.iter().map(TcpStream::try_clone).collect::<Result<_, _>>()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let arrived = runtime.block_on(async {
        let mut waiting = JoinSet::new();
        for receiver in receivers {
            receiver.set_nonblocking(true)?;
            waiting.spawn(first(Stream::from_std(receiver)?));
        }
        let mut arrived = 0;
        let all = async {
            while let Some(came) = waiting.join_next().await {
                arrived += usize::from(came.unwrap_or(false));
            }
        };
        let _ = tokio::time::timeout(within, all).await;
        Ok::<_, std::io::Error>(arrived)
    })?;
    Ok((arrived, held))
}

/// Waits for one stanza; false if the stream ends or fails first.
async fn first(stream: Stream) -> bool {
    let mut numbers = Numbers::new(READ);
    let mut came = false;
    while !came {
        if stream.readable().await.is_err() {
            return false;
        }
        match stream.try_read(numbers.room()) {
            Ok(length @ 1..) => numbers.read(length, |_| came = true),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => return false,
        }
    }
    true
}

const DOMAINS: usize = 1000;

/// Number of domains in a quick run.
const FEW: usize = 200;

/// Pause after a start or a burst, in which a server finishes its remaining work.
const SETTLED: Duration = Duration::from_secs(1);

const READ: usize = 4096;
