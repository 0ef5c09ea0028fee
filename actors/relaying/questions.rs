//! Questions between the nodes: a command of one node asks all others what they know.
//!
//! ```text
//!  node A                                              node B
//!  command ── Ask ─▶ cluster ── question ────────────▶ cluster ── Question ─▶ Desk (a task), which asks the actors of B
//!          ◀─ Came ─         ◀─ parts of the answer ──────────────────────────────
//! ```
//!
//! The desk answers one question at a time, so that other nodes cannot keep this one busy, and never asks a further node. A
//! few questions wait for it; the next one is refused at once. The command waits for a limited time, and then names the nodes
//! that have not answered.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use ::cluster::{
    name::NodeName,
    question::{self, Body, Part, Refusal},
};
use tokio::sync::{mpsc, oneshot};

use super::{LOG, SharedEngine};

/// Ask all other nodes that are alive.
#[derive(Debug)]
pub(crate) struct Ask {
    /// What is asked.
    pub(crate) request: String,
    /// Receives who is asked.
    pub(crate) asked: oneshot::Sender<Asked>,
    /// Receives the answers.
    pub(crate) replies: mpsc::Sender<Reply>,
}

/// Who is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The name of this node.
    pub(crate) own: NodeName,
    /// The nodes that are asked.
    pub(crate) nodes: Result<Vec<NodeName>, NotAsked>,
}

/// No other node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAsked {
    /// The broker is not connected.
    NoBroker,
    /// This node asks for as many commands as it may.
    TooMany,
}

/// From a node that was asked.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The node.
    pub(crate) node: NodeName,
    /// A part of its answer, or the reason why there is none.
    pub(crate) part: Result<Part, Refusal>,
}

/// A question of another node.
#[derive(Debug)]
pub(crate) struct Question {
    from: NodeName,
    number: u64,
    request: String,
    came: Instant,
}

/// The questions of this node, and its part in those of others. The actor of the cluster owns it.
pub(super) struct Questions {
    own: NodeName,
    engine: SharedEngine,
    desk: mpsc::Sender<Question>,
    /// The number of the last question. It begins with a random one: an answer to an earlier run of this node may come.
    number: u64,
    open: BTreeMap<u64, Open>,
}

/// A question of this node.
struct Open {
    nodes: Vec<NodeName>,
    replies: mpsc::Sender<Reply>,
}

/// Answers the questions of other nodes.
pub(crate) struct Desk {
    own: NodeName,
    engine: SharedEngine,
    questions: mpsc::Receiver<Question>,
}

impl Desk {
    /// A desk, and the way to it.
    pub(crate) fn open(own: NodeName, engine: SharedEngine) -> (mpsc::Sender<Question>, Self) {
        let (sender, questions) = mpsc::channel(WAITING);
        (sender, Self { own, engine, questions })
    }

    /// Answers with what `answer` gives for a request, until the actor of the cluster is gone.
    pub(crate) async fn serve<F: Future<Output = Option<String>>>(mut self, answer: impl Fn(String) -> F) {
        while let Some(question) = self.questions.recv().await {
            let Question { from, number, request, came } = question;
            // The command has ended without the answer. What it wanted done must not be done later.
            if clock::since(came) < WITHIN {
                log::debug!(target: LOG, node:% = from, request = request.as_str(); "question of another node");
                if let Some(text) = answer(request).await {
                    self.send(&from, number, &text, came).await;
                }
            }
        }
    }

    async fn send(&self, to: &NodeName, number: u64, text: &str, came: Instant) {
        let frames = match question::encode_answer(&self.own, number, text, self.engine.max_frame()) {
            Ok(frames) => frames,
            Err(refusal) => {
                // If there is no room for it, the node waits in vain for a while.
                let _ = self.engine.publish(to, question::encode_refusal(&self.own, number, refusal));
                return;
            }
        };
        for frame in frames {
            while self.engine.publish(to, frame.clone()).is_err() {
                if clock::since(came) >= WITHIN {
                    return;
                }
                tokio::time::sleep(FULL).await;
            }
        }
    }
}

impl Questions {
    pub(super) fn new(
        own: NodeName,
        engine: SharedEngine,
        desk: mpsc::Sender<Question>,
        number: u64,
    ) -> Self {
        Self { own, engine, desk, number, open: BTreeMap::new() }
    }

    /// Asks these nodes. `None`: the broker is not connected.
    pub(super) fn ask(&mut self, ask: Ask, nodes: Option<Vec<NodeName>>) {
        let Ask { request, asked, replies } = ask;
        self.open.retain(|_, open| !open.replies.is_closed());
        let nodes = match nodes {
            None => Err(NotAsked::NoBroker),
            Some(_) if self.open.len() >= COMMANDS => Err(NotAsked::TooMany),
            Some(nodes) => {
                self.number = self.number.wrapping_add(1);
                for node in &nodes {
                    // A question that finds no room is one that has no answer.
                    let _ = self.engine.publish(node, question::encode(&self.own, self.number, &request));
                }
                self.open.insert(self.number, Open { nodes: nodes.clone(), replies });
                Ok(nodes)
            }
        };
        // The command may have ended.
        let _ = asked.send(Asked { own: self.own.clone(), nodes });
    }

    /// A frame of another node has come. `may_answer`: it is a member, and so is this node.
    pub(super) fn came(&mut self, frame: question::Frame, may_answer: bool) {
        let question::Frame { from, number, body } = frame;
        let part = match body {
            Body::Question(request) if may_answer => {
                let question = Question { from, number, request, came: clock::now() };
                if let Err(refused) = self.desk.try_send(question) {
                    self.refuse(&refused.into_inner().from, number, Refusal::Busy);
                }
                return;
            }
            Body::Foreign if may_answer => {
                return self.refuse(&from, number, Refusal::Version(question::VERSION));
            }
            // A node that has hung answers nothing old, and nobody else is answered.
            Body::Question(_) | Body::Foreign => return,
            Body::Part(part) => Ok(part),
            Body::Refused(refusal) => Err(refusal),
        };
        if let Some(open) = self.open.get(&number).filter(|open| open.nodes.contains(&from)) {
            // Without room the answer lacks a part, and the command says that the node has not answered.
            let _ = open.replies.try_send(Reply { node: from, part });
        }
    }

    fn refuse(&self, to: &NodeName, number: u64, refusal: Refusal) {
        // Without room for it the other node waits in vain for a while.
        let _ = self.engine.publish(to, question::encode_refusal(&self.own, number, refusal));
    }
}

/// The time in which a command waits for the other nodes.
pub(crate) const WITHIN: Duration = Duration::from_secs(3);

/// Room for the replies to one command. They have at most 48 KiB each.
pub(crate) const REPLIES: usize = 256;

/// Commands for which this node asks at a time. Each may bring some megabytes.
const COMMANDS: usize = 4;

/// Questions of other nodes that wait for the one that is answered.
const WAITING: usize = 4;

/// The time after which a frame is offered again that found no room.
const FULL: Duration = Duration::from_millis(5);
