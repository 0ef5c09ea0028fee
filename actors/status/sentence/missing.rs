//! The sentence about data that is missing from the answer of a cluster.

use crate::answer::{Missing, MissingWhy};

/// Says which node's data is missing, why, and what to do: `node c did not answer in time: …`.
pub fn missing(missing: &Missing) -> String {
    let Missing { node, why } = missing;
    let node = node.as_ref().map_or_else(|| "the other nodes".to_owned(), |node| format!("node {node}"));
    match why {
        MissingWhy::NoBroker => format!(
            "{node} cannot be asked, because this node is not connected to the broker; nuncio nodes shows the reason"
        ),
        MissingWhy::NoAnswer => {
            format!("{node} did not answer in time; nuncio nodes shows whether it is alive")
        }
        MissingWhy::Busy => format!("{node} is answering too many commands of other nodes; try again"),
        MissingWhy::Release => format!(
            "{node} has another release of nuncio, which answers this one's questions differently; ask it on its own \
             machine until all nodes have the same release"
        ),
        MissingWhy::TooLong { limit } => format!(
            "the answer of {node} is longer than {} MiB; ask for one domain, or set a lower --limit",
            limit >> 20
        ),
        MissingWhy::Parts { parts } => {
            format!("{} of {node} did not answer in time; that node is overloaded", parts.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_and_what_to_do_are_named() {
        let told = |node: Option<&str>, why| missing(&Missing { node: node.map(str::to_owned), why });
        assert_eq!(
            told(Some("c"), MissingWhy::NoAnswer),
            "node c did not answer in time; nuncio nodes shows whether it is alive"
        );
        assert!(told(Some("c"), MissingWhy::Release).starts_with("node c has another release of nuncio"));
        assert!(told(Some("c"), MissingWhy::TooLong { limit: 16 << 20 }).contains("longer than 16 MiB"));
        assert!(told(None, MissingWhy::NoBroker).starts_with("the other nodes cannot be asked"));
        let parts = vec!["router".to_owned(), "promise".to_owned()];
        assert!(told(Some("c"), MissingWhy::Parts { parts }).starts_with("router, promise of node c did"));
    }
}
