//! Keys and values of the records that the nodes of a cluster keep at the message broker.
//!
//! A value is a JSON object with the version of its form, so that an operator can read it with the broker's own tools. What
//! another node or an operator wrote is checked: a value that is too long, damaged or of another form is an error, never a
//! panic.

use crate::{
    Incarnation, NodeName,
    ferry::codec::Versions,
    names::{Shown, Summary},
    text::{hex, printable},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::fmt;

/// The record of a node, which it renews with each beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// The run of the node.
    pub incarnation: Incarnation,
    /// Grows with each beat.
    pub beat: u64,
    /// The versions of frames that the node has.
    pub versions: Versions,
    /// The node writes its claims again, since the broker lost them.
    pub refills: bool,
    /// The fingerprint of the secret for dialback: [`crate::text::fingerprint`].
    pub secret: String,
    /// The domains and components that the node serves.
    pub names: Summary,
    /// The process that runs the node; `None`: an earlier version wrote the record.
    pub process: Option<Process>,
    /// What the node has; `None`: an earlier version wrote the record.
    pub load: Option<Load>,
}

/// The process that runs a node: what an operator needs to find it, and what tells on the same machine whether it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The name of its machine.
    pub host: String,
    /// Its number.
    pub pid: u32,
    /// Where that number means this process: the run of the machine, and the name space of processes. Empty: not known.
    pub place: String,
    /// When it was started, as RFC 3339 has it.
    pub since: String,
}

/// What a node has, as it stood at its last beat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Pairs of domains whose link it makes.
    pub links: u64,
    /// Components that are connected to it.
    pub components: u64,
}

/// The record of a claim, or of the seat of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRecord {
    /// What is claimed: a pair of domains or a name.
    pub what: String,
    /// The holder.
    pub node: NodeName,
    /// The run of the holder. The claim is void if the node has another one.
    pub incarnation: Incarnation,
    /// The number of this write in that run.
    pub number: u64,
}

/// A value of the broker is not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is longer than any record.
    #[error("the record has {0} bytes, more than {LONGEST}")]
    TooLong(usize),
    /// It is no JSON, or a field is missing or has another type.
    #[error("the record is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A newer version of the program wrote it.
    #[error("the record has form {0}, and this version of the program knows form {FORM}; update this node")]
    Form(u32),
    /// The name of the node or the number of its run is not valid.
    #[error("the record names no valid node or run")]
    Node,
}

/// The key of a pair or name: the first 16 bytes of its SHA-256 in hexadecimal digits, since the broker permits few
/// characters in keys.
pub fn key(what: &str) -> String {
    hex(&Sha256::digest(what)[..16])
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, pid, since, .. } = self;
        // Another node has written them.
        let (host, since) = (printable(host, 64), printable(since, 32));
        write!(f, "process {pid} on host {host}, started at {since}")
    }
}

impl NodeRecord {
    /// The value for the broker.
    pub fn encode(&self) -> Bytes {
        encode(&NodeForm {
            form: FORM,
            incarnation: self.incarnation.to_string(),
            beat: self.beat,
            version: self.versions.newest,
            oldest_version: self.versions.oldest,
            refills: self.refills,
            secret: self.secret.clone(),
            names: self.names.fingerprint.clone(),
            names_count: self.names.count,
            served: self.names.shown.clone(),
            process: self.process.clone(),
            load: self.load,
        })
    }

    /// Reads a value of the broker.
    ///
    /// # Errors
    ///
    /// The value is not the record of a node.
    pub fn decode(value: &[u8]) -> Result<Self, RecordError> {
        let form: NodeForm = decode(value)?;
        Ok(Self {
            incarnation: incarnation(&form.incarnation)?,
            beat: form.beat,
            versions: Versions { oldest: form.oldest_version, newest: form.version },
            refills: form.refills,
            secret: form.secret,
            names: Summary { fingerprint: form.names, count: form.names_count, shown: form.served },
            process: form.process,
            load: form.load,
        })
    }
}

impl ClaimRecord {
    /// The value for the broker.
    pub fn encode(&self) -> Bytes {
        encode(&ClaimForm {
            form: FORM,
            what: self.what.clone(),
            node: self.node.to_string(),
            incarnation: self.incarnation.to_string(),
            number: self.number,
        })
    }

    /// Reads a value of the broker.
    ///
    /// # Errors
    ///
    /// The value is not the record of a claim.
    pub fn decode(value: &[u8]) -> Result<Self, RecordError> {
        let form: ClaimForm = decode(value)?;
        Ok(Self {
            what: form.what,
            node: NodeName::new(&form.node).map_err(|_| RecordError::Node)?,
            incarnation: incarnation(&form.incarnation)?,
            number: form.number,
        })
    }
}

/// A form that says which one it is.
trait Versioned: DeserializeOwned {
    fn form(&self) -> u32;
}

impl Versioned for NodeForm {
    fn form(&self) -> u32 {
        self.form
    }
}

impl Versioned for ClaimForm {
    fn form(&self) -> u32 {
        self.form
    }
}

/// Only the version of a record: the other fields of another form may differ.
#[derive(Deserialize)]
struct Version {
    form: u32,
}

#[derive(Serialize, Deserialize)]
struct NodeForm {
    form: u32,
    incarnation: String,
    beat: u64,
    version: u8,
    oldest_version: u8,
    #[serde(default)]
    refills: bool,
    secret: String,
    names: String,
    #[serde(default)]
    names_count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served: Option<Shown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    load: Option<Load>,
}

#[derive(Serialize, Deserialize)]
struct ClaimForm {
    form: u32,
    what: String,
    node: String,
    incarnation: String,
    number: u64,
}

fn encode(form: &impl Serialize) -> Bytes {
    // Structs of texts and numbers have no error: an empty value, which no reader accepts, is never written.
    serde_json::to_vec(form).unwrap_or_default().into()
}

fn decode<T: Versioned>(value: &[u8]) -> Result<T, RecordError> {
    if value.len() > LONGEST {
        return Err(RecordError::TooLong(value.len()));
    }
    let error = match serde_json::from_slice::<T>(value) {
        Ok(record) if record.form() == FORM => return Ok(record),
        Ok(record) => return Err(RecordError::Form(record.form())),
        Err(error) => error,
    };
    // Another form may have other fields: then it is the reason.
    match serde_json::from_slice(value) {
        Ok(Version { form }) if form != FORM => Err(RecordError::Form(form)),
        _ => Err(RecordError::Damaged(error)),
    }
}

fn incarnation(text: &str) -> Result<Incarnation, RecordError> {
    let number = u64::from_str_radix(text, 16).map_err(|_| RecordError::Node)?;
    Ok(Incarnation(number))
}

/// The version of the form of the records.
const FORM: u32 = 1;

/// Two domains have at most 2 × 1,023 bytes; JSON may double them. The names of a node take less than that too.
const LONGEST: usize = 8 * 1024;

#[cfg(test)]
mod tests;
