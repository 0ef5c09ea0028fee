//! What is answered on the control socket: one JSON document, followed by a line break.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    amount::Amount,
    escape,
    event::Event,
    report::{Component, Figures, Link, Pair, Queue, Time},
};

/// An answer, with what is true of each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    /// Of the node.
    pub version: String,
    /// When it was given.
    pub time: Time,
    /// When the node started.
    pub started: Time,
    /// The parts of the node that did not answer in time: what they know is missing.
    pub unanswered: Vec<String>,
    /// What was asked for.
    #[serde(flatten)]
    pub found: T,
}

/// Why federation with a domain works, or does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// As the node spells it.
    pub domain: String,
    /// How things stand and why, in one sentence.
    pub sentence: String,
    /// Links with it: the first hundred.
    pub links: Vec<Link>,
    /// How many there are.
    pub links_total: usize,
    /// What waits for it, and when it is tried again: the first hundred.
    pub queues: Vec<Queue>,
    /// How many there are.
    pub queues_total: usize,
    /// What became of the stanzas to it.
    pub account: Figures,
    /// What happened lately, the oldest first.
    pub events: Vec<Event>,
    /// Events, of all domains, that came too fast to be remembered.
    pub events_lost: u64,
    /// Domains above and below it that have links or queues; the first few.
    #[serde(default)]
    pub related: Vec<Related>,
}

/// The links that there are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// In the order of the domains; at most as many as were wanted.
    pub links: Vec<Link>,
    /// How many there are.
    pub total: usize,
}

/// What waits for links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Queues {
    /// Those with the most that waits first; at most as many as were wanted.
    pub queues: Vec<Queue>,
    /// How many there are.
    pub total: usize,
    /// What waits in all of them.
    pub waiting: Amount,
}

/// The configured components.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Components {
    /// In the order of their names, connected or not.
    pub components: Vec<Component>,
}

/// What was done to end a pause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retried {
    /// As the node spells it.
    pub domain: String,
    /// It in a sentence.
    pub sentence: String,
    /// Pairs of which an attempt was begun.
    pub begun: Vec<Pair>,
    /// Pairs of which one was being made already.
    pub under_way: Vec<Pair>,
}

/// A domain above or below the one that was asked about, with links or queues of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Related {
    /// Its name.
    pub domain: String,
    /// Its open links.
    pub links: usize,
    /// What waits for links to it.
    pub waiting: Amount,
}

/// A connection of the probe that is not recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expected {
    /// The probe's end of it.
    pub address: SocketAddr,
}

/// What was done to close links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closed {
    /// As the node spells it.
    pub domain: String,
    /// It in a sentence.
    pub sentence: String,
    /// Links that we had opened.
    pub outgoing: usize,
    /// Links that it had opened.
    pub incoming: usize,
    /// Whether all of them are down.
    pub down: bool,
    /// What waits for the next link.
    pub waiting: Amount,
}

/// There is no answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A sentence.
    pub error: String,
}

impl<T: Serialize> Answer<T> {
    /// The JSON document with its line break.
    pub fn document(&self) -> String {
        document(self)
    }
}

impl Refusal {
    /// A refusal that says what is wrong.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into() }
    }

    /// The JSON document with its line break.
    pub fn document(&self) -> String {
        document(self)
    }
}

fn document(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => format!("{}\n", escape::json(&text)),
        // Paths and times that JSON cannot say are not in there.
        Err(error) => format!("{{\"error\":\"the answer cannot be written: {error}\"}}\n"),
    }
}
