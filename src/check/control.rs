//! Whether the control socket can be where it is wanted.

use std::{fs, io, path::Path};

use tokio::{net::UnixStream, runtime};

use super::machine;
use crate::config::finding::{Said, Severity, Source};
use actors::{node::control::socket, settings::Listen};

/// What can be said of the control socket.
pub(super) struct Look {
    /// A node would have one, as far as can be said.
    pub(super) usable: bool,
    /// The process of the running node of this configuration.
    pub(super) node: Option<u32>,
}

/// Looks at the place of the control socket, and at who answers there unless only files are meant.
pub(super) fn look(source: &Source, listen: &Listen, offline: bool) -> Look {
    let is = |usable| Look { usable, node: None };
    // What is wrong with the key was said.
    let Some(control) = listen.control.as_ref().filter(|_| !source.is_wrong(KEY)) else { return is(false) };
    let answer = if offline { Ok(None) } else { answers(source, listen) };
    let (severity, said) = match (trouble(&control.path), answer) {
        (Some(trouble), _) | (None, Err(trouble)) => trouble,
        (None, Ok(node)) => return Look { usable: true, node },
    };
    if control.required || severity == Severity::Warning {
        tell(source, severity, said);
        return is(control.required);
    }
    let without =
        format!("no control socket: nuncio explain and similar commands are not available: {}", said.what());
    tell(source, Severity::Warning, Said::with_help(without, "set listen.control"));
    is(false)
}

fn tell(source: &Source, severity: Severity, said: Said) {
    match source.places(&[KEY]).pop() {
        Some(place) => source.find(severity, place.span, KEY, said),
        None => source.find_in_default(severity, KEY, said),
    }
}

/// What files say against it.
fn trouble(path: &Path) -> Option<(Severity, Said)> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        let what = format!("there is no directory {}", directory.display());
        return Some((Severity::Problem, Said::with_help(what, MAKE_IT)));
    }
    Some(refused(path, &socket::try_out(path).err()?))
}

fn refused(path: &Path, error: &socket::Error) -> (Severity, Said) {
    let path = path.display();
    match error {
        // The node may run as another user than this check.
        socket::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => (
            Severity::Warning,
            Said::with_help(
                format!("no permission for the control socket {path}"),
                "run this as the service user or root",
            ),
        ),
        error => {
            let what = format!("it cannot be at {path}: {error}");
            (Severity::Problem, Said::with_help(what, ELSEWHERE))
        }
    }
}

/// The process of the node of this configuration, if it answers there; any other one is a mistake.
fn answers(source: &Source, listen: &Listen) -> Result<Option<u32>, (Severity, Said)> {
    let Some(path) = listen.control.as_ref().map(|control| &control.path) else { return Ok(None) };
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else { return Ok(None) };
    let process = match runtime.block_on(UnixStream::connect(path)) {
        Ok(stream) => stream.peer_cred().ok().and_then(|peer| peer.pid()?.try_into().ok()),
        Err(error) if DEAD.contains(&error.kind()) => return Ok(None),
        Err(error) => return Err(refused(path, &error.into())),
    };
    let own = |process| is_of(source.file(), process) || listens(listen, process);
    match process {
        Some(process) if machine::is_our_program(process) && own(process) => Ok(Some(process)),
        _ => {
            let which = process.map(|process| format!(" (process {process})")).unwrap_or_default();
            let what = format!("it cannot be at {}: {}{which}", path.display(), socket::Error::Taken);
            Err((Severity::Problem, Said::with_help(what, ELSEWHERE)))
        }
    }
}

/// Whether the command line of that process names this file.
fn is_of(file: &Path, process: u32) -> bool {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split('\0');
    let named = words.find_map(|word| word.strip_prefix("--config")).map(|rest| rest.strip_prefix('='));
    let named = match named {
        Some(Some(path)) => path,
        Some(None) => words.next().unwrap_or_default(),
        None => return false,
    };
    let theirs = Path::new(&format!("/proc/{process}/cwd")).join(named);
    matches!((theirs.canonicalize(), file.canonicalize()), (Ok(theirs), Ok(ours)) if theirs == ours)
}

/// Whether that process holds an address that this configuration listens on.
fn listens(listen: &Listen, process: u32) -> bool {
    let mut addresses =
        [&listen.s2s, &listen.s2s_tls, &listen.component, &listen.metrics].into_iter().flatten();
    addresses.any(|address| machine::holder(*address).is_some_and(|(holder, _)| holder == process))
}

const KEY: &str = "listen.control";

/// Nobody listens there: what a dead node left is replaced.
const DEAD: [io::ErrorKind; 2] = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];

const MAKE_IT: &str = "make it, or put the socket elsewhere: the node does not start without it";

const ELSEWHERE: &str = "put the socket elsewhere: the node does not start without it";
