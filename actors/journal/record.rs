//! A record: one stanza that waits, with what is needed to let it wait again after a restart.
//!
//! A record describes itself. It has a magic number, its length and a checksum of its own: redb verifies the
//! checksums of its pages only when it repairs a file, and records of a file that cannot be opened are found
//! by a [`scan`](crate::scan).
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | the magic number; its last byte is the version of the format |
//! | 4 | the kind: 1 message, 2 presence, 3 IQ |
//! | 5 | the flags |
//! | 6 | the source: 1 component, 2 remote server, 3 this node |
//! | 7 | 0 |
//! | 8..16 | the key |
//! | 16..24 | the time of acceptance, in milliseconds since 1970 |
//! | 24..28 | the length of the body |
//! | 28..36 | the first eight bytes of SHA-256 over bytes 0 to 28 and the body |
//! | 36.. | the body: the stanza, or its sealed form |
//!
//! All numbers are little-endian.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use openssl::sha::Sha256;
use xmpp::stanza::Kind;

use crate::cipher::Cipher;

/// A stanza that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The kind of the stanza.
    pub kind: Kind,
    /// When the node accepted the stanza.
    pub accepted: SystemTime,
    /// Where it came from.
    pub source: Source,
    /// What is known about it.
    pub flags: Flags,
    /// The stanza, as it is written to other servers. Its addresses are read from it.
    pub stanza: Bytes,
}

/// Where a stanza came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A component.
    Component,
    /// A remote server.
    Server,
    /// The node itself.
    Node,
}

/// What is known about a stanza.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A lost link carried it, and the peer has not acknowledged it.
    pub may_have_arrived: bool,
    /// It waits for a component, not for a link.
    pub for_component: bool,
    /// It is on the disk because the memory is full, and is not restored after a restart.
    pub overflow: bool,
}

/// Why the bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Too short, no magic number, or a value that no version of this program writes.
    #[error("not a record")]
    NotARecord,
    /// Another version of the program has written it.
    #[error("record format {0} is not supported")]
    Version(u8),
    /// The checksum is wrong.
    #[error("the checksum is wrong")]
    Checksum,
    /// It has another key than its place in the store.
    #[error("the record is in the wrong place")]
    Place,
    /// It is encrypted, and the key is missing or another one.
    #[error("the record is encrypted with another key")]
    Sealed,
}

impl Record {
    /// The bytes of the record with that key in a store. With a cipher the stanza is encrypted.
    ///
    /// # Errors
    /// OpenSSL cannot encrypt.
    pub fn encode(&self, key: u64, cipher: Option<&Cipher>) -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let mut bytes = Vec::with_capacity(HEAD + self.stanza.len() + Cipher::OVERHEAD);
        bytes.extend(MAGIC);
        bytes.extend([self.kind_code(), self.flag_bits(cipher.is_some()), self.source.code(), 0]);
        bytes.extend(key.to_le_bytes());
        bytes.extend(millis(self.accepted).to_le_bytes());
        let length = self.stanza.len() + cipher.map_or(0, |_| Cipher::OVERHEAD);
        // A stanza has less than 4 GiB: the framer does not accept more.
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        let sealed = cipher.map(|cipher| cipher.seal(&bytes, &self.stanza)).transpose()?;
        let body = sealed.as_deref().unwrap_or(&self.stanza);
        let checksum = checksum(&bytes, body);
        bytes.extend(checksum);
        bytes.extend(body);
        Ok(bytes)
    }

    /// Reads the record at the place `key` of a store.
    ///
    /// # Errors
    /// The bytes are damaged, or the stanza cannot be decrypted.
    pub fn decode(key: u64, bytes: &[u8], cipher: Option<&Cipher>) -> Result<Self, Damage> {
        let (found, record) = read(bytes, cipher)?;
        if found != key {
            return Err(Damage::Place);
        }
        record.ok_or(Damage::Sealed)
    }

    fn kind_code(&self) -> u8 {
        match self.kind {
            Kind::Message => 1,
            Kind::Presence => 2,
            Kind::Iq => 3,
        }
    }

    fn flag_bits(&self, sealed: bool) -> u8 {
        let Flags { may_have_arrived, for_component, overflow } = self.flags;
        [may_have_arrived, for_component, overflow, sealed]
            .iter()
            .enumerate()
            .map(|(bit, set)| u8::from(*set) << bit)
            .sum()
    }
}

/// The key of the record at the begin of `bytes`, and the record; `None` if it cannot be decrypted. Further bytes may
/// follow the record.
pub(crate) fn read(bytes: &[u8], cipher: Option<&Cipher>) -> Result<(u64, Option<Record>), Damage> {
    let (Some(magic), Some(head)) = (bytes.first_chunk(), bytes.get(..HEAD)) else {
        return Err(Damage::NotARecord);
    };
    check_magic(magic)?;
    let body = bytes.get(HEAD..HEAD.saturating_add(length(head))).ok_or(Damage::NotARecord)?;
    let (signed, sum) = head.split_at(HEAD - CHECKSUM);
    if checksum(signed, body) != sum {
        return Err(Damage::Checksum);
    }
    let [_, _, _, _, kind, flags, source, zero, ..] = *head else { return Err(Damage::NotARecord) };
    let kind = match kind {
        1 => Kind::Message,
        2 => Kind::Presence,
        3 => Kind::Iq,
        _ => return Err(Damage::NotARecord),
    };
    let accepted = number(head, 16);
    let is_valid = zero == 0 && flags < 16 && accepted <= LATEST;
    let source = Source::of(source).filter(|_| is_valid).ok_or(Damage::NotARecord)?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let stanza = match (has(SEALED), cipher) {
        (false, _) => Some(Bytes::copy_from_slice(body)),
        (true, Some(cipher)) => cipher.open(signed, body).map(Bytes::from),
        (true, None) => None,
    };
    let record = stanza.map(|stanza| Record {
        kind,
        accepted: UNIX_EPOCH + Duration::from_millis(accepted),
        source,
        flags: Flags { may_have_arrived: has(0), for_component: has(1), overflow: has(2) },
        stanza,
    });
    Ok((number(head, 8), record))
}

/// The length of the record that begins with `head`, which has [`HEAD`] bytes.
pub(crate) fn total_length(head: &[u8]) -> usize {
    HEAD.saturating_add(length(head))
}

fn check_magic(found: &[u8; 4]) -> Result<(), Damage> {
    let ([a, b, c, version], [x, y, z, ours]) = (*found, MAGIC);
    match [a, b, c] == [x, y, z] {
        false => Err(Damage::NotARecord),
        true if version != ours => Err(Damage::Version(version)),
        true => Ok(()),
    }
}

fn length(head: &[u8]) -> usize {
    let length = head.get(24..28).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)
}

fn number(head: &[u8], at: usize) -> u64 {
    let bytes = head.get(at..at + 8).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    u64::from_le_bytes(bytes)
}

fn checksum(head: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update(body);
    hash.finish().first_chunk().copied().unwrap_or_default()
}

/// Milliseconds since 1970; 0 for earlier times.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).min(LATEST)
}

impl Source {
    fn code(self) -> u8 {
        match self {
            Self::Component => 1,
            Self::Server => 2,
            Self::Node => 3,
        }
    }

    fn of(code: u8) -> Option<Self> {
        [Self::Component, Self::Server, Self::Node].into_iter().find(|source| source.code() == code)
    }
}

/// The begin of each record. 0xF1 is not part of UTF-8 as it is used in stanzas, so that a scan rarely finds it
/// elsewhere. The last byte is the version.
pub(crate) const MAGIC: [u8; 4] = [0xF1, b'N', b'J', 1];

/// Bytes before the body.
pub(crate) const HEAD: usize = 36;

const CHECKSUM: usize = 8;

/// The flag of an encrypted record.
const SEALED: u8 = 3;

/// The year 10000: later times are not represented by all systems.
const LATEST: u64 = 253_402_300_800_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stanza: &str) -> Record {
        Record {
            kind: Kind::Message,
            accepted: UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
            source: Source::Server,
            flags: Flags { may_have_arrived: true, for_component: false, overflow: false },
            stanza: Bytes::copy_from_slice(stanza.as_bytes()),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for cipher in [None, Some(Cipher::new(&[7; 32]))] {
            for kind in [Kind::Message, Kind::Presence, Kind::Iq] {
                for source in [Source::Component, Source::Server, Source::Node] {
                    for bits in 0..8 {
                        let flags = Flags {
                            may_have_arrived: bits & 1 != 0,
                            for_component: bits & 2 != 0,
                            overflow: bits & 4 != 0,
                        };
                        let written = Record { kind, source, flags, ..record("<message/>") };
                        let bytes = written.encode(77, cipher.as_ref()).unwrap();
                        assert_eq!(Record::decode(77, &bytes, cipher.as_ref()), Ok(written));
                        assert_eq!(total_length(&bytes[..HEAD]), bytes.len());
                    }
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for cipher in [None, Some(Cipher::new(&[7; 32]))] {
            let bytes = record("<message to='a'/>").encode(5, cipher.as_ref()).unwrap();
            for place in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[place / 8] ^= 1 << (place % 8);
                assert!(Record::decode(5, &damaged, cipher.as_ref()).is_err(), "bit {place}");
            }
            for length in 0..bytes.len() {
                assert!(Record::decode(5, &bytes[..length], cipher.as_ref()).is_err(), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_record_in_another_place_is_not_accepted() {
        let bytes = record("x").encode(5, None).unwrap();
        assert_eq!(Record::decode(6, &bytes, None), Err(Damage::Place));
    }

    #[test]
    fn an_encrypted_record_needs_its_key_and_shows_nothing_of_the_stanza() {
        let cipher = Cipher::new(&[1; 32]);
        let bytes = record("<message>hello</message>").encode(5, Some(&cipher)).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"hello"));
        assert_eq!(Record::decode(5, &bytes, None), Err(Damage::Sealed));
        assert_eq!(Record::decode(5, &bytes, Some(&Cipher::new(&[2; 32]))), Err(Damage::Sealed));
    }

    #[test]
    fn a_record_of_a_later_version_is_named_as_such() {
        let mut bytes = record("x").encode(5, None).unwrap();
        bytes[3] = 2;
        assert_eq!(Record::decode(5, &bytes, None), Err(Damage::Version(2)));
    }

    #[test]
    fn times_before_1970_and_far_in_the_future_do_not_overflow() {
        for accepted in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            let bytes = Record { accepted, ..record("x") }.encode(5, None).unwrap();
            assert!(Record::decode(5, &bytes, None).is_ok());
        }
        // The bytes of a file can hold any time.
        let mut bytes = record("x").encode(5, None).unwrap();
        bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        let sum = checksum(&bytes[..HEAD - CHECKSUM], &bytes[HEAD..]);
        bytes[HEAD - CHECKSUM..HEAD].copy_from_slice(&sum);
        assert_eq!(Record::decode(5, &bytes, None), Err(Damage::NotARecord));
    }
}
