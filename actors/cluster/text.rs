//! Fingerprints, and texts that other nodes have written.

use sha2::{Digest, Sha256};

/// A fingerprint by which nodes compare what they must have in common. Of a secret it reveals nothing that helps: the input
/// has a prefix, and only 8 bytes are shown.
pub fn fingerprint(text: &str) -> String {
    hex(&Sha256::new().chain_update(b"nuncio cluster fingerprint\0").chain_update(text).finalize()[..8])
}

/// The beginning of a text of another node, without control characters.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(limit).collect()
}

/// In hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";
