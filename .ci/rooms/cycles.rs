//! Finds modules that use each other: children of one module, or a parent and its child.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::resolve::Edge;
use crate::tree::Module;

/// The uses of one module by another, with all below the two.
pub(crate) type Uses<'a> = BTreeMap<(usize, usize), Vec<&'a Edge<'a>>>;

/// Sorts the edges of a crate: first those between children of one module; then those from the file of a module to
/// a child, or from a child to the file of a module above.
pub(crate) fn uses<'a>(modules: &[Module], edges: &'a [Edge<'a>]) -> (Uses<'a>, Uses<'a>) {
    let (mut siblings, mut parents) = (Uses::new(), Uses::new());
    for edge in edges {
        let Some(to) = edge.module() else { continue };
        let (from, to) = (line_of(modules, edge.from), line_of(modules, to));
        let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let place = |line: &[usize]| line.get(common).or_else(|| line.get(common.wrapping_sub(1))).copied();
        let (Some(first), Some(second)) = (place(&from), place(&to)) else { continue };
        let is_sibling = from.len().min(to.len()) > common;
        let uses = if is_sibling { &mut siblings } else { &mut parents };
        uses.entry((first, second)).or_default().push(edge);
    }
    (siblings, parents)
}

/// The pairs of a parent and a child that use each other.
pub(crate) fn pairs(modules: &[Module], parents: &Uses<'_>) -> Vec<(usize, usize)> {
    let is_child =
        |child: usize, parent| modules.get(child).is_some_and(|module| module.parent == Some(parent));
    let mutual = parents.keys().filter(|(parent, child)| parents.contains_key(&(*child, *parent)));
    mutual.copied().filter(|(parent, child)| is_child(*child, *parent)).collect()
}

/// The modules from the root to this one.
fn line_of(modules: &[Module], index: usize) -> Vec<usize> {
    let above = |index: &usize| modules.get(*index).and_then(|module| module.parent);
    let mut line: Vec<_> = std::iter::successors(Some(index), above).collect();
    line.reverse();
    line
}

/// The groups of modules that use each other, each with a shortest cycle in it, which ends where it begins.
pub(crate) fn groups(uses: &Uses<'_>) -> Vec<(BTreeSet<usize>, Vec<usize>)> {
    let mut groups: Vec<(BTreeSet<usize>, Vec<usize>)> = Vec::new();
    let nodes: BTreeSet<_> = uses.keys().map(|(from, _)| *from).collect();
    for node in nodes {
        let Some(cycle) = way(uses, node, node) else { continue };
        let is_mutual = |known| way(uses, node, known).is_some() && way(uses, known, node).is_some();
        match groups.iter_mut().find(|(members, _)| members.first().copied().is_some_and(is_mutual)) {
            Some((members, shortest)) => {
                members.insert(node);
                if cycle.len() < shortest.len() {
                    *shortest = cycle;
                }
            }
            None => groups.push((BTreeSet::from([node]), cycle)),
        }
    }
    groups
}

/// A shortest way of at least one edge.
fn way(uses: &Uses<'_>, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut ways = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for (_, next) in uses.keys().filter(|(source, _)| way.last() == Some(source)) {
            let longer: Vec<_> = way.iter().chain([next]).copied().collect();
            if *next == to {
                return Some(longer);
            }
            if seen.insert(*next) {
                ways.push_back(longer);
            }
        }
    }
    None
}
