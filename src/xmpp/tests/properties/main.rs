//! Properties that hold for any bytes, tested on stanzas with random damage.
//!
//! The damage is the same in every run. `NUNCIO_CASES=2000000 cargo test -p xmpp --test properties` tries
//! more of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails that way, and helpers are part of tests"
)]

mod comparison;
mod framer;
mod mutants;
mod prefixes;
mod stanza;
