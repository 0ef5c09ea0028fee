//! Finds records in any bytes: in a file that is damaged, or that another process has opened.
//!
//! A file keeps the bytes of removed records until their place is used again. So a scan also finds stanzas that were
//! delivered, and the same record more than once.

use std::io::{self, Read};

use crate::{
    cipher::Cipher,
    record::{self, HEAD, MAGIC, Record},
};

/// Reads all bytes of `input` and calls `found` with each record and its key. The record is `None` if it cannot be
/// decrypted.
///
/// # Errors
/// `input` cannot be read.
pub fn scan(
    mut input: impl Read,
    cipher: Option<&Cipher>,
    mut found: impl FnMut(u64, Option<Record>),
) -> io::Result<()> {
    let mut window = Window::default();
    loop {
        let is_more = window.fill(&mut input, HEAD)?;
        let Some(at) = find(window.bytes()) else {
            // The begin of a magic number may be at the end.
            let kept = MAGIC.len() - 1;
            window.skip(window.bytes().len().saturating_sub(kept));
            if !is_more {
                return Ok(());
            }
            window.fill(&mut input, HEAD)?;
            if window.bytes().len() <= kept {
                return Ok(());
            }
            continue;
        };
        window.skip(at);
        window.fill(&mut input, HEAD)?;
        let Some(head) = window.bytes().get(..HEAD) else { return Ok(()) };
        let length = record::total_length(head);
        if length > LONGEST {
            window.skip(1);
            continue;
        }
        window.fill(&mut input, length)?;
        match record::read(window.bytes(), cipher) {
            Ok((key, record)) => {
                found(key, record);
                window.skip(length);
            }
            Err(_) => window.skip(1),
        }
    }
}

fn find(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, &MAGIC)
}

/// A part of the input.
#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    start: usize,
}

impl Window {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn skip(&mut self, count: usize) {
        self.start += count;
    }

    /// Reads until there are `wanted` bytes, or the input ends. Gives whether the input may have more.
    fn fill(&mut self, input: &mut impl Read, wanted: usize) -> io::Result<bool> {
        if self.bytes().len() >= wanted {
            return Ok(true);
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        let missing = wanted.max(CHUNK) - self.bytes.len();
        let read = input.take(missing as u64).read_to_end(&mut self.bytes)?;
        Ok(read == missing)
    }
}

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Bytes of the longest record: the greatest `limits.max_stanza`, and its head. It bounds the memory that a damaged length
/// takes.
const LONGEST: usize = 17 << 20;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use xmpp::stanza::Kind;

    use super::*;
    use crate::record::{Flags, Source};

    fn record(stanza: &[u8]) -> Record {
        Record {
            kind: Kind::Message,
            accepted: UNIX_EPOCH,
            source: Source::Component,
            flags: Flags::default(),
            stanza: stanza.to_vec().into(),
        }
    }

    fn found(bytes: &[u8], cipher: Option<&Cipher>) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        scan(bytes, cipher, |key, record| found.push((key, record.map(|record| record.stanza.to_vec()))))
            .unwrap();
        found
    }

    #[test]
    fn records_between_other_bytes_are_found_and_damaged_ones_are_not() {
        let long = vec![b'x'; CHUNK + 5000];
        let mut bytes = vec![0; CHUNK - 2];
        bytes.extend(record(b"first").encode(1, None).unwrap());
        bytes.extend(MAGIC);
        bytes.extend([0xff; 100]);
        let mut damaged = record(b"second").encode(2, None).unwrap();
        damaged[40] ^= 1;
        bytes.extend(damaged);
        bytes.extend(record(&long).encode(3, None).unwrap());
        bytes.extend(record(b"fourth").encode(4, None).unwrap());
        bytes.extend(&record(b"cut").encode(5, None).unwrap()[..38]);
        let expected = [(1, Some(b"first".to_vec())), (3, Some(long)), (4, Some(b"fourth".to_vec()))];
        assert_eq!(found(&bytes, None), expected);
    }

    #[test]
    fn a_magic_number_is_found_at_every_place_of_the_window() {
        for before in CHUNK - 50..CHUNK + 50 {
            let mut bytes = vec![0; before];
            bytes.extend(record(b"x").encode(7, None).unwrap());
            assert_eq!(found(&bytes, None), [(7, Some(b"x".to_vec()))], "after {before} bytes");
        }
        assert_eq!(found(b"", None), []);
        assert_eq!(found(&MAGIC[..3], None), []);
    }

    #[test]
    fn an_encrypted_record_without_its_key_is_found_but_not_shown() {
        let cipher = Cipher::new(&[3; 32]);
        let bytes = record(b"x").encode(7, Some(&cipher)).unwrap();
        assert_eq!(found(&bytes, None), [(7, None)]);
        assert_eq!(found(&bytes, Some(&cipher)), [(7, Some(b"x".to_vec()))]);
    }
}
