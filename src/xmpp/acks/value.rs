//! The values of attributes: counts, ids, times. A peer can make them as long as its elements, so each is
//! bounded.
use std::{fmt, time::Duration};

/// The fault of an attribute. `Display` completes the sentence "the element has …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is missing.
    Missing(&'static str),
    /// It is no count.
    Count(&'static str),
    /// It is empty or too long for an id.
    Id(&'static str),
    /// It is not the id that was sent.
    OtherId(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "no '{name}'"),
            Self::Count(name) => write!(f, "a '{name}' that is not a number from 0 to {}", u32::MAX),
            Self::Id(name) => write!(f, "a '{name}' that has not 1 to {MAX_ID} bytes"),
            Self::OtherId(name) => write!(f, "a '{name}' that is not the requested one"),
        }
    }
}

/// Reads a count. The standard has `xs:unsignedInt`; of its spellings only digits are taken, since no sender
/// is known to write a sign or white space. Digits of other scripts are none.
pub(super) fn count(name: &'static str, text: &str) -> Result<u32, Malformed> {
    let is_count = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_count.then(|| text.parse().ok()).flatten().ok_or(Malformed::Count(name))
}

/// Reads an id.
pub(super) fn id(name: &'static str, text: &str) -> Result<String, Malformed> {
    match (1..=MAX_ID).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(Malformed::Id(name)),
    }
}

/// Reads a time in seconds. It is a preference of the peer, so one that cannot be read is none.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    count("max", text).ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// Reads a boolean (XML Schema part 2, section 3.2.2). Anything else is the default, `false`.
pub(super) fn boolean(text: Option<&str>) -> bool {
    matches!(text, Some("true" | "1"))
}

/// The digits of 2^32 - 1.
const MAX_DIGITS: usize = 10;

/// The limit for an id, in bytes (XEP-0198 section 5).
const MAX_ID: usize = 4000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_digits_only() {
        for (text, count_) in [("0", 0), ("1", 1), ("007", 7), ("4294967295", u32::MAX), ("0000000001", 1)] {
            assert_eq!(count("h", text), Ok(count_), "{text}");
        }
        for text in [
            "",
            " ",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1\n",
            "1.0",
            "1e3",
            "0x1",
            "4294967296",
            "9999999999",
            "00000000001",
            "\u{661}",
            "\u{ff11}",
            "\u{1d7d9}",
            "one",
        ] {
            assert_eq!(count("h", text), Err(Malformed::Count("h")), "{text:?}");
            assert_eq!(seconds(text), None, "{text:?}");
        }
        assert_eq!(count("h", &"1".repeat(100_000)), Err(Malformed::Count("h")));
        assert_eq!(Malformed::Count("h").to_string(), "a 'h' that is not a number from 0 to 4294967295");
    }

    #[test]
    fn an_id_is_bounded() {
        assert_eq!(id("id", "x").as_deref(), Ok("x"));
        assert_eq!(id("id", &"x".repeat(4000)).map(|id| id.len()), Ok(4000));
        assert_eq!(id("id", &"x".repeat(4001)), Err(Malformed::Id("id")));
        assert_eq!(id("previd", ""), Err(Malformed::Id("previd")));
    }

    #[test]
    fn a_boolean_is_true_in_two_spellings() {
        for text in ["true", "1"] {
            assert!(boolean(Some(text)));
        }
        for text in [None, Some("false"), Some("0"), Some("TRUE"), Some("yes"), Some(" true"), Some("")] {
            assert!(!boolean(text), "{text:?}");
        }
    }
}
