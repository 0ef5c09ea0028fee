//! The control socket: permissions, stale sockets, limits, and errors when it is missing.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use socket2::SockRef;

use super::*;
use crate::support::{Process, SOON, configuration};

#[test]
fn the_socket_is_private_and_is_removed_with_the_node() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let mode = fs::metadata(place.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ready = node.eventually_logs(&["ready"]);
    assert!(ready.contains(&format!("control={}", place.socket().display())), "{ready}");
    assert!(node.terminate(SOON).success());
    assert!(!place.socket().exists());
}

#[test]
fn a_socket_left_by_a_dead_node_is_replaced() {
    let (network, place) = (Network::new(), Place::new());
    drop(UnixListener::bind(place.socket()).unwrap());
    assert!(place.socket().exists());
    let _node = Node::start(&network, place.setup());
    assert_eq!(place.tells(&["sessions"]).trim_end(), "0 links");
}

#[test]
fn a_second_node_is_refused_the_socket_of_the_first() {
    let (network, place) = (Network::new(), Place::new());
    let _node = Node::start(&network, place.setup());
    let text = configuration(&network, &place.setup(), network.address());
    let process = runs(&network, "second", &text);
    assert!(!process.exit_within(SOON).success());
    let socket = place.socket().display().to_string();
    assert!(process.logged(&[&socket, "another node uses it"]), "{:?}", process.lines());
    assert_eq!(place.tells(&["sessions"]).trim_end(), "0 links", "the first goes on");
}

#[test]
fn without_a_node_the_command_names_the_socket() {
    let place = Place::new();
    let socket = place.socket().display().to_string();
    let output = place.nuncio(&["sessions"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no node is running") && told.contains(&socket), "{told}");
    drop(UnixListener::bind(place.socket()).unwrap());
    let output = place.nuncio(&["explain", "b.example"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("no node is running: ")
            && told.contains("a stopped node left behind")
            && told.contains(&socket),
        "{told}"
    );
}

#[test]
fn the_socket_is_found_by_the_configuration_and_beside_it_by_default() {
    let (network, place) = (Network::new(), Place::new());
    let text = configuration(&network, &Setup::of("nuncio.example"), network.address());
    let file = place.0.join("my.toml");
    fs::write(&file, text.replace("control = \"\"\n", "")).unwrap();
    let node = Process::start("nuncio", &place.0, BINARY, &["run", "--config", path(&file)], &[]);
    node.logs_within(SOON, &["ready", "my.sock"]);
    let output = nuncio(&["sessions", "--config", path(&file)]);
    assert!(output.status.success(), "{output:?}");
    // A configuration that became invalid does not hide the running node.
    fs::write(&file, "workers = \"many\"\n[s2s]\ntls = \"perhaps\"\n").unwrap();
    let output = nuncio(&["sessions", "--config", path(&file)]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_node_can_do_without_a_socket() {
    let (network, place) = (Network::new(), Place::new());
    let text = configuration(
        &network,
        &Setup::of("nuncio.example").set("listen.control", "\"\""),
        network.address(),
    );
    let file = place.0.join("none.toml");
    fs::write(&file, text).unwrap();
    let node = Process::start("nuncio", &place.0, BINARY, &["run", "--config", path(&file)], &[]);
    let ready = node.logs_within(SOON, &["ready"]);
    assert!(!ready.contains("control="), "{ready}");
    let output = nuncio(&["sessions", "--config", path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("listen.control is empty"), "{output:?}");
}

#[test]
fn a_path_that_no_socket_can_have_is_a_problem_of_the_configuration() {
    let (network, place) = (Network::new(), Place::new());
    let long = format!("\"{}.sock\"", "x".repeat(120));
    let setup = Setup::of("nuncio.example").set("listen.control", &long);
    let file = place.0.join("long.toml");
    fs::write(&file, configuration(&network, &setup, network.address())).unwrap();
    let output = nuncio(&["check", "--config", path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("listen.control") && told.contains("107 bytes"), "{told}");
}

#[test]
fn out_of_file_descriptors_the_log_stays_quiet() {
    let (network, place) = (Network::new(), Place::new());
    let address = network.address();
    let setup = place.setup().set("listen.metrics", &format!("[\"{address}:9090\"]"));
    let file = place.0.join("few.toml");
    fs::write(&file, configuration(&network, &setup, address)).unwrap();
    let run = format!("ulimit -n 64; exec {BINARY} run --config {}", path(&file));
    let node = Process::start("nuncio", &place.0, "/bin/sh", &["-c", &run], &[]);
    node.logs_within(SOON, &["ready"]);
    let _strangers: Vec<_> = (0..100).map(|_| TcpStream::connect((address, 5269)).unwrap()).collect();
    node.eventually_logs(&["a connection could not be accepted"]);
    let _asked = UnixStream::connect(place.socket()).unwrap();
    let _scraper = TcpStream::connect((address, 9090)).unwrap();
    for (one, more) in [
        (
            "cannot accept a connection to the control socket",
            "nuncio::control more connections to the control socket could not be accepted",
        ),
        ("no connection can be accepted", "nuncio::metrics more connections could not be accepted"),
    ] {
        node.eventually_logs(&[more]);
        let lines = node.lines();
        let before = lines.iter().take_while(|line| !line.contains(more));
        assert_eq!(before.filter(|line| line.contains(one)).count(), 1, "{one}: {lines:?}");
    }
}

#[test]
fn a_malformed_request_gets_an_error() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let long = "x".repeat(100_000);
    let deep = "[".repeat(4_000);
    for question in [
        "GET / HTTP/1.1\r\n\r\n",
        "{}\n",
        "null\n",
        "{\"ask\":\"sessions\",\"limit\":-1}\n",
        "\0\0\0\n",
        "{\"ask\":\"explain\",\"domain\":\"\"}\n",
        &deep,
        &long,
    ] {
        let answer: Value = serde_json::from_str(&place.answer_to(question)).unwrap();
        let error = answer["error"].as_str().unwrap();
        // In plain words, and not in those of the parser.
        assert!(
            !["expected", "line 1", "column", "variant", "u64", "usize"]
                .iter()
                .any(|word| error.contains(word)),
            "{error}"
        );
    }
    node.inbox();
}

#[test]
fn a_client_that_writes_too_much_reads_its_answer() {
    let (network, place) = (Network::new(), Place::new());
    let _node = Node::start(&network, place.setup());
    let lines = "{\"ask\":\"sessions\"}\n".repeat(100_000);
    for (question, field) in [("x".repeat(2_000_000), "error"), (lines, "links")] {
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        stream.write_all(question.as_bytes()).expect("all is read");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the connection is closed, not reset");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(!answer[field].is_null(), "{answer}");
    }
}

#[test]
fn a_new_command_replaces_the_oldest_silent_client() {
    let (network, place) = (Network::new(), Place::new());
    let _node = Node::start(&network, place.setup());
    // More clients than are served at once: some send nothing, some half a request, some do not read the answer.
    let idle: Vec<UnixStream> = (0..60)
        .map(|number| {
            let mut client = UnixStream::connect(place.socket()).unwrap();
            let half = "{\"ask\":\"queues\"}\n";
            let said = match number % 3 {
                0 => "",
                1 => &half[..8],
                _ => half,
            };
            // The node may have closed it already.
            let _ = client.write_all(said.as_bytes());
            client
        })
        .collect();
    // The node serves 16 at once. All others have an answer when the burst is over.
    let is_answered = |client: &&UnixStream| {
        client.set_nonblocking(true).unwrap();
        let answer = SockRef::from(*client).peek(&mut [MaybeUninit::uninit(); 1]);
        client.set_nonblocking(false).unwrap();
        !answer.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    eventually("the burst is over", || (idle.iter().filter(is_answered).count() >= 60 - 16).then_some(()));
    // From then on each command is answered at its first try.
    for _ in 0..20 {
        assert_eq!(place.tells(&["sessions"]).trim_end(), "0 links");
    }
    let told = idle.into_iter().filter(|client| {
        let mut answer = String::new();
        let _ = (&*client).read_to_string(&mut answer);
        // In the place of a newer command, or in a burst before those that give way are gone.
        ["before other commands needed the connection", "too many commands at once"]
            .iter()
            .any(|why| answer.contains(why))
    });
    assert!(told.count() >= 20, "those that gave way are told why");
}

#[test]
fn a_refused_command_reports_it() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let answers = ["", "{\"error\":\"too many commands at once: try again\"}"];
    let node = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    for _ in answers {
        let output = place.nuncio(&["queues"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("too many commands") && told.contains("try again"), "{told}");
        assert!(!told.contains("Broken pipe"), "{told}");
    }
    node.join().unwrap();
}

#[test]
fn an_answer_is_never_longer_than_was_wanted() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup().set("promise.backoff", "[\"100s\", \"200s\"]"));
    let address = network.address();
    let mut sender = node.inbox();
    for number in 0..300 {
        let domain = format!("d{number}.example");
        network.publish(&domain, address);
        sender.sends_message(&format!("someone@{domain}"), &number.to_string(), "");
    }
    let json = eventually("all wait", || {
        let json = place.json(&["queues"]);
        (json["total"] == 300).then_some(json)
    });
    assert_eq!(json["queues"].as_array().unwrap().len(), 100);
    let all = place.json(&["queues", "--limit", "10000"]);
    assert_eq!(all["queues"].as_array().unwrap().len(), 300);
    assert_eq!(place.nuncio(&["queues", "--limit", "10001"]).status.code(), Some(2));
    let more: Value =
        serde_json::from_str(&place.answer_to("{\"ask\":\"queues\",\"limit\":18446744073709551615}\n"))
            .unwrap();
    assert_eq!(more["total"], 300);
}

impl Place {
    /// The node's answer to these bytes.
    fn answer_to(&self, question: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        // The node may close the connection before the end.
        let _ = stream.write_all(question.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

fn runs(network: &Network, name: &str, configuration: &str) -> Process {
    let directory = network.directory(name);
    let file = directory.join("nuncio.toml");
    fs::write(&file, configuration).unwrap();
    Process::start(name, &directory, BINARY, &["run", "--config", path(&file)], &[])
}
