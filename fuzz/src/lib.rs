//! Fuzz targets: each takes any bytes, and panics if an invariant is broken.
//!
//! The targets are plain functions. `fuzz/run` runs them under libFuzzer; `tests/replay.rs` gives them the corpus, and
//! variants of it that are the same in every run.

mod acks;
#[cfg(feature = "node")]
mod arbiter;
#[cfg(feature = "node")]
mod certificate;
mod component;
#[cfg(feature = "node")]
mod configuration;
mod dialback;
mod established;
#[cfg(feature = "node")]
mod ferry;
mod fixture;
mod initiating;
#[cfg(feature = "node")]
mod questions;
mod reader;
mod receiving;

/// The checks of the framer in the property tests of `xmpp`.
#[path = "../../src/xmpp/tests/properties"]
mod properties {
    pub(super) mod comparison;
    #[expect(dead_code, reason = "the property tests use the rest")]
    pub(super) mod mutants;
}

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name in `fuzz/run` and of the directory in the corpus.
    pub name: &'static str,
    /// Takes an input; panics if an invariant is broken.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "stanzas", run: stanzas },
    Target { name: "headers", run: headers },
    Target { name: "initiating", run: initiating::run },
    Target { name: "receiving", run: receiving::run },
    Target { name: "dialback", run: dialback::run },
    Target { name: "component", run: component::run },
    Target { name: "established-receiving", run: established::receiving },
    Target { name: "established-initiating", run: established::initiating },
    Target { name: "established-component", run: established::component },
    Target { name: "acks-receiving", run: acks::receiving },
    Target { name: "acks-initiating", run: acks::initiating },
    Target { name: "acks-values", run: acks::values },
    #[cfg(feature = "node")]
    Target { name: "certificate", run: certificate::run },
    #[cfg(feature = "node")]
    Target { name: "configuration", run: configuration::run },
    #[cfg(feature = "node")]
    Target { name: "ferry-frames", run: ferry::run },
    #[cfg(feature = "node")]
    Target { name: "questions", run: questions::run },
    #[cfg(feature = "node")]
    Target { name: "cluster-records", run: arbiter::run },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// An endless sequence of damaged inputs, the same in every run.
pub fn damaged(inputs: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    properties::mutants::damaged(inputs)
}

/// The framer and `xml-rs` agree about the elements after a stream header, and the framer gives the same however the
/// bytes are split.
fn stanzas(input: &[u8]) {
    properties::comparison::element(input);
    let whole = properties::comparison::all(properties::comparison::framer_after_header(), [input]);
    let bytes = properties::comparison::all(properties::comparison::framer_after_header(), input.chunks(1));
    assert_eq!(whole, bytes, "split at every byte");
}

/// The framer and `xml-rs` agree about stream headers.
fn headers(input: &[u8]) {
    properties::comparison::header(input);
}
