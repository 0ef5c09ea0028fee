//! Checks whether the user of the systemd service can use the files of the configuration; needs root.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    eyes::{self, Use},
    unit::Unit,
};
use crate::{
    config::{
        finding::{Message, Severity},
        source::Source,
    },
    users::{User, is_root},
};
use actors::settings::Settings;

/// Adds a warning for each file that the user of the service cannot read or write.
pub(super) fn check(source: &Source, unit: Option<&Unit>, settings: Option<&Settings>) {
    if !is_root() {
        return;
    }
    let Some(service) = Service::of(unit) else { return };
    let file = source.file().to_owned();
    let file = Wanted { path: file, purpose: Use::Read, key: String::new(), at: None };
    if service.check(source, vec![file]) {
        service.check(source, wanted(source, settings, unit));
    }
    // Otherwise the other files are probably not usable either; one warning is enough.
}

/// The user of the installed unit, or else that of the package; `None` if it is root, or if this machine does not have it.
pub(super) fn user(unit: Option<&Unit>) -> Option<User> {
    let Some(unit) = unit else { return User::named(USER) };
    let mut user = User::named(unit.user.as_deref()?)?;
    user.joins(unit.group.as_deref(), &unit.groups);
    Some(user)
}

/// A file or directory that the node uses.
#[derive(Clone)]
struct Wanted {
    path: PathBuf,
    purpose: Use,
    /// The key that names it; empty for the configuration itself.
    key: String,
    /// The position of the value; `None` for a default.
    at: Option<Range<usize>>,
}

/// All files that the node uses beside its configuration.
fn wanted(source: &Source, settings: Option<&Settings>, unit: Option<&Unit>) -> Vec<Wanted> {
    let named = source.values(&FILES).into_iter().filter(|value| !NOT_A_FILE.contains(&value.text.as_str()));
    let mut all: Vec<Wanted> = named
        .map(|value| {
            let path = source.path(&value.text);
            Wanted { path, purpose: Use::Read, key: value.key, at: Some(value.span) }
        })
        .collect();
    let journal = settings.and_then(|settings| settings.journal.as_ref()).map(|journal| journal.path.clone());
    let control = settings.and_then(|settings| settings.listen.control.as_ref());
    let control = control.map(|control| control.path.clone());
    let at = |key: &str| source.values(&[key]).pop().map(|value| value.span);
    let mut written = Vec::new();
    written.extend(journal.map(|path| (path, JOURNAL, at(JOURNAL))));
    written.extend(control.map(|path| (path, "listen.control", at("listen.control"))));
    for value in source.values(&["listen.component"]) {
        let socket = value.text.strip_prefix("unix:").map(|path| source.path(path));
        written.extend(socket.map(|path| (path, "listen.component", Some(value.span))));
    }
    for (path, key, at) in written {
        let wanted = |path: &Path| Wanted {
            path: path.to_owned(),
            purpose: Use::Write,
            key: key.to_owned(),
            at: at.clone(),
        };
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        // The node creates the directory of its journal.
        let creates =
            key == JOURNAL && !directory.exists() && !unit.is_some_and(|unit| unit.makes(directory));
        let above = directory.parent().filter(|_| creates);
        all.push(wanted(above.unwrap_or(directory)));
        // A socket that an ended node has left is replaced, which the directory permits.
        all.extend(path.is_file().then(|| wanted(&path)));
    }
    all
}

/// The service, as far as its files are concerned.
struct Service<'a> {
    user: User,
    unit: Option<&'a Unit>,
}

impl<'a> Service<'a> {
    /// `None` if this machine does not have the user.
    fn of(unit: Option<&'a Unit>) -> Option<Self> {
        Some(Self { user: user(unit)?, unit })
    }

    /// Adds a warning for each file that the service cannot use. Returns whether it can use all of them.
    fn check(&self, source: &Source, files: Vec<Wanted>) -> bool {
        let targets: Vec<_> = files.iter().map(|file| file.path.canonicalize().ok()).collect();
        // systemd makes such a directory writable at each start.
        let is_made = |file: &Wanted| {
            file.purpose == Use::Write
                && !file.path.is_file()
                && self.unit.is_some_and(|unit| unit.makes(&file.path))
        };
        let look = |(file, target): (&Wanted, &Option<PathBuf>)| match is_made(file) {
            true => None,
            false => eyes::obstacle(&file.path, target.as_deref(), file.purpose),
        };
        let looked = eyes::as_user(&self.user, || files.iter().zip(&targets).map(look).collect::<Vec<_>>());
        let obstacles = match looked {
            Ok(obstacles) => obstacles,
            Err(error) => {
                let text = format!("cannot test which files {} can use: {error}", self.user.name);
                source.add_for_default(Severity::Note, "", text);
                return false;
            }
        };
        let mut all_usable = true;
        for ((file, target), obstacle) in files.into_iter().zip(targets).zip(obstacles) {
            let message = obstacle
                .map(|obstacle| denied(&self.user.name, &file, &obstacle))
                .or_else(|| self.in_sandbox(&file, target.as_deref()));
            let Some(message) = message else { continue };
            all_usable = false;
            match file.at {
                Some(at) => source.add(Severity::Warning, at, &file.key, message),
                None => source.add_for_default(Severity::Warning, &file.key, message),
            }
        }
        all_usable
    }

    /// The reason why the unit keeps the service from a file that its user could use.
    fn in_sandbox(&self, file: &Wanted, target: Option<&Path>) -> Option<Message> {
        let unit = self.unit?;
        let paths = [Some(file.path.as_path()), target];
        let mut paths = paths.into_iter().flatten().filter(|path| path.is_absolute());
        let shown = file.path.display();
        if let Some(setting) = paths.clone().find_map(|path| unit.hides(path)) {
            return Some(Message::with_help(
                format!("the service cannot see {shown}: {setting} in its unit hides the directory"),
                "move it below /etc/nuncio, or to /var/lib/nuncio if the node writes it",
            ));
        }
        let setting = paths.find_map(|path| unit.protects(path)).filter(|_| file.purpose == Use::Write)?;
        Some(Message::with_help(
            format!("the service cannot write to {shown}: {setting} in its unit protects it"),
            format!(
                "use /var/lib/nuncio, or add the line `ReadWritePaths={shown}` to the section [Service] with `systemctl edit \
                 nuncio`"
            ),
        ))
    }
}

fn denied(name: &str, file: &Wanted, obstacle: &Path) -> Message {
    let shown = file.path.display();
    let because = if obstacle == file.path {
        String::new()
    } else {
        format!(" (no permission for {})", obstacle.display())
    };
    match file.purpose {
        Use::Read => Message::with_help(
            format!("{name}, the user of the service, cannot read {shown}{because}"),
            format!(
                "copy it to a directory that {name} can read, certificates with the deploy hook (docs/operation.md), or run \
                 `chgrp {name}` and `chmod g+r` on it"
            ),
        ),
        Use::Write => Message::with_help(
            format!("{name}, the user of the service, cannot write to {shown}{because}"),
            format!(
                "choose a path in /var/lib/nuncio, or make a directory for it: `install -d -o {name} -m 750 DIRECTORY`"
            ),
        ),
    }
}

/// The key of the file that the node creates with its directory.
const JOURNAL: &str = "journal.path";

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

/// Values of these keys that are not paths: `trust = "system"`, and the empty text, which turns `key_file` off.
const NOT_A_FILE: [&str; 2] = ["system", ""];

/// The user in the unit of the package.
const USER: &str = "nuncio";
