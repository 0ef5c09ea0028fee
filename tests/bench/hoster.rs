//! Benchmark: many cold domains behind one address, with the shipped limits and with the limits lifted.

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

/// Measures both configurations alternately, in both directions, then once more beside unauthenticated
/// connections. Fails if a message does not arrive, or if the shipped limits cost more time than allowed.
pub(crate) fn run(network: &Network, arguments: &Arguments) -> ExitCode {
    let mut is_good = true;
    for round_trip in arguments.round_trips.iter().copied() {
        for count in arguments.domains.iter().copied() {
            is_good &= compare(network, arguments.rounds, count, round_trip);
        }
    }
    let scene = Scene { kind: Kind::Nuncio, count: 1000, strangers: STRANGERS, round_trip: Duration::ZERO };
    match both_ways(network, &scene, "strangers.example") {
        Ok([to, from]) => println!(
            "1000 cold domains beside {STRANGERS} unauthenticated connections: {:.2} s to the domains, {:.2} s from them",
            to.seconds, from.seconds
        ),
        Err(what) => {
            println!("FAULT 1000 domains beside unauthenticated connections: {what}");
            is_good = false;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Parameters of one measurement.
struct Scene {
    kind: Kind,
    count: usize,
    strangers: usize,
    round_trip: Duration,
}

/// Time and processor time for the messages of one direction.
#[derive(Clone, Copy)]
struct Took {
    seconds: f64,
    /// Processor seconds of both nodes. They show the work caused by the limits, even on a busy machine.
    processor: f64,
}

/// Compares the shipped limits with lifted limits. Returns true if all messages arrived in the allowed time.
fn compare(network: &Network, rounds: usize, count: usize, round_trip: Duration) -> bool {
    let mut is_good = true;
    let mut took = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    let apart = round_trip.as_millis();
    for round in 0..rounds {
        for (took, kind) in took.iter_mut().zip([Kind::Nuncio, Kind::Lifted]) {
            let name = if kind == Kind::Nuncio { "shipped" } else { "lifted" };
            let called = format!("h{round}-{count}-{apart}.{name}.example");
            let scene = Scene { kind, count, strangers: 0, round_trip };
            match both_ways(network, &scene, &called) {
                Ok(both) => took.iter_mut().zip(both).for_each(|(took, this)| took.push(this)),
                Err(what) => {
                    println!("FAULT {count} domains, limits {name}: {what}");
                    is_good = false;
                }
            }
        }
    }
    for (direction, way) in ["to", "from"].into_iter().enumerate() {
        let median = |kind: usize, of: fn(&Took) -> f64| {
            let values: Vec<f64> = took[kind][direction].iter().map(of).collect();
            quantile(&values, 0.5)
        };
        let (Some(shipped), Some(lifted)) = (median(0, |took| took.seconds), median(1, |took| took.seconds))
        else {
            continue;
        };
        let processor =
            [0, 1].map(|kind| median(kind, |took| took.processor).unwrap_or_default() / count as f64 * 1e3);
        let ratio = shipped / lifted;
        is_good &= ratio <= MOST;
        println!(
            "{count} cold domains, one message {way} each, round trip {apart} ms: {shipped:.2} s as shipped, {lifted:.2} s with \
             the limits lifted, ratio {ratio:.2} (at most {MOST}); {:.2} and {:.2} CPU-ms each",
            processor[0], processor[1]
        );
    }
    is_good
}

/// Sends one message to each of `count` domains of one server, then one from each. Returns both costs.
fn both_ways(network: &Network, scene: &Scene, called: &str) -> Result<[Took; 2], String> {
    let Scene { kind, count, strangers, round_trip } = *scene;
    let names: Vec<String> = (0..count).map(|number| format!("d{number}")).collect();
    let pair = Pair::start_apart(network, kind, called, &["c".to_owned()], &names, round_trip);
    let mut one = pair.connect_sender("c");
    one.set_read_timeout(Some(LONGEST)).map_err(|error| error.to_string())?;
    let mut many: Vec<TcpStream> = names.iter().map(|name| pair.connect_receiver(name)).collect();
    let source = network.address();
    let target = SocketAddr::from((pair.receiving_address(), 5269));
    let held: Vec<TcpStream> =
        (0..strangers).map(|number| stranger(source, target, &pair.receiver("d0"), number)).collect();
    thread::sleep(SETTLED);
    let memory = machine::memory(&pair.processes());

    let mut stanzas = Vec::new();
    for name in &names {
        Script::messages(&pair.sender("c"), &pair.receiver(name)).write(0, &mut stanzas);
    }
    let (begin, processor) = (Instant::now(), machine::processor_seconds(&pair.processes()));
    let receivers: Result<Vec<_>, _> = many.iter().map(TcpStream::try_clone).collect();
    let receivers = receivers.map_err(|error| error.to_string())?;
    let arrived = thread::scope(|scope| {
        // A separate thread writes, because a server may read slowly while it connects.
        scope.spawn(|| one.write_all(&stanzas));
        await_all(receivers, LONGEST)
    });
    let (arrived, _) = arrived.map_err(|error| error.to_string())?;
    let (seconds, after) = (begin.elapsed().as_secs_f64(), machine::processor_seconds(&pair.processes()));
    let to = Took { seconds, processor: after - processor };
    if arrived < count {
        return Err(format!("{} of {count} did not arrive within {LONGEST:?}", count - arrived));
    }

    let (begin, processor) = (Instant::now(), machine::processor_seconds(&pair.processes()));
    for (socket, name) in many.iter_mut().zip(&names) {
        let mut stanza = Vec::new();
        Script::messages(&pair.receiver(name), &pair.sender("c")).write(0, &mut stanza);
        socket.set_nonblocking(false).map_err(|error| error.to_string())?;
        socket.write_all(&stanza).map_err(|error| error.to_string())?;
    }
    let came = await_messages(&mut one, count);
    let (seconds, after) = (begin.elapsed().as_secs_f64(), machine::processor_seconds(&pair.processes()));
    let from = Took { seconds, processor: after - processor };
    if came < count {
        return Err(format!(
            "{} of {count} from the domains did not arrive within {LONGEST:?}",
            count - came
        ));
    }
    thread::sleep(SETTLED);
    let links = (2 * count) as f64;
    eprintln!(
        "  {count} domains, {}: {:.2} s and {:.2} CPU-s to them, {:.2} s and {:.2} CPU-s from them; {:.1} KiB for a held link, \
         both ends; load {:.1}",
        kind.name(),
        to.seconds,
        to.processor,
        from.seconds,
        from.processor,
        (machine::memory(&pair.processes()) - memory) / links,
        machine::load_average()
    );
    let served = held.iter().filter(|stranger| is_answered(stranger)).count();
    if strangers > 0 {
        eprintln!("  {served} of {strangers} unauthenticated connections have received data");
    }
    Ok([to, from])
}

/// Opens a connection that does not authenticate. Even numbers send a stream header, odd ones send nothing.
fn stranger(source: Ipv4Addr, target: SocketAddr, domain: &str, number: usize) -> TcpStream {
    let mut stranger = connect_from(source, target);
    if number.is_multiple_of(2) {
        // The server may have closed the connection already.
        let _ = stranger.write_all(HEADER.replace("inbox.nuncio.example", domain).as_bytes());
    }
    stranger
}

fn is_answered(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    stream.peek(&mut [0]).is_ok_and(|length| length > 0)
}

/// Reads until `count` messages have arrived, or until the timeout of the socket. Returns how many arrived.
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

/// Timeout for all messages of one direction, a little shorter than the time a message waits for a link.
const LONGEST: Duration = Duration::from_secs(280);

/// Maximum ratio of the time with the shipped limits to the time without.
const MOST: f64 = 1.3;

/// Number of unauthenticated connections from another address.
const STRANGERS: usize = 1000;

/// Pause after a start or a burst, in which a node finishes its remaining work.
const SETTLED: Duration = Duration::from_secs(1);

const READ: usize = 64 * 1024;
