//! One reading of the node: the answers to four requests on the control socket.
//!
//! They are about this node only, also in a cluster: a view that reads every second must not have every other node look at its
//! links as often, and the rates are those of one node.

use std::{path::Path, time::Instant};

use status::{
    amount::Amount,
    answer::{Answer, Components, Mailboxes, Queues, Sessions},
    report::{ComponentReport, LinkReport, MailboxReport, QueueReport, Time},
    request::{Order, Request},
};

use crate::control;

/// What the node answered.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) version: String,
    pub(super) time: Time,
    /// The start of the node. Another one means that the counts began again.
    pub(super) started: Time,
    pub(super) unanswered: Vec<String>,
    pub(super) mailboxes: Part<Vec<MailboxReport>>,
    pub(super) components: Part<Vec<ComponentReport>>,
    /// Those that had a stanza last.
    pub(super) links: Part<Vec<LinkReport>>,
    pub(super) links_total: usize,
    /// The longest ones.
    pub(super) queues: Vec<QueueReport>,
    pub(super) queues_total: usize,
    pub(super) waiting: Amount,
}

/// An answer, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) found: T,
    pub(super) at: Instant,
}

impl Reading {
    /// Reads the node at `socket`, with at most `limit` links and queues.
    ///
    /// # Errors
    /// The node cannot be reached or does not answer. The text is for the operator.
    pub(super) fn take(socket: &Path, limit: usize) -> Result<Self, String> {
        let mut unanswered = Vec::new();
        let links = Request::Sessions { domain: None, limit, order: Order::Recent, this_node: true };
        let links: Part<Answer<Sessions>> = Part::ask(socket, &links)?;
        let queues: Part<Answer<Queues>> =
            Part::ask(socket, &Request::Queues { domain: None, limit, this_node: true })?;
        let components: Part<Answer<Components>> =
            Part::ask(socket, &Request::Components { name: None, this_node: true })?;
        let mailboxes: Part<Answer<Mailboxes>> = Part::ask(socket, &Request::Mailboxes)?;
        for silent in [
            &links.found.unanswered,
            &queues.found.unanswered,
            &components.found.unanswered,
            &mailboxes.found.unanswered,
        ] {
            unanswered.extend(silent.iter().cloned());
        }
        unanswered.sort_unstable();
        unanswered.dedup();
        let Answer { version, time, started, .. } = &mailboxes.found;
        Ok(Self {
            version: version.clone(),
            time: *time,
            started: *started,
            unanswered,
            links_total: links.found.found.total,
            links: links.map(|answer| answer.found.links),
            queues_total: queues.found.found.total,
            waiting: queues.found.found.waiting,
            queues: queues.found.found.queues,
            components: components.map(|answer| answer.found.components),
            mailboxes: mailboxes.map(|answer| answer.found.mailboxes),
        })
    }
}

impl<T> Part<Answer<T>> {
    fn ask(socket: &Path, request: &Request) -> Result<Self, String>
    where
        Answer<T>: serde::de::DeserializeOwned,
    {
        let found = control::answer(socket, request)?;
        Ok(Self { found, at: clock::now() })
    }

    fn map<U>(self, found: impl FnOnce(Answer<T>) -> U) -> Part<U> {
        Part { found: found(self.found), at: self.at }
    }
}
