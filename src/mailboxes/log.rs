//! The log of a node: a file or standard input, and the errors of reading it.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{split::LineSplitter, stats::Stats};

/// A log to read.
#[derive(Clone, Debug)]
pub(super) enum Log {
    File(PathBuf),
    Stdin,
}

/// Reads the statistics of the whole log.
///
/// # Errors
/// The log cannot be opened or read.
pub(super) fn read(log: &Log) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    each_line(log, |line| stats.add_line(line))?;
    Ok(stats)
}

/// Reads the log to its end, and calls `each` for every line.
///
/// # Errors
/// The log cannot be opened or read.
pub(super) fn each_line(log: &Log, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
    let mut input: Box<dyn Read> = match log {
        Log::File(file) => Box::new(open(file)?),
        Log::Stdin => Box::new(io::stdin().lock()),
    };
    let mut lines = LineSplitter::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => lines.feed(&buffer[..length], &mut each),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Unreadable(log.to_string(), error)),
        }
    }
    lines.finish(each);
    Ok(())
}

/// Opens a file.
///
/// # Errors
/// It cannot be opened, or it is a directory or a compressed file.
pub(super) fn open(file: &Path) -> Result<File, Error> {
    let name = || file.display().to_string();
    let unreadable = |error| Error::Unreadable(name(), error);
    let mut opened = File::open(file).map_err(unreadable)?;
    let kind = opened.metadata().map_err(unreadable)?;
    if kind.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if kind.is_file() {
        let mut magic = [0; 2];
        let compressed = opened.read_exact(&mut magic).is_ok() && magic == GZIP;
        if compressed {
            return Err(Error::Compressed(name()));
        }
        io::Seek::rewind(&mut opened).map_err(unreadable)?;
    }
    Ok(opened)
}

/// Why there is nothing to show.
#[derive(Debug)]
pub(super) enum Error {
    /// The log, or the terminal, cannot be read.
    Unreadable(String, io::Error),
    /// The log was compressed after a rotation.
    Compressed(String),
    /// The log contains no mailbox line.
    NoMailboxLines(String),
    /// The terminal was closed.
    TerminalClosed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(name, error) => match error.kind() {
                io::ErrorKind::NotFound => write!(f, "{name} does not exist"),
                io::ErrorKind::PermissionDenied => write!(f, "no permission to read {name}"),
                io::ErrorKind::IsADirectory => write!(f, "{name} is a directory, not a log"),
                _ => write!(f, "cannot read {name}: {error}"),
            },
            Self::Compressed(name) => {
                write!(f, "{name} is compressed: use `zcat {name} | nuncio mailboxes`")
            }
            Self::TerminalClosed => f.write_str("the terminal was closed"),
            Self::NoMailboxLines(name) => write!(
                f,
                "no mailbox lines in {name}: a node writes them at log level info (log = \"info\"; with RUST_LOG: \
                 nuncio::mailbox=info), at the interval log_mailboxes (which must not be \"0s\")"
            ),
        }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// The first bytes of a file of gzip (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Maximum number of bytes of one read: several hundred lines.
pub(super) const CHUNK: usize = 64 * 1024;
