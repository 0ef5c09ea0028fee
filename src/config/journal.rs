//! Reads the section `[journal]`.

use std::time::Duration;

use super::{section::Section, value};
use actors::settings::Journal;
use journal::cipher::Cipher;

/// The journal; `None` if it has no path.
pub(super) fn read(section: Section<'_>) -> Option<Journal> {
    let path = |text: &str| Ok(section.source().path(text));
    let is_set = |path: &std::path::PathBuf| path != &section.source().path("");
    let file = section.read("path", path).filter(is_set);
    let after = section.read("after", value::some_duration).unwrap_or(AFTER);
    let max_bytes = section.read("max_bytes", value::size).unwrap_or(MAX_BYTES);
    let grace = section.read("grace", value::duration).unwrap_or(GRACE);
    let key_file = section.read("key_file", path).filter(is_set);
    if let Some(key) = &key_file
        && let Err(error) = Cipher::read(key)
    {
        section.problem("key_file", format!("{}: {error}", key.display()));
    }
    if file.is_none() && (section.has("after") || section.has("max_bytes") || section.has("key_file")) {
        section
            .warning("path", "is empty: no stanza is written to a file, and the other keys have no effect");
    }
    section.finish();
    Some(Journal { path: file?, after, max_bytes: max_bytes as u64, grace, key_file })
}

/// Far more than a link that is up needs for a stanza, so that only what waits is written.
const AFTER: Duration = Duration::from_millis(100);

/// Four times the memory that all queues may take.
const MAX_BYTES: usize = 1 << 30;

/// The time that a message has after a restart: most links are made within it.
const GRACE: Duration = Duration::from_secs(60);
