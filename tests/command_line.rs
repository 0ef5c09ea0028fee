//! The command line of the binary.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use crate::support::{BINARY, Network, Node, Process, Setup, configuration};

#[test]
fn the_environment_sets_the_configuration_if_the_option_does_not() {
    let network = Network::new();
    let directory = network.directory("environment");
    let file = directory.join("other.toml");
    fs::write(&file, "[[domain]]\nname = \"localhost\"\n").unwrap();
    let check = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.current_dir(&directory).env("NUNCIO_CONFIG", &file).args(["check", "--offline"]);
        String::from_utf8(command.args(arguments).output().unwrap().stdout).unwrap()
    };
    let sentence = format!("the node can start with {}", file.display());
    assert!(check(&[]).contains(&sentence), "{}", check(&[]));
    assert!(check(&["--config", "none.toml"]).contains("none.toml does not exist"));
    fs::remove_file(&file).unwrap();
    assert!(check(&[]).contains("the environment variable NUNCIO_CONFIG names this file"), "{}", check(&[]));
}

#[test]
fn a_missing_configuration_is_reported_with_default_paths_and_options() {
    let network = Network::new();
    let directory = network.directory("missing");
    for command in [
        &["check"] as &[&str],
        &["check", "--certificates"],
        &["run"],
        &["sessions"],
        &["queues"],
        &["components"],
        &["explain", "b.example"],
        &["retry", "b.example"],
        &["close", "b.example"],
        &["probe", "b.example"],
    ] {
        let mut nuncio = Command::new(BINARY);
        let output =
            nuncio.current_dir(&directory).env_remove("NUNCIO_CONFIG").args(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        let here = format!("config/nuncio.toml in {}", directory.canonicalize().unwrap().display());
        for part in [&here, "/etc/nuncio/nuncio.toml", "--config FILE", "NUNCIO_CONFIG is not set"] {
            assert!(told.contains(part), "{command:?}: no {part} in {told}");
        }
    }
}

#[test]
fn the_help_of_mailboxes_and_the_manual_explain_the_kinds_of_actors() {
    for command in [&["mailboxes", "--help"] as &[&str], &["man"]] {
        let told = String::from_utf8(nuncio(command).stdout).unwrap();
        for part in ["router", "promise", "dial_limit", "fingerprints", "verifier", "monitor"] {
            assert!(told.contains(part), "{command:?}: no {part} in {told}");
        }
    }
}

#[test]
fn help_and_version_are_there_for_each_command() {
    for command in [
        &[][..],
        &["run"],
        &["check"],
        &["probe"],
        &["mailboxes"],
        &["explain"],
        &["sessions"],
        &["queues"],
        &["retry"],
        &["close"],
        &["demo"],
        &["completions"],
        &["man"],
    ] {
        let output = nuncio(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage"), "{output:?}");
        let output = nuncio(&[command, &["--version"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let version = String::from_utf8_lossy(&output.stdout);
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    }
}

#[test]
fn manual_pages_and_completions_contain_every_command() {
    let network = Network::new();
    let directory = network.directory("man").join("share/man1");
    assert!(nuncio(&["man", directory.to_str().unwrap()]).status.success());
    let in_a_file = directory.join("nuncio.1/man1");
    let output = nuncio(&["man", in_a_file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&format!("nuncio: cannot write: to {}: ", in_a_file.display())), "{told}");
    let shown = String::from_utf8(nuncio(&["man"]).stdout).unwrap();
    assert_eq!(shown, fs::read_to_string(directory.join("nuncio.1")).unwrap());
    let scripts = ["bash", "zsh", "fish"].map(|shell| {
        let output = nuncio(&["completions", shell]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
    for command in ["run", "check", "mailboxes", "demo"] {
        assert!(shown.contains(&format!("nuncio\\-{command}(1)")), "no {command} in the manual page");
        let page = fs::read_to_string(directory.join(format!("nuncio-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        for script in &scripts {
            assert!(script.contains(command), "no {command} in\n{script}");
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_not() {
    let network = Network::new();
    let directory = network.directory("full");
    let setup = Setup::of("nuncio.example").set("listen.control", "\"s\"");
    let _node = Node::start(&network, setup);
    let file = network.directory("nuncio.example").join("nuncio.toml");
    let log = directory.join("node.log");
    fs::write(&log, MAILBOX_LINE).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    for command in [
        &["check", "--offline"][..],
        &["sessions"],
        &["sessions", "--json"],
        &["queues"],
        &["retry", "--json", "b.example"],
        &["probe", "--json", "b.example"],
        &["mailboxes", log.to_str().unwrap()],
        &["man"],
        &["completions", "bash"],
        &["demo"],
    ] {
        let needs_no_node = ["mailboxes", "man", "completions", "demo"].contains(&command[0]);
        let run = |stdout: Stdio| {
            let mut run = Command::new(BINARY);
            run.args(command).args(if needs_no_node { &[][..] } else { &config }).stdout(stdout);
            run.stderr(Stdio::piped()).env_remove("RUST_LOG").spawn().unwrap().wait_with_output().unwrap()
        };
        let output = run(fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {told}");
        assert!(told.contains("nuncio: cannot write: No space left on device"), "{command:?}: {told}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(writer.into());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("cannot write"), "{command:?}: {told}");
        if !["retry", "probe"].contains(&command[0]) {
            assert_eq!(output.status.code(), Some(0), "{command:?}: {told}");
        }
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in
        [&["walk"][..], &["run", "--speed", "9"], &["check", "--config"], &["probe"], &["probe", "a b"]]
    {
        assert_eq!(nuncio(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn check_finds_nothing_wrong_with_a_good_configuration() {
    let network = Network::new();
    let text = configuration(&network, &Setup::of("nuncio.example"), network.address());
    let output = check(&network, &text);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn check_prints_every_problem_and_not_just_the_first() {
    let network = Network::new();
    let identity = network.authority.certificate(&["nuncio.example"]).expired().issue();
    let text = format!(
        "shutdown_timeout = \"soon\"\n\
         [s2s]\ntls = \"perhaps\"\nkeepalife = \"5m\"\n\
         [dns]\nnameservers = [\"nowhere\"]\n\
         [[domain]]\nname = \"nuncio.example\"\ncertificate = {:?}\nkey = \"missing.key\"\n\
         [[component]]\nname = \"echo.nuncio.example\"\n",
        network.files(&identity).certificate
    );
    let output = check(&network, &text);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    for problem in ["shutdown_timeout", "tls", "keepalife", "nameservers", "missing.key", "secret"] {
        assert!(told.contains(problem), "nothing about {problem} in\n{told}");
    }
}

#[test]
fn check_names_the_nearest_known_key() {
    let network = Network::new();
    let good = configuration(&network, &Setup::of("nuncio.example"), network.address());
    let output = check(&network, &good.replace("[s2s]", "[s2s]\nidle_timeuot = \"1h\""));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("idle_timeuot") && told.contains("idle_timeout"), "{told}");
}

#[test]
fn the_configuration_of_the_repository_has_no_unknown_keys() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/nuncio.toml");
    let output = nuncio(&["check", "--offline", "--config", file]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!told.contains("unknown"), "{told}");
}

#[test]
fn run_refuses_a_configuration_with_problems() {
    let network = Network::new();
    let directory = network.directory("run");
    let file = directory.join("nuncio.toml");
    fs::write(&file, "[s2s]\ntls = \"perhaps\"\n").unwrap();
    let output = nuncio(&["run", "--config", file.to_str().unwrap()]);
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("tls"), "{output:?}");
}

#[test]
fn run_reports_an_address_that_is_in_use() {
    let network = Network::new();
    let address = network.address();
    let text = configuration(&network, &Setup::of("nuncio.example"), address);
    let directory = network.directory("run");
    let file = directory.join("nuncio.toml");
    fs::write(&file, text).unwrap();
    let _taken = std::net::TcpListener::bind((address, 5269)).unwrap();
    let arguments = ["run", "--config", file.to_str().unwrap()];
    let process = Process::start("nuncio", &directory, BINARY, &arguments, &[]);
    let status = process.exit_within(crate::support::SOON);
    assert!(!status.success(), "{status}");
    assert!(
        process.logged(&[&format!("{address}:5269"), "; `nuncio check` shows which process uses it"]),
        "{:?}",
        process.lines()
    );
}

const MAILBOX_LINE: &str = "2026-11-26T14:30:25.253Z INFO  nuncio::mailbox mailbox actor=router instances=1 depth=0 \
     deepest=- peak=1 capacity=4096 handled=3 rate=0/s wait_p50=164us wait_p99=262us refused=0 restarts=0\n";

fn check(network: &Network, text: &str) -> Output {
    let file = network.directory("check").join("nuncio.toml");
    fs::write(&file, text).unwrap();
    nuncio(&["check", "--config", file.to_str().unwrap()])
}

fn nuncio(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("RUST_LOG").output().unwrap()
}
