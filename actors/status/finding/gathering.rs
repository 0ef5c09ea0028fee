//! Gathers what the nodes have found, and makes the answer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Finding, Found, Refused, Why};
use crate::{
    answer::{Answer, Missing, MissingWhy, Refusal, Related},
    report::{Seconds, Time},
    request::Request,
    sentence,
};

/// What has been found so far.
#[derive(Debug)]
pub struct Gathering {
    request: Request,
    own: Found,
    /// The name of this node; `None`: it is alone, or the others are not asked.
    here: Option<String>,
    others: BTreeMap<String, Found>,
    missing: Vec<Missing>,
}

/// The fields that all answers have.
#[derive(Clone, Debug)]
pub struct Head {
    /// The version of the node.
    pub version: String,
    /// The time of the answer.
    pub time: Time,
    /// The time at which the node started.
    pub started: Time,
}

/// What a sentence has to say of the nodes.
pub(super) struct Scope<'a> {
    /// The node that was asked, if the answer is that of all nodes.
    pub(super) here: Option<&'a str>,
    /// The nodes that have answered.
    nodes: &'a [String],
    /// Whether nothing is missing.
    pub(super) is_complete: bool,
    pub(super) now: Time,
    started: Time,
}

impl Gathering {
    /// What this node has found, and no other.
    pub fn alone(request: Request, own: Found) -> Self {
        Self { request, own, here: None, others: BTreeMap::new(), missing: Vec::new() }
    }

    /// What this node, `here`, has found; other nodes follow.
    pub fn of_cluster(request: Request, own: Found, here: String) -> Self {
        Self { here: Some(here), ..Self::alone(request, own) }
    }

    /// Adds what another node has found.
    pub fn add(&mut self, node: String, found: Found) {
        if !found.unanswered.is_empty() {
            self.misses(Some(node.clone()), MissingWhy::Parts { parts: found.unanswered.clone() });
        }
        self.others.insert(node, found);
    }

    /// Notes that what another node, or all of them, may have found is missing.
    pub fn misses(&mut self, node: Option<String>, why: MissingWhy) {
        self.missing.push(Missing { node, why });
    }

    /// The answer of all, as a JSON document.
    pub fn document(self, head: Head) -> String {
        let Self { request, own, here, others, mut missing } = self;
        missing.sort_by(|a, b| a.node.cmp(&b.node));
        let parts = missing.iter().flat_map(Missing::names);
        let unanswered: Vec<String> = own.unanswered.into_iter().chain(parts).collect();
        let nodes: Vec<String> = here.iter().chain(others.keys()).cloned().collect();
        let of_all = here.clone().into_iter().map(|here| (here, own.result.clone()));
        let results = of_all.chain(others.into_iter().map(|(node, found)| (node, found.result)));
        let result = match &here {
            None => own.result,
            Some(_) => merge(results, &request),
        };
        let scope = Scope {
            here: here.as_deref(),
            nodes: &nodes,
            is_complete: unanswered.is_empty(),
            now: head.time,
            started: head.started,
        };
        let page = Page { head, unanswered, asked_node: here.clone(), missing };
        let written =
            result.map_err(|refused| Refusal::new(refused.error)).and_then(|finding| match finding {
                Finding::Explain(found) => found.finish(&scope).map(|found| page.write(found)),
                Finding::Sessions(found) => Ok(page.write(found)),
                Finding::Queues(found) => Ok(page.write(found)),
                Finding::Components(found) => Ok(page.write(found)),
                Finding::Retry(found) => found.finish(&scope).map(|found| page.write(found)),
                Finding::Close(found) => found.finish(&scope).map(|found| page.write(found)),
            });
        written.unwrap_or_else(|refusal| refusal.document())
    }
}

/// One result of several nodes. A refusal counts only if no node has found anything; then it is that of the first node
/// which has a reason other than that it is overloaded.
fn merge(
    results: impl Iterator<Item = (String, Result<Finding, Refused>)>,
    request: &Request,
) -> Result<Finding, Refused> {
    let mut merged: Option<Result<Finding, Refused>> = None;
    for (node, mut result) in results {
        if let Ok(finding) = &mut result {
            finding.name(&node);
        }
        merged = Some(match (merged, result) {
            (None, result) => result,
            (Some(Ok(mut finding)), Ok(other)) => {
                finding.add(other);
                Ok(finding)
            }
            (Some(Ok(finding)), Err(_)) | (Some(Err(_)), Ok(finding)) => Ok(finding),
            (Some(Err(first)), Err(other)) if first.why == Why::Silent && other.why != Why::Silent => {
                Err(other)
            }
            (Some(Err(first)), Err(_)) => Err(first),
        });
    }
    let mut merged =
        merged.unwrap_or_else(|| Err(Refused::new(Why::Silent, "no part of the node has answered")))?;
    merged.arrange(request);
    Ok(merged)
}

/// The answer without what was found.
struct Page {
    head: Head,
    unanswered: Vec<String>,
    asked_node: Option<String>,
    missing: Vec<Missing>,
}

impl Page {
    fn write<T: Serialize>(self, found: T) -> String {
        let Self { head: Head { version, time, started }, unanswered, asked_node, missing } = self;
        Answer { version, time, started, unanswered, asked_node, missing, found }.document()
    }
}

impl Scope<'_> {
    /// The refusal if no node knows anything of a domain.
    pub(super) fn unknown(&self, domain: &str, related: &[Related]) -> Refusal {
        let running = Seconds(self.started.before(self.now));
        let related = match related {
            [] => String::new(),
            some => format!("; related domains: {}", sentence::related(some)),
        };
        let (to, node) = match (self.here, self.nodes) {
            (Some(here), [_, _, ..]) => {
                (format!(" to the nodes {}", self.nodes.join(", ")), format!("node {here}"))
            }
            _ => (String::new(), "the node".to_owned()),
        };
        Refusal::new(format!(
            "{domain} is unknown{to}: no link, no queue and no recorded event ({node} has been running for \
             {running}){related}"
        ))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        amount::Amount,
        answer::{Components, Sessions},
        report::{
            Acknowledgement, Authentication, Direction, FailureReport, LinkReport, LinkState, Pair,
            QueueReport, QueueState, Side,
        },
        request::Order,
    };

    impl Head {
        pub(in crate::finding) fn now() -> Self {
            Self { version: "1.2.3".to_owned(), time: Time::now(), started: Time::now() }
        }
    }

    /// Node `a` was asked, and has found this.
    pub(in crate::finding) fn asked(request: Request, own: Found) -> Gathering {
        Gathering::of_cluster(request, own, "a".to_owned())
    }

    pub(in crate::finding) fn found(finding: Finding) -> Found {
        Found { result: Ok(finding), unanswered: Vec::new() }
    }

    pub(in crate::finding) fn parsed(document: &str) -> serde_json::Value {
        serde_json::from_str(document).unwrap()
    }

    pub(in crate::finding) fn pair(remote: &str) -> Pair {
        Pair { local: "a.example".to_owned(), remote: Some(remote.to_owned()) }
    }

    pub(in crate::finding) fn link(remote: &str, idle: u64) -> LinkReport {
        LinkReport {
            node: None,
            direction: Direction::Outgoing,
            state: LinkState::Authenticated,
            pairs: vec![pair(remote)],
            pairs_not_shown: 0,
            address: None,
            since: Time(Time::now().0 - Duration::from_secs(7_300)),
            mechanism: Some(Authentication::External),
            tls: None,
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            acknowledgement: Acknowledgement::default(),
            ping_unanswered: None,
            idle: Seconds(Duration::from_secs(idle)),
        }
    }

    pub(in crate::finding) fn failure() -> FailureReport {
        FailureReport {
            reason: "no answer".to_owned(),
            definitive: false,
            cause: "no-answer".to_owned(),
            side: Side::Either,
            remedy: "look at it".to_owned(),
        }
    }

    pub(in crate::finding) fn queue(remote: &str, stanzas: u64) -> QueueReport {
        QueueReport {
            node: None,
            local: "a.example".to_owned(),
            remote: remote.to_owned(),
            state: QueueState::Handover,
            waiting: Amount { stanzas, bytes: 100 * stanzas },
            open: Amount::default(),
            kept: 0,
            on_disk: Amount::default(),
            oldest: None,
            next_attempt: None,
            failures: 0,
            trouble: None,
        }
    }

    fn request() -> Request {
        Request::Sessions { domain: None, limit: 10, order: Order::Domain, this_node: false }
    }

    fn links(remote: &str) -> Found {
        found(Finding::Sessions(Sessions { links: vec![link(remote, 0)], total: 1 }))
    }

    fn refused(why: Why) -> Found {
        Found { result: Err(Refused::new(why, format!("{why:?}"))), unanswered: Vec::new() }
    }

    #[test]
    fn a_node_without_an_answer_is_named_with_the_reason_and_the_rest_is_shown() {
        let mut gathering = asked(request(), links("b.example"));
        gathering.misses(Some("c".to_owned()), MissingWhy::TooLong { limit: 5 });
        gathering.add("b".to_owned(), Found { unanswered: vec!["router".to_owned()], ..links("c.example") });
        let answer = parsed(&gathering.document(Head::now()));
        assert_eq!(answer["total"], 2);
        assert_eq!(answer["unanswered"], serde_json::json!(["router of node b", "node c"]));
        let missing = serde_json::json!([
            { "node": "b", "reason": "parts", "parts": ["router"] },
            { "node": "c", "reason": "too-long", "limit": 5 },
        ]);
        assert_eq!(answer["missing"], missing);
    }

    #[test]
    fn a_refusal_counts_only_if_no_node_has_found_anything() {
        for (own, theirs) in
            [(refused(Why::Own), links("b.example")), (links("b.example"), refused(Why::Own))]
        {
            let mut gathering = asked(request(), own);
            gathering.add("b".to_owned(), theirs);
            assert_eq!(parsed(&gathering.document(Head::now()))["total"], 1);
        }
        for (own, theirs, shown) in [
            (Why::Own, Why::Silent, "Own"),
            (Why::Silent, Why::Own, "Own"),
            (Why::NotConfigured, Why::Own, "NotConfigured"),
        ] {
            let mut gathering = asked(request(), refused(own));
            gathering.add("b".to_owned(), refused(theirs));
            assert_eq!(parsed(&gathering.document(Head::now()))["error"], shown);
        }
    }

    #[test]
    fn of_several_nodes_that_are_overloaded_the_asked_one_is_shown() {
        let silent = |error: &str| Found {
            result: Err(Refused::new(Why::Silent, error)),
            unanswered: vec!["router".to_owned()],
        };
        let mut gathering = asked(request(), silent("here"));
        gathering.add("b".to_owned(), silent("there"));
        assert_eq!(parsed(&gathering.document(Head::now()))["error"], "here");
    }

    #[test]
    fn what_another_node_found_is_read_as_it_was_written_and_only_for_the_same_request() {
        let found = links("b.example");
        let read = Found::decode(&found.encode(), &request()).unwrap();
        assert_eq!(read.encode(), found.encode());
        let components = Request::Components { name: None, this_node: false };
        assert!(Found::decode(&found.encode(), &components).is_none());
        let own = Found::decode(&refused(Why::Own).encode(), &components).unwrap();
        assert_eq!(own.result.unwrap_err().why, Why::Own);
        assert!(Found::decode(&refused(Why::NotUnderstood).encode(), &components).is_none());
        for text in ["", "null", "{\"result\":{}}", "{\"result\":{\"Ok\":5},\"unanswered\":[]}"] {
            assert!(Found::decode(text, &request()).is_none(), "{text}");
        }
        let none = super::super::Found {
            result: Ok(Finding::Components(Components { components: Vec::new() })),
            unanswered: Vec::new(),
        };
        assert!(Found::decode(&none.encode(), &components).is_some());
    }
}
