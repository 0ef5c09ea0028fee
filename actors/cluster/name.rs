//! The name of a node in its cluster, and the number of one of its runs.

use std::{fmt, sync::Arc};

/// The name of a node: 1 to 63 lower-case ASCII letters, digits and hyphens. It is a part of subjects and keys of the
/// broker, which give a meaning to most other characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// A node cannot have this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a node has 1 to 63 characters out of a-z, 0-9 and -")]
pub struct InvalidName;

/// One run of a node: a random number that is new at each start, and each time the node has lost its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

impl NodeName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// The name has another length, or other characters.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(is_valid) {
            return Err(InvalidName);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// As for a label of a host name, which is the usual name of a node.
const LONGEST: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_what_is_safe_in_subjects_and_keys() {
        for name in ["a", "node-1", &"x".repeat(LONGEST)] {
            assert_eq!(NodeName::new(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "A", "a.b", "a b", "a*", "ä", "a>", &"x".repeat(LONGEST + 1)] {
            assert_eq!(NodeName::new(name), Err(InvalidName), "{name:?}");
        }
    }
}
