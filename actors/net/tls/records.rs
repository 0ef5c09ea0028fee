//! Finds TLS records, and the first message of a handshake, in the bytes of a connection.

/// Finds the boundaries of TLS records (RFC 5246 section 6.2.1) in bytes that arrive in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct RecordReader {
    header: [u8; HEADER],
    /// The number of bytes of the header that were read.
    read: usize,
    /// The number of bytes of the body that are still to come.
    body: usize,
}

/// The records in some bytes.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The number of bytes that were examined.
    pub(super) bytes: usize,
    /// The number of records that begin in them.
    pub(super) records: usize,
    /// Whether a handshake record begins in them.
    pub(super) handshake: bool,
}

impl RecordReader {
    /// Examines `bytes` up to the beginning of the record after `most` records.
    ///
    /// `body` receives the pieces of record bodies, each with the type of its record.
    pub(super) fn read(&mut self, bytes: &[u8], most: usize, mut body: impl FnMut(u8, &[u8])) -> Found {
        let (mut found, mut left) = (Found::default(), bytes);
        while let Some((first, rest)) = left.split_first() {
            if self.body > 0 {
                let (piece, rest) = left.split_at(self.body.min(left.len()));
                let [kind, ..] = self.header;
                body(kind, piece);
                self.body -= piece.len();
                left = rest;
                continue;
            }
            if self.read == 0 && found.records >= most {
                break;
            }
            if let Some(place) = self.header.get_mut(self.read) {
                *place = *first;
                self.read += 1;
                left = rest;
            }
            if self.read == HEADER {
                let [kind, _, _, high, low] = self.header;
                found.handshake |= kind == HANDSHAKE;
                found.records += 1;
                self.body = usize::from(u16::from_be_bytes([high, low]));
                self.read = 0;
            }
        }
        found.bytes = bytes.len() - left.len();
        found
    }
}

/// The first message of a handshake, as far as it has arrived (RFC 8446 section 4). It may be spread over
/// records.
#[derive(Debug, Default)]
pub(super) struct ClientHello {
    /// Type and length.
    start: [u8; 4],
    /// The number of bytes that have arrived, `start` included.
    seen: usize,
    /// Whether the bytes are not a TLS handshake.
    pub(super) foreign: bool,
}

impl ClientHello {
    /// Adds a piece of the body of a record.
    pub(super) fn take(&mut self, kind: u8, body: &[u8]) {
        self.foreign |= kind != HANDSHAKE;
        for (place, byte) in self.start.iter_mut().skip(self.seen).zip(body) {
            *place = *byte;
        }
        self.seen += body.len();
    }

    /// The announced length of the whole message in bytes.
    pub(super) fn length(&self) -> Option<usize> {
        let [_, high, middle, low] = self.start;
        (self.seen >= self.start.len())
            .then(|| self.start.len() + u32::from_be_bytes([0, high, middle, low]) as usize)
    }

    /// Returns whether the message is complete, or the bytes are not a TLS handshake.
    pub(super) fn is_complete(&self) -> bool {
        self.foreign || self.length().is_some_and(|length| self.seen >= length)
    }
}

/// The size of the header of a record in bytes: type, version, length.
const HEADER: usize = 5;

/// The type of a handshake record.
pub(super) const HANDSHAKE: u8 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_record_is_found_in_pieces_of_any_size() {
        // Two records of data, one of them empty, whose bodies look like handshakes; then a handshake.
        let data = [23, 3, 3, 0, 6, 22, 3, 3, 0, 1, 0, 23, 3, 3, 0, 0];
        let hello = [22, 3, 3, 0, 2, 1, 2];
        for cut in 1..data.len() {
            let mut records = RecordReader::default();
            let mut sees = |bytes: &[u8]| {
                bytes.chunks(cut).filter(|piece| records.read(piece, 99, |_, _| {}).handshake).count()
            };
            assert_eq!(sees(&data), 0, "cut at {cut}");
            assert_eq!(sees(&hello), 1, "cut at {cut}");
        }
    }

    #[test]
    fn reads_no_more_records_than_permitted() {
        let record = [23, 3, 3, 0, 2, 22, 22];
        let bytes = record.repeat(5);
        let mut records = RecordReader::default();
        for (most, whole) in [(2, 2), (0, 0), (1, 1), (9, 2)] {
            let found = records.read(&bytes[..whole.max(2) * record.len()], most, |_, _| {});
            assert_eq!((found.bytes, found.records), (whole * record.len(), whole));
        }
        // A header or body that has begun is read on.
        for piece in [&record[..3], &record[3..6], &record[6..]] {
            assert_eq!(records.read(piece, 1, |_, _| {}).bytes, piece.len());
        }
    }
}
