//! What the nodes have tried again.

use serde::{Deserialize, Serialize};

use super::{Merge, gathering::Scope};
use crate::{
    answer::{PairAt, Refusal, Retried},
    sentence,
};

/// What a node has tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retries {
    /// The pairs, without the sentence.
    pub retried: Retried,
    /// The number of links with the domain.
    pub links: usize,
    /// Whether the policy allows the domain.
    pub permitted: bool,
    /// Whether an event is recorded.
    pub is_recorded: bool,
}

impl Merge for Retries {
    fn name(&mut self, node: &str) {
        let Retried { begun, under_way, .. } = &mut self.retried;
        begun.iter_mut().chain(under_way).for_each(|pair| pair.node = Some(node.to_owned()));
    }

    fn add(&mut self, other: Self) {
        self.retried.begun.extend(other.retried.begun);
        self.retried.under_way.extend(other.retried.under_way);
        self.links += other.links;
        self.is_recorded |= other.is_recorded;
    }
}

impl Retries {
    /// The answer, with its sentence.
    pub(super) fn finish(self, scope: &Scope<'_>) -> Result<Retried, Refusal> {
        let Self { mut retried, links, permitted, is_recorded } = self;
        let Retried { domain, begun, under_way, .. } = &retried;
        let is_untouched = begun.is_empty() && under_way.is_empty() && links == 0;
        if permitted && is_untouched && !is_recorded && scope.is_complete {
            return Err(scope.unknown(domain, &[]));
        }
        let attempts: &[PairAt] = begun;
        retried.sentence = sentence::retried(domain, attempts, under_way.len(), links, permitted, scope.here);
        Ok(retried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        finding::{
            Finding, Found, Head,
            gathering::tests::{asked, found, pair, parsed},
        },
        request::Request,
    };

    fn retries(begun: bool, links: usize) -> Found {
        let begun: Vec<PairAt> =
            begun.then(|| PairAt { pair: pair("b.example"), node: None }).into_iter().collect();
        let (domain, sentence) = ("b.example".to_owned(), String::new());
        let retried = Retried { domain, sentence, begun, under_way: Vec::new() };
        found(Finding::Retry(Retries { retried, links, permitted: true, is_recorded: false }))
    }

    #[test]
    fn the_node_that_tries_is_named_and_a_node_that_knows_nothing_refuses_nothing() {
        let request = || Request::Retry { domain: "b.example".to_owned(), this_node: false };
        let mut gathering = asked(request(), retries(false, 0));
        gathering.add("b".to_owned(), retries(true, 0));
        let answer = parsed(&gathering.document(Head::now()));
        assert_eq!(answer["sentence"], "b.example: retrying now (a.example > b.example by node b)");
        let begun = serde_json::json!([{ "local": "a.example", "remote": "b.example", "node": "b" }]);
        assert_eq!(answer["begun"], begun);
        let mut gathering = asked(request(), retries(false, 0));
        gathering.add("b".to_owned(), retries(false, 1));
        let answer = parsed(&gathering.document(Head::now()));
        assert_eq!(answer["sentence"], "b.example: nothing to retry, the link is open");
        let mut gathering = asked(request(), retries(false, 0));
        gathering.add("b".to_owned(), retries(false, 0));
        let answer = parsed(&gathering.document(Head::now()));
        assert!(answer["error"].as_str().unwrap().contains("is unknown to the nodes a, b"), "{answer}");
    }
}
