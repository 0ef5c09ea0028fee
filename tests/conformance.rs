//! Conformance with the standards. Each test names its rows of `rows.txt` in a line `// rows: …`; INDEX.md lists them.

mod abuse;
mod acks;
mod certificates;
mod components;
mod dialback;
mod direct_tls;
mod forwarding;
mod policy;
mod resolution;
mod stanzas;
mod starttls;
mod strangers;
mod streams;

pub(crate) use acks::ids_differ;
