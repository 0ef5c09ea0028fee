//! Checks that only the owner can read files with keys and secrets.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::config::{
    finding::{Message, Severity},
    source::Source,
};

/// Adds a warning for each key and secret that every user of this machine can read.
pub(super) fn check(source: &Source) {
    let inline = source.values(&INLINE_SECRETS).into_iter().find(|value| !value.text.is_empty());
    if let Some(value) = inline.filter(|_| is_readable_by_all(source.file())) {
        let path = source.file().display();
        let message = Message::with_help(
            format!("{path} contains a secret, and every user of this machine can read it"),
            format!("run `chmod o-rwx {path}`"),
        );
        source.add(Severity::Warning, value.span, &value.key, message);
    }
    for value in source.values(&SECRET_FILES).into_iter().filter(|value| !value.text.is_empty()) {
        let path = source.path(&value.text);
        if is_readable_by_all(&path) {
            let path = path.display();
            let message = Message::with_help(
                format!("every user of this machine can read {path}"),
                format!("run `chmod o-rwx {path}`"),
            );
            source.add(Severity::Warning, value.span, &value.key, message);
        }
    }
}

fn is_readable_by_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & READABLE_BY_ALL != 0)
}

/// The keys with the paths of secret files.
const SECRET_FILES: [&str; 6] = [
    "domain.key",
    "component.key",
    "component.secret_file",
    "journal.key_file",
    "s2s.dialback_secret_file",
    "remote.dialback_secret_file",
];

/// The keys with secrets in the configuration itself.
const INLINE_SECRETS: [&str; 3] = ["component.secret", "s2s.dialback_secret", "remote.dialback_secret"];

/// S_IROTH.
const READABLE_BY_ALL: u32 = 0o004;
