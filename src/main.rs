//! Nuncio, an XMPP federation node: what the command line does, in order.

mod check;
mod config;
mod demo;
mod logging;
mod mailboxes;
mod notify;
mod probe;
mod run;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

/// An XMPP federation node: makes domains part of the XMPP network.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the node until SIGINT or SIGTERM
    Run(ConfigFile),
    /// Checks the configuration, keys and certificates, and prints every problem
    Check(check::Wanted),
    /// Walks the way to a remote domain step by step, and says what does not work and what to do about it
    Probe(probe::Arguments),
    /// Shows the mailboxes of a node from its log: live in a terminal, else once, with where one was full
    Mailboxes(mailboxes::Log),
    /// Lets two nodes talk to each other over real sockets on this machine, and shows each step
    Demo,
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/nuncio.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(file) => run::run(&file.config),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Check(wanted) => check::run(&wanted),
        Command::Mailboxes(log) => mailboxes::run(&log),
        Command::Demo => demo::run(),
    }
}
