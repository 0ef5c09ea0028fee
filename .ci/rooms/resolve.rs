//! Resolves the paths of a crate to the modules that define their targets.

use std::collections::BTreeSet;

use crate::tree::{Import, Module, Name};

/// The module or the other crate that a path leads to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Module(usize),
    /// An item of a module.
    Item(usize),
    Crate(String),
}

/// One use of a module or a crate by a module.
pub(crate) struct Edge<'a> {
    pub(crate) from: usize,
    pub(crate) to: Target,
    pub(crate) name: &'a Name,
}

impl Edge<'_> {
    /// The module that is used, if it is not another crate.
    pub(crate) fn module(&self) -> Option<usize> {
        match self.to {
            Target::Module(module) | Target::Item(module) => Some(module),
            Target::Crate(_) => None,
        }
    }
}

/// Finds all edges. A path through a re-export leads to the module that defines the item and to the one that
/// re-exports it. A module has no edge to itself.
pub(crate) fn edges<'a>(modules: &'a [Module], crates: &BTreeSet<String>) -> Vec<Edge<'a>> {
    let mut edges = Vec::new();
    for (from, module) in modules.iter().enumerate() {
        for name in &module.names {
            let mut resolver = Resolver { modules, crates, open: Vec::new(), passed: BTreeSet::new() };
            let mut targets = resolver.resolve(from, &name.segments);
            if name.segments.len() == 1 && name.import == Import::None {
                // It may be a variable of that name, but no module and no crate.
                targets.retain(|target| matches!(target, Target::Item(_)));
            }
            targets.extend(resolver.passed.into_iter().map(Target::Item));
            let new = targets.into_iter().map(|to| Edge { from, to, name });
            edges.extend(new.filter(|edge| edge.module() != Some(from)));
        }
    }
    edges
}

struct Resolver<'a> {
    modules: &'a [Module],
    /// The other crates that matter.
    crates: &'a BTreeSet<String>,
    /// The lookups under way: imports may be circular.
    open: Vec<(usize, String)>,
    /// The modules that a lookup passed because they import the name.
    passed: BTreeSet<usize>,
}

impl Resolver<'_> {
    /// Resolves a path in the scope of a module. A name may be a module and a function at the same time.
    fn resolve(&mut self, scope: usize, path: &[String]) -> BTreeSet<Target> {
        let Some((first, rest)) = path.split_first() else { return BTreeSet::new() };
        let mut found = self.lookup(scope, first);
        // After `use std::net`, `net` is not the crate of that name.
        let hides = |name: &Name| name.import == Import::As(first.clone()) && name.segments.len() > 1;
        let is_hidden = self.modules.get(scope).is_some_and(|module| module.names.iter().any(hides));
        if found.is_empty() && !is_hidden && self.crates.contains(first) {
            found.insert(Target::Crate(first.clone()));
        }
        for segment in rest {
            let mut next = BTreeSet::new();
            for target in &found {
                if let Target::Module(module) = target {
                    let below = self.lookup(*module, segment);
                    // An item that a macro defines is not known here.
                    next.extend(below.is_empty().then_some(Target::Item(*module)));
                    next.extend(below);
                }
            }
            // The rest of the path is an associated item, a variant, or in another crate.
            if next.is_empty() {
                break;
            }
            found = next;
        }
        found
    }

    fn lookup(&mut self, scope: usize, name: &str) -> BTreeSet<Target> {
        let Some(module) = self.modules.get(scope) else { return BTreeSet::new() };
        let key = (scope, name.to_owned());
        match name {
            "crate" => return BTreeSet::from([Target::Module(0)]),
            "self" => return BTreeSet::from([Target::Module(scope)]),
            "super" => return module.parent.map(Target::Module).into_iter().collect(),
            _ if self.open.contains(&key) => return BTreeSet::new(),
            _ => self.open.push(key),
        }
        let mut found: BTreeSet<_> =
            module.children.get(name).copied().map(Target::Module).into_iter().collect();
        if module.items.contains(name) {
            found.insert(Target::Item(scope));
        }
        let mut imported = BTreeSet::new();
        for import in &module.names {
            if matches!(&import.import, Import::As(alias) if alias == name) {
                imported.extend(self.resolve(scope, &import.segments));
            }
        }
        if found.is_empty() && imported.is_empty() {
            for import in module.names.iter().filter(|import| import.import == Import::Glob) {
                for source in self.resolve(scope, &import.segments) {
                    if let Target::Module(source) = source {
                        imported.extend(self.lookup(source, name));
                    }
                }
            }
        }
        if !imported.is_empty() {
            self.passed.insert(scope);
            found.append(&mut imported);
        }
        self.open.pop();
        found
    }
}
