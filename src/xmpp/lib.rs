//! The XMPP server-to-server protocol as state machines.

mod brief;
pub mod certificate;
pub mod component;
pub mod dialback;
pub mod framer;
pub mod jid;
pub mod policy;
pub mod sasl;
pub mod service;
pub mod stanza;
pub mod stream;
pub mod xml;

pub use jid::{Domain, DomainPair};
pub use stanza::Stanza;
