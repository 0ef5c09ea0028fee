//! Checks whether the user of the systemd service can read the files of the configuration; needs root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    config::{
        finding::{Message, Severity},
        source::Source,
    },
    users::{User, is_root},
};

/// Adds a warning for each file that the service user cannot read.
pub(super) fn check(source: &Source) {
    if !is_root() {
        return;
    }
    let Some(user) = service_user() else { return };
    if let Some(unreadable) = user.unreadable_part(source.file()) {
        source.add_for_default(Severity::Warning, "", message(&user, source.file(), &unreadable));
        // The other files are probably not readable either; one warning is enough.
        return;
    }
    for value in source.values(&FILES).into_iter().filter(|value| value.text != SYSTEM) {
        let path = source.path(&value.text);
        if let Some(unreadable) = user.unreadable_part(&path) {
            source.add(Severity::Warning, value.span, &value.key, message(&user, &path, &unreadable));
        }
    }
}

fn message(user: &User, path: &Path, unreadable: &PathBuf) -> Message {
    let name = &user.name;
    let because = if unreadable == path {
        String::new()
    } else {
        format!(" (no permission for {})", unreadable.display())
    };
    Message::with_help(
        format!("{name}, the user of the service, cannot read {}{because}", path.display()),
        format!(
            "copy it to a directory that {name} can read, for example with the deploy hook in docs/operation.md, or run \
             `chgrp {name}` and `chmod g+r` on it"
        ),
    )
}

/// The user of the installed unit, or else that of the package; `None` if this machine does not have it.
pub(super) fn service_user() -> Option<User> {
    let named = UNITS.iter().find_map(|unit| user_of(&fs::read_to_string(unit).ok()?));
    User::named(named.as_deref().unwrap_or(USER))
}

fn user_of(unit: &str) -> Option<String> {
    let value = unit.lines().rev().find_map(|line| line.trim().strip_prefix("User="))?;
    Some(value.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The keys with paths of files that the node reads.
const FILES: [&str; 12] = [
    "domain.certificate",
    "domain.key",
    "component.certificate",
    "component.key",
    "component.secret_file",
    "component.allow_file",
    "component.deny_file",
    "journal.key_file",
    "s2s.trust",
    "remote.trust",
    "s2s.dialback_secret_file",
    "remote.dialback_secret_file",
];

/// The value of `trust` that is not a file.
const SYSTEM: &str = "system";

/// The paths of the unit; the first one wins.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/nuncio.service",
    "/usr/lib/systemd/system/nuncio.service",
    "/lib/systemd/system/nuncio.service",
];

/// The user in the unit of the package.
const USER: &str = "nuncio";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_of_a_unit_wins() {
        assert_eq!(user_of("[Service]\nUser=a\nGroup=g\nUser = \n User=b \n").as_deref(), Some("b"));
        assert_eq!(user_of("[Service]\nGroup=g\n"), None);
        let unit = include_str!("../../config/systemd/nuncio.service");
        assert_eq!(user_of(unit).as_deref(), Some(USER));
    }
}
