//! The binary in a terminal: the pseudo-terminal of script(1).

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{BINARY, eventually};

/// `nuncio` with some arguments in a terminal.
pub(crate) struct Terminal {
    script: Child,
    pid: PathBuf,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// `arguments` in a terminal of 100 columns and 30 rows, in a shell that runs a command first. Both are shell text.
    pub(crate) fn of(shell: &str, directory: &Path, arguments: &str) -> Self {
        Self::sized((100, 30), shell, directory, arguments)
    }

    /// The same in a terminal of another size.
    pub(crate) fn sized(size: (u16, u16), shell: &str, directory: &Path, arguments: &str) -> Self {
        Self::start(size, shell, directory, &format!("{BINARY} {arguments}"))
    }

    /// The same with the terminal as standard output only: it is not the controlling terminal of the program, and standard
    /// input is empty.
    pub(crate) fn of_output(directory: &Path, arguments: &str) -> Self {
        Self::start((100, 30), "", directory, &format!("setsid {BINARY} {arguments} </dev/null"))
    }

    fn start((columns, rows): (u16, u16), shell: &str, directory: &Path, program: &str) -> Self {
        let pid = directory.join("pid");
        let _ = fs::remove_file(&pid);
        // The settings of the terminal must be the same before and after.
        let command = format!(
            "{shell}\nstty cols {columns} rows {rows}; before=$(stty -g); \
             sh -c 'echo $$ >{pid}; exec {program}'; \
             status=$?; test \"$before\" = \"$(stty -g)\" && echo same as before; exit $status",
            pid = pid.display(),
        );
        // It ends with the test even if that is killed.
        let mut script = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "script", "-q", "-e", "-c", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("COLUMNS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv and script (packages util-linux and bsdutils)");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut output, kept) = (script.stdout.take().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { script, pid, shown }
    }

    /// All that was written to the terminal.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        eventually(&format!("{text:?} is on the screen"), || self.text().contains(text).then_some(()));
    }

    /// Types keys.
    pub(crate) fn types(&mut self, keys: &str) {
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Sends a signal to the program.
    pub(crate) fn signals(&self, signal: &str) {
        assert!(Command::new("kill").args(["-s", signal, &self.program()]).status().unwrap().success());
    }

    /// The process id of the running program.
    fn program(&self) -> String {
        fs::read_to_string(&self.pid).unwrap().trim().to_owned()
    }

    /// Closes the terminal.
    pub(crate) fn goes_away(&mut self) {
        self.script.kill().unwrap();
        self.script.wait().unwrap();
    }

    /// Waits for the end of the program, whose terminal is gone.
    #[track_caller]
    pub(crate) fn program_ends(&self) {
        let process = Path::new("/proc").join(self.program());
        eventually("the program ends", || (!process.exists()).then_some(()));
    }

    /// Waits for the end of the program, which must have restored the terminal.
    #[track_caller]
    pub(crate) fn is_put_back(&mut self) {
        let status: ExitStatus = eventually("the program ends", || self.script.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.text());
        self.shows("same as before");
        let text = self.text();
        let at =
            |sequence: &str| text.rfind(sequence).unwrap_or_else(|| panic!("no {sequence:?} in {text:?}"));
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l"), "the screen from before is back: {text:?}");
        assert!(at("\u{1b}[?25l") < at("\u{1b}[?25h"), "the cursor can be seen: {text:?}");
    }
}

impl Drop for Terminal {
    /// Ends the program first: one with the fault under test would keep running.
    fn drop(&mut self) {
        let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // Another process may have the same id by now.
        if let Ok(pid) = fs::read_to_string(&self.pid).map(|pid| pid.trim().to_owned())
            && name(&pid).trim() == "nuncio"
        {
            let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
        }
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
