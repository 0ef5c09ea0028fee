//! `nuncio check`: the output of the command with all findings, each with its line.

mod broker;
mod certificates;
mod records;
mod sockets;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::{BINARY, Identity, Network};

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
        r#"the node cannot start with n.toml: 8 errors

error: log: "inof" is not one of off, error, warn, info, debug, trace
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

error: s2s.dialback_secret: expected a quoted string, for example "a long random text", got a list
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
"#
    );
}

#[test]
fn errors_come_first_and_each_finding_is_shown_once_with_all_of_its_places() {
    let desk = Desk::new();
    let component =
        |name: &str, more: &str| format!("[[component]]\nname = \"{name}\"\nsecret = \"short\"\n{more}");
    let text = [
        "[listen]\ncontrol = \"\"\nmetrics = [\"0.0.0.0:9469\"]\n[[domain]]\nname = \"localhost\"\n",
        &component("one.localhost", ""),
        &component("two.localhost", "names = [\"a.example\", \"b.example\"]\n"),
        &component("three.localhost", "titel = \"x\"\n"),
        &component("four.localhost", "titel = \"x\"\n"),
    ]
    .concat();
    let screen = desk.fails(&text, &["--offline"]);
    let titles: Vec<&str> = screen.lines().filter(|line| line.starts_with(['e', 'w'])).collect();
    assert_eq!(
        titles,
        [
            "error: component.titel: unknown key in [[component]]",
            "warning: listen.metrics: 0.0.0.0:9469 is not a loopback address: every host that can connect can read the metrics",
            "warning: domain.certificate: no certificate and key: localhost cannot offer TLS to other servers, and no server \
             can connect, because of tls = \"required\" in [s2s]",
            "warning: component.secret: has fewer than 8 characters and can be guessed",
            "warning: component.secret: n.toml contains a secret, and every user of this machine can read it",
            "warning: component.certificate: no certificate and key, and not below a [[domain]]: a.example, b.example cannot \
             offer TLS to other servers, and no server can connect, because of tls = \"required\" in [s2s]",
        ],
        "{screen}"
    );
    assert!(screen.starts_with("the node cannot start with n.toml: 1 error, 5 warnings\n"), "{screen}");
    for (line, times) in
        [("secret = …", 5), ("titel = \"x\"", 2), ("did you mean \"title\"?", 1), ("openssl rand", 1)]
    {
        assert_eq!(screen.matches(line).count(), times, "{line} in {screen}");
    }
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
    assert!(screen.starts_with("the node cannot start with n.toml: 3 errors, 1 warning\n\n"), "{screen}");
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
            "warning: component.certificate: no certificate and key, and not below a [[domain]]: echo.elsewhere cannot offer TLS",
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
        "the node cannot start with none.toml: 1 error\n\nerror: none.toml does not exist\n--> none.toml\n = help: set the path with --config FILE or NUNCIO_CONFIG=FILE\n"
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
