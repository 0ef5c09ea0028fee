//! The commands that query the running node: `explain`, `sessions`, `queues`, `components`, `nodes`, `retry`, `close`.
//!
//! Each sends one request to the control socket and shows the answer as text or, with `--json`, as received.

pub(crate) mod client;
mod explain;
mod nodes;
mod page;
pub(crate) mod tables;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;
use status::escape;
use status::{
    answer::{Answer, Closed, Components, Explanation, Nodes, Queues, Retried, Sessions},
    request::{DEFAULT_LIMIT, MOST, Order, Request},
};
use xmpp::Domain;

use crate::{config, config_path::ConfigPath, output, text::wrap};
use page::{Cut, Page};

/// The options that all of these commands share.
#[derive(Args)]
pub(crate) struct Node {
    #[command(flatten)]
    config_path: ConfigPath,
    /// Uses this control socket instead of the one in the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Prints the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The option of the commands that ask all nodes of a cluster.
#[derive(Args)]
struct Scope {
    /// Asks this node only, and not the other nodes of its cluster as well
    #[arg(long)]
    this_node: bool,
}

/// The option of the commands that show tables.
#[derive(Args)]
pub(crate) struct Layout {
    /// Shows all columns, each entry on one line, however wide the terminal is
    #[arg(long)]
    wide: bool,
}

/// Arguments of `explain`.
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    layout: Layout,
    /// A remote domain, or a domain of this node
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// Arguments of `sessions` and `queues`.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    layout: Layout,
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
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    layout: Layout,
    /// Shows only this component
    #[arg(value_parser = domain)]
    name: Option<Domain>,
}

/// Arguments of `nodes`.
#[derive(Args)]
pub(crate) struct ListNodes {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    layout: Layout,
}

/// Arguments of `close`.
#[derive(Args)]
pub(crate) struct Close {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    scope: Scope,
    /// A remote domain, or the name of a component
    #[arg(value_name = "NAME", value_parser = domain)]
    domain: Domain,
}

/// Arguments of `retry`.
#[derive(Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    scope: Scope,
    /// A remote domain
    #[arg(value_parser = domain)]
    domain: Domain,
}

/// Explains why federation with a domain works or fails.
pub(crate) fn explain(command: &Explain) -> ExitCode {
    let request = Request::Explain { domain: command.domain.to_string(), this_node: command.scope.this_node };
    let show = |page: &mut Page, answer: &Answer<Explanation>| explain::show(page, answer);
    command.node.show(&request, command.layout.width(), show)
}

/// Lists links.
pub(crate) fn sessions(command: &List) -> ExitCode {
    let domain = command.domain.as_ref().map(ToString::to_string);
    let (limit, order, this_node) = (command.limit, Order::Domain, command.scope.this_node);
    let request = Request::Sessions { domain, limit, order, this_node };
    command.node.show(&request, command.layout.width(), |page, answer: &Answer<Sessions>| {
        tables::links(page, &answer.found.links, command.cut());
        page.total("link", answer.found.links.len(), answer.found.total);
    })
}

/// Lists queues.
pub(crate) fn queues(command: &List) -> ExitCode {
    let domain = command.domain.as_ref().map(ToString::to_string);
    let request = Request::Queues { domain, limit: command.limit, this_node: command.scope.this_node };
    command.node.show(&request, command.layout.width(), |page, answer: &Answer<Queues>| {
        let Queues { queues, total, waiting } = &answer.found;
        tables::queues(page, queues, command.cut());
        page.total("queue", queues.len(), *total);
        if *total > 0 {
            page.line(&format!("{} waiting in total", page::amount(*waiting)));
        }
    })
}

/// Lists the configured components.
pub(crate) fn components(command: &ListComponents) -> ExitCode {
    let name = command.name.as_ref().map(ToString::to_string);
    let request = Request::Components { name, this_node: command.scope.this_node };
    command.node.show(&request, command.layout.width(), |page, answer: &Answer<Components>| {
        let cut = if command.name.is_some() { Cut::Below } else { Cut::LeftOut };
        tables::components(page, &answer.found.components, answer.asked_node.is_some(), cut);
    })
}

/// Lists the nodes of the cluster.
pub(crate) fn nodes(command: &ListNodes) -> ExitCode {
    command.node.show(&Request::Nodes, command.layout.width(), |page, answer: &Answer<Nodes>| {
        nodes::show(page, &answer.found.cluster);
    })
}

/// Makes the node retry a domain now.
pub(crate) fn retry(command: &Retry) -> ExitCode {
    let request = Request::Retry { domain: command.domain.to_string(), this_node: command.scope.this_node };
    let show = |page: &mut Page, answer: &Answer<Retried>| page.line(&answer.found.sentence);
    command.node.show(&request, wrap::columns(), show)
}

/// Closes the links with a domain, or the connection of a component.
pub(crate) fn close(command: &Close) -> ExitCode {
    let request = Request::Close { domain: command.domain.to_string(), this_node: command.scope.this_node };
    let show = |page: &mut Page, answer: &Answer<Closed>| page.line(&answer.found.sentence);
    command.node.show(&request, wrap::columns(), show)
}

impl Layout {
    /// The width to which tables and lines are fitted.
    pub(crate) fn width(&self) -> Option<usize> {
        if self.wide { None } else { wrap::columns() }
    }
}

impl List {
    /// The entries of one domain are shown with all particulars.
    fn cut(&self) -> Cut {
        if self.domain.is_some() { Cut::Below } else { Cut::LeftOut }
    }
}

impl Node {
    /// Sends a request and shows the answer in a terminal of some width, or the reason why there is none.
    fn show<T>(
        &self,
        request: &Request,
        width: Option<usize>,
        show: impl FnOnce(&mut Page, &Answer<T>),
    ) -> ExitCode
    where
        Answer<T>: serde::de::DeserializeOwned,
    {
        let asked = self.ask(request);
        let document = match &asked {
            Ok(document) => document.to_string(),
            Err(why) => serde_json::json!({ "error": why }).to_string(),
        };
        let answer = asked.and_then(parse::<T>);
        let written = match answer {
            _ if self.json => output::write(format!("{}\n", escape::json(&document))),
            Err(_) => Ok(()),
            Ok(ref answer) => {
                let mut page = Page::new(answer.time, width);
                show(&mut page, answer);
                page.missing(&answer.unanswered, &answer.missing);
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

    fn ask(&self, request: &Request) -> Result<Value, String> {
        ask(&self.socket()?, request)
    }

    /// The path of the control socket.
    ///
    /// # Errors
    /// The configuration cannot be read, or has none. The text is for the operator.
    pub(crate) fn socket(&self) -> Result<PathBuf, String> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => config::control_socket(&self.config_path.resolve())
                .map_err(|why| format!("no control socket: {why}; or set the socket with --socket PATH")),
        }
    }
}

/// Sends a request to the node at `socket`, and returns the JSON document that it answers with.
///
/// # Errors
/// The node cannot be reached, or it refused the request. The text is for the operator.
fn ask(socket: &Path, request: &Request) -> Result<Value, String> {
    let text = client::exchange(socket, request)?;
    let document: Value = serde_json::from_str(&text).map_err(|error| {
        format!("{} is not the control socket of a node: its answer is not JSON: {error}", socket.display())
    })?;
    match document.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => Ok(document),
    }
}

/// Reads the document of an answer.
///
/// # Errors
/// It has another form: the node has another version. The text is for the operator.
fn parse<T>(document: Value) -> Result<Answer<T>, String>
where
    Answer<T>: serde::de::DeserializeOwned,
{
    serde_json::from_value(document).map_err(|error| {
        format!("cannot parse the answer of the node: {error}; use the same version of nuncio as the node")
    })
}

/// Sends a request to the node at `socket`, and returns its answer.
///
/// # Errors
/// The node cannot be reached, it refused the request, or it has another version. The text is for the operator.
pub(crate) fn answer<T>(socket: &Path, request: &Request) -> Result<Answer<T>, String>
where
    Answer<T>: serde::de::DeserializeOwned,
{
    parse(ask(socket, request)?)
}

/// Parses a domain name, or that of a wildcard (`*.example.org`), and normalises it.
fn domain(text: &str) -> Result<Domain, String> {
    Domain::named(text).map_err(|why| why.to_string())
}

/// Parses a number of entries.
pub(crate) fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| format!("expected a number from 1 to {MOST}"))
}
