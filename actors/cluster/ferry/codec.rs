//! Frames as bytes: a version, and then the fields in the format of the library `postcard`.
//!
//! Decoding copies no stanza: each is a part of the frame. The memory that a frame takes is bounded by its length: numbers
//! of elements are never believed, since `serde` reserves at most 1 MiB for a list before its elements are read, and an
//! element of the longest list takes at least six bytes of a frame.

mod wire;

use std::time::Duration;

use bytes::Bytes;

use super::frame::{Body, Control, Frame, Header, Over, Parcel};
pub(super) use wire::{HEADER, Meta, encoded_bound};

/// The version of the frames that this node writes, and the only one that it reads. A later version is a new module beside
/// `codec/wire.rs`.
const VERSION: u8 = 1;

/// The versions of frames that a node reads and writes: all from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Versions {
    /// The oldest.
    pub oldest: u8,
    /// The newest.
    pub newest: u8,
}

impl Versions {
    /// Those of this program.
    pub const OWN: Self = Self { oldest: VERSION, newest: VERSION };

    /// The version that two nodes use with each other: the newest that both have. `None`: there is none.
    pub fn common(self, other: Self) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { oldest, newest } = self;
        if oldest == newest {
            write!(f, "version {newest}")
        } else {
            write!(f, "versions {oldest} to {newest}")
        }
    }
}

/// A frame cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is empty.
    #[error("a frame without a version")]
    Empty,
    /// Another version.
    #[error(
        "a frame of version {0}, and this node reads version {VERSION}: all nodes of a cluster need the same release"
    )]
    Version(u8),
    /// It is longer than any broker permits.
    #[error("a frame of {0} bytes, and the limit is {LONGEST}")]
    TooLong(usize),
    /// The bytes are not the fields of a frame.
    #[error("a damaged frame: {0}")]
    Damaged(&'static str),
}

/// Reads a frame.
///
/// # Errors
///
/// The frame has another version, is too long, or is damaged.
pub fn decode(frame: &Bytes) -> Result<Frame, FrameError> {
    if frame.len() > LONGEST {
        return Err(FrameError::TooLong(frame.len()));
    }
    match frame.first() {
        None => Err(FrameError::Empty),
        Some(&VERSION) => wire::decode(&frame.slice(1..)),
        Some(&version) => Err(FrameError::Version(version)),
    }
}

/// Writes any frame, for tests, the fuzz target and benchmarks. The machines write from references.
pub fn encode(frame: &Frame) -> Bytes {
    match &frame.body {
        Body::Parcels(parcels) => {
            let all: Vec<_> = parcels.parcels.iter().map(|parcel| (parcel, Duration::ZERO)).collect();
            encode_parcels(&frame.header, &Meta::of(parcels), &all)
        }
        Body::Control(control) => encode_control(&frame.header, control),
        Body::Over(over) => encode_over(&frame.header, over),
        Body::Contest(name) => wire::encode(VERSION, &frame.header, &wire::Body::Contest(name.as_str())),
    }
}

/// Writes parcels. Each is older than it says by the time beside it.
pub(super) fn encode_parcels(header: &Header, meta: &Meta, parcels: &[(&Parcel, Duration)]) -> Bytes {
    wire::encode(VERSION, header, &wire::Body::parcels(meta, parcels))
}

/// Writes a report of the receiver.
pub(super) fn encode_control(header: &Header, control: &Control) -> Bytes {
    wire::encode(VERSION, header, &wire::Body::control(control))
}

/// Writes the end of a session.
pub fn encode_over(header: &Header, over: &Over) -> Bytes {
    wire::encode(VERSION, header, &wire::Body::over(over))
}

/// The largest `max_payload` of NATS, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_use_the_newest_version_that_both_have() {
        let versions = |oldest, newest| Versions { oldest, newest };
        for (one, other, common) in [
            (versions(1, 1), versions(1, 1), Some(1)),
            (versions(1, 1), versions(1, 2), Some(1)),
            (versions(1, 3), versions(2, 4), Some(3)),
            (versions(1, 1), versions(2, 2), None),
            (versions(2, 3), versions(0, 1), None),
            // What no node can mean.
            (versions(1, 1), versions(3, 0), None),
        ] {
            assert_eq!((one.common(other), other.common(one)), (common, common), "{one}, {other}");
        }
    }
}
