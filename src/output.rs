//! Writes results to standard output and errors to standard error.
//!
//! A result that cannot be written makes the command fail. A failed write to standard error is ignored.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Display,
    io::{self, ErrorKind, Write as _},
    panic,
    process::ExitCode,
};

use log::Level;
use status::escape::escaped;

use crate::priority;

/// Writes `content` to standard output. A closed pipe is not an error: the reader needed only the beginning.
pub(crate) fn write(content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(content.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes `content` to standard output. Returns `status`, or the status of a failure if the write failed.
pub(crate) fn print(content: impl AsRef<[u8]>, status: ExitCode) -> ExitCode {
    exit_status(write(content), status)
}

/// Writes the message of a panic as one escaped line, since it may contain text of a peer. `RUST_BACKTRACE`
/// works as usual. A panic that means a damaged journal becomes an error, and is not written.
pub(crate) fn escape_panics() {
    panic::set_hook(Box::new(|panic| {
        if journal::disk::is_guarded() {
            return;
        }
        print_error(format_args!("nuncio: {panic}"));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            eprintln!("{trace}");
        }
    }));
}

/// Returns `status` if the write succeeded. Otherwise prints the error and returns the status of a failure.
pub(crate) fn exit_status(written: io::Result<()>, status: ExitCode) -> ExitCode {
    match written {
        Ok(()) => status,
        Err(error) => {
            print_error(format_args!("nuncio: cannot write: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error. Unlike `eprintln!` it does not panic if standard error is closed. Hidden
/// characters are escaped, since parts of the line may come from peers and files.
pub(crate) fn print_error(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}{}", priority::prefix(Level::Error), escaped(&line.to_string()));
}
