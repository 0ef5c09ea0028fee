//! Microbenchmarks of single stages of stanza delivery: `cargo bench --bench micro`. Criterion stores the
//! results and compares them: `-- --save-baseline before`, then, after a change, `-- --baseline before`.

// A benchmark may panic on any failure. Some of its files are shared with other benchmarks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod ferry;
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
    ferry::measure,
    stage::measure_the_router_hop,
    stage::measure_the_handover,
    link::measure
);
criterion_main!(parts);
