//! Edits of the bytes of a stanza.

use crate::framer::Span;
use std::ops::Range;

/// Replacements in the order of their places, without overlap.
#[derive(Debug, Default)]
pub(super) struct Edits<'a> {
    replacements: Vec<(Span, &'a str)>,
    /// Bytes that all of them insert and remove.
    added: usize,
    removed: usize,
}

impl<'a> Edits<'a> {
    /// No edits, with room for `count`.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { replacements: Vec::with_capacity(count), ..Self::default() }
    }

    /// Replaces a range, which has to be behind all edits so far. Gives the new place of the text.
    pub(super) fn replace(&mut self, range: Range<usize>, text: &'a str) -> usize {
        debug_assert!(self.replacements.last().is_none_or(|(last, _)| last.range().end <= range.start));
        let at = range.start + self.added - self.removed;
        self.added += text.len();
        self.removed += range.len();
        self.replacements.push((range.into(), text));
        at
    }

    /// Inserts text behind all edits so far. Gives its new place.
    pub(super) fn insert(&mut self, at: usize, text: &'a str) -> usize {
        self.replace(at..at, text)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.replacements.is_empty()
    }

    /// The edited bytes.
    pub(super) fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity((bytes.len() + self.added).saturating_sub(self.removed));
        let mut done = 0;
        for (place, text) in &self.replacements {
            let range = place.range();
            out.extend_from_slice(&bytes[done..range.start]);
            out.extend_from_slice(text.as_bytes());
            done = range.end;
        }
        out.extend_from_slice(&bytes[done..]);
        out
    }

    /// The new place of a text, or of its replacement if an edit replaces exactly this text.
    pub(super) fn moved(&self, place: Span) -> Span {
        let range = place.range();
        let replaced = self.replacements.iter().find(|(edited, _)| edited.range() == range);
        let length = replaced.map_or_else(|| range.len(), |(_, text)| text.len());
        let start = self.position(range.start);
        Span::from(start..start + length)
    }

    /// The new position of a place outside all edits.
    pub(super) fn position(&self, at: usize) -> usize {
        let before = self.replacements.iter().map(|(place, text)| (place.range(), text));
        let before = before.take_while(|(range, _)| range.end <= at);
        before.fold(at, |at, (range, text)| at + text.len() - range.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_replace_text_and_give_new_places() {
        let mut edits = Edits::default();
        assert_eq!(edits.insert(1, "++"), 1);
        assert_eq!(edits.replace(2..4, ""), 4);
        assert_eq!(edits.replace(5..6, "abc"), 5);
        assert_eq!(edits.apply(b"0123456789"), b"0++14abc6789");
        let moved = |place: Range<usize>| edits.moved(place.into()).range();
        assert_eq!(moved(0..1), 0..1);
        assert_eq!(moved(1..2), 3..4);
        assert_eq!(moved(4..5), 4..5);
        assert_eq!(moved(5..6), 5..8);
        assert_eq!(moved(6..8), 8..10);
        assert_eq!(edits.position(10), 12);
    }
}
