//! The commands that query the running node: `explain`, `sessions`, `queues`, `components`, `retry`, `close`.
//!
//! Each sends one request to the control socket and shows the answer as text or, with `--json`, as received.

pub(crate) mod client;
mod explain;
mod page;
mod tables;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::Value;
use status::escape;
use status::{
    answer::{Answer, Closed, Components, Explanation, Queues, Retried, Sessions},
    request::{DEFAULT_LIMIT, MOST, Request},
};
use xmpp::Domain;

use crate::{config, config_path::ConfigPath, output};
use page::Page;

/// The options that all of these commands share.
#[derive(Args)]
struct Node {
    #[command(flatten)]
    config_path: ConfigPath,
    /// Uses this control socket instead of the one in the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Prints the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `explain`.
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    node: Node,
    /// A remote domain, or a domain of this node
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// Arguments of `sessions` and `queues`.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    node: Node,
    /// Shows at most this many entries
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = limit)]
    limit: usize,
    /// Shows only entries of this domain
    #[arg(value_parser = domain)]
    domain: Option<Domain>,
}

/// Arguments of `components`.
#[derive(Args)]
pub(crate) struct ListComponents {
    #[command(flatten)]
    node: Node,
    /// Shows only this component
    #[arg(value_parser = domain)]
    name: Option<Domain>,
}

/// Arguments of `close`.
#[derive(Args)]
pub(crate) struct Close {
    #[command(flatten)]
    node: Node,
    /// A remote domain, or the name of a component
    #[arg(value_name = "NAME", value_parser = domain)]
    domain: Domain,
}

/// Arguments of `retry`.
#[derive(Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    node: Node,
    /// A remote domain
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// Explains why federation with a domain works or fails.
pub(crate) fn explain(command: &Explain) -> ExitCode {
    let request = Request::Explain { domain: command.domain.to_string() };
    command.node.show(&request, |page, answer: &Answer<Explanation>| explain::show(page, answer))
}

/// Lists links.
pub(crate) fn sessions(command: &List) -> ExitCode {
    let domain = command.domain.as_ref().map(ToString::to_string);
    let request = Request::Sessions { domain, limit: command.limit };
    command.node.show(&request, |page, answer: &Answer<Sessions>| {
        tables::links(page, &answer.found.links);
        page.total("link", answer.found.links.len(), answer.found.total);
    })
}

/// Lists queues.
pub(crate) fn queues(command: &List) -> ExitCode {
    let domain = command.domain.as_ref().map(ToString::to_string);
    let request = Request::Queues { domain, limit: command.limit };
    command.node.show(&request, |page, answer: &Answer<Queues>| {
        let Queues { queues, total, waiting } = &answer.found;
        tables::queues(page, queues);
        page.total("queue", queues.len(), *total);
        if *total > 0 {
            page.line(&format!("{} waiting in total", page::amount(*waiting)));
        }
    })
}

/// Lists the configured components.
pub(crate) fn components(command: &ListComponents) -> ExitCode {
    let name = command.name.as_ref().map(ToString::to_string);
    command.node.show(&Request::Components { name }, |page, answer: &Answer<Components>| {
        tables::components(page, &answer.found.components);
    })
}

/// Makes the node retry a domain now.
pub(crate) fn retry(command: &Retry) -> ExitCode {
    let request = Request::Retry { domain: command.domain.to_string() };
    command.node.show(&request, |page, answer: &Answer<Retried>| page.line(&answer.found.sentence))
}

/// Closes the links with a domain, or the connection of a component.
pub(crate) fn close(command: &Close) -> ExitCode {
    let request = Request::Close { domain: command.domain.to_string() };
    command.node.show(&request, |page, answer: &Answer<Closed>| page.line(&answer.found.sentence))
}

impl Node {
    /// Sends a request and shows the answer, or the reason why there is none.
    fn show<T>(&self, request: &Request, show: impl FnOnce(&mut Page, &Answer<T>)) -> ExitCode
    where
        Answer<T>: serde::de::DeserializeOwned,
    {
        let asked = self.ask(request);
        let document = match &asked {
            Ok(document) => document.to_string(),
            Err(why) => serde_json::json!({ "error": why }).to_string(),
        };
        let answer = asked.and_then(|document| {
            serde_json::from_value::<Answer<T>>(document).map_err(|error| {
                format!(
                    "cannot parse the answer of the node: {error}; use the same version of nuncio as the node"
                )
            })
        });
        let written = match answer {
            _ if self.json => output::write(format!("{}\n", escape::json(&document))),
            Err(_) => Ok(()),
            Ok(ref answer) => {
                let mut page = Page::new(answer.time);
                show(&mut page, answer);
                page.unanswered(&answer.unanswered);
                output::write(page.finish())
            }
        };
        let status = match answer {
            Ok(_) => ExitCode::SUCCESS,
            Err(why) => {
                output::print_error(format_args!("nuncio: {why}"));
                ExitCode::FAILURE
            }
        };
        output::exit_status(written, status)
    }

    /// The JSON document that the node answers with.
    ///
    /// # Errors
    /// The node cannot be reached, or it refused the request. The text is for the operator.
    fn ask(&self, request: &Request) -> Result<Value, String> {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => config::control_socket(&self.config_path.resolve())
                .map_err(|why| format!("no control socket: {why}; or set the socket with --socket PATH"))?,
        };
        let text = client::exchange(&socket, request)?;
        let document: Value = serde_json::from_str(&text).map_err(|error| {
            format!(
                "{} is not the control socket of a node: its answer is not JSON: {error}",
                socket.display()
            )
        })?;
        match document.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(document),
        }
    }
}

/// Parses a domain name and normalises it.
fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text).map_err(|why| why.to_string())
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| format!("expected a number from 1 to {MOST}"))
}
