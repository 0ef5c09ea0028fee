//! Nuncio, an XMPP federation node: what the command line does, in order.

mod check;
mod config;
mod control;
mod demo;
mod fit;
mod logging;
mod mailboxes;
mod manual;
mod notify;
mod output;
mod place;
mod probe;
mod run;
mod users;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use mimalloc::MiMalloc;

/// It gives memory back to the system when a flood is over; with glibc's three quarters of the peak stayed. Huge pages are
/// off (its feature `no_thp`): they double what a node at rest takes.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// An XMPP federation node: makes domains part of the XMPP network.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_long_help = more())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the node until SIGINT or SIGTERM
    Run(place::Place),
    /// Checks the configuration, keys and certificates, and prints every problem
    Check(check::Wanted),
    /// Walks the way to a remote domain step by step, and says what does not work and what to do about it
    Probe(probe::Arguments),
    /// Shows mailbox statistics from a node's log. Live in a terminal, otherwise once, with full mailboxes marked
    Mailboxes(mailboxes::Log),
    /// Asks the running node why federation with a domain works, or does not
    Explain(control::Explain),
    /// Lists the links of the running node
    Sessions(control::List),
    /// Lists what waits for links in the running node
    Queues(control::List),
    /// Lists the configured components: connected or not, since when, and why not
    Components(control::Names),
    /// Retries a domain now, without waiting for the end of its pause
    Retry(control::Act),
    /// Closes the links with a domain gracefully, so that no stanza is lost, or the connection of a component
    Close(control::Close),
    /// Lets two nodes talk to each other over real sockets on this machine, and shows each step
    Demo,
    /// Prints what a shell needs to complete commands and options
    Completions(manual::Completions),
    /// Prints the manual page, or writes it and those of the commands into a directory
    Man(manual::Man),
}

fn main() -> ExitCode {
    output::escape_panics();
    match Arguments::parse().command {
        Command::Run(place) => run::run(&place.file()),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Check(wanted) => check::run(&wanted),
        Command::Mailboxes(log) => mailboxes::run(&log),
        Command::Explain(command) => control::explain(&command),
        Command::Sessions(command) => control::sessions(&command),
        Command::Queues(command) => control::queues(&command),
        Command::Components(command) => control::components(&command),
        Command::Retry(command) => control::retry(&command),
        Command::Close(command) => control::close(&command),
        Command::Demo => demo::run(),
        Command::Completions(wanted) => wanted.print(Arguments::command()),
        Command::Man(wanted) => wanted.write(Arguments::command()),
    }
}

/// What a manual has beyond commands and options.
fn more() -> String {
    format!("{MORE}\n\n{}", manual::GLOSSARY)
}

const MORE: &str = "\
Signals: SIGTERM and SIGINT stop the node in order, a second one at once. SIGHUP reads the configuration anew. SIGUSR1 \
logs every mailbox and session now.

Environment: RUST_LOG wins over the log level of the configuration. NUNCIO_CONFIG names the configuration where --config \
does not.

Exit status: 0 done; 1 it failed, or the configuration has problems; 2 wrong usage.";
