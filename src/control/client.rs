//! Sends a request to the control socket of a node and reads the answer.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::{fs::FileTypeExt as _, net::UnixStream},
    path::Path,
    time::Duration,
};

use crate::users;
use net::unix_socket;
use status::request::Request;

/// Sends `request` to the node at `path` and reads its answer to the end.
///
/// # Errors
/// A sentence for the operator: the reason why there is no answer, and what to do.
pub(crate) fn exchange(path: &Path, request: &Request) -> Result<String, String> {
    if !unix_socket::fits(path) {
        return Err(format!(
            "{} cannot be a control socket: {}",
            path.display(),
            unix_socket::Error::TooLong
        ));
    }
    let stream = UnixStream::connect(path).map_err(|error| unreachable(path, &error))?;
    request_on(stream, request)
        .map_err(|error| format!("no answer from the node at {}: {error}", path.display()))
}

fn request_on(mut stream: UnixStream, request: &Request) -> io::Result<String> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // A node that refuses a command writes the reason and closes the connection, possibly without reading the
    // request.
    let written = stream.write_all(request.line().as_bytes());
    let mut bytes = Vec::new();
    let read = stream.take(MAX_ANSWER).read_to_end(&mut bytes);
    if bytes.is_empty() {
        let gone = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
        };
        return Err(match written.and(read) {
            Err(error) if !gone(&error) => error,
            _ => io::Error::other(TOO_MANY_COMMANDS),
        });
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn unreachable(path: &Path, error: &io::Error) -> String {
    let is_socket = fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let user = users::allowed_users(path);
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "no node is running with the control socket {path}; start the node, or set another socket with --config \
             FILE, NUNCIO_CONFIG=FILE or --socket PATH"
        ),
        io::ErrorKind::ConnectionRefused if !is_socket => format!("{path} is not a socket"),
        io::ErrorKind::ConnectionRefused => {
            format!(
                "no node is running: nothing listens on the control socket {path}, which a stopped node left behind; start the \
                 node"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("no permission for the control socket {path}: run this as {user}")
        }
        _ => format!("cannot connect to the control socket {path}: {error}"),
    }
}

/// Limit of each read and write. A node answers within ten seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The reason for which a node closes the connection without an answer.
const TOO_MANY_COMMANDS: &str =
    "it closed the connection because it is answering too many commands; try again";

/// Maximum number of bytes of an answer. Ten thousand links take a few megabytes.
const MAX_ANSWER: u64 = 64 << 20;
