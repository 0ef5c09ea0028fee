//! Processes of a test, and their output.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{SOON, within};

/// A running process whose output is kept. It and its children are killed when the test ends, even if it panics.
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    id: u32,
    output: Arc<Output>,
    readers: [JoinHandle<()>; 2],
}

/// The output of a process so far.
#[derive(Default)]
struct Output {
    lines: Mutex<Vec<Line>>,
    /// Signalled for each new line, and when an output ends.
    changed: Condvar,
}

struct Line {
    text: String,
    /// In lower case: tests look for words in any case.
    words: String,
}

impl Process {
    /// Starts `program` with `arguments`; its output also goes to `directory/output.log`.
    ///
    /// It is started through setpriv, so that it dies with the thread that starts it, even if the test is killed.
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
        let output = Arc::<Output>::default();
        // A server that is started again writes on.
        let file = File::options().create(true).append(true).open(directory.join("output.log")).unwrap();
        let readers = [
            keep(child.stdout.take().unwrap(), &output, file.try_clone().unwrap()),
            keep(child.stderr.take().unwrap(), &output, file),
        ];
        let id = child.id();
        Self { name: name.to_owned(), child: Mutex::new(child), id, output, readers }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Every line so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.output.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect()
    }

    /// Whether one line contains all of `parts`; case does not matter.
    pub(crate) fn logged(&self, parts: &[&str]) -> bool {
        let parts = words(parts);
        self.output.lines.lock().unwrap().iter().any(|line| line.has(&parts))
    }

    /// Waits for a line that contains all of `parts`, and returns it.
    #[track_caller]
    pub(crate) fn eventually_logs(&self, parts: &[&str]) -> String {
        self.logs_within(SOON, parts)
    }

    /// Waits no longer than `limit` for a line that contains all of `parts`, and returns it.
    #[track_caller]
    pub(crate) fn logs_within(&self, limit: Duration, parts: &[&str]) -> String {
        let (name, wanted, deadline) = (&self.name, words(parts), Instant::now() + limit);
        let mut lines = self.output.lines.lock().unwrap();
        let mut seen = 0;
        loop {
            // Before the search, which then covers the last lines.
            let ended = self.has_said_all();
            if let Some(line) = lines[seen..].iter().find(|line| line.has(&wanted)) {
                return line.text.clone();
            }
            seen = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if ended || left.is_zero() {
                drop(lines);
                assert!(!ended, "{name} ended and did not log {parts:?}");
                panic!("not within {limit:?}: {name} logs {parts:?}");
            }
            // The thread that reads an output still runs for a moment when it signals the end.
            (lines, _) = self.output.changed.wait_timeout(lines, left.min(A_MOMENT)).unwrap();
        }
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

    /// Waits no longer than `limit` for the end of the process, and returns its status. Then its output is complete.
    #[track_caller]
    pub(crate) fn exit_within(&self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = within(limit, &what, || self.child.lock().unwrap().try_wait().unwrap());
        within(SOON, &what, || self.has_said_all().then_some(()));
        status
    }

    /// Whether the process has closed its output, as it does at its end.
    pub(crate) fn has_said_all(&self) -> bool {
        self.readers.iter().all(JoinHandle::is_finished)
    }

    /// The number of lines that contain `part`, with this case.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.output.lines.lock().unwrap().iter().filter(|line| line.text.contains(part)).count()
    }
}

impl Line {
    fn has(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.words.contains(word))
    }
}

fn words(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| part.to_lowercase()).collect()
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

/// Fails the test, naming the package to install, if the shell command `check` fails.
pub(crate) fn needs(check: &str, package: &str) {
    let check = format!("PATH=$PATH:/usr/sbin; {check} >/dev/null 2>&1");
    let found = Command::new("sh").args(["-c", &check]).status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "something is missing: install the Debian package `{package}`, or let tests/run do it"
    );
}

fn keep(printed: impl Read + Send + 'static, output: &Arc<Output>, mut file: File) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(printed).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).into_owned();
            let _ = writeln!(file, "{text}");
            let words = text.to_lowercase();
            output.lines.lock().unwrap().push(Line { text, words });
            output.changed.notify_all();
        }
        output.changed.notify_all();
    })
}

fn shell(command: &str) {
    let _ = Command::new("sh").args(["-c", command]).status();
}

/// How long a server may take until it listens: seconds on an idle machine, over a minute for ejabberd beside builds.
pub(crate) const TO_START: Duration = Duration::from_secs(300);

/// The interval between checks for the end of a process.
const A_MOMENT: Duration = Duration::from_millis(20);

/// The number of lines that a failed test shows.
const SHOWN: usize = 60;
