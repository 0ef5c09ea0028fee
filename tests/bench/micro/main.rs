//! Parts of the way of a stanza, each alone: `cargo bench --bench micro`. Criterion keeps what it measured and compares:
//! `-- --save-baseline before`, then, after a change, `-- --baseline before`.

// This is a program that measures: what fails ends it. And it shares files of which it needs a part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod framer;
mod link;
#[path = "../script.rs"]
#[expect(dead_code, reason = "the benchmark of whole servers needs all of it, this some")]
mod script;
mod stage;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    parts,
    framer::measure,
    stage::measure_the_router_hop,
    stage::measure_the_handover,
    link::measure
);
criterion_main!(parts);
