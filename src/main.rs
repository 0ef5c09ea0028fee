//! Nuncio, an XMPP federation node: what stands here is what the command line does, in order.

mod check;
mod config;
mod logging;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

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
    Check(ConfigFile),
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/nuncio.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(file) => run(&file.config),
        Command::Check(file) => check::run(&file.config),
    }
}

fn run(file: &std::path::Path) -> ExitCode {
    match config::load(file) {
        Ok(config) => {
            logging::start(&config.log);
            drop(config.settings);
            ExitCode::SUCCESS
        }
        Err(findings) => {
            findings.iter().for_each(|finding| eprintln!("{finding}"));
            ExitCode::FAILURE
        }
    }
}
