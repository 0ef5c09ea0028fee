//! `nuncio check`: the output of the command with all findings, each with its line.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{BINARY, Behaviour, Certificate, Identity, Network, Node, Server, Setup, configuration};

#[test]
fn every_error_is_shown_with_its_line_and_what_to_do() {
    let desk = Desk::new();
    let screen = desk.fails(
        "log = \"inof\"\n\
         workers = \"two\"\n\
         [listen]\n\
         s2s = [\"127.0.0.1:5269\", \"localhost\"]\n\
         [s2s]\n\
         keep_alive = \"5m\"\n\
         connect_timeout = \"10\"\n\
         dialback_secret = [\"do not show this\"]\n\
         [promise]\n\
         max_bytes = \"4\"\n\
         [[component]]\n\
         name = \"echo.a.example\"\n",
        &["--offline"],
    );
    assert_eq!(
        screen,
        r#"error: log: "inof" is not one of off, error, warn, info, debug, trace
 --> n.toml:1:7
  |
1 | log = "inof"
  |       ^^^^^^

error: workers: expected an integer without quotes, for example 64, got a string
 --> n.toml:2:11
  |
2 | workers = "two"
  |           ^^^^^

error: listen.s2s: "localhost" is not an IP address with a port, for example "0.0.0.0:5269" or "[::]:5269"
 --> n.toml:4:26
  |
4 | s2s = ["127.0.0.1:5269", "localhost"]
  |                          ^^^^^^^^^^^

error: s2s.keep_alive: unknown key in [s2s]
 --> n.toml:6:1
  |
6 | keep_alive = "5m"
  | ^^^^^^^^^^
  |
  = help: did you mean "keepalive"?

error: s2s.connect_timeout: "10" is not a duration: expected a number and a unit, for example "30s", "10m" or "1h"
 --> n.toml:7:19
  |
7 | connect_timeout = "10"
  |                   ^^^^

error: s2s.dialback_secret: expected a quoted string, got a list
 --> n.toml:8:19
  |
8 | dialback_secret = …
  |                   ^

error: promise.max_bytes: "4" is not a size: expected a number and a unit, for example "256 KiB" or "4 MiB"
  --> n.toml:10:13
   |
10 | max_bytes = "4"
   |             ^^^

error: component.secret: is missing: set "secret" or "secret_file", with which the component authenticates
  --> n.toml:11:1
   |
11 | [[component]]
   | ^^^^^^^^^^^^^

the node cannot start with n.toml: 8 errors
"#
    );
}

#[test]
fn certificates_and_keys_are_checked_against_their_domains() {
    let desk = Desk::new();
    let authority = &desk.network.authority;
    desk.put("fine", &authority.issue(&["fine.example"]));
    desk.put("other", &authority.issue(&["b.example", "c.example"]));
    desk.put("old", &authority.certificate(&["old.example"]).expired().issue());
    desk.put("soon", &authority.certificate(&["soon.example"]).expires_in(10 * DAY).issue());
    let open = desk.put("open", &authority.issue(&["open.example"]));
    fs::set_permissions(open, fs::Permissions::from_mode(0o644)).unwrap();
    let domain = |name: &str, key: &str| {
        format!("[[domain]]\nname = \"{name}.example\"\ncertificate = \"{name}.crt\"\nkey = \"{key}.key\"\n")
    };
    let text = ["fine", "other", "old", "soon", "open"].map(|name| domain(name, name)).concat();
    let text = format!("{text}{}", domain("fine", "old").replace("fine.example", "mixed.example"));
    let screen = desk.fails(&text, &["--offline"]);
    let date = |name: &str| desk.date_of(name);
    assert_eq!(
        screen,
        format!(
            r#"error: domain.certificate: is for b.example, c.example, not for other.example
 --> n.toml:7:1
  |
7 | certificate = "other.crt"
  | ^^^^^^^^^^^
  |
  = help: other servers will refuse it: replace it, then reload the node

error: domain.certificate: expired on {old}
  --> n.toml:11:1
   |
11 | certificate = "old.crt"
   | ^^^^^^^^^^^
   |
   = help: other servers will refuse it: replace it, then reload the node

warning: domain.certificate: expires on {soon}
  --> n.toml:15:1
   |
15 | certificate = "soon.crt"
   | ^^^^^^^^^^^
   |
   = help: renew it, then reload the node

warning: domain.key: every user of this machine can read open.key
  --> n.toml:20:7
   |
20 | key = "open.key"
   |       ^^^^^^^^^^
   |
   = help: run `chmod o-rwx open.key`

error: domain.key: does not belong to the certificate: their public keys differ
  --> n.toml:24:1
   |
24 | key = "old.key"
   | ^^^

the node cannot start with n.toml: 3 errors, 2 warnings
"#,
            old = date("old"),
            soon = date("soon"),
        )
    );
}

#[test]
fn a_certificate_that_others_refuse_fails_the_check_and_not_the_node() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").certificate(Certificate::Expired));
    let output = check(&network.directory("nuncio.example"), "nuncio.toml", &["--offline"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    node.eventually_logs(&["WARN", "domain.certificate: expired on"]);
    // So a reload that installs the new certificate succeeds, and one with a mistake fails.
    let output = check(&network.directory("nuncio.example"), "nuncio.toml", &["--offline", "--startable"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let desk = Desk::new();
    desk.fails("[[domain]]\nname = \"a.example\"\nkeey = \"a.key\"\n", &["--offline", "--startable"]);
}

#[test]
fn a_wrong_key_causes_no_further_findings() {
    let desk = Desk::new();
    let _taken = TcpListener::bind((desk.network.address(), 5269)).unwrap();
    let screen = desk.fails(
        "[listen]\ns2s = \"0.0.0.0:5269\"\ncomponent = []\n[s2s]\nauth = [\"externl\"]\n[metrics]\n\
         [[domain]]\nname = \"localhost\"\n",
        &[],
    );
    assert!(screen.contains("listen.s2s: expected a list"), "{screen}");
    assert!(!screen.contains("in use") && !screen.contains("is empty"), "{screen}");
    assert!(screen.contains("help: it belongs in [listen]"), "{screen}");
    assert!(screen.contains("\nthe node cannot start with n.toml: 3 errors, 1 warning\n"), "{screen}");
}

#[test]
fn a_missing_directory_of_the_control_socket_and_a_readable_secret_are_reported() {
    let desk = Desk::new();
    let screen = desk.fails(
        "[listen]\ncontrol = \"/nowhere/nuncio.sock\"\n[[domain]]\nname = \"localhost\"\n\
         [[component]]\nname = \"echo.localhost\"\nsecret = \"hush\"\n",
        &["--offline"],
    );
    assert!(screen.contains("error: listen.control: directory /nowhere does not exist"), "{screen}");
    assert!(
        screen.contains("warning: component.secret: n.toml contains a secret, and every user"),
        "{screen}"
    );
}

#[test]
fn a_journal_that_cannot_be_written_or_that_does_not_survive_is_reported() {
    let desk = Desk::new();
    let text = |journal: &str| {
        format!(
            "[listen]\ncontrol = \"\"\n[journal]\n{journal}\n[[domain]]\nname = \"localhost\"\n\
             [[component]]\nname = \"echo.localhost\"\nsecret = \"sixteen letters!\"\n"
        )
    };
    let screen = desk.fails(&text("path = \"/nowhere/at/all\""), &["--offline"]);
    assert!(
        screen.contains("error: journal.path: the directory of /nowhere/at/all does not exist"),
        "{screen}"
    );
    let screen = desk.fails(&text("path = \".\""), &["--offline"]);
    assert!(screen.contains("is a directory: journal.path is the path of a file"), "{screen}");
    let screen = desk.passes(&text("path = \"/dev/shm/waiting.redb\""), &["--offline"]);
    assert!(screen.contains("warning: journal.path: /dev/shm is in memory"), "{screen}");
    let screen = desk.passes(&text("path = \"w.redb\"\nmax_bytes = \"1000000 GiB\""), &["--offline"]);
    assert!(screen.contains("warning: journal.max_bytes: ") && screen.contains("of free space"), "{screen}");
    let screen = desk.passes(&text("path = \"w.redb\"\nmax_bytes = \"1 KiB\""), &["--offline"]);
    assert!(!screen.contains("journal"), "{screen}");
}

#[test]
fn valid_values_that_are_probably_not_intended_are_warnings() {
    let desk = Desk::new();
    let text = |s2s: &str| {
        format!(
            "[listen]\ns2s = []\ncontrol = \"\"\n[s2s]\n{s2s}\n[[domain]]\nname = \"localhost\"\n\
             [[component]]\nname = \"echo.elsewhere\"\nsecret = \"hush\"\n"
        )
    };
    for (s2s, said) in [
        (
            "deny = [\"*\"]",
            "warning: s2s.deny: \"*\" denies every domain: no server can federate with this node",
        ),
        ("allow = []", "warning: s2s.allow: is empty: no server can federate with this node"),
        (
            "dialback_secret = \"fifteen letters\"",
            "warning: s2s.dialback_secret: has fewer than 16 characters",
        ),
        (
            "",
            "warning: component.certificate: echo.elsewhere is not below a [[domain]] and has no certificate and key",
        ),
    ] {
        let screen = desk.passes(&text(s2s), &["--offline"]);
        assert!(screen.contains(said), "no {said} in\n{screen}");
    }
    let screen =
        desk.passes(&text("deny = [\"b.example\"]\ndialback_secret = \"sixteen letters!\""), &["--offline"]);
    assert!(!screen.contains("can federate") && !screen.contains("fewer than 16"), "{screen}");
}

#[test]
fn a_control_socket_with_which_a_node_does_not_start_is_an_error() {
    let desk = Desk::new();
    fs::write(desk.directory.join("file.sock"), "important").unwrap();
    let listener = UnixListener::bind(desk.directory.join("live.sock")).unwrap();
    drop(UnixListener::bind(desk.directory.join("dead.sock")).unwrap());
    let text = |control: &str| {
        format!(
            "[listen]\ns2s = []\ncomponent = []\ncontrol = \"{control}\"\n[[domain]]\nname = \"localhost\"\n"
        )
    };
    let screen = desk.fails(&text("file.sock"), &["--offline"]);
    assert!(
        screen.contains(
            "error: listen.control: cannot create the control socket file.sock: the file exists and is not a socket"
        ),
        "{screen}"
    );
    // Not even root can create files there.
    let screen = desk.ends_somehow(&text("/proc/nuncio.sock"), &["--offline"]);
    assert!(screen.contains(": listen.control: ") && screen.contains("/proc/nuncio.sock"), "{screen}");
    let screen = desk.fails(&text("live.sock"), &[]);
    assert!(
        screen.contains(
            "error: listen.control: cannot create the control socket live.sock: another node uses it (process "
        ),
        "{screen}"
    );
    assert!(!desk.passes(&text("live.sock"), &["--offline"]).contains("listen.control"), "files only");
    drop(listener);
    for dead in ["live.sock", "dead.sock"] {
        let screen = desk.passes(&text(dead), &[]);
        assert!(!screen.contains("listen.control") && screen.contains(dead), "{screen}");
    }
}

#[test]
fn a_default_control_socket_that_cannot_be_created_is_a_warning_and_not_listed() {
    let desk = Desk::new();
    let deep = desk.directory.join("x".repeat(90));
    fs::create_dir(&deep).unwrap();
    let file = deep.join("n.toml");
    fs::write(&file, "[listen]\ns2s = []\ncomponent = []\n[[domain]]\nname = \"localhost\"\n").unwrap();
    let screen = text(&check(&desk.directory, file.to_str().unwrap(), &["--offline"]));
    assert!(
        screen.contains(
            "warning: listen.control: no control socket: nuncio explain and similar commands do not work: "
        ),
        "{screen}"
    );
    assert!(screen.contains("107 bytes") && !screen.contains("(commands)"), "{screen}");
}

#[test]
fn an_address_of_another_machine_or_another_process_is_an_error() {
    let desk = Desk::new();
    let address = desk.network.address();
    let _taken = TcpListener::bind((address, 5269)).unwrap();
    let text = format!(
        "[listen]\ns2s = [\"{address}:5269\"]\ns2s_tls = [\"192.0.2.7:5270\"]\ncomponent = []\n\
         [[domain]]\nname = \"localhost\"\n"
    );
    let screen = desk.fails(&text, &[]);
    // The test binary; the kernel keeps 15 bytes of its name.
    let program = fs::read_to_string("/proc/self/comm").unwrap();
    let taken = format!("error: listen.s2s: {address}:5269 is in use by {}", program.trim());
    assert!(screen.contains(&taken), "{screen}");
    assert!(screen.contains("help: stop that process, or choose another address"), "{screen}");
    assert!(
        screen.contains(
            "error: listen.s2s_tls: 192.0.2.7 is not an address of this machine\n --> n.toml:3:12\n"
        ),
        "{screen}"
    );
    assert!(screen.contains("\nthe node cannot start with n.toml: 2 errors, 1 warning\n"), "{screen}");
    assert!(!desk.passes(&text, &["--offline"]).contains("listen."), "files only");
}

#[test]
fn the_configuration_of_a_running_node_is_fine() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("listen.control", "\"node.sock\"");
    let node = Node::start(&network, setup);
    let directory = network.directory("nuncio.example");
    let output = check(&directory, "nuncio.toml", &[]);
    let screen = text(&output);
    assert_eq!(output.status.code(), Some(0), "{screen}");
    let process = node.process().id();
    let expected = format!(" in use by a running node (process {process}; expected while it runs)");
    let notes: Vec<&str> = screen.lines().filter(|line| line.contains("in use")).collect();
    assert!(notes.len() == 1 && notes[0].starts_with("note: ") && notes[0].contains(&expected), "{screen}");
    assert!(!screen.contains("listen."), "one line is all: {screen}");
    assert!(!screen.contains("DNS"), "the names lead here: {screen}");
}

#[test]
fn an_address_of_another_node_is_an_error() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("listen.control", "\"node.sock\"");
    let node = Node::start(&network, setup);
    let directory = network.directory("nuncio.example");
    let other = fs::read_to_string(directory.join("nuncio.toml")).unwrap().replace("node.sock", "other.sock");
    fs::write(directory.join("other.toml"), other).unwrap();
    let output = check(&directory, "other.toml", &[]);
    let screen = text(&output);
    assert_eq!(output.status.code(), Some(1), "{screen}");
    let expected = format!(":5269 is in use by another nuncio (process {})", node.process().id());
    assert!(screen.contains(&expected), "{screen}");
    assert!(screen.contains("the node cannot start with other.toml: "), "{screen}");
}

#[test]
fn missing_and_wrong_dns_records_are_warnings() {
    let desk = Desk::new();
    let (network, address) = (&desk.network, desk.network.address());
    let elsewhere = network.address();
    network.publish("here.example", address);
    network.dns.a("nat.example", "192.0.2.7".parse().unwrap());
    network.publish("port.example", elsewhere);
    network.dns.srv("_xmpp-server._tcp.dead.example", 0, 0, 5269, "gone.dead.example");
    network.dns.behaves("lame.example", Behaviour::ServerFailure);
    let setup = Setup::of("here.example").unpublished();
    let mut text = configuration(network, &setup, address);
    text = text.replace(
        "\n[[component]]\nname = \"inbox.here.example\"\n",
        "\n[[component]]\nname = \"port.example\"\n",
    );
    text = text.replace("outbox.here.example", "inside.example");
    for name in ["nat.example", "none.example", "dead.example", "lame.example"] {
        text += &format!("[[domain]]\nname = \"{name}\"\n");
    }
    let screen = desk.passes(&text, &[]);
    for said in [
        "warning: domain.name: DNS records point to 192.0.2.7:5269, which is not this machine".to_owned(),
        "help: this is correct behind NAT or a proxy".to_owned(),
        format!(
            "warning: component.name: DNS records point to {elsewhere}:5269, where this node does not listen"
        ),
        format!("help: it listens for servers at {address}:5269"),
        "warning: domain.name: no DNS record for none.example: other servers cannot find it".to_owned(),
        "help: publish `_xmpp-server._tcp.none.example. SRV 0 0 5269 HOST.`".to_owned(),
        "note: component.name: no DNS record for inside.example: other servers cannot find it".to_owned(),
        "warning: domain.name: the name servers answered SERVFAIL".to_owned(),
        "warning: domain.name: gone.dead.example does not exist, but the SRV record of dead.example points to it"
            .to_owned(),
    ] {
        assert!(screen.contains(&said), "no {said} in\n{screen}");
    }
    assert!(!screen.contains("domain.name: here.example"), "{screen}");
    assert!(!desk.passes(&text, &["--offline"]).contains("DNS"));
}

#[test]
fn acknowledgements_that_come_late_or_wait_too_long_are_warnings() {
    let desk = Desk::new();
    let served = "[[domain]]\nname = \"a.example\"\n";
    let screen = desk.passes(
        &format!(
            "[s2s]\nmax_rate = \"2 KiB\"\nresume_timeout = \"10m\"\n[[remote]]\nname = \"b.example\"\nacks = false\n{served}"
        ),
        &["--offline"],
    );
    for said in [
        r#"warning: s2s.max_rate: is low: other servers wait 30 s for an acknowledgement, and one that waits behind stanzas read at less than 4 KiB per second can come later
 --> n.toml:2:1
  |
2 | max_rate = "2 KiB"
  | ^^^^^^^^
  |
  = help: raise max_rate, or set acks = false
"#,
        r#"warning: s2s.resume_timeout: is longer than promise.message (5m): by then the messages that wait to be resumed have been answered with an error
 --> n.toml:3:1
  |
3 | resume_timeout = "10m"
  | ^^^^^^^^^^^^^^
  |
  = help: lower it, or raise promise.message
"#,
    ] {
        assert!(screen.contains(said), "no {said} in\n{screen}");
    }
    assert!(!screen.contains("remote."), "{screen}");
    let screen = desk.fails(&format!("[s2s]\nrepeat = \"always\"\n{served}"), &["--offline"]);
    assert!(
        screen.contains("error: s2s.repeat: \"always\" is not one of \"messages\", \"never\""),
        "{screen}"
    );
}

#[test]
fn a_missing_file_differs_from_a_file_that_is_not_toml() {
    let desk = Desk::new();
    let output = check(&desk.directory, "none.toml", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output),
        "error: none.toml does not exist\n--> none.toml\n = help: set the path with --config FILE or NUNCIO_CONFIG=FILE\n\nthe node cannot start with none.toml: 1 error\n"
    );
    let screen = desk.fails("workers = \n[s2s\n", &[]);
    assert!(screen.contains("error: not TOML: ") && screen.contains(" --> n.toml:1:"), "{screen}");
}

/// A directory with a configuration `n.toml` and the files that it names.
struct Desk {
    network: Network,
    directory: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let network = Network::new();
        let directory = network.directory("desk");
        Self { network, directory }
    }

    /// Adds `NAME.crt` and `NAME.key`, readable by their owner only, and returns the path of the key.
    fn put(&self, name: &str, identity: &Identity) -> PathBuf {
        let key = self.directory.join(format!("{name}.key"));
        let files = self.network.files(identity);
        fs::copy(files.certificate, self.directory.join(format!("{name}.crt"))).unwrap();
        fs::copy(files.key, &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        key
    }

    /// The day on which `NAME.crt` expires, such as 2026-11-01.
    fn date_of(&self, name: &str) -> String {
        let mut openssl = Command::new("date");
        let certificate =
            openssl::x509::X509::from_pem(&fs::read(self.directory.join(format!("{name}.crt"))).unwrap());
        let end = certificate.unwrap().not_after().to_string();
        let date = openssl.args(["--utc", "--date", &end, "+%F"]).output().unwrap();
        text(&date).trim().to_owned()
    }

    #[track_caller]
    fn fails(&self, toml: &str, arguments: &[&str]) -> String {
        self.ends(1, toml, arguments)
    }

    #[track_caller]
    fn passes(&self, toml: &str, arguments: &[&str]) -> String {
        self.ends(0, toml, arguments)
    }

    /// Runs it as root and as an unprivileged user.
    fn ends_somehow(&self, toml: &str, arguments: &[&str]) -> String {
        fs::write(self.directory.join("n.toml"), toml).unwrap();
        text(&check(&self.directory, "n.toml", arguments))
    }

    #[track_caller]
    fn ends(&self, status: i32, toml: &str, arguments: &[&str]) -> String {
        fs::write(self.directory.join("n.toml"), toml).unwrap();
        let output = check(&self.directory, "n.toml", arguments);
        let screen = text(&output);
        assert_eq!(output.status.code(), Some(status), "{screen}");
        screen
    }
}

fn check(directory: &Path, file: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.current_dir(directory).args(["check", "--config", file]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// In seconds.
const DAY: i64 = 24 * 60 * 60;
