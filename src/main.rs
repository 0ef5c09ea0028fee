//! The command line of Nuncio, an XMPP federation node: its commands, and where each is implemented.

mod check;
mod config;
mod config_path;
mod control;
mod demo;
mod journal_file;
mod logging;
mod mailboxes;
mod manual;
mod output;
mod priority;
mod probe;
mod run;
mod screen;
mod text;
mod top;
mod users;
#[cfg(test)]
#[path = "../tests/whole/mod.rs"]
mod whole;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use mimalloc::MiMalloc;

/// mimalloc returns memory to the system after a peak; with the allocator of glibc three quarters of it
/// stayed allocated. Huge pages are off (feature `no_thp`): they double the memory of an idle node.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// An XMPP federation node: makes domains part of the XMPP network.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_long_help = signals_and_glossary())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the node until SIGINT or SIGTERM
    ///
    /// The log is written to standard error; with systemd it is in the journal.
    Run(config_path::ConfigPath),
    /// Checks the configuration, keys and certificates, and prints every problem
    Check(check::Arguments),
    /// Connects to a remote domain step by step; reports what fails and how to fix it
    Probe(probe::Arguments),
    /// Shows mailbox statistics from the log of a node: live in a terminal, otherwise once, with times of
    /// full mailboxes; or writes them as a page with charts
    Mailboxes(mailboxes::Arguments),
    /// Explains why federation with a domain works or fails
    Explain(control::Explain),
    /// Lists the links of the running node, and of the other nodes of its cluster
    Sessions(control::List),
    /// Lists the stanzas that wait for a link or a component in the running node, and in the other nodes of its cluster
    Queues(control::List),
    /// Shows the stanzas in the file of a journal, also in a damaged one
    Journal(journal_file::Arguments),
    /// Lists the configured components: connected or not, since when, why not, and what waits
    Components(control::ListComponents),
    /// Lists the nodes of the cluster: alive or dead, their links and components, and what is on the way to them
    Nodes(control::ListNodes),
    /// Shows what the running node does now: mailboxes, components, the busiest links, what waits, attempts that
    /// fail. Live in a terminal, otherwise once
    Top(top::Arguments),
    /// Retries a domain now, without waiting for the end of the pause after a failed attempt
    Retry(control::Retry),
    /// Closes the links with a domain in order, or the connection of a component
    Close(control::Close),
    /// Runs two nodes that exchange messages over loopback sockets, and shows each step
    Demo(demo::Arguments),
    /// Prints a script that lets a shell complete commands and options
    Completions(manual::Completions),
    /// Prints the manual page, or writes the pages of all commands into a directory
    Man(manual::Man),
}

fn main() -> ExitCode {
    output::escape_panics();
    match Arguments::parse().command {
        Command::Run(config_path) => run::run(&config_path.resolve()),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Mailboxes(arguments) => mailboxes::run(&arguments),
        Command::Explain(command) => control::explain(&command),
        Command::Sessions(command) => control::sessions(&command),
        Command::Queues(command) => control::queues(&command),
        Command::Journal(arguments) => journal_file::run(&arguments),
        Command::Components(command) => control::components(&command),
        Command::Nodes(command) => control::nodes(&command),
        Command::Top(arguments) => top::run(&arguments),
        Command::Retry(command) => control::retry(&command),
        Command::Close(command) => control::close(&command),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Completions(arguments) => arguments.print(Arguments::command()),
        Command::Man(arguments) => arguments.write(Arguments::command()),
    }
}

/// The parts of the manual page after the options.
fn signals_and_glossary() -> String {
    format!("{SIGNALS_AND_STATUS}\n\n{}", manual::GLOSSARY)
}

const SIGNALS_AND_STATUS: &str = "\
Signals: SIGTERM and SIGINT stop the node gracefully, a second one immediately. SIGHUP reloads the configuration. \
SIGUSR1 logs every mailbox and session now.

Environment: RUST_LOG overrides the log level in the configuration. NUNCIO_CONFIG sets the path of the configuration \
if --config does not.

Exit status: 0 success; 1 failure, or problems in the configuration; 2 wrong usage.";
