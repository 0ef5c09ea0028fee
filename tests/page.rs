//! `nuncio mailboxes --html` makes a page that a browser shows: opened in a headless Chromium.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{BINARY, Network, needs};

#[test]
fn the_page_of_a_stalled_remote_is_read_zoomed_and_looked_at_in_a_browser() {
    let network = Network::new();
    let directory = network.directory("page");
    let (log, page) = (directory.join("stalled.log"), directory.join("stalled.html"));
    fs::write(&log, stalled_remote()).unwrap();
    make(&page, &log);
    let told = browser(&[
        "read",
        page.to_str().unwrap(),
        directory.to_str().unwrap(),
        // What the log says at the time of the marked line.
        "2026-11-21T09:37:10Z",
        "outgoing",
        "777 of 1024",
        "601",
        "45.0ms",
        "nuncio.example > stalled.example: 555",
    ]);
    assert!(told.contains("read in 4 views"), "{told}");
}

#[test]
fn a_quiet_day_is_a_page_too() {
    let network = Network::new();
    let directory = network.directory("page");
    let (log, page) = (directory.join("quiet.log"), directory.join("quiet.html"));
    fs::write(&log, quiet_day()).unwrap();
    make(&page, &log);
    let told = browser(&[
        "read",
        page.to_str().unwrap(),
        directory.to_str().unwrap(),
        "2026-11-21T12:00:10Z",
        "router",
        "1 of 4096",
        "0",
        "1.2ms",
        "nothing waits",
    ]);
    assert!(told.contains("read in 4 views"), "{told}");
}

#[test]
fn a_restart_is_marked_and_no_line_crosses_the_time_at_which_the_node_did_not_run() {
    let network = Network::new();
    let directory = network.directory("page");
    let (log, page) = (directory.join("restarted.log"), directory.join("restarted.html"));
    fs::write(&log, restarted_twice()).unwrap();
    make(&page, &log);
    let told = browser(&[
        "restarts",
        page.to_str().unwrap(),
        directory.to_str().unwrap(),
        "outgoing",
        "2026-11-21T09:10:05Z",
        "2026-11-21T09:25:00Z",
        "2026-11-21T09:00:01Z",
        "2026-11-21T09:20:00Z",
        "2026-11-21T09:30:00Z",
        "2026-11-21T09:45:30Z",
    ]);
    assert!(told.contains("restarts in 4 views"), "{told}");
    let page = fs::read_to_string(&page).unwrap();
    let said = "The node was restarted 2 times; before 1 of these it wrote no line about its stop: it was killed, or it failed. \
                It last did not run from 2026-11-21 09:45:10 to 2026-11-21 09:45:30.";
    assert!(page.contains(said), "no {said}");
    assert!(!page.contains("No lines from"), "the node did not run: that is no silence");
}

#[test]
fn a_day_of_lines_every_ten_seconds_makes_a_page_of_limited_size() {
    let network = Network::new();
    let directory = network.directory("page");
    let (log, page) = (directory.join("day.log"), directory.join("day.html"));
    fs::write(&log, busy_day()).unwrap();
    let told = make(&page, &log);
    assert!(told.contains("129600 mailbox lines"), "{told}");
    let size = fs::metadata(&page).unwrap().len();
    assert!(size <= 5_000_000, "{size} bytes");
    let told = browser(&["opens", page.to_str().unwrap()]);
    assert!(told.contains("opened"), "{told}");
}

#[test]
fn text_of_a_peer_in_a_log_does_not_run_in_the_page() {
    let network = Network::new();
    let directory = network.directory("page");
    let (log, page) = (directory.join("evil.log"), directory.join("evil.html"));
    let mut text = String::new();
    for (number, evil) in [
        "</script><script>window.broken=1</script>",
        "<img/src=x/onerror=window.broken=1>",
        "\u{2028}window.broken=1//",
        "'-window.broken=1-'",
        "</title></style><b>bold",
    ]
    .into_iter()
    .enumerate()
    {
        let second = number * 10;
        text += &format!(
            "2026-11-21T09:00:{second:02}.000Z INFO  nuncio::mailbox mailbox actor={evil} instances=1 depth=5 \
             deepest=\"{evil} > b:5\" peak=5 capacity=5 handled=5 rate=5/s wait_p50=35us wait_p99=1.2ms refused=1 \
             restarts=0\n"
        );
    }
    fs::write(&log, text).unwrap();
    make(&page, &log);
    let told = browser(&["harmless", page.to_str().unwrap()]);
    assert!(told.contains("harmless"), "{told}");
}

#[test]
fn a_log_without_mailbox_lines_makes_no_page() {
    let network = Network::new();
    let directory = network.directory("page");
    let (log, page) = (directory.join("node.log"), directory.join("page.html"));
    fs::write(&log, "2026-11-21T10:00:00Z INFO  nuncio::node ready\n").unwrap();
    let output = mailboxes(&page, &log);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no mailbox lines in") && told.contains("nuncio::mailbox=info"), "{told}");
    assert!(!page.exists());
    // The names are exchanged: the log stays.
    let output = mailboxes(&log, &page);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not overwritten"), "{output:?}");
}

/// Makes the page; returns what the command prints.
fn make(page: &Path, log: &Path) -> String {
    let output = mailboxes(page, log);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn mailboxes(page: &Path, log: &Path) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["mailboxes", "--html"]).args([page, log]).stdin(Stdio::null()).output().unwrap()
}

/// Runs the browser; returns what the script prints.
fn browser(arguments: &[&str]) -> String {
    needs("chromium --version", "chromium");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/page.py");
    let output = Command::new("/usr/bin/python3").arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An hour with five kinds of actors. The remote server stalls from 09:35 to 09:40.
fn stalled_remote() -> String {
    let mut log = String::new();
    let (mut handled, mut refused, mut taken) = (0, 0, 0);
    for number in 0..360 {
        let time = time(number * 10);
        handled += 1800 + number % 70;
        taken += 900 + number % 50;
        let stalls = (211..241).contains(&number);
        // The line of 09:37:10, whose values the test expects.
        let is_marked = number == 223;
        let waiting = if stalls { (number - 210) * 40 } else { 0 };
        let (depth, peak) = match () {
            () if is_marked => (601, 777),
            () if stalls => (waiting.min(1024), (waiting + 60).min(1024)),
            () => (0, 20 + number % 25),
        };
        let deepest = match () {
            () if is_marked => "\"nuncio.example > stalled.example:555\"".to_owned(),
            () if stalls => format!("\"nuncio.example > stalled.example:{depth}\""),
            () => "-".to_owned(),
        };
        refused += if depth == 1024 { 31 } else { 0 };
        let p99 = if is_marked || !stalls { "45.0ms" } else { "2.1s" };
        let mut line = |actor: &str, rest: String| {
            let _ = writeln!(log, "{time} INFO  nuncio::mailbox mailbox actor={actor} {rest}");
        };
        line(
            "outgoing",
            format!(
                "instances={} depth={depth} deepest={deepest} peak={peak} capacity=1024 handled={handled} rate={}/s \
             wait_p50=80us wait_p99={p99} refused={refused} restarts=0",
                12 + number / 60,
                180 + number % 7
            ),
        );
        for (actor, capacity) in [("router", 4096), ("component", 1024), ("incoming", 1024)] {
            line(
                actor,
                format!(
                    "instances=1 depth=0 deepest=- peak={} capacity={capacity} handled={handled} rate=180/s wait_p50=35us \
                 wait_p99=1.2ms refused=0 restarts=0",
                    40 + number % 30
                ),
            );
        }
        if number % 40 == 0 {
            line(
                "recorder",
                "instances=1 depth=0 deepest=- peak=2 capacity=8192 handled=9 rate=1/s wait_p50=9us \
                              wait_p99=90us refused=0 restarts=0"
                    .to_owned(),
            );
        }
        let waits = if stalls { waiting } else { 0 };
        let written = taken - waits;
        let _ = writeln!(
            log,
            "{time} INFO  nuncio::account account domain=* taken={taken} taken_bytes=1 restored=0 written={written} \
             acknowledged={written} unacked=0 uncertain=0 repeated=0 answered={refused} expired=0 dropped=0 kept=0 \
             journaled=0 waiting={waits} waiting_bytes=1 difference=0 difference_bytes=0"
        );
        if number % 30 == 0 {
            let _ = writeln!(log, "{time} INFO  nuncio::mailbox mailbox idle=verifier,resumer since=5m");
            let pair = format!("pair=\"nuncio.example > peer{}.example\"", number / 30);
            let _ =
                writeln!(log, "{time} INFO  nuncio::outgoing authenticated {pair} address=192.0.2.7:5269");
        }
        if number == 241 {
            let pair = "pair=\"nuncio.example > stalled.example\"";
            let _ = writeln!(
                log,
                "{time} INFO  nuncio::outgoing closed {pair} reason=\"it reads nothing\" lived=7m"
            );
            let _ = writeln!(
                log,
                "{time} WARN  nuncio::promise no link {pair} reason=\"no answer\" waiting=1200"
            );
        }
    }
    log
}

/// An hour: the node is stopped from 09:20 to 09:30, and killed after 09:45:10; it is started again at 09:45:30.
fn restarted_twice() -> String {
    let mut log = format!("{} INFO  nuncio::node ready s2s=127.0.0.1:5269\n", time(1));
    let (mut handled, mut written) = (0, 0);
    for number in 1..360 {
        match number {
            120 => {
                let _ = writeln!(log, "{} INFO  nuncio::node stopping signal=SIGTERM", time(1199));
                let _ = writeln!(log, "{} INFO  nuncio::node stopped", time(1200));
            }
            180 => {
                let _ = writeln!(log, "{} INFO  nuncio::node ready s2s=127.0.0.1:5269", time(1800));
                (handled, written) = (0, 0);
            }
            272 => {
                let _ = writeln!(log, "{} INFO  nuncio::node ready s2s=127.0.0.1:5269", time(2730));
                (handled, written) = (0, 0);
            }
            _ => {}
        }
        if (120..=180).contains(&number) || number == 272 || number == 273 {
            continue;
        }
        let time = time(number * 10);
        handled += 1000 + number % 70;
        written += 900;
        for (actor, capacity) in [("outgoing", 1024), ("router", 4096)] {
            let _ = writeln!(
                log,
                "{time} INFO  nuncio::mailbox mailbox actor={actor} instances=3 depth=9 deepest=- peak={} \
                 capacity={capacity} handled={handled} rate=100/s wait_p50=80us wait_p99=45.0ms refused=0 restarts=0",
                40 + number % 25
            );
        }
        let _ = writeln!(
            log,
            "{time} INFO  nuncio::account account domain=* taken={written} written={written} answered=0 expired=0 \
             dropped=0 waiting=0 difference=0"
        );
        if number % 30 == 1 {
            let pair = format!("pair=\"nuncio.example > peer{number}.example\"");
            let _ =
                writeln!(log, "{time} INFO  nuncio::outgoing authenticated {pair} address=192.0.2.7:5269");
        }
    }
    log
}

/// A node with one message at noon.
fn quiet_day() -> String {
    let kinds = ["router", "promise", "component", "service", "recorder", "listener", "resolver"];
    let mut log = String::new();
    let mut lines = |second: u64| {
        for kind in kinds {
            let _ = writeln!(
                log,
                "{} INFO  nuncio::mailbox mailbox actor={kind} instances=1 depth=0 deepest=- peak=1 capacity=4096 \
                 handled=4 rate=0/s wait_p50=90us wait_p99=1.2ms refused=0 restarts=0",
                time(second)
            );
        }
    };
    lines(10);
    lines(3 * 3600 + 10);
    for number in 1..24 * 12 {
        let (time, kinds) = (time(number * 300), kinds.join(","));
        let _ = writeln!(log, "{time} INFO  nuncio::mailbox mailbox idle={kinds} since=5m");
    }
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Fifteen kinds of actors with a line each, every ten seconds.
fn busy_day() -> String {
    let mut log = String::with_capacity(40_000_000);
    for number in 0..8640_u64 {
        let time = time(number * 10);
        for kind in 0..15 {
            let value = (number * 7919 + kind * 104_729) % 1000;
            let _ = writeln!(
                log,
                "{time} INFO  nuncio::mailbox mailbox actor=kind{kind} instances={value} depth={value} \
                 deepest=\"nuncio.example > peer{value}.example:{value}\" peak={value} capacity=1024 \
                 handled={number} rate={value}/s wait_p50={value}us wait_p99={value}.5ms refused={} restarts=0",
                number / 100
            );
        }
    }
    log
}

/// So many seconds after 09:00 of 21 November 2026.
fn time(second: u64) -> String {
    let second = second + 9 * 3600;
    let (day, hour, minute) = (21 + second / 86_400, second / 3600 % 24, second / 60 % 60);
    format!("2026-11-{day}T{hour:02}:{minute:02}:{:02}.250Z", second % 60)
}
