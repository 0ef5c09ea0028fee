//! `nuncio mailboxes` shows the log of a node as a table.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{BINARY, Network, Node, Server, Setup, Terminal};

#[test]
fn every_actor_kind_of_a_real_node_is_in_the_table() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").set("log_mailboxes", "\"0s\""));
    let (sender, mut receiver) = (node.inbox(), node.outbox());
    let (from, to) = (sender.name().to_owned(), receiver.name().to_owned());
    let flood = sender.floods(2_000, move |number| {
        format!("<message from='a@{from}' to='b@{to}' id='{number}'><body>hello</body></message>")
    });
    receiver.receives_id("1999");
    flood.join().unwrap();
    node.process().signal("USR1");
    node.eventually_logs(&["mailbox", "actor=component"]);
    node.eventually_logs(&["account", "domain=*"]);

    let log = network.directory("nuncio.example").join("output.log");
    let shown = text(&mailboxes(&[log.to_str().unwrap()]));
    for actor in ["router", "promise", "component", "resolver", "listener"] {
        assert!(shown.lines().any(|line| line.starts_with(actor)), "no {actor} in\n{shown}");
    }
    let router = shown.lines().find(|line| line.starts_with("router")).unwrap();
    let figures: Vec<&str> = router.split_whitespace().collect();
    let (highest, capacity) = (figures[4], figures[5]);
    assert!(highest.parse::<usize>().unwrap() > 0 && capacity == "4096", "{router}");
    assert!(shown.contains("No mailbox was full."), "{shown}");
}

#[test]
fn a_log_of_yesterday_is_read_from_a_file_or_from_standard_input() {
    let network = Network::new();
    let log = network.directory("log").join("nuncio.log.1");
    fs::write(&log, format!("{}{}{}", line("router", 7), line("outgoing", 1024), "garbage \u{1b}[ \0\n"))
        .unwrap();
    let from_file = mailboxes(&[log.to_str().unwrap()]);
    assert_eq!(from_file.status.code(), Some(0), "{from_file:?}");
    let shown = text(&from_file);
    assert!(shown.contains("as of 2026-11-21T10:00:00Z"), "{shown}");
    assert!(shown.contains("b.example (1000)") && shown.contains("1024/1024"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colours outside of a terminal: {shown:?}");

    let mut command = Command::new(BINARY);
    let piped = command.arg("mailboxes").stdin(File::open(&log).unwrap()).output().unwrap();
    assert_eq!(text(&piped), shown);
    let mut command = Command::new(BINARY);
    let named = command.args(["mailboxes", "-"]).stdin(File::open(&log).unwrap()).output().unwrap();
    assert_eq!(text(&named), shown);
}

#[test]
fn an_unreadable_log_is_an_error_message() {
    let network = Network::new();
    let directory = network.directory("log");
    let fails = |name: &str, content: Option<&[u8]>, words: &str| {
        let file = directory.join(name);
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let output = mailboxes(&[file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(words) && told.lines().count() == 1, "{told}");
    };
    fails("none.log", None, "does not exist");
    fails("quiet.log", Some(b"2026-11-21T10:00:00Z INFO  nuncio::node ready\n"), "no mailbox lines in");
    fails("old.log.gz", Some(b"\x1f\x8b\x08rest"), "zcat");
    fails(".", None, "is a directory");
}

#[test]
fn in_a_terminal_the_table_follows_the_log_and_the_screen_is_restored() {
    let network = Network::new();
    let log = network.directory("log").join("nuncio.log");
    fs::write(&log, line("router", 7)).unwrap();
    let mut terminal = mailboxes_in_a_terminal(&network.directory("terminal"), &log);
    terminal.shows("router");
    append(&log, &line("outgoing", 333));
    terminal.shows("333");
    // A line may be read before its end is written.
    let next = line("promise", 555);
    append(&log, &next[..30]);
    append(&log, &next[30..]);
    terminal.shows("555");
    // The log is rotated.
    fs::rename(&log, log.with_extension("log.1")).unwrap();
    fs::write(&log, line("router", 777)).unwrap();
    terminal.shows("777");
    terminal.types("\u{3}");
    terminal.is_put_back();
}

#[test]
fn a_file_is_followed_whatever_standard_input_and_the_controlling_terminal_are() {
    let network = Network::new();
    let log = network.directory("log").join("nuncio.log");
    let name = log.display().to_string();
    for (number, (shell, input)) in [("", "</dev/null"), ("", "<&-"), ("setsid", "")].into_iter().enumerate()
    {
        fs::write(&log, line("router", 7)).unwrap();
        let directory = network.directory(&format!("terminal-{number}"));
        let mut terminal = match shell {
            "setsid" => Terminal::of_output(&directory, &format!("mailboxes {name}")),
            _ => Terminal::of("", &directory, &format!("mailboxes {name} {input}")),
        };
        terminal.shows("router");
        append(&log, &line("outgoing", 333));
        terminal.shows("333");
        terminal.types("q");
        terminal.is_put_back();
    }
}

#[test]
fn a_file_is_read_once_if_there_are_no_keys_to_end_the_view() {
    let network = Network::new();
    let (directory, log) = (network.directory("terminal"), network.directory("log").join("nuncio.log"));
    fs::write(&log, line("router", 7)).unwrap();
    // Standard output is the terminal, open for writing only.
    let written = format!("mailboxes {} >$(tty)", log.display());
    let terminal = Terminal::of_output(&directory, &written);
    terminal.shows("No mailbox was full.");
    terminal.shows("same as before");
    assert!(!terminal.text().contains("\u{1b}[?1049h"), "{}", terminal.text());
}

#[test]
fn the_screen_is_restored_on_sigterm_too() {
    let network = Network::new();
    let log = network.directory("log").join("nuncio.log");
    fs::write(&log, line("router", 7)).unwrap();
    for signal in ["TERM", "INT", "HUP"] {
        let mut terminal = mailboxes_in_a_terminal(&network.directory("terminal"), &log);
        terminal.shows("router");
        terminal.signals(signal);
        terminal.is_put_back();
    }
}

#[test]
fn it_ends_with_its_terminal_even_if_the_hangup_signal_is_ignored() {
    let network = Network::new();
    let log = network.directory("log").join("nuncio.log");
    fs::write(&log, line("router", 7)).unwrap();
    // The signal goes to the session leader only: a shell, which ignores it and stays.
    for shell in [":", "trap '' HUP"] {
        let mut terminal =
            Terminal::of(shell, &network.directory("terminal"), &format!("mailboxes {}", log.display()));
        terminal.shows("router");
        terminal.goes_away();
        terminal.program_ends();
    }
}

#[test]
fn it_ends_with_its_terminal_even_if_the_log_is_standard_input() {
    let network = Network::new();
    let directory = network.directory("terminal");
    let pipe = fifo(&directory);
    let _writer = writes_a_line_to(&pipe);
    let from_pipe = format!("mailboxes - <{}", pipe.display());
    let mut terminal = Terminal::of("trap '' HUP", &directory, &from_pipe);
    terminal.shows("router");
    terminal.goes_away();
    terminal.program_ends();
}

#[test]
fn it_ends_with_the_writer_of_its_pipe() {
    let network = Network::new();
    let directory = network.directory("terminal");
    let pipe = fifo(&directory);
    // Once named as a file, once as standard input.
    for redirection in ["", "- <"] {
        let writer = writes_a_line_to(&pipe);
        let log = format!("mailboxes {redirection}{}", pipe.display());
        let mut terminal = Terminal::of(":", &directory, &log);
        terminal.shows("router");
        drop(writer);
        terminal.is_put_back();
    }
}

/// A named pipe in a directory.
fn fifo(directory: &Path) -> PathBuf {
    let pipe = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

/// Writes a mailbox line to a named pipe. The writer has both ends open, as the reader may not have opened it yet.
fn writes_a_line_to(pipe: &Path) -> File {
    let mut writer = File::options().read(true).write(true).open(pipe).unwrap();
    writer.write_all(line("router", 7).as_bytes()).unwrap();
    writer
}

#[test]
fn a_closed_standard_error_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(BINARY);
    let status = command.args(["mailboxes", "/nowhere/nuncio.log"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// `nuncio mailboxes LOG` in a terminal.
fn mailboxes_in_a_terminal(directory: &Path, log: &Path) -> Terminal {
    Terminal::of(":", directory, &format!("mailboxes {}", log.display()))
}

fn line(actor: &str, peak: usize) -> String {
    format!(
        "2026-11-21T10:00:00.123Z INFO  nuncio::mailbox mailbox actor={actor} instances=2 depth=1000 \
         deepest=b.example:1000 peak={peak} capacity=1024 handled=5 rate=5/s wait_p50=35us wait_p99=1.2ms refused=0 \
         restarts=0\n"
    )
}

fn append(file: &Path, text: &str) {
    OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

fn mailboxes(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("mailboxes").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
