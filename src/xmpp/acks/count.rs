//! The receiving side of acks: the number of stanzas that were handled.

/// The number of stanzas that were handled, mod 2^32 (XEP-0198 section 4): the `h` of our acks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(u32);

impl Count {
    /// A count for a new stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// A count that goes on, for a stream that is resumed.
    pub fn starting_at(handled: u32) -> Self {
        Self(handled)
    }

    /// Adds stanzas that were handled.
    pub fn add(&mut self, stanzas: u32) {
        self.0 = self.0.wrapping_add(stanzas);
    }

    /// The number so far, mod 2^32.
    pub fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // H3
    #[test]
    fn the_count_goes_from_the_largest_number_to_zero() {
        let mut count = Count::starting_at(u32::MAX - 2);
        count.add(2);
        assert_eq!(count.get(), u32::MAX);
        count.add(1);
        assert_eq!(count.get(), 0);
        count.add(7);
        assert_eq!(count.get(), 7);
    }
}
