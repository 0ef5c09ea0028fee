//! Manual pages and shell completions, generated from the definitions of the command line.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use crate::output;

/// Arguments of `completions`.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell to complete for
    shell: Shell,
}

impl Completions {
    /// Prints the completion script.
    pub(crate) fn print(&self, mut command: Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, NAME, &mut script);
        output::print(script, ExitCode::SUCCESS)
    }
}

/// Arguments of `man`.
#[derive(Args)]
pub(crate) struct Man {
    /// Writes nuncio.1 and a page for each command into this directory, which is created if necessary
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Man {
    /// Prints nuncio.1, or writes all pages into the directory.
    pub(crate) fn write(&self, command: Command) -> ExitCode {
        // Its page would repeat `--help`.
        let command = command.disable_help_subcommand(true);
        let written = match &self.directory {
            Some(directory) => fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command.clone(), directory))
                .and_then(|()| fs::write(directory.join("nuncio.1"), page(command)?))
                .map_err(|error| io::Error::other(format!("to {}: {error}", directory.display()))),
            None => page(command).and_then(output::write),
        };
        output::exit_status(written, ExitCode::SUCCESS)
    }
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command).render(&mut page)?;
    // clap calls the text after the options "EXTRA".
    let page = String::from_utf8_lossy(&page)
        .replace(".SH EXTRA", ".SH SIGNALS, ENVIRONMENT, EXIT STATUS, GLOSSARY");
    Ok(page.into_bytes())
}

/// The kinds of actors, as the log and `nuncio mailboxes` name them.
pub(crate) const GLOSSARY: &str = "\
Parts of the node (kinds of actors), as mailbox lines and log targets name them:
  router        routes each stanza to the session, component or queue of its domain
  promise       queues stanzas until there is a connection, and retries ([promise])
  outgoing      one for each connection that this node opened to a remote server
  incoming      one for each connection that a remote server opened
  component     one for each connected component
  listener      accepts connections and limits their number
  dial_limit    limits simultaneous connection attempts to one address
  resolver      looks up DNS records
  verifier      verifies dialback keys with authoritative servers
  fingerprints  remembers the certificates of remote domains and logs changes
  recorder      remembers events of each remote domain for nuncio explain
  service       answers ping and service discovery requests to domains without a component
  metrics       counts events for the metrics listener
  control       answers commands on the control socket
  monitor       writes the mailbox lines";

const NAME: &str = "nuncio";
