//! Places in an element, in half the memory of a range: every stanza has several.

use std::ops::Range;

/// A half-open range of bytes, counted from the first byte of an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The place as a range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes of an element at this place.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }
}

impl From<Range<usize>> for Span {
    /// The place of a range within `MAX_ELEMENT`.
    fn from(range: Range<usize>) -> Self {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: offset(range.start), end: offset(range.end) }
    }
}

/// The longest element that a span can address, in bytes.
pub(crate) const MAX_ELEMENT: usize = u32::MAX as usize;
