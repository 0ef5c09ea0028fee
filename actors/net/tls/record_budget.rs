//! Limits the TLS records without data: KeyUpdate (RFC 8446 section 4.6.3), session tickets, warnings, empty
//! records and padding.
//!
//! OpenSSL processes any number of them and does not report them. Each takes as much processor time as
//! kilobytes of data, before and after authentication. So each record is charged, and delivered data pays for
//! its own record.

use std::time::Instant;

/// The budget of one connection after its handshake.
#[derive(Debug)]
pub(super) struct RecordBudget {
    /// The bytes that are charged and not paid.
    spent: usize,
    /// The number of records since the last delivered data or the end of the last turn.
    in_a_row: usize,
    /// The time of the last payment by elapsed time.
    since: Instant,
}

impl RecordBudget {
    pub(super) fn new() -> Self {
        Self { spent: 0, in_a_row: 0, since: clock::now() }
    }

    /// Charges `bytes` that were read, in which `records` records begin.
    pub(super) fn charge(&mut self, bytes: usize, records: usize) {
        self.spent = self.spent.saturating_add(bytes).saturating_add(records * RECORD_CHARGE);
        self.in_a_row += records;
    }

    /// Pays for `bytes` of delivered data.
    pub(super) fn pay(&mut self, bytes: usize) {
        self.spent = self.spent.saturating_sub(bytes + bytes / DATA_PER_BYTE + RECORD_CHARGE + OVERHEAD);
        self.in_a_row = 0;
    }

    /// Returns whether the peer has exceeded its budget. To be called when OpenSSL has processed all bytes.
    pub(super) fn is_exceeded(&mut self) -> bool {
        if self.spent > MAX_DEBT {
            let now = clock::now();
            let passed = now.saturating_duration_since(self.since);
            let paid = usize::try_from(passed.as_millis())
                .unwrap_or(usize::MAX)
                .saturating_mul(BYTES_PER_MILLISECOND);
            self.spent = self.spent.saturating_sub(paid);
            self.since = now;
        }
        self.spent > MAX_DEBT
    }

    /// Returns whether the turn of the connection has to end although no data was delivered, and begins a new
    /// turn.
    pub(super) fn take_end_of_turn(&mut self) -> bool {
        let over = self.in_a_row >= RECORDS;
        if over {
            self.in_a_row = 0;
        }
        over
    }
}

/// The charge for a record in addition to its bytes. A KeyUpdate with a reply takes about 20 us, a kilobyte
/// of data less.
const RECORD_CHARGE: usize = 1024;

/// The maximum overhead of a record with data in bytes: header, type, tag and nonce have 22 in TLS 1.3, 29 in
/// TLS 1.2.
const OVERHEAD: usize = 32;

/// The number of bytes of data that pay for one byte without data. New keys after much data are good
/// practice.
const DATA_PER_BYTE: usize = 64;

/// The bytes that one millisecond pays. This permits a record each second, which is enough to renew keys
/// regularly.
const BYTES_PER_MILLISECOND: usize = 1;

/// The budget in bytes. The tickets of a server with a large certificate have 20 KiB, and an incomplete
/// record has up to 17 KiB; the rest is for 50 records. Processing all of it takes about 2 ms.
const MAX_DEBT: usize = 96 * 1024;

/// The number of records that OpenSSL gets at once, and the number without data in one turn. They take less
/// than 1 ms.
pub(super) const RECORDS: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Returns how many of `records` records pass, each with `data` bytes of data in `length` bytes.
    fn passes(records: usize, length: usize, data: usize) -> usize {
        let mut budget = RecordBudget::new();
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
        let mut budget = RecordBudget::new();
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
    async fn elapsed_time_pays_for_occasional_records() {
        let mut budget = RecordBudget::new();
        for _ in 0..1000 {
            budget.charge(27, 1);
            assert!(!budget.is_exceeded());
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }

    #[test]
    fn a_turn_ends_after_some_records_without_data() {
        let mut budget = RecordBudget::new();
        budget.charge(27 * (RECORDS - 1), RECORDS - 1);
        assert!(!budget.take_end_of_turn());
        budget.charge(27, 1);
        assert!(budget.take_end_of_turn());
        assert!(!budget.take_end_of_turn());
    }
}
