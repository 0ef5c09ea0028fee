//! Standard output and standard error: results that cannot be written are a failure, complaints that cannot be are not.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Display,
    io::{self, ErrorKind, Write as _},
    panic,
    process::ExitCode,
};

use status::escape::escaped;

/// Writes all of it at once. Whoever reads only the beginning has what he wanted: a closed pipe is no mistake.
pub(crate) fn write(content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(content.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes all of it, and says with which status the program then ends: `status`, unless it could not be written.
pub(crate) fn print(content: impl AsRef<[u8]>, status: ExitCode) -> ExitCode {
    done(write(content), status)
}

/// Writes panics to standard error in one line too: a message may quote text of a peer. `RUST_BACKTRACE` has its effect.
pub(crate) fn escape_panics() {
    panic::set_hook(Box::new(|panic| {
        complain(format_args!("nuncio: {panic}"));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            eprintln!("{trace}");
        }
    }));
}

/// The status of a program that ends with `status` if everything was written; says why it was not.
pub(crate) fn done(written: io::Result<()>, status: ExitCode) -> ExitCode {
    match written {
        Ok(()) => status,
        Err(error) => {
            complain(format_args!("nuncio: cannot write: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error. Unlike `eprintln!` it does not panic when nobody reads there any more: the status says
/// that something failed. Hidden characters are escaped: parts of the line may come from peers and files.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", escaped(&line.to_string()));
}
