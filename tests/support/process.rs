//! Programs that a test starts, and what they print.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::eventually::{SOON, within};

/// A running program whose output is kept, and which is killed (it and its own children) when the
/// test ends, however it ends.
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    id: u32,
    lines: Lines,
    readers: [JoinHandle<()>; 2],
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Process {
    /// Starts `program` with `arguments`; everything it prints also goes to `directory/output.log`.
    ///
    /// It is started through setpriv, so that it dies with the test also when that is killed.
    pub(crate) fn start(
        name: &str,
        directory: &Path,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv (package util-linux) does not start: {error}"));
        let lines = Lines::default();
        let file = File::create(directory.join("output.log")).unwrap();
        let readers = [
            keep(child.stdout.take().unwrap(), &lines, file.try_clone().unwrap()),
            keep(child.stderr.take().unwrap(), &lines, file),
        ];
        let id = child.id();
        Self { name: name.to_owned(), child: Mutex::new(child), id, lines, readers }
    }

    /// The system's number for it.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Every line printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Whether one line holds all of `parts`, in any case of letters.
    pub(crate) fn logged(&self, parts: &[&str]) -> bool {
        self.line_with(parts).is_some()
    }

    /// Waits for a line that holds all of `parts`, and returns it.
    #[track_caller]
    pub(crate) fn eventually_logs(&self, parts: &[&str]) -> String {
        self.logs_within(SOON, parts)
    }

    /// Waits no longer than `limit` for a line that holds all of `parts`, and returns it.
    #[track_caller]
    pub(crate) fn logs_within(&self, limit: Duration, parts: &[&str]) -> String {
        within(limit, &format!("{} logs {parts:?}", self.name), || {
            let ended = self.has_said_all();
            let found = self.line_with(parts);
            assert!(!ended || found.is_some(), "{} ended and did not log {parts:?}", self.name);
            found
        })
    }

    /// A figure of `/proc/PID/status`, such as `VmRSS` or `VmHWM`, in KiB.
    #[track_caller]
    pub(crate) fn status(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
        line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sends a signal, named without `SIG`.
    pub(crate) fn signal(&self, signal: &str) {
        shell(&format!("kill -s {signal} {}", self.id));
    }

    /// Waits no longer than `limit` for the program to end, and returns how it did. Then all it said
    /// is there to be read.
    #[track_caller]
    pub(crate) fn exit_within(&self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = within(limit, &what, || self.child.lock().unwrap().try_wait().unwrap());
        within(SOON, &what, || self.has_said_all().then_some(()));
        status
    }

    /// Whether the program closed its output, as it does at its end.
    pub(crate) fn has_said_all(&self) -> bool {
        self.readers.iter().all(JoinHandle::is_finished)
    }

    fn line_with(&self, parts: &[&str]) -> Option<String> {
        let lines = self.lines.lock().unwrap();
        let parts: Vec<_> = parts.iter().map(|part| part.to_lowercase()).collect();
        let holds = |line: &&String| {
            let line = line.to_lowercase();
            parts.iter().all(|part| line.contains(part))
        };
        lines.iter().find(holds).cloned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        shell(&format!("kill -s KILL -- -{} 2>/dev/null", self.id));
        let _ = self.child.lock().unwrap().wait();
        if thread::panicking() {
            let lines = self.lines();
            let tail = lines.len().saturating_sub(SHOWN);
            eprintln!("--- last lines of {} ---", self.name);
            lines[tail..].iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Fails the test with what to install, when the shell command `check` fails.
pub(crate) fn needs(check: &str, package: &str) {
    let check = format!("PATH=$PATH:/usr/sbin; {check} >/dev/null 2>&1");
    let found = Command::new("sh").args(["-c", &check]).status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "something is missing: install the Debian package `{package}`, or let tests/run do it"
    );
}

fn keep(output: impl Read + Send + 'static, lines: &Lines, mut file: File) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let _ = writeln!(file, "{line}");
            lines.lock().unwrap().push(line);
        }
    })
}

fn shell(command: &str) {
    let _ = Command::new("sh").args(["-c", command]).status();
}

/// How long a server may take until it listens: seconds alone, a minute and more for ejabberd when eight start at once beside
/// builds.
pub(crate) const TO_START: Duration = Duration::from_secs(300);

/// How much of a program's output a failed test shows.
const SHOWN: usize = 60;
