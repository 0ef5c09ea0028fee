//! Manual pages and shell completions, from the same definitions that the command line is read by.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use crate::output;

/// What to print for a shell.
#[derive(Args)]
pub(crate) struct Completions {
    /// Which
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(crate) fn print(&self, mut command: Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, NAME, &mut script);
        output::print(script, ExitCode::SUCCESS)
    }
}

/// Where manual pages go.
#[derive(Args)]
pub(crate) struct Man {
    /// Writes nuncio.1 and a page for each command there; it is made if need be
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Man {
    /// Prints the page of the program, or writes all of them.
    pub(crate) fn write(&self, command: Command) -> ExitCode {
        // It would only say again what `--help` says.
        let command = command.disable_help_subcommand(true);
        let written = match &self.directory {
            Some(directory) => fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command.clone(), directory))
                .and_then(|()| fs::write(directory.join("nuncio.1"), page(command)?))
                .map_err(|error| io::Error::other(format!("to {}: {error}", directory.display()))),
            None => page(command).and_then(output::write),
        };
        output::done(written, ExitCode::SUCCESS)
    }
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command).render(&mut page)?;
    // clap's name for what stands behind the options says nothing.
    let page = String::from_utf8_lossy(&page)
        .replace(".SH EXTRA", ".SH SIGNALS, ENVIRONMENT, EXIT STATUS, GLOSSARY");
    Ok(page.into_bytes())
}

/// The parts of a node as the log and `nuncio mailboxes` name them.
pub(crate) const GLOSSARY: &str = "\
Parts of the node (kinds of actors), as mailbox lines and log targets name them:
  router        sends each stanza to the session, component or queue of its domain
  promise       the queues of stanzas that wait for a connection, and the retries ([promise])
  outgoing      one for each connection to another server that this node opened
  incoming      one for each connection that another server opened
  component     one for each connected component
  listener      accepts connections and counts them
  dial_limit    limits simultaneous connection attempts to one address
  resolver      looks up DNS records
  verifier      asks authoritative servers about dialback keys
  fingerprints  remembers certificates of remote domains and reports changes
  recorder      remembers what happened with each remote domain, for nuncio explain
  service       answers pings and disco requests to domains without a component
  metrics       counts for the metrics listener
  control       answers commands on the control socket
  monitor       collects the mailbox lines";

const NAME: &str = "nuncio";
