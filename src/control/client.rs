//! One exchange on a node's control socket.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::{fs::FileTypeExt as _, net::UnixStream},
    path::Path,
    time::Duration,
};

use crate::users;
use actors::node::control::socket;
use status::request::Request;

/// Asks the node at `path` and reads its answer to the end.
///
/// # Errors
/// Says why there is none, and what to do about it.
pub(crate) fn exchange(path: &Path, request: &Request) -> Result<String, String> {
    if !socket::fits(path) {
        return Err(format!("{} cannot be a socket: {}", path.display(), socket::Error::TooLong));
    }
    let stream = UnixStream::connect(path).map_err(|error| unreachable(path, &error))?;
    talk(stream, request).map_err(|error| format!("the node at {} does not answer: {error}", path.display()))
}

fn talk(mut stream: UnixStream, request: &Request) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A node that turns a command away writes why before it closes the connection, perhaps before it reads.
    let written = stream.write_all(request.line().as_bytes());
    let mut bytes = Vec::new();
    let read = stream.take(LONGEST).read_to_end(&mut bytes);
    if bytes.is_empty() {
        let gone = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        };
        return Err(match written.and(read) {
            Err(error) if !gone(&error) => error,
            _ => io::Error::other(TURNED_AWAY),
        });
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn unreachable(path: &Path, error: &io::Error) -> String {
    let is_socket = fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let who = users::who_may(path);
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "no node is running with the control socket {path}; name another one with --config FILE, NUNCIO_CONFIG=FILE or \
             --socket PATH"
        ),
        io::ErrorKind::ConnectionRefused if !is_socket => format!("{path} is not a socket"),
        io::ErrorKind::ConnectionRefused => {
            format!("no node is running: the control socket {path} is left over from one that ended")
        }
        io::ErrorKind::PermissionDenied => {
            format!("no permission for the control socket {path}: run this as {who}")
        }
        _ => format!("the control socket {path} cannot be used: {error}"),
    }
}

/// The node gives its answer within ten seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a node closes a connection without any answer.
const TURNED_AWAY: &str =
    "it closed the connection, as too many commands are being answered at once; try again";

/// Bytes of an answer: ten thousand links are some megabytes.
const LONGEST: u64 = 64 << 20;
