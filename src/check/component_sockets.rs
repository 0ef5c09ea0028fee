//! Checks whether a node can create its Unix sockets for components, and whether components can reach them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{addresses, control_socket, service_user, unit::Unit};
use crate::{
    config::{
        finding::{Message, Severity},
        source::Source,
        value,
    },
    users::is_root,
};
use actors::settings::{Address, Listen, Permissions};
use net::unix_socket;

/// Checks the paths and the permissions. Adds findings.
pub(super) fn check(source: &Source, listen: &Listen, unit: Option<&Unit>) {
    let permissions = listen.component_permissions;
    for path in paths(source, listen) {
        let found = match check_path(&path, permissions) {
            Some(found) => Some(found),
            None => unreachable(&path, permissions),
        };
        if let Some((severity, message)) = found {
            add(source, &path, severity, message);
        }
    }
    check_group(source, permissions, unit);
}

/// Adds a problem for each socket that another process has. Returns the processes of running nodes of this configuration
/// that have one; `is_ours` recognises them.
pub(super) fn nodes(source: &Source, listen: &Listen, is_ours: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut nodes = Vec::new();
    for path in paths(source, listen) {
        match control_socket::process_at(&path) {
            Ok(Some(Some(node))) if addresses::runs_this_binary(node) && is_ours(node) => nodes.push(node),
            Ok(Some(process)) => {
                let process = process.map(|process| format!(" (process {process})")).unwrap_or_default();
                let text = format!("{}: {}{process}", path.display(), unix_socket::Error::Taken);
                add(source, &path, Severity::Problem, Message::with_help(text, OTHER_PATH));
            }
            // A file without permission has a finding already.
            Ok(None) | Err(_) => {}
        }
    }
    nodes
}

/// The paths, unless there is a problem with the key.
fn paths(source: &Source, listen: &Listen) -> Vec<PathBuf> {
    let paths = listen.component.iter().filter_map(Address::path).map(Path::to_owned);
    if source.has_problem(KEY) { Vec::new() } else { paths.collect() }
}

fn add(source: &Source, path: &Path, severity: Severity, message: Message) {
    let values = source.values(&[KEY]);
    let is_it = |text: &str| value::component(source, text).is_ok_and(|address| address.path() == Some(path));
    match values.into_iter().find(|value| is_it(&value.text)) {
        Some(value) => source.add(severity, value.span, KEY, message),
        None => source.add_for_default(severity, KEY, message),
    }
}

/// The reason why no socket can be created at `path`; `None` if it can.
fn check_path(path: &Path, permissions: Permissions) -> Option<(Severity, Message)> {
    if let Some(directory) = directory(path).filter(|directory| !directory.is_dir()) {
        let text = format!("directory {} does not exist", directory.display());
        // A unit creates such directories when it starts.
        return Some(if directory.starts_with("/run") {
            (Severity::Warning, Message::with_help(text, RUNTIME_DIRECTORY))
        } else {
            (Severity::Problem, Message::with_help(text, "create the directory, or choose another path"))
        });
    }
    let error = unix_socket::try_out(path, permissions).err()?;
    let kind = match &error {
        unix_socket::Error::Io(error) | unix_socket::Error::Group { error, .. } => Some(error.kind()),
        _ => None,
    };
    let text = format!("cannot create the socket {}: {error}", path.display());
    Some(match kind {
        // The node may run as a different user, which has the permission.
        Some(io::ErrorKind::PermissionDenied) => (
            Severity::Warning,
            Message::with_help(text, "run this check as the user of the service, or as root"),
        ),
        _ => (Severity::Problem, Message::with_help(text, OTHER_PATH)),
    })
}

/// A warning if the permissions of the directory keep users from a socket that they may use.
fn unreachable(path: &Path, permissions: Permissions) -> Option<(Severity, Message)> {
    let directory = directory(path).unwrap_or_else(|| Path::new("."));
    let found = fs::metadata(directory).ok()?;
    let (may_all, all_may_enter) = (permissions.mode & 0o002 != 0, found.mode() & 0o001 != 0);
    let is_for_group =
        permissions.group.is_some_and(|group| group != found.gid()) && permissions.mode & 0o020 != 0;
    if all_may_enter || !(may_all || is_for_group) {
        return None;
    }
    let who = if may_all { "all users may use the socket" } else { "its group may use the socket" };
    let (shown, mode) = (directory.display(), found.mode() & 0o777);
    let text =
        format!("{who}, but the directory {shown} (mode {mode:04o}) lets only its owner and its group in");
    let help = format!(
        "use another directory, or let others pass through it: RuntimeDirectoryMode=0711 in the unit, `chmod o+x {shown}`"
    );
    Some((Severity::Warning, Message::with_help(text, help)))
}

/// Adds a warning if the service cannot give a socket to its group; needs root.
fn check_group(source: &Source, permissions: Permissions, unit: Option<&Unit>) {
    let Some(group) = permissions.group.filter(|_| is_root()) else { return };
    let Some(user) = service_user::user(unit) else { return };
    let Some(value) = source.values(&[GROUP]).pop() else { return };
    let (name, wanted) = (&user.name, &value.text);
    let lacks = unit.filter(|_| group != user.group()).map(Unit::lacks_for_groups).unwrap_or_default();
    let (text, help) = if !user.is_in(group) {
        (
            format!("{name}, the user of the service, is not a member of {wanted}, so the node cannot start"),
            format!("`usermod -a -G {wanted} {name}`; the unit needs more: see docs/operation.md"),
        )
    } else if !lacks.is_empty() {
        (
            format!(
                "the unit does not let the node give its socket to the group {wanted}, so the node cannot start"
            ),
            format!(
                "add {} to [Service] with `systemctl edit nuncio`: see docs/operation.md",
                lacks.join(" and ")
            ),
        )
    } else {
        return;
    };
    source.add(Severity::Warning, value.span, GROUP, Message::with_help(text, help));
}

fn directory(path: &Path) -> Option<&Path> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty())
}

const KEY: &str = "listen.component";

const GROUP: &str = "listen.component_socket_group";

const OTHER_PATH: &str = "choose another path: the node does not start without the socket";

const RUNTIME_DIRECTORY: &str = "systemd creates /run/nuncio when the unit starts (RuntimeDirectory=); create another \
                                 directory at each start of the system, for example with tmpfiles.d";
