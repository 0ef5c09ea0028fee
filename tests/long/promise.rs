//! The promise under load: a link that is cut again and again, and thousands of unreachable domains.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Component, Network, Node, Proxy, SOON, Server, Setup, eventually};

/// A link without acknowledgements that is reset twenty times during a flood: order is kept, and missing messages are
/// counted as in doubt.
#[test]
fn a_link_that_is_cut_often_keeps_order_and_counts_its_losses() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let proxy = Proxy::start(network.address(), other.address());
    let remote =
        format!("[[remote]]\nname = \"inbox.other.example\"\naddress = \"{}:5269\"\n", proxy.address());
    let setup = Setup::of("nuncio.example").block(&remote).set("promise.backoff", "[\"50ms\", \"200ms\"]");
    let node = Node::start(
        &network,
        setup
            .set("s2s.acks", "false")
            .set("promise.max_stanzas", "60000")
            .set("promise.max_bytes", "\"64 MiB\""),
    );
    let (sender, mut receiver) = (node.inbox(), other.inbox());
    let (from, to) = (sender.name().to_owned(), receiver.name().to_owned());
    let mut arrived: Vec<usize> = Vec::new();
    for part in 0..=CUTS {
        let first = part * PART;
        let (from, to) = (from.clone(), to.clone());
        let flood = sender.floods(PART, move |number| {
            let id = first + number;
            format!("<message from='a@{from}' to='b@{to}' id='{id}'><body>{id}</body></message>")
        });
        // Cut in the middle of each part, when some of it has arrived; wait for the end of the last part.
        let enough = if part < CUTS { first + PART / 10 } else { MESSAGES - 1 };
        while arrived.last().is_none_or(|last| *last < enough) {
            let Some(message) = receiver.next(SOON) else { break };
            arrived.push(message.attribute("id").parse().unwrap());
        }
        if part < CUTS {
            proxy.cuts();
        }
        flood.join().unwrap();
    }
    assert!(arrived.is_sorted_by(|one, next| one < next), "out of order or twice");
    node.process().signal("USR1");
    let account = node.eventually_logs(&["nuncio::account", "domain=*", "waiting=0", "difference=0"]);
    let uncertain = figure(&account, "uncertain");
    assert!(uncertain < MESSAGES, "more than was sent: {account}");
    let missing = MESSAGES - arrived.len();
    println!("{CUTS} cuts in {MESSAGES} messages: {missing} missing, {uncertain} in doubt");
    assert!(missing <= uncertain, "{missing} missing, {uncertain} in doubt: {account}");
}

/// Many unreachable domains, and one that is reachable.
#[test]
fn many_unreachable_domains_cost_bounded_memory() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("healthy.example"));
    let closed = network.address();
    let count: usize =
        std::env::var("NUNCIO_DOMAINS").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let setup = Setup::of("nuncio.example")
        .set("promise.message", "\"5s\"")
        .log("nuncio=warn,nuncio::account=info,nuncio::node=info,nuncio::promise=error");
    let pattern = format!("[[remote]]\nname = \"*.dead.example\"\naddress = \"{closed}:5269\"\n");
    let node = Node::start(&network, setup.block(&pattern));
    let (mut sender, mut outbox, mut far) = (node.inbox(), node.outbox(), other.inbox());
    let quiet = latencies(&mut outbox, &mut far, QUIET_BEATS);
    let before = resident_kib(node.process().id());
    let from = sender.name().to_owned();
    let began = Instant::now();
    let flood = sender.floods(count, move |number| {
        // Batches are sent at once: the first message of each waits for its time.
        thread::sleep((RATE * number as u32).saturating_sub(began.elapsed()));
        format!("<message from='a@{from}' to='b@d{number}.dead.example' id='{number}'><body>hello</body></message>")
    });
    // These arrive while most of the unreachable domains are still being tried.
    let while_it_lasts = (RATE * count as u32).div_duration_f64(BEAT) as usize;
    let busy = latencies(&mut outbox, &mut far, while_it_lasts);
    let mut answered = 0;
    let mut peak = before;
    while answered < count {
        assert!(sender.next(SOON).is_some(), "{answered} of {count} answered");
        answered += 1;
        if answered % 500 == 0 {
            peak = peak.max(resident_kib(node.process().id()));
        }
    }
    flood.join().unwrap();
    println!(
        "{count} unreachable domains: resident {before} KiB before, {peak} KiB at most; median latency of a healthy domain \
         {quiet:?} quiet, {busy:?} meanwhile"
    );
    if count > 10_000 {
        // The reason of the last failure of each pair is kept for a minute.
        let after = Instant::now();
        let back = || (resident_kib(node.process().id()) < before + (peak - before) / 4).then_some(());
        eventually("the memory is given back", back);
        println!("{} KiB after {:?}", resident_kib(node.process().id()), after.elapsed());
    }
    // 12 KiB per domain: queue, back-off and attempt.
    assert!(peak < before + 12 * count + 50_000, "{peak} KiB");
}

/// The median delivery time of messages, one each [`BEAT`].
fn latencies(near: &mut Component, far: &mut Component, beats: usize) -> Duration {
    let mut times: Vec<Duration> = (0..beats)
        .map(|number| {
            thread::sleep(BEAT);
            let sent = Instant::now();
            near.sends_message(far.name(), &format!("beat-{number}"), "");
            far.receives_id(&format!("beat-{number}"));
            sent.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn resident_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn figure(account: &str, name: &str) -> usize {
    let rest = account.split(&format!("{name}=")).nth(1).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The interval between messages to unreachable domains: 100,000 a minute.
const RATE: Duration = Duration::from_micros(600);

/// The interval between messages to the healthy domain.
const BEAT: Duration = Duration::from_millis(10);
const QUIET_BEATS: usize = 200;

/// How often the link is cut, and the messages between two cuts.
const CUTS: usize = 20;
const PART: usize = 2_500;
const MESSAGES: usize = (CUTS + 1) * PART;
