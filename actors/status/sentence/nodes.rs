//! The parts of a sentence that name nodes of the cluster. A node that is alone has none of them.

use std::collections::BTreeMap;

use super::waits;
use crate::amount::Amount;

/// ` by node b`, ` by this node`: whose link it is, or who makes an attempt. `here` is the node that was asked.
pub(super) fn by(node: Option<&str>, here: Option<&str>) -> String {
    match (node, here) {
        (Some(node), Some(here)) if node == here => " by this node".to_owned(),
        (Some(node), Some(_)) => format!(" by node {node}"),
        _ => String::new(),
    }
}

/// `12 stanzas wait here, 3 on node c`: the amounts of each node, `here` first. Without nodes: `12 stanzas wait`.
pub(super) fn waits_on<'a>(
    amounts: impl Iterator<Item = (Option<&'a str>, Amount)>,
    here: Option<&str>,
) -> String {
    let mut of = BTreeMap::<(bool, Option<&str>), Amount>::new();
    for (node, amount) in amounts {
        let sum = of.entry((here.is_none() || node != here, node)).or_default();
        *sum = sum.plus(amount);
    }
    of.retain(|_, amount| amount.stanzas > 0);
    let total = of.values().copied().fold(Amount::default(), Amount::plus);
    if here.is_none() || total.stanzas == 0 {
        return waits(total);
    }
    let mut parts = Vec::new();
    for (nth, ((is_other, node), amount)) in of.into_iter().enumerate() {
        let place = match node {
            Some(node) if is_other => format!("on node {node}"),
            _ => "here".to_owned(),
        };
        let count = if nth == 0 { waits(amount) } else { amount.stanzas.to_string() };
        parts.push(format!("{count} {place}"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_for_each_node() {
        let told = |amounts: &[(&'static str, u64)], here: Option<&str>| {
            let amounts = amounts.iter().map(|(node, stanzas)| {
                (here.map(|_| *node), Amount { stanzas: *stanzas, bytes: 10 * stanzas })
            });
            waits_on(amounts, here)
        };
        let both = [("c", 3), ("a", 5), ("b", 0), ("a", 7)];
        assert_eq!(told(&both, Some("a")), "12 stanzas wait here, 3 on node c");
        assert_eq!(told(&[("c", 1)], Some("a")), "1 stanza waits on node c");
        assert_eq!(told(&[("c", 0)], Some("a")), "nothing waits");
        assert_eq!(told(&both, None), "15 stanzas wait");
        assert_eq!(
            (by(Some("b"), Some("a")), by(Some("a"), Some("a"))),
            (" by node b".into(), " by this node".into())
        );
        assert_eq!(by(None, None), "");
    }
}
