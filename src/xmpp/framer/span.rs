//! Places in an element, in half the memory of a range: every stanza carries several.

use std::ops::Range;

/// A place in an element: from one byte to before another, counted from the element's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The same as a range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// What stands at this place of an element's bytes.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }
}

impl From<Range<usize>> for Span {
    /// Notes a place within `MAX_ELEMENT`.
    fn from(range: Range<usize>) -> Self {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: offset(range.start), end: offset(range.end) }
    }
}

/// Bytes of an element, all of which a span can reach.
pub(crate) const MAX_ELEMENT: usize = u32::MAX as usize;
