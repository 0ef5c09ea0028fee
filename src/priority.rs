//! The priority of a line that goes to the journal of systemd, so that `journalctl -p warning` finds warnings
//! and errors.

use std::{
    env,
    fs::File,
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    sync::OnceLock,
};

use log::Level;

/// What precedes a line of this level on standard error. The journal removes it and stores it as the priority
/// of the entry (sd-daemon(3)). Empty if standard error leads elsewhere.
pub(crate) fn prefix(level: Level) -> &'static str {
    static TO_JOURNAL: OnceLock<bool> = OnceLock::new();
    match level {
        _ if !TO_JOURNAL.get_or_init(goes_to_the_journal) => "",
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Whether standard error is connected to the journal: `JOURNAL_STREAM` is its device and inode
/// (systemd.exec(5)). A child whose standard error leads elsewhere inherits the variable too.
fn goes_to_the_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let ours = io::stderr().as_fd().try_clone_to_owned().and_then(|owned| File::from(owned).metadata());
    ours.is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}
