//! What an examination of a server of the message broker finds. It changes nothing there.

use super::Bucket;
use crate::{NodeName, record::NodeRecord};
use std::{io, time::Duration};

/// What was found at one server.
#[derive(Debug, Default)]
pub struct Examination {
    /// What keeps the node from being a member of its cluster through this server.
    pub faults: Vec<Fault>,
    /// The longest message in bytes that the server accepts; `None`: it did not say.
    pub max_payload: Option<usize>,
    /// The nodes that have a record. A node that has ended may have one too.
    pub members: Vec<Member>,
}

/// A node that has a record.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: NodeName,
    /// What it has written.
    pub record: NodeRecord,
    /// Since it has written it, by the clock of this machine.
    pub age: Duration,
}

/// Why a server does not serve the node.
#[derive(Debug)]
pub enum Fault {
    /// There is no connection.
    Unreachable(io::Error),
    /// What it sends is not the protocol of NATS.
    NotNats,
    /// It has not answered in time.
    Silent(Stage),
    /// It demands TLS.
    Tls,
    /// It refuses the user or the password, or demands one.
    Login,
    /// It ends the connection, and says why.
    Refused(String),
    /// Its version.
    TooOld(String),
    /// JetStream is not enabled at the server, or not for the user.
    NoJetStream,
    /// JetStream is enabled, and does not work.
    JetStream(String),
    /// The user lacks permissions.
    Forbidden(Forbidden),
    /// There are fewer servers than copies of each table are demanded.
    TooFewServers(usize),
    /// A table has fewer copies than are demanded.
    FewCopies {
        /// The table.
        bucket: Bucket,
        /// Its copies.
        copies: usize,
    },
    /// A table was made with another setting than a node makes it with.
    Setting {
        /// The table.
        bucket: Bucket,
        /// The setting.
        setting: Setting,
        /// Its value.
        found: String,
        /// The value that nodes give it.
        wanted: String,
    },
    /// The record of a node cannot be read.
    Record {
        /// Its key.
        key: String,
        /// Why not.
        reason: String,
    },
}

/// The permissions that a user lacks, as the configuration of the broker has them.
#[derive(Debug, Default)]
pub struct Forbidden {
    /// Subjects to which the user may not send messages.
    pub publish: Vec<String>,
    /// Subjects of which the user receives no messages.
    pub subscribe: Vec<String>,
    /// These are all that a node needs.
    pub is_all: bool,
}

/// A setting of a table on which the cluster depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The subjects whose messages it keeps.
    Subjects,
    /// The longest record in bytes.
    RecordSize,
    /// How many records of a key it keeps.
    History,
    /// How long it keeps a record, in nanoseconds.
    Age,
    /// How many records it keeps.
    Records,
    /// How many bytes it keeps.
    Bytes,
}

impl Setting {
    /// Its name at the broker.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subjects => "subjects",
            Self::RecordSize => "max_msg_size",
            Self::History => "max_msgs_per_subject",
            Self::Age => "max_age",
            Self::Records => "max_msgs",
            Self::Bytes => "max_bytes",
        }
    }
}

/// What a server was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// To accept the connection.
    Connection,
    /// For its greeting.
    Greeting,
    /// Whether it accepts the user.
    Login,
    /// Which permissions the user has.
    Permissions,
    /// For the tables of the cluster.
    Tables,
}

/// What a user does with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Sends messages to it.
    Publish,
    /// Receives its messages.
    Subscribe,
}
