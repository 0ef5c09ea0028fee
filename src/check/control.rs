//! Whether the control socket can be where it is wanted.

use std::{fs, io, path::Path};

use actors::{control::socket, settings::Listen};
use tokio::{net::UnixStream, runtime};

use super::machine;
use crate::config::finding::{Said, Severity, Source};

/// Looks at the place of the control socket, and at who answers there unless only files are meant. Whether a node would
/// have a socket, as far as can be said.
pub(super) fn look(source: &Source, listen: &Listen, offline: bool) -> bool {
    // What is wrong with the key was said.
    let Some(control) = listen.control.as_ref().filter(|_| !source.is_wrong(KEY)) else { return false };
    let trouble = trouble(&control.path).or_else(|| if offline { None } else { answers(source, listen) });
    let Some((severity, said)) = trouble else { return true };
    if control.required || severity == Severity::Note {
        tell(source, severity, said);
        return true;
    }
    let without = format!("no control socket, so no answers to nuncio explain and the like: {}", said.what());
    tell(source, Severity::Warning, Said::with_help(without, "set listen.control"));
    false
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
                format!("{path} is not for the user that runs this check"),
                "the user that the node runs as has to be able to write there",
            ),
        ),
        error => {
            let what = format!("it cannot be at {path}: {error}");
            (Severity::Problem, Said::with_help(what, ELSEWHERE))
        }
    }
}

/// What a node that answers there means: nothing bad, if it is the one of this configuration.
fn answers(source: &Source, listen: &Listen) -> Option<(Severity, Said)> {
    let path = &listen.control.as_ref()?.path;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let process = match runtime.block_on(UnixStream::connect(path)) {
        Ok(stream) => stream.peer_cred().ok().and_then(|peer| peer.pid()?.try_into().ok()),
        Err(error) if DEAD.contains(&error.kind()) => return None,
        Err(error) => return Some(refused(path, &error.into())),
    };
    let own = |process| is_of(source.file(), process) || listens(listen, process);
    Some(match process {
        Some(process) if machine::is_our_program(process) && own(process) => (
            Severity::Note,
            Said::with_help(
                format!("the node of this configuration answers there (process {process})"),
                "that is as it should be beside a running node; a second one would not start",
            ),
        ),
        _ => {
            let which = process.map(|process| format!(" (process {process})")).unwrap_or_default();
            let what = format!("it cannot be at {}: {}{which}", path.display(), socket::Error::Taken);
            (Severity::Problem, Said::with_help(what, ELSEWHERE))
        }
    })
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
