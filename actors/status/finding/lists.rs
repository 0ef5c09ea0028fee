//! Lists of links and queues of several nodes.

use std::{cmp::Reverse, time::Duration};

use super::Merge;
use crate::{
    answer::{Queues, Sessions},
    report::{LinkReport, QueueReport},
    request::{MOST, Order},
};

impl Merge for Sessions {
    fn name(&mut self, node: &str) {
        name_links(&mut self.links, node);
    }

    fn add(&mut self, other: Self) {
        self.links.extend(other.links);
        self.total += other.total;
    }
}

impl Merge for Queues {
    fn name(&mut self, node: &str) {
        name_queues(&mut self.queues, node);
    }

    fn add(&mut self, other: Self) {
        self.queues.extend(other.queues);
        self.total += other.total;
        self.waiting = self.waiting.plus(other.waiting);
    }
}

pub(super) fn name_links(links: &mut [LinkReport], node: &str) {
    links.iter_mut().for_each(|link| link.node = Some(node.to_owned()));
}

pub(super) fn name_queues(queues: &mut [QueueReport], node: &str) {
    queues.iter_mut().for_each(|queue| queue.node = Some(node.to_owned()));
}

/// By domain, or those with the most recent stanza first. Links of one domain stay in the order of their nodes.
pub(super) fn arrange_links(links: &mut Vec<LinkReport>, order: Order, limit: usize) {
    let idle = |link: &LinkReport| match order {
        Order::Domain => Duration::ZERO,
        Order::Recent => link.idle.0,
    };
    links.sort_by(|a, b| {
        let by_name = || (a.name(), a.direction, &a.pairs).cmp(&(b.name(), b.direction, &b.pairs));
        idle(a).cmp(&idle(b)).then_with(by_name)
    });
    links.truncate(limit.min(MOST));
}

/// The longest first.
pub(super) fn arrange_queues(queues: &mut Vec<QueueReport>, limit: usize) {
    queues.sort_by(|a, b| {
        let place = |queue: &QueueReport| Reverse(queue.waiting.stanzas);
        place(a).cmp(&place(b)).then_with(|| (&a.remote, &a.local).cmp(&(&b.remote, &b.local)))
    });
    queues.truncate(limit.min(MOST));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        amount::Amount,
        finding::gathering::tests::{asked, found, link, parsed, queue},
        finding::{Finding, Head},
        request::Request,
    };

    fn sessions(links: Vec<LinkReport>, total: usize) -> Finding {
        Finding::Sessions(Sessions { links, total })
    }

    #[test]
    fn links_of_all_nodes_are_in_one_order_up_to_the_limit() {
        let request = |order| Request::Sessions { domain: None, limit: 3, order, this_node: false };
        let names = |order| {
            let mut gathering = asked(request(order), found(sessions(vec![link("c.example", 9)], 1)));
            gathering
                .add("b".to_owned(), found(sessions(vec![link("b.example", 3), link("d.example", 1)], 7)));
            gathering.add("c".to_owned(), found(sessions(vec![link("b.example", 2)], 1)));
            let answer = parsed(&gathering.document(Head::now()));
            assert_eq!((&answer["total"], &answer["asked_node"]), (&9.into(), &"a".into()));
            assert_eq!(answer["unanswered"], serde_json::json!([]));
            let links = answer["links"].as_array().unwrap().clone();
            let name = |link: &serde_json::Value| {
                format!("{} {}", link["pairs"][0]["remote"].as_str().unwrap(), link["node"].as_str().unwrap())
            };
            links.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(Order::Domain), ["b.example b", "b.example c", "c.example a"]);
        assert_eq!(names(Order::Recent), ["d.example b", "b.example c", "b.example b"]);
    }

    #[test]
    fn the_longest_queues_of_all_nodes_are_first_and_the_totals_are_sums() {
        let queues = |lengths: &[u64], total| {
            let queues: Vec<_> = lengths.iter().map(|length| queue("b.example", *length)).collect();
            let waiting = Amount { stanzas: lengths.iter().sum(), bytes: 100 };
            found(Finding::Queues(Queues { queues, total, waiting }))
        };
        let request = Request::Queues { domain: None, limit: 2, this_node: false };
        let mut gathering = asked(request, queues(&[5, 1], 4));
        gathering.add("b".to_owned(), queues(&[9], 1));
        let answer = parsed(&gathering.document(Head::now()));
        assert_eq!((&answer["total"], &answer["waiting"]["stanzas"]), (&5.into(), &15.into()));
        let of = |nth: usize| {
            (answer["queues"][nth]["node"].clone(), answer["queues"][nth]["waiting"]["stanzas"].clone())
        };
        assert_eq!((of(0), of(1)), (("b".into(), 9.into()), ("a".into(), 5.into())));
        assert_eq!(answer["queues"].as_array().unwrap().len(), 2);
    }
}
