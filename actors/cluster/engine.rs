//! What a node needs of a message broker: tables with compare-and-set, their changes, and messages to other nodes.
//!
//! A client of a broker implements [`Engine`]. It answers through a channel of [`Event`]s, so that no caller waits.

pub mod examination;
#[cfg(any(test, feature = "test-util"))]
pub mod fake;
#[cfg(feature = "nats")]
pub mod nats;

use crate::NodeName;
use bytes::Bytes;

/// A client of a broker. Every method returns at once; what comes back is an [`Event`].
pub trait Engine: Send {
    /// Sends a request. The answer is an [`Event::Answered`] with its id, in any order.
    ///
    /// # Errors
    ///
    /// Too many requests wait. The caller takes this as [`EngineError::Unreachable`].
    fn request(&self, request: Request) -> Result<(), Full>;

    /// Sends a frame to a node. It may be lost, arrive twice, or later than its successor.
    ///
    /// # Errors
    ///
    /// Too many frames wait. The caller offers the frame again later.
    fn publish(&self, to: &NodeName, frame: Bytes) -> Result<(), Full>;

    /// The longest frame in bytes that the broker accepts.
    fn max_frame(&self) -> usize;
}

/// The queue of the client is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of the client of the message broker is full")]
pub struct Full;

/// One of the tables at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// One record for each node.
    Nodes,
    /// One record for each pair of domains that has a holder.
    Claims,
    /// One record for each component that is connected.
    Seats,
}

impl Bucket {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::Nodes, Self::Claims, Self::Seats];

    /// The name of the table, a part of its name at the broker.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Claims => "claims",
            Self::Seats => "seats",
        }
    }
}

/// A request to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer. The caller uses each number once.
    pub id: u64,
    /// The table.
    pub bucket: Bucket,
    /// What to do.
    pub op: Op,
}

/// An operation on a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads one record: [`Answer::Entry`].
    Read {
        /// Its key.
        key: String,
    },
    /// Reads all records of a small table ([`Bucket::Nodes`], [`Bucket::Seats`]): [`Answer::Entries`].
    List,
    /// Reads the first record after a revision, to walk through a large table: [`Answer::Next`].
    Next {
        /// The revision of the record before it; 0 at the beginning.
        after: u64,
    },
    /// Writes a record if the key has none: [`Answer::Written`] or [`Answer::Conflict`].
    Create {
        /// Its key.
        key: String,
        /// Its value.
        value: Bytes,
    },
    /// Writes a record if the key has this revision: [`Answer::Written`] or [`Answer::Conflict`].
    Update {
        /// Its key.
        key: String,
        /// Its value.
        value: Bytes,
        /// The expected revision.
        revision: u64,
    },
    /// Deletes a record if the key has this revision: [`Answer::Deleted`] or [`Answer::Conflict`].
    Delete {
        /// Its key.
        key: String,
        /// The expected revision.
        revision: u64,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The record, if there is one.
    Entry(Option<Entry>),
    /// All records.
    Entries(Vec<(String, Entry)>),
    /// The next record; `None` at the end of the table.
    Next(Option<(String, Entry)>),
    /// The record is written.
    Written {
        /// Its revision.
        revision: u64,
    },
    /// The record is deleted.
    Deleted,
    /// The key has another revision, or a record where none was expected. Nothing is changed.
    Conflict,
}

/// A record of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Grows with each write to the table.
    pub revision: u64,
    /// The value.
    pub value: Bytes,
}

/// A request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No answer arrived in time. The request may have been executed, or may be executed later.
    #[error("the message broker does not answer")]
    Unreachable,
    /// The broker refused the request, which was not executed.
    #[error("the message broker refuses a request: {0}")]
    Refused(String),
}

/// What a client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The broker is there, and this node receives its messages. Afterwards the records of [`Bucket::Nodes`] and
    /// [`Bucket::Seats`] arrive as [`Event::Changed`].
    Up {
        /// When each table was created. Another value than before: the broker lost its data.
        generation: [u64; 3],
        /// This client created a table.
        created: bool,
    },
    /// The connection is lost. Each open request has been answered.
    Down {
        /// What the operator reads.
        reason: String,
    },
    /// The answer to a request.
    Answered {
        /// The number of the request.
        id: u64,
        /// The answer.
        answer: Result<Answer, EngineError>,
    },
    /// A record of [`Bucket::Nodes`] or [`Bucket::Seats`] changed. May come late, twice, or not at all.
    Changed {
        /// The table.
        bucket: Bucket,
        /// The key.
        key: String,
        /// Its revision; that of the deletion if there is no record.
        revision: u64,
        /// The value; `None`: the record is deleted.
        value: Option<Bytes>,
    },
    /// A frame of another node.
    Frame(Bytes),
}
