//! `nuncio mailboxes`: shows the mailbox lines of a log as a table, in a terminal live while the log grows, or as a page with
//! charts.

mod entry;
mod follow;
mod history;
mod html;
mod interval;
mod line;
mod live;
mod log;
mod record;
mod report;
mod split;
mod stats;
mod table;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;

use self::{
    log::{Error, Log},
    table::Bars,
};
use crate::{output, screen::Terminal, text::wrap};

/// Arguments of `mailboxes`.
#[derive(Args)]
#[command(after_long_help = crate::manual::GLOSSARY)]
pub(crate) struct Arguments {
    /// Writes a page with charts and tables of the whole log into this file, which a browser opens without network
    ///
    /// The file is replaced in one step if it is such a page, and is not touched if it is something else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The log of a node; if missing or -, standard input
    #[arg(value_name = "LOG")]
    file: Option<PathBuf>,
    /// Prints all columns at the end, however wide the terminal is
    #[arg(long)]
    wide: bool,
}

/// Shows the mailboxes of a log: live in a terminal, otherwise once, after the log was read to its end.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let log = &match &arguments.file {
        Some(file) if file.as_os_str() != "-" => Log::File(file.clone()),
        _ => Log::Stdin,
    };
    if matches!(log, Log::Stdin) && io::stdin().is_terminal() {
        output::print_error(format_args!("nuncio: {NO_LOG}"));
        return ExitCode::from(WRONG_USAGE);
    }
    if let Some(page) = &arguments.html {
        return match html::write(log, page) {
            Ok(told) => output::print(told, ExitCode::SUCCESS),
            Err(error) => {
                output::print_error(format_args!("nuncio: {error}"));
                ExitCode::FAILURE
            }
        };
    }
    // A terminal without keys could not end the view.
    let terminal = if io::stdout().is_terminal() { Terminal::find().ok() } else { None };
    let stats = match terminal {
        Some(terminal) => live::show(log, terminal),
        None => log::read(log),
    };
    let stats = stats.and_then(|stats| match stats.is_empty() {
        true => Err(Error::NoMailboxLines(log.to_string())),
        false => Ok(stats),
    });
    match stats {
        Ok(stats) => {
            let width = if arguments.wide { None } else { wrap::columns() };
            output::print(report::text(&stats, Bars::from_env(), width), ExitCode::SUCCESS)
        }
        // There is no terminal to show an error on.
        Err(Error::TerminalClosed) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(format_args!("nuncio: {error}"));
            ExitCode::FAILURE
        }
    }
}

const NO_LOG: &str =
    "no log given: pass the path of a log, or pipe one in: journalctl -fu nuncio | nuncio mailboxes";

/// The exit status of clap for wrong usage.
const WRONG_USAGE: u8 = 2;
