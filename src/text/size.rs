//! Sizes in bytes with a binary unit, and counts with their noun.

use std::fmt;

/// A number of bytes, displayed in the largest unit that is not larger than it: `12 B`, `3.4 KiB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_024 => write!(f, "{} B", self.0),
            1_024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1_024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

/// A count with its noun, which gets an `s` unless the count is 1: `1 link`, `3 links`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        let sizes = [12, 1_536, 5 << 20, 3 << 30].map(|bytes| Size(bytes).to_string());
        assert_eq!(sizes, ["12 B", "1.5 KiB", "5.0 MiB", "3.0 GiB"]);
    }

    #[test]
    fn a_noun_is_singular_only_after_one() {
        let counts = [0, 1, 2].map(|count| counted(count, "link"));
        assert_eq!(counts, ["0 links", "1 link", "2 links"]);
    }
}
