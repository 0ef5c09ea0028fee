//! The commands that ask the running node: `explain`, `sessions`, `queues`, `components`, `retry`, `close`.
//!
//! One request on its control socket, one answer, shown as a person reads it or, with `--json`, as it came.

pub(crate) mod client;
mod explain;
mod screen;
mod tables;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::Value;
use xmpp::Domain;

use crate::{config, output, place::Place};
use screen::Screen;
use status::{
    answer::{Answer, Closed, Components, Explanation, Queues, Retried, Sessions},
    escape,
    request::{DEFAULT_LIMIT, MOST, Request},
};

/// Which node, and how its answer is shown.
#[derive(Args)]
struct Node {
    #[command(flatten)]
    place: Place,
    /// Its control socket, instead of the one that the configuration names
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Prints the answer as JSON
    #[arg(long)]
    json: bool,
}

/// What `explain` is given.
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    node: Node,
    /// The domain of another server, or one of this node
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// What `sessions` and `queues` are given.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    node: Node,
    /// At most so many lines
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = limit)]
    limit: usize,
    /// Only those of this domain
    #[arg(value_parser = domain)]
    domain: Option<Domain>,
}

/// What `components` is given.
#[derive(Args)]
pub(crate) struct Names {
    #[command(flatten)]
    node: Node,
    /// Only this component
    #[arg(value_parser = domain)]
    name: Option<Domain>,
}

/// What `close` is given.
#[derive(Args)]
pub(crate) struct Close {
    #[command(flatten)]
    node: Node,
    /// The domain of another server, or the name of a component
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// What `retry` is given.
#[derive(Args)]
pub(crate) struct Act {
    #[command(flatten)]
    node: Node,
    /// The domain of another server
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// Says why federation with a domain works, or does not.
pub(crate) fn explain(command: &Explain) -> ExitCode {
    let request = Request::Explain { domain: command.domain.to_string() };
    command.node.show(&request, |screen, answer: &Answer<Explanation>| explain::show(screen, answer))
}

/// Lists links.
pub(crate) fn sessions(command: &List) -> ExitCode {
    let domain = command.domain.as_ref().map(ToString::to_string);
    let request = Request::Sessions { domain, limit: command.limit };
    command.node.show(&request, |screen, answer: &Answer<Sessions>| {
        tables::links(screen, &answer.found.links);
        screen.more("link", answer.found.links.len(), answer.found.total);
    })
}

/// Lists what waits.
pub(crate) fn queues(command: &List) -> ExitCode {
    let domain = command.domain.as_ref().map(ToString::to_string);
    let request = Request::Queues { domain, limit: command.limit };
    command.node.show(&request, |screen, answer: &Answer<Queues>| {
        let Queues { queues, total, waiting } = &answer.found;
        tables::queues(screen, queues);
        screen.more("queue", queues.len(), *total);
        if *total > 0 {
            screen.line(&format!("{} waiting in all", screen::amount(*waiting)));
        }
    })
}

/// Lists the configured components.
pub(crate) fn components(command: &Names) -> ExitCode {
    let name = command.name.as_ref().map(ToString::to_string);
    command.node.show(&Request::Components { name }, |screen, answer: &Answer<Components>| {
        tables::components(screen, &answer.found.components);
    })
}

/// Ends a pause.
pub(crate) fn retry(command: &Act) -> ExitCode {
    let request = Request::Retry { domain: command.domain.to_string() };
    command.node.show(&request, |screen, answer: &Answer<Retried>| screen.line(&answer.found.sentence))
}

/// Closes links.
pub(crate) fn close(command: &Close) -> ExitCode {
    let request = Request::Close { domain: command.domain.to_string() };
    command.node.show(&request, |screen, answer: &Answer<Closed>| screen.line(&answer.found.sentence))
}

impl Node {
    /// Asks, and shows what comes: an answer, or why there is none.
    fn show<T>(&self, request: &Request, show: impl FnOnce(&mut Screen, &Answer<T>)) -> ExitCode
    where
        Answer<T>: serde::de::DeserializeOwned,
    {
        let asked = self.ask(request);
        let document = match &asked {
            Ok(document) => document.to_string(),
            Err(why) => serde_json::json!({ "error": why }).to_string(),
        };
        let answer = asked.and_then(|document| {
            serde_json::from_value::<Answer<T>>(document)
                .map_err(|error| format!("the node's answer cannot be read: {error}"))
        });
        let written = match answer {
            _ if self.json => output::write(format!("{}\n", escape::json(&document))),
            Err(_) => Ok(()),
            Ok(ref answer) => {
                let mut screen = Screen::new(answer.time);
                show(&mut screen, answer);
                screen.missing(&answer.unanswered);
                output::write(screen.finish())
            }
        };
        let status = match answer {
            Ok(_) => ExitCode::SUCCESS,
            Err(why) => {
                output::complain(format_args!("nuncio: {why}"));
                ExitCode::FAILURE
            }
        };
        output::done(written, status)
    }

    /// The document that answers; what the node refuses is an error.
    fn ask(&self, request: &Request) -> Result<Value, String> {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => config::control_socket(&self.place.file())
                .map_err(|why| format!("no control socket: {why}; or name the socket with --socket PATH"))?,
        };
        let text = client::exchange(&socket, request)?;
        let document: Value = serde_json::from_str(&text)
            .map_err(|error| format!("the answer at {} is not a node's: {error}", socket.display()))?;
        match document.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(document),
        }
    }
}

/// Reads a domain in any spelling, as it stands in an address.
fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text).map_err(|why| why.to_string())
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| format!("not a number from 1 to {MOST}"))
}
