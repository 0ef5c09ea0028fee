//! Tests of the check on small trees in memory.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cycles::{groups, pairs, uses};
use crate::resolve::{Target, edges};
use crate::table::Table;
use crate::tree::{self, Module};

fn read(files: &[(&str, &str)]) -> Vec<Module> {
    let find = |path: &Path| {
        files.iter().find(|(name, _)| path == Path::new(name)).map(|(_, text)| (*text).to_owned())
    };
    tree::read("house", Path::new("lib.rs"), &find).unwrap()
}

/// The edges as `from -> to`, without the crate's name.
fn graph(files: &[(&str, &str)]) -> Vec<String> {
    let modules = read(files);
    let found = edges(&modules, &BTreeSet::from(["actix".to_owned()]));
    let name = |index: usize| modules[index].path.trim_start_matches("house::").to_owned();
    let lines: BTreeSet<_> = found
        .iter()
        .map(|edge| match &edge.to {
            Target::Module(to) | Target::Item(to) => format!("{} -> {}", name(edge.from), name(*to)),
            Target::Crate(to) => format!("{} -> {to}", name(edge.from)),
        })
        .collect();
    lines.into_iter().collect()
}

/// The lengths of the shortest cycles, and the number of pairs of parent and child.
fn cycles(files: &[(&str, &str)]) -> (Vec<usize>, usize) {
    let modules = read(files);
    let edges = edges(&modules, &BTreeSet::new());
    let (siblings, parents) = uses(&modules, &edges);
    let lengths = groups(&siblings).into_iter().map(|(_, cycle)| cycle.len() - 1).collect();
    (lengths, pairs(&modules, &parents).len())
}

fn compare(table: &str, files: &[(&str, &str)]) -> Vec<String> {
    let modules = read(files);
    let table = Table::parse(table).unwrap();
    table.check(&modules, &edges(&modules, &table.allowed().cloned().collect()))
}

#[test]
fn a_cycle_is_found_at_every_level() {
    let top = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "pub struct B(super::c::C);"),
    ];
    assert_eq!(cycles(&[&top[..], &[("c.rs", "pub struct C;")]].concat()), (vec![], 0));
    assert_eq!(cycles(&[&top[..], &[("c.rs", "fn f() { crate::a::g() }")]].concat()), (vec![3], 0));
    // The shortest one is shown.
    let two =
        [("b.rs", "pub struct B(super::c::C);"), ("c.rs", "use crate::b::B; pub struct C(super::a::A);")];
    assert_eq!(cycles(&[&top[..2], &two].concat()), (vec![2], 0));
    let deep =
        "mod room { mod a { fn f() { super::b::inner::g() } } mod b { mod inner { use super::super::a; } } }";
    assert_eq!(cycles(&[("lib.rs", deep)]), (vec![2], 0));
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_counted_apart() {
    let files = [("lib.rs", "mod a; struct S; fn f() { a::g() }"), ("a.rs", "use crate::S; pub fn g() {}")];
    assert_eq!(cycles(&files), (vec![], 1));
}

#[test]
fn paths_are_found_wherever_they_are() {
    let found = |text: &str| graph(&[("lib.rs", "mod a; mod b;"), ("b.rs", "pub struct B;"), ("a.rs", text)]);
    for text in [
        "use crate::{b as other};",
        "use crate::b::*;",
        "fn f(_: super::b::B) {}",
        "fn f() { log::info!(target: \"x\", x = crate::b::B; \"{}\", 1) }",
        "fn f() { tokio::select! { _ = async { vec![..super::b::B::N] } => {} } }",
        "#[derive(crate::b::B)] struct S;",
        "macro_rules! m { () => { $crate::b::B } }",
        "impl<T: crate::b::Trait> Clone for Vec<crate::b::B> { }",
    ] {
        assert_eq!(found(text), ["a -> b"], "{text}");
    }
    for text in [
        "fn f() { x.b::<u8>(); assert!(x.b) }",
        "pub(in crate::b) fn f() {}",
        "/// [`crate::b::B`]\nfn f() {}",
        "fn f(actix: u8) { g(actix) }",
        "use std::actix; fn f() { actix::g() }",
    ] {
        assert!(found(text).is_empty(), "{text}");
    }
}

#[test]
fn a_path_through_a_re_export_leads_to_the_definition() {
    let files = [
        ("lib.rs", "mod a; mod facade; mod real; pub use facade::Alias;"),
        ("facade.rs", "pub use crate::real::{inner::*, Thing as Alias}; pub use actix::Actor;"),
        ("real.rs", "pub mod inner; pub struct Thing;"),
        ("real/inner.rs", "pub struct Deep;"),
    ];
    let found = |text| {
        let all = graph(&[&files[..], &[("a.rs", text)]].concat());
        all.into_iter().filter(|line| line.starts_with("a ")).collect::<Vec<_>>()
    };
    assert_eq!(found("use crate::facade::Alias;"), ["a -> facade", "a -> real"]);
    assert_eq!(found("use crate::facade::Deep;"), ["a -> facade", "a -> real::inner"]);
    assert_eq!(found("use super::Alias;"), ["a -> facade", "a -> house", "a -> real"]);
    assert_eq!(found("use super::*; fn f(_: Alias) {}"), ["a -> facade", "a -> house", "a -> real"]);
    assert_eq!(found("fn f<T: crate::facade::Actor>() {}"), ["a -> actix", "a -> facade"]);
    assert_eq!(found("use super::*; fn f(x: X) { x.Alias() }"), ["a -> house"]);
    // Imports may be circular.
    assert_eq!(
        graph(&[("lib.rs", "mod a; use a::*;"), ("a.rs", "use super::*; fn f(_: B) {}")]),
        ["a -> house", "house -> a"]
    );
}

#[test]
fn test_code_is_ignored() {
    let uses = "use crate::b::B;";
    for text in [
        format!("#[cfg(test)] #[allow(dead_code)] mod x {{ {uses} }}"),
        format!("mod tests {{ {uses} }}"),
        format!("#[cfg(all(test, unix))] {uses}"),
        "impl X { #[cfg(test)] fn f(a: u8, b: u8) -> crate::b::B { crate::b::B } }".to_owned(),
        "enum X { #[cfg(test)] A(crate::b::B), C }".to_owned(),
        "#[cfg(test)] impl<T> X for Y<T> where T: X, crate::b::B: X { }".to_owned(),
        "fn f() { match x { #[cfg(test)] A => crate::b::g(1), C => 2 } }".to_owned(),
    ] {
        let found = graph(&[("lib.rs", "mod a; mod b;"), ("b.rs", "pub struct B;"), ("a.rs", &text)]);
        assert!(found.is_empty(), "{text}: {found:?}");
        let product = text
            .replace("cfg(test)", "cfg(unix)")
            .replace("all(test", "all(not(test)")
            .replace("mod tests", "mod y");
        let found = graph(&[("lib.rs", "mod a; mod b;"), ("b.rs", "pub struct B;"), ("a.rs", &product)]);
        assert_eq!(found.len(), 1, "{product}");
    }
}

#[test]
fn files_are_found_as_the_compiler_finds_them() {
    let files = [
        ("lib.rs", "mod a; #[path = \"else/where.rs\"] mod b; #[path = \"in\"] mod c { mod d; }"),
        ("a/mod.rs", "mod e { mod f; }"),
        ("a/e/f.rs", ""),
        ("else/where.rs", "mod g;"),
        ("else/g.rs", "mod h;"),
        ("else/g/h.rs", ""),
        ("in/d.rs", ""),
    ];
    let paths: Vec<_> = read(&files).into_iter().map(|module| module.path.replace("house", "")).collect();
    assert_eq!(paths, ["", "::a", "::a::e", "::a::e::f", "::b", "::b::g", "::b::g::h", "::c", "::c::d"]);
    let missing = tree::read("house", Path::new("lib.rs"), &|path| {
        path.ends_with("lib.rs").then(|| "mod a;".to_owned())
    });
    assert_eq!(missing.err().as_deref(), Some("a.rs: cannot read this file"));
}

#[test]
fn the_table_holds_exactly_what_is_used() {
    let files = [
        ("lib.rs", "mod dial; mod flow; pub use flow::Link;"),
        ("dial.rs", "mod tcp;"),
        ("dial/tcp.rs", "fn f() {\n crate::flow::Link }"),
        ("flow.rs", "pub struct Link; use actix::Actor;"),
    ];
    assert_eq!(compare("house::dial: flow\nhouse::flow: actix", &files), [""; 0]);
    let starts = |table: &str, start: &str| {
        let found = compare(table, &files);
        assert!(found.len() == 1 && found[0].starts_with(start), "{found:?}");
    };
    starts(
        "house::dial:\nhouse::flow: actix",
        "dial/tcp.rs:2: `crate::flow::Link`: `house::dial` may not use `flow`",
    );
    starts(
        "house::dial: flow\nhouse::flow: actix dial",
        ".ci/rooms.txt:2: `house::flow` does not use `dial`",
    );
    starts("house::flow: actix", ".ci/rooms.txt: `house::dial` has no line: add `house::dial: flow`");
    starts(
        "house::dial: flow\nhouse::flow: actix\nhouse::old:",
        ".ci/rooms.txt:3: there is no module `house::old`",
    );
    // Without lines for its rooms, a crate is one room.
    starts("house: actix openssl", ".ci/rooms.txt:1: `house` does not use `openssl`");
    assert_eq!(
        Table::parse("a: b\na:").err().as_deref(),
        Some(".ci/rooms.txt:2: `a` has a line already: keep one of them")
    );
}
