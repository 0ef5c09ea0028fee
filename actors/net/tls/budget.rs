//! How much a peer may send below the stream: TLS records that deliver no data, such as KeyUpdate (RFC 8446 section
//! 4.6.3), session tickets, warnings, empty records and padding.
//!
//! OpenSSL handles them without end and tells nobody. Each costs as much processor time as kilobytes of data, before
//! and after authentication. So every record is charged, and data that is delivered pays for its own record.

use std::time::Instant;

/// The account of one connection, from the end of the handshake on.
#[derive(Debug)]
pub(super) struct Budget {
    /// Charged and not paid, in bytes.
    spent: usize,
    /// Records since data was delivered or the turn was passed on.
    in_a_row: usize,
    /// When time last paid.
    since: Instant,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { spent: 0, in_a_row: 0, since: clock::now() }
    }

    /// So many bytes came, in which so many records begin.
    pub(super) fn charge(&mut self, bytes: usize, records: usize) {
        self.spent = self.spent.saturating_add(bytes).saturating_add(records * RECORD);
        self.in_a_row += records;
    }

    /// So many bytes of data were delivered.
    pub(super) fn pay(&mut self, bytes: usize) {
        self.spent = self.spent.saturating_sub(bytes + bytes / DATA_A_BYTE + RECORD + OVERHEAD);
        self.in_a_row = 0;
    }

    /// Whether more came than a peer may send. Asked when OpenSSL has handled all that it was given.
    pub(super) fn is_exceeded(&mut self) -> bool {
        if self.spent > MOST {
            let now = clock::now();
            let passed = now.saturating_duration_since(self.since);
            let paid =
                usize::try_from(passed.as_millis()).unwrap_or(usize::MAX).saturating_mul(A_MILLISECOND);
            self.spent = self.spent.saturating_sub(paid);
            self.since = now;
        }
        self.spent > MOST
    }

    /// Whether the turn of the connection is over, although nothing was delivered.
    pub(super) fn take_turn_over(&mut self) -> bool {
        let over = self.in_a_row >= RECORDS;
        if over {
            self.in_a_row = 0;
        }
        over
    }
}

/// What a record costs beside its bytes. A KeyUpdate that asks for another takes some 20 us, a kilobyte of data less.
const RECORD: usize = 1024;

/// Header, type, tag and nonce of a record with data: 22 bytes in TLS 1.3, 29 in TLS 1.2.
const OVERHEAD: usize = 32;

/// So many bytes of data pay for one byte that is none: new keys for much data are good practice.
const DATA_A_BYTE: usize = 64;

/// What one millisecond pays: a record a second, which is more than any peer needs that renews its keys by the clock.
const A_MILLISECOND: usize = 1;

/// Bytes that may be owed. Tickets of a server with a large certificate have 20 KiB, and one record of 17 KiB may be on
/// its way; the rest is 50 records. It all takes about 2 ms of a processor.
const MOST: usize = 96 * 1024;

/// Records that OpenSSL is given at once, and that are handled in one turn without data: less than 1 ms.
pub(super) const RECORDS: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many of so many records pass, each with `data` bytes of data in `length` bytes.
    fn passes(records: usize, length: usize, data: usize) -> usize {
        let mut budget = Budget::new();
        (0..records)
            .take_while(|_| {
                budget.charge(length, 1);
                if data > 0 {
                    budget.pay(data);
                }
                !budget.is_exceeded()
            })
            .count()
    }

    #[test]
    fn records_without_data_are_bounded() {
        for length in [27, 29, 6, 300, 16_000] {
            let passed = passes(10_000, length, 0);
            assert!((5..150).contains(&passed), "{passed} of {length} bytes");
        }
    }

    #[test]
    fn padding_is_bounded() {
        assert!(passes(10_000, 16_000, 1) < 10);
    }

    #[test]
    fn data_pays_for_its_records_in_every_size() {
        for data in [1, 2, 100, 4096, 16_384] {
            for overhead in [22, 29] {
                assert_eq!(passes(100_000, data + overhead, data), 100_000, "{data} {overhead}");
            }
        }
    }

    #[test]
    fn much_data_pays_for_new_keys() {
        let mut budget = Budget::new();
        for _ in 0..1000 {
            for _ in 0..8 {
                budget.charge(16_384 + 22, 1);
                budget.pay(16_384);
            }
            budget.charge(27, 1);
            assert!(!budget.is_exceeded());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_pays_for_a_record_now_and_then() {
        let mut budget = Budget::new();
        for _ in 0..1000 {
            budget.charge(27, 1);
            assert!(!budget.is_exceeded());
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }

    #[test]
    fn the_turn_passes_on_after_some_records() {
        let mut budget = Budget::new();
        budget.charge(27 * (RECORDS - 1), RECORDS - 1);
        assert!(!budget.take_turn_over());
        budget.charge(27, 1);
        assert!(budget.take_turn_over());
        assert!(!budget.take_turn_over());
    }
}
