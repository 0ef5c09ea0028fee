//! DER (X.690), as far as tests need what the `openssl` crate cannot write.

/// A string type of few words.
pub(super) fn string(tag: u8, text: &str) -> Vec<u8> {
    value(tag, text.as_bytes())
}

/// One value with its tag and length.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("a value of fewer than 64 KiB").to_be_bytes();
    let head = match (high, low) {
        (0, low @ ..0x80) => vec![tag, low],
        (0, low) => vec![tag, 0x81, low],
        (high, low) => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

/// A value that is made of others.
pub(super) fn values(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    value(tag, &parts.concat())
}

pub(super) const SEQUENCE: u8 = 0x30;
