//! The journal: stanzas that wait are written to a file, so that they survive a crash of the node.
//!
//! Only what has waited for a while is written. A link that is up settles a stanza within milliseconds, so a stanza with
//! a link never comes here.
//!
//! - [`record`]: the form of one stanza in the file, with a checksum, and encrypted if there is a key.
//! - [`store`]: what the journal needs of a data base; [`disk`] is the one in a file.
//! - [`Journal`]: collects changes and commits them together; opens the store again after an error.
//! - [`scan`]: finds records in a file that cannot be opened.
//!
//! All of it blocks: it belongs on a thread of its own.

pub mod cipher;
pub mod disk;
#[cfg(any(test, feature = "test-util"))]
pub mod fake;
mod file;
#[cfg(test)]
mod fixture;
mod log;
pub mod record;
mod restore;
pub mod scan;
pub mod store;

pub use log::{Committed, Journal, Refusal, Reopened, Replaced};
pub use restore::{Restored, SetAside};
