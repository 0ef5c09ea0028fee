//! Splits what a relay hands over into parcels that are settled one by one.

use std::{ops::Range, time::Instant};

use ::cluster::ferry::{CarriedBatch, Parcel};

use crate::flow::ferry::Carried;

/// A part of a relay's parcel.
pub(super) struct Piece {
    pub(super) parcel: Parcel,
    pub(super) bytes: usize,
    /// The stanzas of the relay's parcel that are in it, by their numbers there.
    pub(super) stanzas: Range<u64>,
}

/// Splits batches into pieces of at most `most` bytes, or with a single stanza. The order is kept. At least one. `begins`: the
/// first one begins a relay ([`Parcel::begins`]).
pub(super) fn split(batches: Vec<Carried>, begins: bool, most: usize, now: Instant) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece = Piece::begin(begins, 0);
    for batch in batches {
        let mut part = part_of(&batch, now);
        for stanza in batch.stanzas {
            if piece.bytes > 0 && piece.bytes + stanza.len() > most {
                let rest = CarriedBatch { stanzas: Vec::new(), ..part.clone() };
                piece.push(std::mem::replace(&mut part, rest));
                let next = Piece::begin(false, piece.stanzas.end);
                pieces.push(std::mem::replace(&mut piece, next));
            }
            piece.bytes += stanza.len();
            piece.stanzas.end += 1;
            part.stanzas.push(stanza);
        }
        piece.push(part);
    }
    if pieces.is_empty() || !piece.parcel.batches.is_empty() {
        pieces.push(piece);
    }
    pieces
}

impl Piece {
    /// A parcel that is short.
    pub(super) fn whole(batches: Vec<Carried>, begins: bool, bytes: usize, now: Instant) -> Self {
        let count = batches.iter().map(|batch| batch.stanzas.len() as u64).sum();
        let whole = |mut batch: Carried| {
            let stanzas = std::mem::take(&mut batch.stanzas);
            CarriedBatch { stanzas, ..part_of(&batch, now) }
        };
        let batches = batches.into_iter().map(whole).collect();
        Self { parcel: Parcel { begins, batches }, bytes, stanzas: 0..count }
    }

    /// An empty one, which begins with the stanza of this number.
    fn begin(begins: bool, first: u64) -> Self {
        Self { parcel: Parcel { begins, batches: Vec::new() }, bytes: 0, stanzas: first..first }
    }

    fn push(&mut self, batch: CarriedBatch) {
        if !batch.stanzas.is_empty() {
            self.parcel.batches.push(batch);
        }
    }
}

fn part_of(batch: &Carried, now: Instant) -> CarriedBatch {
    CarriedBatch {
        from: batch.from.clone(),
        to: batch.to.clone(),
        age: now.saturating_duration_since(batch.since),
        returning: batch.returning,
        times: batch.sends.times,
        may_have_arrived: batch.sends.may_have_arrived,
        stanzas: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::cluster::ferry::PARCEL;
    use bytes::Bytes;
    use xmpp::Domain;

    use super::*;
    use crate::flow::batch::Sends;

    fn carried(lengths: &[usize], now: Instant) -> Carried {
        Carried {
            from: Domain::new("a.example").unwrap(),
            to: Domain::new("b.example").unwrap(),
            since: now - Duration::from_secs(2),
            returning: true,
            sends: Sends { times: 2, may_have_arrived: true },
            stanzas: lengths.iter().map(|length| Bytes::from(vec![b'x'; *length])).collect(),
        }
    }

    #[test]
    fn pieces_are_short_or_have_one_stanza_and_keep_order_and_marks() {
        let now = clock::now();
        let lengths = [100, PARCEL - 50, 40, 20, 3 * PARCEL, 1, 2];
        let pieces = split(vec![carried(&lengths[..3], now), carried(&lengths[3..], now)], true, PARCEL, now);
        let found: Vec<Vec<usize>> = pieces
            .iter()
            .map(|piece| {
                piece.parcel.batches.iter().flat_map(|batch| batch.stanzas.iter().map(Bytes::len)).collect()
            })
            .collect();
        assert_eq!(found, [vec![100], vec![PARCEL - 50, 40], vec![20], vec![3 * PARCEL], vec![1, 2]]);
        let numbers: Vec<_> = pieces.iter().map(|piece| piece.stanzas.clone()).collect();
        assert_eq!(numbers, [0..1, 1..3, 3..4, 4..5, 5..7]);
        for piece in &pieces {
            assert_eq!(piece.parcel.begins, piece.stanzas.start == 0);
            assert_eq!(piece.bytes, piece.parcel.bytes());
            let batches = piece.parcel.batches.iter();
            assert!(batches.clone().all(|batch| batch.age == Duration::from_secs(2) && batch.returning));
            assert!(batches.clone().all(|batch| (batch.times, batch.may_have_arrived) == (2, true)));
        }
        assert_eq!(split(Vec::new(), false, PARCEL, now).len(), 1, "a relay hears of each parcel");
    }
}
