//! Compares the uses in a crate with the table of those that are allowed.

use std::collections::{BTreeMap, BTreeSet};

use crate::resolve::{Edge, Target};
use crate::tree::Module;

/// The file of the table.
pub(crate) const FILE: &str = ".ci/rooms.txt";

/// The lines `room: rooms and crates that it uses`. A room is `crate::module` for a top-level module, and `crate` for
/// the root file of that crate, or for all of it if none of its modules has a line.
pub(crate) struct Table {
    lines: BTreeMap<String, (usize, BTreeSet<String>)>,
}

impl Table {
    /// # Errors
    ///
    /// A line has no colon, or its room has a line already.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (room, allowed) = line
                .split_once(": ")
                .or_else(|| line.strip_suffix(':').map(|room| (room, "")))
                .ok_or_else(|| format!("{FILE}:{number}: write `room: rooms and crates that it uses`"))?;
            let allowed = allowed.split_whitespace().map(str::to_owned).collect();
            if lines.insert(room.to_owned(), (number, allowed)).is_some() {
                return Err(format!("{FILE}:{number}: `{room}` has a line already: keep one of them"));
            }
        }
        Ok(Self { lines })
    }

    /// All rooms and crates that a line allows.
    pub(crate) fn allowed(&self) -> impl Iterator<Item = &String> {
        self.lines.values().flat_map(|(_, allowed)| allowed)
    }

    /// Finds the lines that belong to no crate.
    pub(crate) fn unknown(&self, crates: &BTreeSet<String>) -> Vec<String> {
        let lines =
            self.lines.iter().filter(|(room, _)| !room.split("::").take(1).any(|name| crates.contains(name)));
        lines
            .map(|(room, (number, _))| format!("{FILE}:{number}: no crate has `{room}`: remove this line"))
            .collect()
    }

    /// Compares one crate with its lines. Returns a sentence for each difference.
    pub(crate) fn check(&self, modules: &[Module], edges: &[Edge<'_>]) -> Vec<String> {
        let name = modules.first().map_or("", |root| root.path.as_str());
        let below = format!("{name}::");
        let has_rooms = self.lines.keys().any(|room| room.starts_with(&below));
        // The first two segments of the path.
        let room_of = |index: usize| {
            let path = modules.get(index).map_or("", |module| module.path.as_str());
            let second =
                path.strip_prefix(&below).and_then(|path| path.split("::").next()).unwrap_or_default();
            if has_rooms { path.get(..below.len() + second.len()).unwrap_or(name) } else { name }
        };
        let mut used: BTreeMap<&str, BTreeMap<&str, &Edge<'_>>> = BTreeMap::new();
        for index in 0..modules.len() {
            used.entry(room_of(index)).or_default();
        }
        for edge in edges {
            let from = room_of(edge.from);
            let to = match &edge.to {
                Target::Crate(other) => other.as_str(),
                // The root file declares and re-exports the rooms.
                Target::Module(to) | Target::Item(to) if from == name || from == room_of(*to) => continue,
                Target::Module(to) | Target::Item(to) => room_of(*to).strip_prefix(&below).unwrap_or("crate"),
            };
            used.entry(from).or_default().entry(to).or_insert(edge);
        }
        // The root file needs no line if it uses no other crate.
        used.retain(|room, uses| {
            !has_rooms || *room != name || !uses.is_empty() || self.lines.contains_key(name)
        });

        let mut differences = Vec::new();
        for (room, uses) in &used {
            let Some((number, allowed)) = self.lines.get(*room) else {
                let uses: String = uses.keys().map(|target| format!(" {target}")).collect();
                differences.push(format!("{FILE}: `{room}` has no line: add `{room}:{uses}`"));
                continue;
            };
            for (target, edge) in uses.iter().filter(|(target, _)| !allowed.contains(**target)) {
                differences.push(format!(
                    "{}: `{room}` may not use `{target}`: move the item to a room that `{room}` may use, or add \
                     `{target}` to line {number} of {FILE}",
                    place(modules, edge),
                ));
            }
            for target in allowed.iter().filter(|target| !uses.contains_key(target.as_str())) {
                differences
                    .push(format!("{FILE}:{number}: `{room}` does not use `{target}`: remove it here"));
            }
        }
        for (room, (number, _)) in &self.lines {
            if room.starts_with(&below) && !used.contains_key(room.as_str()) {
                differences.push(format!("{FILE}:{number}: there is no module `{room}`: remove this line"));
            }
        }
        differences
    }
}

/// The place of a use in the source, and the path there.
pub(crate) fn place(modules: &[Module], edge: &Edge<'_>) -> String {
    let file = modules.get(edge.from).map(|module| module.file.display().to_string()).unwrap_or_default();
    format!("{file}:{}: `{}`", edge.name.line, edge.name.segments.join("::"))
}
