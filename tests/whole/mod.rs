//! Whole nodes in one process, with paused time and a network in memory: a wait of hours takes milliseconds.
//!
//! Listeners, TLS, negotiation, DNS, queues, links and the stop are those of the product, and so is the configuration:
//! these are unit tests of the binary. Tests of processes, signals, the command line, log lines, memory and foreign
//! servers are in the test target `node`.

// Tests fail by panicking; this is all test code, which clippy only knows inside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod absence;
mod component_rules;
mod component_sockets;
mod component_states;
mod dialback;
mod federation;
mod fixture;
mod half_open;
mod hang;
mod journal;
mod limits;
mod liveness;
mod names;
mod overtaking;
mod paused_ends;
mod quiet;
mod reconnection;
mod resumption;
mod scene;
mod silence;
mod stop;
mod tarpits;
