//! Checks whether a node can create its control socket.

use std::{fs, io, path::Path};

use tokio::{net::UnixStream, runtime};

use super::addresses;
use crate::{
    config::{
        finding::{Message, Severity},
        listen::addresses_of,
        source::Source,
    },
    control,
};
use actors::settings::{Address, Cluster, Listen, Permissions};
use net::unix_socket;
use status::{answer::Nodes, request::Request};

/// The result of the check.
pub(super) struct Checked {
    /// A node would probably have a control socket.
    pub(super) usable: bool,
    /// The process of the running node with this configuration.
    pub(super) node: Option<u32>,
}

/// Checks the path of the control socket and, unless `offline`, which process listens there. Adds findings.
/// `is_made` tells whether the service manager creates a directory when it starts the node.
pub(super) fn check(
    source: &Source,
    listen: &Listen,
    offline: bool,
    is_made: impl Fn(&Path) -> bool,
) -> Checked {
    let result = |usable| Checked { usable, node: None };
    // If the key is wrong, there is a finding already.
    let Some(control) = listen.control.as_ref().filter(|_| !source.has_problem(KEY)) else {
        return result(false);
    };
    let node = if offline { Ok(None) } else { running_node(source, listen) };
    let (severity, message) = match (check_path(&control.path, is_made), node) {
        (Some(problem), _) | (None, Err(problem)) => problem,
        (None, Ok(node)) => return Checked { usable: true, node },
    };
    if control.required || severity == Severity::Warning {
        add(source, severity, message);
        return result(control.required);
    }
    let text =
        format!("no control socket: nuncio explain and similar commands do not work: {}", message.text());
    add(source, Severity::Warning, Message::with_help(text, "set listen.control to another path"));
    result(false)
}

fn add(source: &Source, severity: Severity, message: Message) {
    match source.values(&[KEY]).pop() {
        Some(value) => source.add(severity, value.span, KEY, message),
        None => source.add_for_default(severity, KEY, message),
    }
}

/// The reason why no socket can be created at `path`; `None` if it can.
fn check_path(path: &Path, is_made: impl Fn(&Path) -> bool) -> Option<(Severity, Message)> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        if is_made(directory) {
            return None;
        }
        let text = format!("directory {} does not exist", directory.display());
        return Some((Severity::Problem, Message::with_help(text, CREATE_DIRECTORY)));
    }
    Some(explain(path, &unix_socket::try_out(path, Permissions::OWNER_ONLY).err()?))
}

fn explain(path: &Path, error: &unix_socket::Error) -> (Severity, Message) {
    let path = path.display();
    match error {
        // The node may run as a different user, which has the permission.
        unix_socket::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => (
            Severity::Warning,
            Message::with_help(
                format!("no permission for the control socket {path}"),
                "run this check as the user of the service, or as root",
            ),
        ),
        error => {
            let text = format!("cannot create the control socket {path}: {error}");
            (Severity::Problem, Message::with_help(text, OTHER_PATH))
        }
    }
}

/// The process of the node with this configuration, if one listens on the socket.
///
/// # Errors
/// Another process listens there, or the socket cannot be used.
fn running_node(source: &Source, listen: &Listen) -> Result<Option<u32>, (Severity, Message)> {
    let Some(path) = listen.control.as_ref().map(|control| &control.path) else { return Ok(None) };
    let process = match process_at(path) {
        Ok(Some(process)) => process,
        Ok(None) => return Ok(None),
        Err(error) => return Err(explain(path, &error.into())),
    };
    let is_ours = |process| has_config(process, source.file()) || uses_address(process, listen);
    match process {
        Some(process) if addresses::runs_this_binary(process) && is_ours(process) => Ok(Some(process)),
        _ => {
            let process = process.map(|process| format!(" (process {process})")).unwrap_or_default();
            let path = path.display();
            let text =
                format!("cannot create the control socket {path}: {}{process}", unix_socket::Error::Taken);
            Err((Severity::Problem, Message::with_help(text, OTHER_PATH)))
        }
    }
}

/// The process that listens at a path, if the system tells which; `None` if none does.
///
/// # Errors
/// The socket cannot be used.
pub(super) fn process_at(path: &Path) -> io::Result<Option<Option<u32>>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(UnixStream::connect(path)) {
        Ok(stream) => Ok(Some(stream.peer_cred().ok().and_then(|peer| peer.pid()?.try_into().ok()))),
        Err(error) if UNUSED.contains(&error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the node that listens at a path is in this cluster under this name.
pub(super) fn is_node(path: &Path, cluster: &Cluster) -> bool {
    let answer = control::answer::<Nodes>(path, &Request::Nodes);
    answer.is_ok_and(|answer| {
        let shown = answer.found.cluster;
        shown.cluster == cluster.name && shown.node == cluster.node.as_str()
    })
}

/// Whether the command line of the process contains `--config` with this file.
pub(super) fn has_config(process: u32, file: &Path) -> bool {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split('\0');
    let option = words.find_map(|word| word.strip_prefix("--config")).map(|rest| rest.strip_prefix('='));
    let path = match option {
        Some(Some(path)) => path,
        Some(None) => words.next().unwrap_or_default(),
        None => return false,
    };
    let theirs = Path::new(&format!("/proc/{process}/cwd")).join(path);
    matches!((theirs.canonicalize(), file.canonicalize()), (Ok(theirs), Ok(ours)) if theirs == ours)
}

/// Whether the process listens on an address of this configuration.
fn uses_address(process: u32, listen: &Listen) -> bool {
    let lists = addresses_of(listen);
    let mut addresses = lists.iter().flatten().filter_map(Address::tcp);
    addresses.any(|address| addresses::listener(address).is_some_and(|(listener, _)| listener == process))
}

const KEY: &str = "listen.control";

/// Errors that mean that no process listens. A node replaces the socket of a node that has exited.
const UNUSED: [io::ErrorKind; 2] = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];

const CREATE_DIRECTORY: &str =
    "create the directory, or set listen.control to another path: the node does not start without the socket";

const OTHER_PATH: &str = "set listen.control to another path: the node does not start without the socket";
