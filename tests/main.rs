//! Whole-node tests: the binary as an operator runs it, against real servers and a scripted peer.
//!
//! They need Prosody, ejabberd, jabberd2, slixmpp and Chromium, which `tests/run` installs, and no privilege.

// Tests fail by panicking; this is all test code, which clippy only knows inside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod backpressure;
mod bad_stanzas;
mod callbacks;
mod check;
mod closing_tag;
mod cluster;
mod cold_link;
mod command_line;
mod component_sockets;
mod components;
mod conformance;
mod container;
mod control;
mod delivery;
mod demo;
mod deploy_hook;
mod dialback;
mod dials;
mod failures;
mod fairness;
mod federation;
mod gateways;
mod harness;
mod hosters;
mod hostile_text;
mod identities;
mod jabberd2;
mod journal;
mod logs;
mod long;
mod mailboxes;
mod metrics;
mod page;
mod peer_errors;
mod probe;
mod promise;
mod relay;
mod reload;
mod reload_policy;
mod resolution;
mod service;
mod services;
mod shutdown;
mod spoofing;
mod support;
mod unattended;
