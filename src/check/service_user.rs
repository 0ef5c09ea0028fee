//! Whether the user that the service runs as can read the files of the configuration. Only root can find that out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    config::finding::{Said, Severity, Source},
    users::{User, is_root},
};

/// Warns of files that the service user cannot read.
pub(super) fn look(source: &Source) {
    if !is_root() {
        return;
    }
    let Some(user) = service_user() else { return };
    if let Some(closed) = user.kept_from(source.file()) {
        source.find_in_default(Severity::Warning, "", said(&user, source.file(), &closed));
        // With the file everything that it names would be out of reach; once is enough.
        return;
    }
    for place in source.places(&FILES).into_iter().filter(|place| place.value != SYSTEM) {
        let path = source.path(&place.value);
        if let Some(closed) = user.kept_from(&path) {
            source.find(Severity::Warning, place.span, &place.key, said(&user, &path, &closed));
        }
    }
}

fn said(user: &User, path: &Path, closed: &PathBuf) -> Said {
    let name = &user.name;
    let at = if closed == path { String::new() } else { format!(" (closed at {})", closed.display()) };
    Said::with_help(
        format!("{} cannot be read by {name}, the user of the service{at}", path.display()),
        format!(
            "copy it to where {name} can read it, for example with the deploy hook of the README, or \
             `chgrp {name}` and `chmod g+r` it"
        ),
    )
}

/// The user of an installed unit, else the one of the package, if this machine has it.
fn service_user() -> Option<User> {
    let named = UNITS.iter().find_map(|unit| user_of(&fs::read_to_string(unit).ok()?));
    User::named(named.as_deref().unwrap_or(USER))
}

fn user_of(unit: &str) -> Option<String> {
    let value = unit.lines().rev().find_map(|line| line.trim().strip_prefix("User="))?;
    Some(value.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Keys whose values are files that the node reads.
const FILES: [&str; 9] = [
    "domain.certificate",
    "domain.key",
    "component.certificate",
    "component.key",
    "component.secret_file",
    "s2s.trust",
    "remote.trust",
    "s2s.dialback_secret_file",
    "remote.dialback_secret_file",
];

/// The value of `trust` that is not a file.
const SYSTEM: &str = "system";

/// Where systemd finds units, the one that wins first.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/nuncio.service",
    "/usr/lib/systemd/system/nuncio.service",
    "/lib/systemd/system/nuncio.service",
];

/// As the package and its unit have it.
const USER: &str = "nuncio";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_of_a_unit_counts() {
        assert_eq!(user_of("[Service]\nUser=a\nGroup=g\nUser = \n User=b \n").as_deref(), Some("b"));
        assert_eq!(user_of("[Service]\nGroup=g\n"), None);
        let unit = include_str!("../../config/systemd/nuncio.service");
        assert_eq!(user_of(unit).as_deref(), Some(USER));
    }
}
