//! Asks the other nodes of the cluster what they find, while this node looks itself; and answers them.

use std::{collections::BTreeMap, sync::Arc};

use ::cluster::{
    name::NodeName,
    question::{Collector, Refusal as NoAnswer},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{commands::Sources, round::Patience};
use crate::relaying::{
    cluster::Cluster,
    questions::{Ask, Asked, Desk, NotAsked, REPLIES, Reply, WITHIN},
};
use mailbox::Mailbox;
use status::{
    answer::{MissingWhy, Refusal},
    finding::{Found, Gathering, Refused, Why},
    request::Request,
};

/// What the other nodes have answered.
struct Answers {
    own: NodeName,
    found: Vec<(NodeName, Found)>,
    missing: Vec<(Option<NodeName>, MissingWhy)>,
}

/// The other nodes could not be asked.
enum Failure {
    /// The actor of the cluster does not answer.
    Silent,
    /// Other commands ask.
    TooMany,
}

impl Sources {
    /// The answer of this node, or of all nodes of its cluster.
    pub(super) async fn gather(&self, request: Request) -> String {
        let Some(cluster) = self.cluster.as_ref().filter(|_| request.is_for_all_nodes()) else {
            let own = self.find(&request).await;
            return Gathering::alone(request, own).document(self.head());
        };
        let (mut own, answers) = tokio::join!(self.find(&request), ask(cluster, &request));
        let gathering = match answers {
            Ok(Answers { own: here, found, missing }) => {
                let mut gathering = Gathering::of_cluster(request, own, here.to_string());
                found.into_iter().for_each(|(node, found)| gathering.add(node.to_string(), found));
                for (node, why) in missing {
                    gathering.misses(node.map(|node| node.to_string()), why);
                }
                gathering
            }
            Err(Failure::Silent) => {
                own.unanswered.push("cluster".to_owned());
                Gathering::alone(request, own)
            }
            Err(Failure::TooMany) => {
                let text =
                    "too many commands ask all nodes at once: try again, or ask this node only (--this-node)";
                return Refusal::new(text).document();
            }
        };
        gathering.document(self.head())
    }

    /// Answers the questions of other nodes, one at a time.
    pub(crate) async fn serve(self, desk: Desk) {
        let sources = Arc::new(Self { patience: Patience::FOR_OTHER_NODE, ..self });
        desk.serve(|line| {
            let sources = Arc::clone(&sources);
            async move {
                // A task of its own, so that a panic ends one answer only.
                let answer = actix_rt::spawn(async move { sources.answer_node(&line).await });
                answer.await.ok()
            }
        })
        .await;
    }

    /// What this node finds for another one, as text.
    async fn answer_node(&self, line: &str) -> String {
        let found = match Request::parse(line.trim_end().as_bytes()) {
            Ok(request) => self.find(&request).await,
            Err(wrong) => {
                let result = Err(Refused::new(Why::NotUnderstood, wrong.to_string()));
                Found { result, unanswered: Vec::new() }
            }
        };
        found.encode()
    }
}

/// Asks the other nodes that are alive, and waits for their answers for a limited time.
async fn ask(cluster: &Mailbox<Cluster>, request: &Request) -> Result<Answers, Failure> {
    let deadline: Instant = (clock::now() + WITHIN).into();
    let (asked, told) = oneshot::channel();
    let (replies, mut came) = mpsc::channel(REPLIES);
    let _ = cluster.signal_quietly(Ask { request: request.line(), asked, replies });
    let Ok(Ok(Asked { own, nodes })) = timeout_at(deadline, told).await else { return Err(Failure::Silent) };
    let mut answers = Answers { own, found: Vec::new(), missing: Vec::new() };
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(NotAsked::TooMany) => return Err(Failure::TooMany),
        Err(NotAsked::NoBroker) => {
            answers.missing.push((None, MissingWhy::NoBroker));
            return Ok(answers);
        }
    };
    let mut open: BTreeMap<NodeName, Collector> =
        nodes.into_iter().map(|node| (node, Collector::default())).collect();
    let mut bytes = 0;
    while !open.is_empty() {
        let Ok(Some(reply)) = timeout_at(deadline, came.recv()).await else { break };
        answers.take(reply, request, &mut open, &mut bytes);
    }
    answers.missing.extend(open.into_keys().map(|node| (Some(node), MissingWhy::NoAnswer)));
    Ok(answers)
}

impl Answers {
    /// Takes a reply of a node that is in `open` as long as its answer is not complete. `bytes`: those of all answers so far.
    fn take(
        &mut self,
        reply: Reply,
        request: &Request,
        open: &mut BTreeMap<NodeName, Collector>,
        bytes: &mut usize,
    ) {
        let Reply { node, part } = reply;
        let Some(collector) = open.get_mut(&node) else { return };
        let result = match part {
            Ok(part) => {
                *bytes += part.text.len();
                if *bytes > MOST_BYTES {
                    Err(MissingWhy::TooLong { limit: MOST_BYTES as u64 })
                } else if let Some(text) = collector.add(part) {
                    let text = String::from_utf8(text).unwrap_or_default();
                    Found::decode(&text, request).ok_or(MissingWhy::Release)
                } else {
                    return;
                }
            }
            Err(NoAnswer::Busy) => Err(MissingWhy::Busy),
            Err(NoAnswer::Version(_)) => Err(MissingWhy::Release),
            Err(NoAnswer::TooLong(limit)) => Err(MissingWhy::TooLong { limit }),
        };
        open.remove(&node);
        match result {
            Ok(found) => self.found.push((node, found)),
            Err(why) => self.missing.push((Some(node), why)),
        }
    }
}

/// The length of the answers of all nodes together: as much as a command reads in the end, with all limits at their highest.
const MOST_BYTES: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use ::cluster::question::{self, Body, Frame};
    use bytes::Bytes;
    use status::{
        answer::Sessions,
        finding::Finding,
        request::{DEFAULT_LIMIT, Order},
    };

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    fn request() -> Request {
        Request::Sessions { domain: None, limit: DEFAULT_LIMIT, order: Order::Domain, this_node: false }
    }

    fn replies(from: &str, text: &str) -> Vec<Reply> {
        let own = node(from);
        let frames: Vec<Bytes> = question::encode_answer(&own, 1, text, 1 << 20).unwrap().collect();
        let read = |frame: &Bytes| match question::decode(frame) {
            Ok(Frame { from, body: Body::Part(part), .. }) => Reply { node: from, part: Ok(part) },
            other => panic!("{other:?}"),
        };
        frames.iter().map(read).collect()
    }

    fn refusal(from: &str, refusal: NoAnswer) -> Vec<Reply> {
        vec![Reply { node: node(from), part: Err(refusal) }]
    }

    fn taken(of: impl IntoIterator<Item = Reply>) -> (Answers, Vec<NodeName>) {
        let mut answers = Answers { own: node("a"), found: Vec::new(), missing: Vec::new() };
        let mut open: BTreeMap<NodeName, Collector> =
            ["b", "c"].iter().map(|name| (node(name), Collector::default())).collect();
        let mut bytes = 0;
        of.into_iter().for_each(|reply| answers.take(reply, &request(), &mut open, &mut bytes));
        (answers, open.into_keys().collect())
    }

    fn found() -> String {
        let found = Finding::Sessions(Sessions { links: Vec::new(), total: 7 });
        Found { result: Ok(found), unanswered: Vec::new() }.encode()
    }

    #[test]
    fn a_node_is_waited_for_until_its_answer_is_complete_or_refused() {
        let (answers, open) = taken(replies("b", &found()));
        assert_eq!((answers.found.len(), open), (1, vec![node("c")]));
        let (answers, open) = taken(refusal("c", NoAnswer::Busy));
        assert_eq!((answers.missing, open), (vec![(Some(node("c")), MissingWhy::Busy)], vec![node("b")]));
        let (answers, open) = taken(replies("stranger", &found()));
        assert!(answers.found.is_empty() && open.len() == 2);
    }

    #[test]
    fn another_release_is_named_as_such() {
        for replies in [
            refusal("b", NoAnswer::Version(9)),
            replies("b", "{\"result\":{\"Ok\":{\"dances\":[]}},\"unanswered\":[]}"),
            replies("b", &found().replace("sessions", "queues")),
            replies("b", ""),
        ] {
            let (answers, _) = taken(replies);
            assert_eq!(answers.missing, [(Some(node("b")), MissingWhy::Release)]);
        }
    }

    #[test]
    fn the_answers_of_all_nodes_together_have_a_limit() {
        let long = "x".repeat(16_800_000);
        let (answers, open) = taken(replies("b", &long).into_iter().chain(replies("c", &long)));
        let limit = MissingWhy::TooLong { limit: MOST_BYTES as u64 };
        assert_eq!(answers.missing.last(), Some(&(Some(node("c")), limit)));
        assert!(open.is_empty());
        let (answers, _) = taken(refusal("b", NoAnswer::TooLong(5)));
        assert_eq!(answers.missing, [(Some(node("b")), MissingWhy::TooLong { limit: 5 })]);
    }
}
