//! Checks which module uses which, in every crate of the workspace and of `fuzz`.
//!
//! - The children of a module do not use each other in a cycle, whichever module it is. A use is a path in a `use`, in
//!   the code, in a macro or in an attribute; it counts for the modules above as well. A path through a re-export
//!   counts for the module that defines the item, too. Test code, method calls and types that are not written down do
//!   not count.
//! - Each crate, and each top-level module of a crate whose modules are in the table `.ci/rooms.txt`, uses all that
//!   its line allows and nothing else.
//!
//! Run it in the directory of the workspace: `cargo run -p rooms`. With `--graph` it prints the graph as well, a line
//! `a -> b (number of uses)` for each edge. With `--parents` a parent and a child that use each other are a cycle, too.

mod cycles;
mod resolve;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use self::cycles::Uses;
use self::resolve::{Edge, edges};
use self::table::{FILE, Table};
use self::tree::Module;

/// A target of Cargo: library, binary, test or benchmark.
struct Crate {
    name: String,
    kind: String,
    root: PathBuf,
    /// Tests, benchmarks and `fuzz` have no line in the table.
    has_line: bool,
}

fn main() -> ExitCode {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let has = |option| options.iter().any(|given| given == option);
    let problems = check_all(has("--graph"), has("--parents")).unwrap_or_else(|error| vec![error]);
    for problem in &problems {
        eprintln!("rooms: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns a sentence for each problem.
fn check_all(graph: bool, parents: bool) -> Result<Vec<String>, String> {
    let here =
        std::env::current_dir().map_err(|error| format!("cannot find the current directory: {error}"))?;
    let text = std::fs::read_to_string(FILE)
        .map_err(|error| format!("cannot read {FILE} in {}: {error}", here.display()))?;
    let table = Table::parse(&text)?;
    let mut crates = list("Cargo.toml", true)?;
    crates.extend(list("fuzz/Cargo.toml", false)?);
    let own: BTreeSet<_> = crates.iter().filter(|one| one.has_line).map(|one| one.name.clone()).collect();
    let known = own.iter().chain(table.allowed()).cloned().collect();
    let mut problems = table.unknown(&own);
    for Crate { name, kind, root, has_line } in crates {
        let root = root.strip_prefix(&here).unwrap_or(&root);
        let modules = tree::read(&name, root, &|file: &Path| std::fs::read_to_string(file).ok())?;
        let edges = edges(&modules, &known);
        let (siblings, ancestors) = cycles::uses(&modules, &edges);
        if graph {
            for ((from, to), edges) in siblings.iter().chain(&ancestors) {
                println!("{} -> {} ({})", path(&modules, *from), path(&modules, *to), edges.len());
            }
        }
        let pairs = cycles::pairs(&modules, &ancestors);
        let mut found = Vec::new();
        for (members, cycle) in cycles::groups(&siblings) {
            let names: Vec<_> = members.iter().map(|member| path(&modules, *member)).collect();
            found.push(format!("these {} use each other: {}", members.len(), names.join(", ")));
            found.push(describe(&modules, &siblings, &cycle));
        }
        for (parent, child) in pairs.iter().filter(|_| parents) {
            found.push(describe(&modules, &ancestors, &[*parent, *child, *parent]));
        }
        if has_line {
            found.extend(table.check(&modules, &edges));
        }
        if found.is_empty() {
            println!(
                "{name} ({kind}): {} modules, {} edges, no cycle; {} pairs of a parent and a child use each other",
                modules.len(),
                edges
                    .iter()
                    .filter_map(|edge| Some((edge.from, edge.module()?)))
                    .collect::<BTreeSet<_>>()
                    .len(),
                pairs.len(),
            );
        }
        problems.extend(found);
    }
    Ok(problems)
}

/// The crates of a workspace.
fn list(manifest: &str, has_line: bool) -> Result<Vec<Crate>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let options = ["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path", manifest];
    let output =
        Command::new(cargo).args(options).output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cannot read the output of `cargo metadata`: {error}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter_map(|package| package["targets"].as_array()).flatten();
    Ok(targets
        .map(|target| {
            let (name, kind) = (text(&target["name"]).replace('-', "_"), text(&target["kind"][0]));
            let has_line = has_line && matches!(kind.as_str(), "lib" | "bin");
            Crate { name, kind, root: text(&target["src_path"]).into(), has_line }
        })
        .collect())
}

fn path(modules: &[Module], index: usize) -> &str {
    modules.get(index).map(|module| module.path.as_str()).unwrap_or_default()
}

/// A cycle, with the place in the source of one use for each edge.
fn describe(modules: &[Module], uses: &Uses<'_>, cycle: &[usize]) -> String {
    let mut text = "cycle: move the item that one edge needs to a module below both".to_owned();
    for (from, to) in cycle.iter().zip(cycle.iter().skip(1)) {
        let edge: Option<&&Edge<'_>> = uses.get(&(*from, *to)).and_then(|edges| edges.first());
        let place = edge.map(|edge| table::place(modules, edge)).unwrap_or_default();
        text.push_str(&format!("\n  {} -> {}  {place}", path(modules, *from), path(modules, *to)));
    }
    text
}
