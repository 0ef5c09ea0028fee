//! Manual pages and shell completions, generated from the definitions of the command line.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

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
            Some(directory) => write_all(&command, directory)
                .map_err(|error| io::Error::other(format!("to {}: {error}", directory.display()))),
            None => page(command).and_then(output::write),
        };
        output::exit_status(written, ExitCode::SUCCESS)
    }
}

/// Writes nuncio.1 and one page for each command.
fn write_all(command: &Command, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command.clone(), directory)?;
    for subcommand in command.get_subcommands() {
        let name = format!("{NAME}-{}", subcommand.get_name());
        let file = directory.join(format!("{name}.1"));
        let page = fs::read_to_string(&file)?;
        fs::write(&file, polished(&page, &name, "GLOSSARY"))?;
    }
    fs::write(directory.join("nuncio.1"), page(command.clone())?)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command).render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    Ok(polished(&page, NAME, "SIGNALS, ENVIRONMENT, EXIT STATUS, GLOSSARY").into_bytes())
}

/// A page of `clap_mangen` with the version of the node in its footer, with `extra` as the heading of the text
/// after the options, and with the kinds of actors as a list (groff_man(7), `.TP`).
fn polished(page: &str, name: &str, extra: &str) -> String {
    let mut polished = String::new();
    for line in page.lines() {
        let item = line.strip_prefix("  ").and_then(|item| item.split_once("  "));
        polished += &match item {
            Some((kind, text)) => format!(".TP\n\\fB{kind}\\fR\n{}\n", text.trim_start()),
            None if line.starts_with(".TH ") => {
                format!(".TH {name} 1 \"\" \"{NAME} {}\" \"Nuncio Manual\"\n", env!("CARGO_PKG_VERSION"))
            }
            None if line == ".SH EXTRA" => format!(".SH {extra}\n"),
            None => format!("{line}\n"),
        };
    }
    polished
}

/// The kinds of actors, as the log and `nuncio mailboxes` name them.
pub(crate) const GLOSSARY: &str = "\
Parts of the node (kinds of actors), as mailbox lines and log targets name them:
  router        routes each stanza to the session, component or queue of its domain
  promise       queues stanzas until there is a connection, and retries ([promise])
  outgoing      one for each connection that this node opened to a remote server
  incoming      one for each connection that a remote server opened
  mailroom      keeps stanzas for components that are not connected or read slowly
  component     one for each connected component
  listener      accepts connections and limits their number
  dial_limit    limits simultaneous connection attempts to one address
  resolver      looks up DNS records
  journal       writes what waits for a while to a file
  resumer       remembers lost streams of other servers, so that they can be resumed
  verifier      verifies dialback keys with authoritative servers
  fingerprints  remembers the certificates of remote domains and logs changes
  recorder      remembers events of each remote domain for nuncio explain
  cluster       knows the other nodes of the cluster, and asks for claims ([cluster])
  ferry         one for each other node: carries stanzas there and takes those from there
  relay         one for each pair of domains whose link another node has
  seat_relay    one for each component that is connected to another node
  service       answers ping and service discovery requests to domains without a component
  metrics       counts events for the metrics listener
  control       answers commands on the control socket
  monitor       writes the mailbox lines";

const NAME: &str = "nuncio";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_actors_are_a_list() {
        let polished = polished(&format!(".SH EXTRA\n{GLOSSARY}\n"), "nuncio-mailboxes", "GLOSSARY");
        assert!(polished.starts_with(".SH GLOSSARY\nParts of the node"), "{polished}");
        assert!(polished.contains("\n.TP\n\\fBmonitor\\fR\nwrites the mailbox lines\n"), "{polished}");
        assert_eq!(polished.matches(".TP\n").count(), GLOSSARY.lines().count() - 1);
    }
}
