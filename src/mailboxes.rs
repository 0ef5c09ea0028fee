//! `nuncio mailboxes`: the mailbox lines of a node's log as a table; live in a terminal while the log grows.

mod board;
mod follow;
mod history;
mod keyboard;
mod lines;
mod live;
mod reading;
mod report;
mod table;

use std::{
    env, fmt,
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use board::Board;
use clap::Args;
use lines::Lines;
use table::Marks;

use crate::output;

/// What to read.
#[derive(Args)]
#[command(after_long_help = crate::manual::GLOSSARY)]
pub(crate) struct Log {
    /// The node's log; without it, or with -, standard input is read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Shows the mailboxes of a log: live in a terminal, else once, when the log has been read to its end.
pub(crate) fn run(log: &Log) -> ExitCode {
    let log = &Log { file: log.file.clone().filter(|file| file.as_os_str() != "-") };
    if log.file.is_none() && io::stdin().is_terminal() {
        output::complain(format_args!("nuncio: {NO_LOG}"));
        return ExitCode::from(WRONG_USAGE);
    }
    let shown = match io::stdout().is_terminal() {
        true => live::show(log),
        false => read(log),
    };
    let shown = shown.and_then(|board| match board.is_empty() {
        true => Err(Trouble::NoLines(log.to_string())),
        false => Ok(board),
    });
    match shown {
        Ok(board) => {
            let text = report::text(&board, Marks::of_environment());
            output::print(text, ExitCode::SUCCESS)
        }
        // Nobody is left who could read anything.
        Err(Trouble::TerminalGone) => ExitCode::SUCCESS,
        Err(trouble) => {
            output::complain(format_args!("nuncio: {trouble}"));
            ExitCode::FAILURE
        }
    }
}

/// Reads the log to its end.
fn read(log: &Log) -> Result<Board, Trouble> {
    let mut input: Box<dyn Read> = match &log.file {
        Some(file) => Box::new(open(file)?),
        None => Box::new(io::stdin().lock()),
    };
    let (mut board, mut lines) = (Board::default(), Lines::default());
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => lines.feed(&buffer[..length], |line| board.see(line)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Trouble::Unreadable(log.to_string(), error)),
        }
    }
    lines.end(|line| board.see(line));
    Ok(board)
}

/// Opens a log, unless it is none that could be read as text.
fn open(file: &Path) -> Result<File, Trouble> {
    let told = || file.display().to_string();
    let unreadable = |error| Trouble::Unreadable(told(), error);
    let mut opened = File::open(file).map_err(unreadable)?;
    let kind = opened.metadata().map_err(unreadable)?;
    if kind.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if kind.is_file() {
        let mut magic = [0; 2];
        let compressed = opened.read_exact(&mut magic).is_ok() && magic == GZIP;
        if compressed {
            return Err(Trouble::Compressed(told()));
        }
        io::Seek::rewind(&mut opened).map_err(unreadable)?;
    }
    Ok(opened)
}

/// Why there is nothing to show.
#[derive(Debug)]
enum Trouble {
    /// The log, or the terminal, cannot be read.
    Unreadable(String, io::Error),
    /// It is a log that was put away.
    Compressed(String),
    /// It holds no mailbox line.
    NoLines(String),
    /// The terminal was closed.
    TerminalGone,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(what, error) => match error.kind() {
                io::ErrorKind::NotFound => write!(f, "there is no file {what}"),
                io::ErrorKind::PermissionDenied => write!(f, "no permission to read {what}"),
                io::ErrorKind::IsADirectory => write!(f, "{what} is a directory, not a log"),
                _ => write!(f, "cannot read {what}: {error}"),
            },
            Self::Compressed(file) => {
                write!(f, "{file} is compressed; unpack it on the way: zcat {file} | nuncio mailboxes")
            }
            Self::TerminalGone => f.write_str("the terminal was closed"),
            Self::NoLines(what) => write!(
                f,
                "no mailbox lines in {what}: a node writes them at level info, every log_mailboxes (not \"0s\")"
            ),
        }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display()),
            None => f.write_str("standard input"),
        }
    }
}

impl Marks {
    /// What the terminal can show, by its locale.
    fn of_environment() -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| {
            let value = env::var(name).ok()?;
            (!value.is_empty()).then_some(value)
        });
        let unicode = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if unicode { Self::BLOCKS } else { Self::ASCII }
    }
}

const NO_LOG: &str = "name the log of a node, or pipe it in: journalctl -fu nuncio | nuncio mailboxes";

/// As clap ends.
const WRONG_USAGE: u8 = 2;

/// What a file begins with that gzip wrote (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes a read may bring; several hundred lines.
const CHUNK: usize = 64 * 1024;
