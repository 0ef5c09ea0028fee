//! The node as a systemd service: its notifications and the shipped unit file.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Network, Node, SOON, Server, Setup, eventually};

#[test]
fn the_manager_hears_that_the_node_is_ready_alive_and_stopping() {
    let network = Network::new();
    let manager = Manager::new(&network.directory("manager"));
    let node = Node::start(&network, manager.of(Setup::of("nuncio.example")));
    let ready = manager.reads("READY=1");
    assert!(ready.contains(&format!("STATUS=ready s2s={}:5269", node.address())), "{ready}");
    // A single one could be by chance.
    manager.reads("WATCHDOG=1");
    manager.reads("WATCHDOG=1");
    node.process().signal("HUP");
    manager.reads("RELOADING=1");
    manager.reads("READY=1");
    assert!(node.terminate(SOON).success());
    let stopping = manager.reads("STOPPING=1");
    assert!(stopping.contains("EXTEND_TIMEOUT_USEC=15000000"), "shutdown_timeout and some: {stopping}");
}

#[test]
fn a_node_that_hangs_gives_no_sign_of_life() {
    let network = Network::new();
    let manager = Manager::new(&network.directory("manager"));
    let node = Node::start(&network, manager.of(Setup::of("nuncio.example")));
    manager.reads("WATCHDOG=1");
    node.process().signal("STOP");
    let stopped = || fs::read_to_string(format!("/proc/{}/status", node.process().id())).ok();
    eventually("the node is stopped", || stopped()?.contains("State:\tT").then_some(()));
    manager.hears_nothing_for(3 * LIMIT);
    node.process().signal("CONT");
    manager.reads("WATCHDOG=1");
}

#[test]
fn a_node_without_manager_or_with_a_dead_one_serves_all_the_same() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").environment("NOTIFY_SOCKET", "/nowhere/notify");
    let node = Node::start(&network, setup);
    node.eventually_logs(&["warn", "NOTIFY_SOCKET"]);
    let answer = node.inbox().asks("nuncio.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.is("iq", "result"), "{answer}");
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/config/systemd/nuncio.service");
    let text = fs::read_to_string(unit).unwrap();
    let wanted =
        ["Type=notify", "WatchdogSec=", "ExecReload=", "ProtectSystem=strict", "NoNewPrivileges=yes"];
    for line in wanted {
        assert!(text.contains(line), "no {line} in the unit");
    }
    let Ok(analysis) = Command::new("systemd-analyze").args(["verify", "--man=no", unit]).output() else {
        return;
    };
    // The only complaint allowed: the binary is not installed.
    let said = String::from_utf8_lossy(&analysis.stderr).into_owned();
    let of_ours = said.lines().filter(|line| line.contains("nuncio.service"));
    let complaints: Vec<_> =
        of_ours.filter(|line| !line.contains("/usr/bin/nuncio is not executable")).collect();
    assert!(complaints.is_empty(), "{said}");
}

#[test]
fn the_unit_of_a_node_in_a_cluster_starts_after_the_broker() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let network = Network::new();
    let units = network.directory("units");
    // The unit of Debian's package, as far as the drop-in changes it.
    let broker = units.join("nats-server.service");
    fs::write(&broker, "[Service]\nType=simple\nUser=nats\nExecStart=/bin/true\n").unwrap();
    let of_broker = units.join("nats-server.service.d");
    fs::create_dir(&of_broker).unwrap();
    fs::copy(root.join("cluster/nats-server.service.conf"), of_broker.join("cluster.conf")).unwrap();
    let unit = units.join("nuncio.service");
    fs::copy(root.join("systemd/nuncio.service"), &unit).unwrap();
    let drop_in = units.join("nuncio.service.d");
    fs::create_dir(&drop_in).unwrap();
    fs::copy(root.join("cluster/nuncio.service.conf"), drop_in.join("cluster.conf")).unwrap();
    let verify = |path: &Path| {
        let verified =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(path).output().ok()?;
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let of_ours = |line: &&str| {
            ["nuncio.service", "nats-server.service", "cluster.conf"].iter().any(|name| line.contains(name))
        };
        let is_other = |line: &&str| !line.contains("/usr/bin/nuncio is not executable");
        Some(said.lines().filter(of_ours).filter(is_other).map(str::to_owned).collect::<Vec<_>>())
    };
    for unit in [&unit, &broker] {
        let Some(complaints) = verify(unit) else { return };
        assert!(complaints.is_empty(), "{complaints:?}");
    }
    // What is wrong in the drop-in is found.
    fs::write(drop_in.join("cluster.conf"), "[Unit]\nAfterwards=nats-server.service\n").unwrap();
    let complaints = verify(&unit).unwrap();
    assert!(complaints.iter().any(|line| line.contains("Afterwards")), "{complaints:?}");
}

#[test]
fn the_files_of_the_package_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let package = &manifest["package"]["metadata"]["deb"];
    let mut files: Vec<&str> =
        package["assets"].as_array().unwrap().iter().filter_map(|asset| asset[0].as_str()).collect();
    files.push(package["maintainer-scripts"].as_str().unwrap());
    files.push(package["systemd-units"]["unit-scripts"].as_str().unwrap());
    // config/debian/build makes the files in target/.
    for file in files.iter().filter(|file| !file.starts_with("target/")) {
        assert!(root.join(file).exists(), "no {file}");
    }
    let script = fs::read_to_string(root.join("config/debian/build")).unwrap();
    for made in files.iter().filter_map(|file| file.strip_prefix("target/debian-assets/")) {
        let directory = made.split('/').next().unwrap();
        assert!(script.contains(&format!("$assets/{directory}")), "nobody makes {made}");
    }
}

/// The receiving end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, path: path.to_str().unwrap().to_owned() }
    }

    fn of(&self, setup: Setup) -> Setup {
        let limit = LIMIT.as_micros().to_string();
        setup.environment("NOTIFY_SOCKET", &self.path).environment("WATCHDOG_USEC", &limit)
    }

    /// The next message that contains `word`; others are skipped.
    #[track_caller]
    fn reads(&self, word: &str) -> String {
        self.socket.set_read_timeout(Some(SOON)).unwrap();
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {word}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|line| line == word) {
                return message;
            }
        }
    }

    /// Checks that no more messages arrive after those already sent.
    #[track_caller]
    fn hears_nothing_for(&self, time: Duration) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
        self.socket.set_read_timeout(Some(time)).unwrap();
        let heard = self.socket.recv(&mut [0; 4096]);
        assert!(heard.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{heard:?}");
    }
}

/// The watchdog timeout.
const LIMIT: Duration = Duration::from_millis(400);
