//! Changes to the bytes of a stanza that leave all the rest as it was.

use crate::framer::Span;
use std::{borrow::Cow, ops::Range};

/// Replacements in order of their place, none overlapping another.
#[derive(Debug, Default)]
pub(super) struct Edits<'a>(Vec<(Range<usize>, Cow<'a, str>)>);

impl<'a> Edits<'a> {
    /// Replaces a range, which lies behind those of all edits before.
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<Cow<'a, str>>) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| last.end <= range.start));
        self.0.push((range, text.into()));
    }

    /// Puts text in, behind all edits before.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<Cow<'a, str>>) {
        self.replace(at..at, text);
    }

    /// Replaces a range wherever it lies among those of the other edits, apart from all of them.
    pub(super) fn replace_among(&mut self, range: Range<usize>, text: impl Into<Cow<'a, str>>) {
        let behind = self.0.partition_point(|(other, _)| other.end <= range.start);
        self.0.insert(behind, (range, text.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes with all changes made.
    pub(super) fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let longer: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(bytes.len() + longer);
        let mut done = 0;
        for (range, text) in &self.0 {
            out.extend_from_slice(&bytes[done..range.start]);
            out.extend_from_slice(text.as_bytes());
            done = range.end;
        }
        out.extend_from_slice(&bytes[done..]);
        out
    }

    /// Where what stands at a place comes to lie, or what replaces it, if an edit replaces just that.
    pub(super) fn moved(&self, place: Span) -> Span {
        let range = place.range();
        let replaced = self.0.iter().find(|(edited, _)| *edited == range);
        let length = replaced.map_or_else(|| range.len(), |(_, text)| text.len());
        let start = self.position(range.start);
        Span::from(start..start + length)
    }

    /// Where a place outside all edits comes to lie.
    pub(super) fn position(&self, at: usize) -> usize {
        let before = self.0.iter().take_while(|(range, _)| range.end <= at);
        before.fold(at, |at, (range, text)| at + text.len() - range.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_what_it_is_told_and_knows_where_the_rest_went() {
        let mut edits = Edits::default();
        edits.insert(1, "++");
        edits.replace(2..4, "");
        edits.replace(5..6, "abc");
        assert_eq!(edits.apply(b"0123456789"), b"0++14abc6789");
        let moved = |place: Range<usize>| edits.moved(place.into()).range();
        assert_eq!(moved(0..1), 0..1);
        assert_eq!(moved(1..2), 3..4);
        assert_eq!(moved(4..5), 4..5);
        assert_eq!(moved(5..6), 5..8);
        assert_eq!(moved(6..8), 8..10);
        assert_eq!(edits.position(10), 12);

        edits.replace_among(4..5, "XY");
        assert_eq!(edits.apply(b"0123456789"), b"0++1XYabc6789");
        let moved = |place: Range<usize>| edits.moved(place.into()).range();
        assert_eq!((moved(1..2), moved(4..5), moved(5..6)), (3..4, 4..6, 6..9));
    }
}
