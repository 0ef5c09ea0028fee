//! What the nodes have closed.

use serde::{Deserialize, Serialize};

use super::{Merge, gathering::Scope};
use crate::{
    answer::{Closed, ClosedAt, Refusal},
    sentence,
};

/// What a node has closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closing {
    /// The links, without the sentence.
    pub closed: Closed,
    /// The name is that of a component.
    pub is_component: bool,
    /// Whether the node knows anything of the domain.
    pub is_known: bool,
}

impl Merge for Closing {
    fn name(&mut self, node: &str) {
        let Closed { outgoing, incoming, down, .. } = self.closed;
        if outgoing + incoming > 0 {
            self.closed.nodes = vec![ClosedAt { node: node.to_owned(), outgoing, incoming, down }];
        }
    }

    fn add(&mut self, other: Self) {
        let (closed, theirs) = (&mut self.closed, other.closed);
        closed.outgoing += theirs.outgoing;
        closed.incoming += theirs.incoming;
        closed.down &= theirs.down;
        closed.waiting = closed.waiting.plus(theirs.waiting);
        closed.nodes.extend(theirs.nodes);
        self.is_known |= other.is_known;
    }
}

impl Closing {
    /// The answer, with its sentence.
    pub(super) fn finish(self, scope: &Scope<'_>) -> Result<Closed, Refusal> {
        let Self { mut closed, is_component, is_known } = self;
        let is_untouched = closed.outgoing + closed.incoming == 0;
        if !is_component && is_untouched && !is_known && scope.is_complete {
            return Err(scope.unknown(&closed.domain, &[]));
        }
        closed.sentence = match is_component {
            true => sentence::closed_component(&closed),
            false => sentence::closed(&closed),
        };
        Ok(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        amount::Amount,
        finding::{
            Finding, Found, Head,
            gathering::tests::{asked, found, parsed},
        },
        request::Request,
    };

    fn closing(is_component: bool, outgoing: usize, incoming: usize, stanzas: u64) -> Found {
        let closed = Closed {
            domain: "b.example".to_owned(),
            sentence: String::new(),
            outgoing,
            incoming,
            down: true,
            waiting: Amount { stanzas, bytes: 10 * stanzas },
            nodes: Vec::new(),
        };
        found(Finding::Close(Closing { closed, is_component, is_known: stanzas > 0 }))
    }

    fn closed(is_component: bool, theirs: Found) -> serde_json::Value {
        let request = Request::Close { domain: "b.example".to_owned(), this_node: false };
        let mut gathering = asked(request, closing(is_component, 0, 0, 0));
        gathering.add("b".to_owned(), theirs);
        parsed(&gathering.document(Head::now()))
    }

    #[test]
    fn the_links_of_all_nodes_are_counted_and_their_nodes_named() {
        let answer = closed(false, closing(false, 2, 1, 4));
        assert_eq!(
            answer["sentence"],
            "b.example: 3 links closed (2 opened here, 1 there) on node b; 4 stanzas wait"
        );
        let nodes = serde_json::json!([{ "node": "b", "outgoing": 2, "incoming": 1, "down": true }]);
        assert_eq!(answer["nodes"], nodes);
        let answer = closed(false, closing(false, 0, 0, 0));
        assert!(answer["error"].as_str().unwrap().contains("is unknown to the nodes a, b"), "{answer}");
    }

    #[test]
    fn a_component_is_closed_at_the_node_where_it_is_connected() {
        assert_eq!(
            closed(true, closing(true, 0, 1, 0))["sentence"],
            "b.example: the connection of the component is closed on node b; it may connect again"
        );
        assert_eq!(
            closed(true, closing(true, 0, 0, 0))["sentence"],
            "b.example: the component is not connected"
        );
    }
}
