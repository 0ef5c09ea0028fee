//! `nuncio demo`, with and without a cluster.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{BINARY, Network, Process, SOON, needs, within};

#[test]
fn demo_sends_a_message_each_way_and_a_bounce() {
    let output = demo(&[], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let story = String::from_utf8_lossy(&output.stdout).to_lowercase();
    for chapter in ["queued", "resolved", "connected", "secured", "authenticated", "handed over", "delivered"]
    {
        assert!(story.contains(chapter), "no {chapter:?} in\n{story}");
    }
    assert!(story.contains("remote-server-not-found"), "no bounce in\n{story}");
    assert!(!story.contains("may not have arrived") && !story.contains("in time"), "a clean end:\n{story}");
}

#[test]
fn the_demo_of_a_cluster_shows_one_link_for_both_nodes_and_what_happens_when_its_node_stops() {
    needs("command -v nats-server", "nats-server");
    let temporary = Temporary::new();
    let output = demo(&["--cluster"], &[("TMPDIR", temporary.path())]);
    let story = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut rest = story.as_str();
    // In this order.
    for part in [
        "message broker started",
        "node joined",
        "He writes: a claims the pair",
        "authenticated",
        "moves to node b",
        "through node a",
        "Juliet answers",
        "Node a stops",
        "node left",
        "now b claims the pair",
        "authenticated",
        "All messages arrived",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} where it belongs in\n{story}"));
        rest = &rest[at + part.len()..];
    }
    assert_eq!(story.matches("delivered").count(), 4, "{story}");
    // One link for both nodes, one back, and one of b.
    let of_node = |node: &str, event: &str| {
        let is_of = |line: &&str| line.contains(&format!("ms  {node}  ")) && line.contains(event);
        story.lines().filter(is_of).count()
    };
    assert_eq!(
        (of_node("a      ", "→ capulet  authenticated"), of_node("b      ", "→ capulet  authenticated")),
        (1, 1),
        "{story}"
    );
    assert!(temporary.is_empty(), "the broker leaves nothing behind");
}

#[test]
fn the_broker_of_the_demo_ends_with_it_however_it_ends() {
    needs("command -v nats-server", "nats-server");
    for signal in ["INT", "TERM", "KILL"] {
        let network = Network::new();
        let temporary = Temporary::new();
        let process = Process::start(
            "demo",
            &network.directory("demo"),
            // A shell has SIGINT ignored in what it runs in the background, and this test may run there.
            "env",
            &["--default-signal=INT", BINARY, "demo", "--cluster"],
            &[("TMPDIR", temporary.path())],
        );
        let line = process.eventually_logs(&["message broker started"]);
        let address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
        process.signal(signal);
        assert!(!process.exit_within(SOON).success());
        let is_gone = || (temporary.is_empty() && TcpStream::connect(address).is_err()).then_some(());
        within(SOON, "the broker is gone", is_gone);
    }
}

#[test]
fn a_demo_of_a_cluster_without_nats_server_says_how_to_get_it() {
    for (named, said) in [
        (
            "/nowhere/nats-server",
            "/nowhere/nats-server is no program; the environment variable NUNCIO_NATS names it",
        ),
        ("no-such-server", "no-such-server is no program"),
    ] {
        let output = demo(&["--cluster"], &[("NUNCIO_NATS", named)]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(told.contains(said), "{told}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn a_broker_that_ends_at_once_is_an_error_of_the_demo() {
    let temporary = Temporary::new();
    let environment = [("NUNCIO_NATS", "/bin/echo"), ("TMPDIR", temporary.path())];
    let output = demo(&["--cluster"], &environment);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told.contains("The demo failed: /bin/echo ended: -c "), "{told}");
    assert!(temporary.is_empty());
}

fn demo(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("demo").args(arguments).envs(environment.iter().copied());
    command.output().unwrap()
}

/// A directory for temporary files with a short path: that of a socket has at most 107 bytes.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nd-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
