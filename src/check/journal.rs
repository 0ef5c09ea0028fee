//! Checks whether a node can write its journal, and whether the journal survives a restart of the machine.

use std::path::Path;

use rustix::fs::{Access, access, statfs, statvfs};

use crate::{
    config::{
        finding::{Message, Severity},
        source::Source,
    },
    text::size::Size,
};
use actors::settings::Journal;

/// Checks the path, the free space and the file system. Adds findings.
pub(super) fn check(source: &Source, journal: Option<&Journal>) {
    let Some(journal) = journal.filter(|_| !source.has_problem(KEY)) else { return };
    let path = &journal.path;
    if path.is_dir() {
        let text = format!("{} is a directory: journal.path is the path of a file", path.display());
        return add(source, Severity::Problem, KEY, text.into());
    }
    let Some(directory) = existing_directory(path) else {
        let text = format!("the directory of {} does not exist, and its parent neither", path.display());
        return add(source, Severity::Problem, KEY, Message::with_help(text, "create the directory"));
    };
    let unwritable = [directory, path].into_iter().find(|place| {
        let wanted = if place.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
        place.exists() && access(*place, wanted).is_err()
    });
    if let Some(place) = unwritable {
        // The node may run as a different user, which has the permission.
        let text = format!("no permission to write {}", place.display());
        let help = "run this check as the user of the service, or as root";
        return add(source, Severity::Warning, KEY, Message::with_help(text, help));
    }
    if statfs(directory).is_ok_and(|system| IN_MEMORY.contains(&(system.f_type as u64))) {
        let text = format!(
            "{} is in memory: what waits survives a crash of the node, but not a restart of the machine",
            directory.display()
        );
        add(source, Severity::Warning, KEY, Message::with_help(text, "choose a path on a disk"));
    }
    if let Ok(system) = statvfs(directory) {
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let used = path.metadata().map_or(0, |file| file.len());
        let needed = journal.max_bytes.saturating_mul(FILE_FOR_RECORDS);
        if free.saturating_add(used) < needed {
            let text = format!(
                "{} has {} of free space, and the file may grow to {}, {FILE_FOR_RECORDS} times journal.max_bytes",
                directory.display(),
                Size(free),
                Size(needed)
            );
            let help = "free some space, or lower journal.max_bytes: what does not fit is in memory only";
            add(source, Severity::Warning, MAX_BYTES, Message::with_help(text, help));
        }
    }
}

/// The directory of the file, or the one in which the node will create it.
fn existing_directory(path: &Path) -> Option<&Path> {
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    [Some(directory), directory.parent()].into_iter().flatten().find(|directory| directory.is_dir())
}

fn add(source: &Source, severity: Severity, key: &'static str, message: Message) {
    match source.values(&[key]).pop() {
        Some(value) => source.add(severity, value.span, key, message),
        None => source.add_for_default(severity, key, message),
    }
}

const KEY: &str = "journal.path";

const MAX_BYTES: &str = "journal.max_bytes";

/// Bytes of the file for each byte of records: measured 2.6 to 3.3, since the file grows in large steps.
const FILE_FOR_RECORDS: u64 = 3;

/// The numbers of file systems that are in memory: TMPFS_MAGIC and RAMFS_MAGIC of linux/magic.h.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
