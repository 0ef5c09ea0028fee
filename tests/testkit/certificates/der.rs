//! DER (X.690), as far as the `openssl` crate cannot write it.

/// A string of that type.
pub(super) fn string(tag: u8, text: &str) -> Vec<u8> {
    value(tag, text.as_bytes())
}

/// A value with its tag and length.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    match length {
        [] => der.push(0),
        [short @ ..0x80] => der.push(*short),
        // The length of the length: at most 8.
        long => {
            der.push(0x80 | long.len() as u8);
            der.extend(long);
        }
    }
    der.extend(content);
    der
}

/// A value that consists of others.
#[cfg(feature = "tests")]
pub(super) fn values(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    value(tag, &parts.concat())
}

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const IA5_STRING: u8 = 0x16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        assert_eq!(value(0x04, b""), [0x04, 0]);
        assert_eq!(value(0x04, b"a"), [0x04, 1, b'a']);
        assert_eq!(value(0x04, &[0; 127])[..2], [0x04, 127]);
        assert_eq!(value(0x04, &[0; 128])[..3], [0x04, 0x81, 128]);
        assert_eq!(value(0x04, &[0; 300])[..4], [0x04, 0x82, 1, 44]);
        assert_eq!(value(0x04, &[0; 70_000])[..5], [0x04, 0x83, 1, 0x11, 0x70]);
    }
}
