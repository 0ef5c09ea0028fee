//! Many cold domains behind one address, with the configuration as shipped on both sides, and with the limits lifted.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::domains::await_all;
use crate::machine;
use crate::results::quantile;
use crate::script::{Numbers, Script};
use crate::servers::{Kind, Pair};
use crate::support::{HEADER, Network, connect_from};

/// Measures both kinds in turns, in both directions, then once more beside strangers. Fails if a message does not arrive,
/// or if the limits take more time than they may.
pub(crate) fn run(network: &Network, arguments: &Arguments) -> ExitCode {
    let mut is_good = true;
    for count in arguments.domains.iter().copied() {
        let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        for round in 0..arguments.rounds {
            for (times, kind) in times.iter_mut().zip([Kind::Nuncio, Kind::Lifted]) {
                let name = if kind == Kind::Nuncio { "shipped" } else { "lifted" };
                let called = format!("h{round}-{count}.{name}.example");
                match both_ways(network, kind, &called, count, 0) {
                    Ok(seconds) => times.iter_mut().zip(seconds).for_each(|(times, took)| times.push(took)),
                    Err(what) => {
                        println!("FAULT {count} domains, limits {name}: {what}");
                        is_good = false;
                    }
                }
            }
        }
        for (direction, way) in ["to", "from"].into_iter().enumerate() {
            let median = |kind: usize| quantile(&times[kind][direction], 0.5);
            let (Some(shipped), Some(lifted)) = (median(0), median(1)) else { continue };
            let ratio = shipped / lifted;
            is_good &= ratio <= MOST;
            println!(
                "{count} cold domains, a message {way} each: {shipped:.2} s as shipped, {lifted:.2} s with the limits lifted, \
                 ratio {ratio:.2} (at most {MOST})"
            );
        }
    }
    match both_ways(network, Kind::Nuncio, "strangers.example", 1000, STRANGERS) {
        Ok([to, from]) => println!(
            "1000 cold domains beside {STRANGERS} strangers of another address: {to:.2} s to them, {from:.2} s from them"
        ),
        Err(what) => {
            println!("FAULT 1000 domains beside strangers: {what}");
            is_good = false;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A message to each of `count` domains of one server, then one from each; gives how long it took until all were there.
fn both_ways(
    network: &Network,
    kind: Kind,
    called: &str,
    count: usize,
    strangers: usize,
) -> Result<[f64; 2], String> {
    let names: Vec<String> = (0..count).map(|number| format!("d{number}")).collect();
    let pair = Pair::start(network, kind, called, &["c".to_owned()], &names);
    let mut one = pair.connect_sender("c");
    one.set_read_timeout(Some(LONGEST)).map_err(|error| error.to_string())?;
    let mut many: Vec<TcpStream> = names.iter().map(|name| pair.connect_receiver(name)).collect();
    let source = network.address();
    let target = SocketAddr::from((pair.receiving_address(), 5269));
    let held: Vec<TcpStream> = (0..strangers).map(|number| stranger(source, target, number)).collect();
    thread::sleep(SETTLED);
    let memory = machine::memory(&pair.processes());

    let mut stanzas = Vec::new();
    for name in &names {
        Script::messages(&pair.sender("c"), &pair.receiver(name)).write(0, &mut stanzas);
    }
    let begin = Instant::now();
    let receivers: Result<Vec<_>, _> = many.iter().map(TcpStream::try_clone).collect();
    let receivers = receivers.map_err(|error| error.to_string())?;
    let arrived = thread::scope(|scope| {
        // Written aside: a server may read slowly while it connects.
        scope.spawn(|| one.write_all(&stanzas));
        await_all(receivers, LONGEST)
    });
    let (arrived, _) = arrived.map_err(|error| error.to_string())?;
    let to = begin.elapsed().as_secs_f64();
    if arrived < count {
        return Err(format!("{} of {count} did not arrive within {LONGEST:?}", count - arrived));
    }

    let begin = Instant::now();
    for (socket, name) in many.iter_mut().zip(&names) {
        let mut stanza = Vec::new();
        Script::messages(&pair.receiver(name), &pair.sender("c")).write(0, &mut stanza);
        socket.set_nonblocking(false).map_err(|error| error.to_string())?;
        socket.write_all(&stanza).map_err(|error| error.to_string())?;
    }
    let came = await_messages(&mut one, count);
    let from = begin.elapsed().as_secs_f64();
    if came < count {
        return Err(format!(
            "{} of {count} from the domains did not arrive within {LONGEST:?}",
            count - came
        ));
    }
    thread::sleep(SETTLED);
    let links = (2 * count) as f64;
    eprintln!(
        "  {count} domains, {}: {to:.2} s to them, {from:.2} s from them; {:.1} KiB for a held link, both ends",
        kind.name(),
        (machine::memory(&pair.processes()) - memory) / links
    );
    let served = held.iter().filter(|stranger| is_answered(stranger)).count();
    if strangers > 0 {
        eprintln!("  {served} of {strangers} strangers had an answer or a refusal so far");
    }
    Ok([to, from])
}

/// A connection that does not authenticate: every other one says nothing at all.
fn stranger(source: Ipv4Addr, target: SocketAddr, number: usize) -> TcpStream {
    let mut stranger = connect_from(source, target);
    if number.is_multiple_of(2) {
        // It may have been refused already.
        let _ = stranger.write_all(HEADER.as_bytes());
    }
    stranger
}

fn is_answered(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    stream.peek(&mut [0]).is_ok_and(|length| length > 0)
}

/// Reads until so many messages are there, or for too long; gives how many came.
fn await_messages(to: &mut TcpStream, count: usize) -> usize {
    let mut numbers = Numbers::new(READ);
    let mut came = 0;
    while came < count {
        match std::io::Read::read(to, numbers.room()) {
            Ok(length @ 1..) => numbers.read(length, |_| came += 1),
            _ => break,
        }
    }
    came
}

/// How long all of the messages of one direction may take: somewhat less than one of them waits for a link.
const LONGEST: Duration = Duration::from_secs(280);

/// How much longer it may take with the limits than without.
const MOST: f64 = 1.3;

/// Connections of another address that do not authenticate.
const STRANGERS: usize = 1000;

/// What a node has yet to do after a start or a burst is over by then.
const SETTLED: Duration = Duration::from_secs(1);

const READ: usize = 64 * 1024;
