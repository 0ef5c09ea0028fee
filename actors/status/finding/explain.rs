//! What the nodes find about a domain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Merge,
    gathering::Scope,
    lists::{arrange_links, arrange_queues, name_links, name_queues},
};
use crate::{
    answer::{Explanation, Refusal, Related},
    report::ComponentReport,
    request::Order,
    sentence::{self, Facts},
};

/// What a node knows about a domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    /// The facts, without the sentence.
    pub explanation: Explanation,
    /// Whether the policy allows the domain.
    pub permitted: bool,
    /// Whether an event is recorded.
    pub is_recorded: bool,
    /// Who serves the domain.
    pub served: Served,
}

/// Who serves a domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Served {
    /// Another server.
    Remotely,
    /// This server, without a component.
    Here,
    /// A component of this server.
    ByComponent(Box<ComponentReport>),
}

impl Merge for Explained {
    fn name(&mut self, node: &str) {
        let Explanation { links, queues, events, .. } = &mut self.explanation;
        name_links(links, node);
        name_queues(queues, node);
        events.iter_mut().for_each(|event| event.node = Some(node.to_owned()));
        if let Served::ByComponent(component) = &mut self.served {
            component.name(node);
        }
    }

    fn add(&mut self, other: Self) {
        self.is_recorded |= other.is_recorded;
        match (&mut self.served, other.served) {
            (Served::ByComponent(component), Served::ByComponent(theirs)) => component.add(*theirs),
            (Served::ByComponent(_) | Served::Here, _) => {}
            (served, theirs) => *served = theirs,
        }
        let (found, theirs) = (&mut self.explanation, other.explanation);
        found.links.extend(theirs.links);
        found.links_total += theirs.links_total;
        found.queues.extend(theirs.queues);
        found.queues_total += theirs.queues_total;
        found.account = found.account.plus(theirs.account);
        found.events.extend(theirs.events);
        found.events_lost += theirs.events_lost;
        found.above = found.above.take().or(theirs.above);
        let mut related = BTreeMap::<String, Related>::new();
        for Related { domain, links, waiting } in found.related.drain(..).chain(theirs.related) {
            let none =
                || Related { domain: domain.clone(), links: 0, waiting: crate::amount::Amount::default() };
            let sum = related.entry(domain.clone()).or_insert_with(none);
            (sum.links, sum.waiting) = (sum.links + links, sum.waiting.plus(waiting));
        }
        found.related = related.into_values().take(MOST_RELATED).collect();
    }
}

impl Explained {
    pub(super) fn arrange(&mut self) {
        let Explanation { links, queues, events, .. } = &mut self.explanation;
        arrange_links(links, Order::Domain, MOST_EXPLAINED);
        arrange_queues(queues, MOST_EXPLAINED);
        events.sort_by_key(|event| event.last);
    }

    /// The answer, with its sentence.
    pub(super) fn finish(self, scope: &Scope<'_>) -> Result<Explanation, Refusal> {
        let Self { mut explanation, permitted, is_recorded, served } = self;
        let Explanation { domain, links, queues, events, related, above, .. } = &explanation;
        let is_unheard = links.is_empty() && queues.is_empty() && !is_recorded && scope.is_complete;
        let sentence = match (&served, above) {
            (Served::ByComponent(component), _) => sentence::component(component, scope.now),
            (Served::Here, _) => format!("{domain}: served by this node itself, without a component"),
            (Served::Remotely, None) if is_unheard && permitted => return Err(scope.unknown(domain, related)),
            (Served::Remotely, Some(above)) if is_unheard => sentence::unserved(domain, above, permitted),
            (Served::Remotely, above) => sentence::state(&Facts {
                domain,
                permitted,
                links,
                queues,
                events,
                above: above.as_deref(),
                here: scope.here,
                now: scope.now,
            }),
        };
        explanation.sentence = sentence;
        Ok(explanation)
    }
}

/// Links and queues of one domain that `explain` shows: more local domains are rarely linked with it at once.
pub const MOST_EXPLAINED: usize = 100;

/// Related domains that are shown.
pub const MOST_RELATED: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        amount::Amount,
        event::{Event, EventKind},
        finding::{
            Finding, Found, Head,
            gathering::tests::{asked, failure, found, link, parsed, queue},
        },
        report::{Account, LinkReport, QueueReport, QueueState, Seconds, Time},
        request::Request,
    };

    fn explained(links: Vec<LinkReport>, queues: Vec<QueueReport>, events: Vec<Event>) -> Found {
        let explanation = Explanation {
            domain: "b.example".to_owned(),
            sentence: String::new(),
            links_total: links.len(),
            links,
            queues_total: queues.len(),
            queues,
            account: Account { taken: Amount { stanzas: 2, bytes: 20 }, ..Account::default() },
            events,
            events_lost: 0,
            related: Vec::new(),
            above: None,
        };
        let is_recorded = !explanation.events.is_empty();
        let explained = Explained { explanation, permitted: true, is_recorded, served: Served::Remotely };
        found(Finding::Explain(Box::new(explained)))
    }

    fn request() -> Request {
        Request::Explain { domain: "b.example".to_owned(), this_node: false }
    }

    fn event(what: EventKind, seconds: u64) -> Event {
        let last = Time(Time::now().0 - Duration::from_secs(seconds));
        Event { at: last, last, ..Event::now(what) }
    }

    #[test]
    fn the_link_of_another_node_and_what_waits_at_each_are_one_sentence() {
        let mut gathering = asked(request(), explained(vec![], vec![queue("b.example", 12)], vec![]));
        gathering.add(
            "b".to_owned(),
            explained(vec![link("b.example", 0)], vec![], vec![event(EventKind::Closed, 9)]),
        );
        gathering.add(
            "c".to_owned(),
            explained(vec![], vec![queue("b.example", 3)], vec![event(EventKind::Queued, 20)]),
        );
        let answer = parsed(&gathering.document(Head::now()));
        let sentence = answer["sentence"].as_str().unwrap();
        assert!(
            sentence.starts_with(
                "b.example: linked from here, not from there for 2 h by node b, EXTERNAL in clear text; 12 stanzas wait \
                 here, 3 on node c"
            ),
            "{sentence}"
        );
        assert_eq!((&answer["links_total"], &answer["queues_total"]), (&1.into(), &2.into()));
        assert_eq!(answer["account"]["taken"]["stanzas"], 6);
        let of = |nth: usize| (answer["events"][nth]["what"].clone(), answer["events"][nth]["node"].clone());
        assert_eq!((of(0), of(1)), (("queued".into(), "c".into()), ("closed".into(), "b".into())));
    }

    #[test]
    fn the_failure_of_the_node_that_makes_the_attempts_is_shown_with_its_next_one() {
        let paused = QueueReport {
            state: QueueState::Pause,
            trouble: Some(failure()),
            next_attempt: Some(Seconds(Duration::from_secs(34))),
            ..queue("b.example", 2)
        };
        let slow = QueueReport { state: QueueState::Slow, ..queue("b.example", 5) };
        let mut gathering = asked(request(), explained(vec![], vec![slow], vec![]));
        gathering.add("b".to_owned(), explained(vec![], vec![paused], vec![]));
        let answer = parsed(&gathering.document(Head::now()));
        assert_eq!(
            answer["sentence"],
            "b.example: no link; no answer; look at it; 5 stanzas wait here, 2 on node b, next attempt in 34 s by node b"
        );
    }

    #[test]
    fn a_domain_is_unknown_only_if_all_nodes_answer_and_none_knows_it() {
        let nothing = || explained(vec![], vec![], vec![]);
        let mut gathering = asked(request(), nothing());
        gathering.add("b".to_owned(), nothing());
        let answer = parsed(&gathering.document(Head::now()));
        let error = answer["error"].as_str().unwrap();
        assert!(
            error.starts_with("b.example is unknown to the nodes a, b: no link, no queue and no"),
            "{error}"
        );
        let mut gathering = asked(request(), nothing());
        gathering.misses(Some("b".to_owned()), crate::answer::MissingWhy::NoAnswer);
        let answer = parsed(&gathering.document(Head::now()));
        assert_eq!(answer["sentence"], "b.example: no link; nothing waits");
        assert_eq!(answer["unanswered"], serde_json::json!(["node b"]));
        assert_eq!(answer["missing"], serde_json::json!([{ "node": "b", "reason": "no-answer" }]));
    }

    #[test]
    fn an_alone_node_names_no_node() {
        let gathering =
            super::super::Gathering::alone(request(), explained(vec![link("b.example", 0)], vec![], vec![]));
        let answer = gathering.document(Head::now());
        assert!(!answer.contains("node\"") && !answer.contains("missing"), "{answer}");
    }
}
