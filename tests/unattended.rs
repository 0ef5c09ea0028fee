//! A node whose log is no longer read keeps running, and stops on SIGTERM.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{BINARY, Component, Network, Setup, configuration, eventually};

#[test]
fn a_node_with_a_broken_log_pipe_keeps_running() {
    let network = Network::new();
    let (address, file) = written(&network);
    let (log, writer) = pipe().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", BINARY, "run", "--config", &file]);
    let mut node =
        Guarded(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().unwrap());
    // The test's copy of the writer would keep the pipe open.
    drop(command);
    until_ready(log);
    answers(address);
    signals("HUP", node.0.id());
    answers(address);
    signals("TERM", node.0.id());
    let status = eventually("the node ends", || node.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

#[test]
fn a_node_without_its_terminal_keeps_running() {
    let network = Network::new();
    let (address, file) = written(&network);
    let pid = network.directory("terminal").join("pid");
    let (log, writer) = pipe().unwrap();
    let run = format!("echo $$ >{}; exec {BINARY} run --config {file}", pid.display());
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "script", "-q", "-e", "-c", &run, "/dev/null"]);
    let mut terminal = Guarded(command.stdin(Stdio::piped()).stdout(writer).spawn().unwrap());
    drop(command);
    until_ready(log);
    let node = Orphan(fs::read_to_string(&pid).unwrap().trim().parse().unwrap());
    terminal.0.kill().unwrap();
    terminal.0.wait().unwrap();
    answers(address);
    answers(address);
    signals("TERM", node.0);
    eventually("the node ends", || node.has_ended().then_some(()));
}

/// Writes the configuration of a node, and returns its address.
fn written(network: &Network) -> (std::net::Ipv4Addr, String) {
    let address = network.address();
    let file = network.directory("nuncio.example").join("nuncio.toml");
    fs::write(&file, configuration(network, &Setup::of("nuncio.example"), address)).unwrap();
    (address, file.to_str().unwrap().to_owned())
}

/// Reads the log until the node is ready.
#[track_caller]
fn until_ready(log: PipeReader) {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("ready")), "the node ended without being ready");
}

#[track_caller]
fn answers(address: std::net::Ipv4Addr) {
    let mut component = Component::connect(address, "inbox.nuncio.example");
    let answer = component.asks("nuncio.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.is("iq", "result"), "{answer}");
}

fn signals(signal: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap().success());
}

/// Ends the node with the test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node that is not a child of the test.
struct Orphan(u32);

impl Orphan {
    fn has_ended(&self) -> bool {
        !Path::new("/proc").join(self.0.to_string()).exists()
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = Command::new("kill").args(["-s", "KILL", &self.0.to_string()]).status();
        }
    }
}
