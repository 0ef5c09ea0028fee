//! The process of this node, for its record; and whether a process with the same name has ended.

use std::{fs, process};

use ::cluster::{record::Process, text::fingerprint};
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

/// This process, which starts now.
pub(super) fn own() -> Process {
    Process {
        host: text("/proc/sys/kernel/hostname").unwrap_or_default(),
        pid: process::id(),
        place: place().unwrap_or_default(),
        since: humantime::format_rfc3339_seconds(clock::system()).to_string(),
    }
}

/// The number of a process that is on this machine and in the same name space of processes.
pub(super) fn number_here(other: &Process) -> Option<u32> {
    let is_here = !other.place.is_empty() && place().as_deref() == Some(other.place.as_str());
    is_here.then_some(other.pid)
}

/// Whether a process has certainly ended. One of another machine or of another name space of processes cannot be seen.
pub(super) fn has_ended(other: &Process) -> bool {
    // In a container each process may have the number 1: the one before has ended.
    number_here(other).is_some_and(|pid| pid == process::id() || !exists(pid))
}

/// Where the number of a process means one process: the run of the machine, and the name space of processes. `None`: not known.
fn place() -> Option<String> {
    let boot = text("/proc/sys/kernel/random/boot_id")?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(fingerprint(&format!("{boot} {}", space.display())))
}

/// Also one of another user, which `/proc` may not show.
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

fn text(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_runs_has_not_ended_and_one_that_was_killed_has() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let other = Process { pid: child.id(), ..own() };
        assert!(!has_ended(&other));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_ended(&other));
    }

    #[test]
    fn the_process_of_another_user_is_seen() {
        // The first process of the machine, or of the container.
        assert!(exists(1));
    }

    #[test]
    fn of_a_process_of_another_machine_nothing_is_known() {
        let child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait_with_output().unwrap();
        for place in ["", "0123456789abcdef"] {
            assert!(!has_ended(&Process { pid, place: place.to_owned(), ..own() }));
        }
    }

    #[test]
    fn the_number_of_this_process_was_that_of_one_that_has_ended() {
        assert!(has_ended(&own()));
    }
}
