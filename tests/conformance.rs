//! The rules of the standards, one row of CONFORMANCE.md or more a test.

mod abuse;
mod certificates;
mod components;
mod dialback;
mod direct_tls;
mod forwarding;
mod policy;
mod resolution;
mod siege;
mod stanzas;
mod starttls;
mod strangers;
mod streams;
