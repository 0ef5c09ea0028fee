//! Classes of characters (XML 1.0 sections 2.2 and 2.3), and UTF-8 that may end inside a character.

use super::Error;
use std::str;

/// The class of a byte inside a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A letter or `_`: begins a name.
    NameStart,
    /// A digit, `-` or `.`: continues a name.
    NamePart,
    /// `:`.
    Colon,
    /// Any other ASCII.
    Other,
    /// A quote, `<` or `&`: not literal in an attribute value.
    Delimiter,
    /// Space, tab, carriage return, line feed.
    White,
    /// Part of a character beyond ASCII.
    High,
    /// A control character that XML forbids.
    Forbidden,
}

/// Classifies a byte.
pub(super) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether a byte is white space (production S).
pub(super) fn is_white_space(byte: u8) -> bool {
    class(byte) == Class::White
}

/// Counts the bytes at the front that continue any name: ASCII letters, digits, `_`, `-` and `.`.
pub(super) fn name_run(bytes: &[u8]) -> usize {
    let ends = |&byte: &u8| !matches!(class(byte), Class::NameStart | Class::NamePart);
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

/// Counts the bytes at the front that are literal in any attribute value: ASCII without delimiters and white
/// space.
pub(super) fn value_run(bytes: &[u8]) -> usize {
    let ends =
        |&byte: &u8| !matches!(class(byte), Class::NameStart | Class::NamePart | Class::Colon | Class::Other);
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

/// Whether text is ASCII that XML allows, without `>`. Such text needs no further check.
pub(super) fn is_plain(text: &[u8]) -> bool {
    // As signed numbers, bytes beyond ASCII are less than the space, like control characters.
    let odd =
        |byte: u8| byte == b'>' || (byte.cast_signed() < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r'));
    !any(text, odd)
}

/// Counts the bytes at the front of `run` that are complete characters which XML allows.
///
/// These are all bytes unless `run` ends inside a character.
///
/// # Errors
/// Gives the offset of the forbidden character.
pub(super) fn check(run: &[u8]) -> Result<usize, (usize, Error)> {
    let (text, broken) = match str::from_utf8(run) {
        Ok(text) => (text, false),
        Err(error) => {
            let whole = run.split_at(error.valid_up_to()).0;
            (str::from_utf8(whole).unwrap_or_default(), error.error_len().is_some())
        }
    };
    match find_forbidden(text) {
        Some(at) => Err((at, Error::NotWellFormed("a character that XML forbids"))),
        None if broken => Err((text.len(), Error::UnsupportedEncoding)),
        None => Ok(text.len()),
    }
}

/// Decodes the character at the front of `bytes`; `None` when they end inside it.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<char>, Error> {
    let first = &bytes[..bytes.len().min(4)];
    let whole = match str::from_utf8(first) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            str::from_utf8(&first[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(error) if error.error_len().is_some() => return Err(Error::UnsupportedEncoding),
        Err(_) => return Ok(None),
    };
    Ok(whole.chars().next())
}

/// Whether a character beyond ASCII may begin a name (production NameStartChar).
pub(super) fn is_name_start(c: char) -> bool {
    matches!(c,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Whether a character beyond ASCII may continue a name (production NameChar).
pub(super) fn is_name_part(c: char) -> bool {
    is_name_start(c) || matches!(c, '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Finds the first character that XML forbids: a control character, U+FFFE or U+FFFF. UTF-8 has no
/// surrogates.
fn find_forbidden(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let noncharacter = |at: usize| matches!(bytes[at..], [_, 0xbf, 0xbe | 0xbf, ..]);
    if !any(bytes, is_forbidden_control) && !memchr::memchr_iter(0xef, bytes).any(noncharacter) {
        return None;
    }
    text.char_indices().find(|&(_, c)| !crate::xml::is_char(c)).map(|(at, _)| at)
}

/// Whether any byte matches. The loop over a chunk has no early exit, so that the compiler can vectorise it.
fn any(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> bool {
    bytes.chunks(64).any(|chunk| chunk.iter().fold(false, |found, &byte| found | is_such(byte)))
}

const fn is_forbidden_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r'
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Class::NameStart,
            b'0'..=b'9' | b'-' | b'.' => Class::NamePart,
            b':' => Class::Colon,
            b'"' | b'\'' | b'<' | b'&' => Class::Delimiter,
            b' ' | b'\t' | b'\r' | b'\n' => Class::White,
            b if b >= 0x80 => Class::High,
            b if is_forbidden_control(b) => Class::Forbidden,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_forbidden_invalid_and_incomplete_text() {
        assert_eq!(check("aü€\u{10000}\t\r\n\u{7f}\u{85}\u{fffd}".as_bytes()), Ok(19));
        assert_eq!(check(b"ab\xe2\x82"), Ok(2));
        assert_eq!(check(b"ab\xe2\x28"), Err((2, Error::UnsupportedEncoding)));
        for broken in
            [&b"\xc0\xaf"[..], b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\x80"]
        {
            assert_eq!(check(broken), Err((0, Error::UnsupportedEncoding)), "{broken:x?}");
        }
        for forbidden in ["\0", "\u{8}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            let text = format!("ab{forbidden}\u{fffe}");
            assert_eq!(check(text.as_bytes()).unwrap_err().0, 2, "{forbidden:?}");
        }
    }

    #[test]
    fn plain_text_needs_no_further_check() {
        let long = "a".repeat(100);
        for plain in ["", "plain\t\r\n\u{7f} text", &long] {
            assert!(is_plain(plain.as_bytes()), "{plain:?}");
            assert_eq!(check(plain.as_bytes()), Ok(plain.len()));
        }
        for odd in (0..=u8::MAX).filter(|b| b">\0\x08\x0b\x0c\x0e\x1f".contains(b) || !b.is_ascii()) {
            assert!(!is_plain(&[long.as_bytes(), &[odd]].concat()), "{odd:#x}");
        }
    }

    #[test]
    fn runs_end_at_bytes_that_need_a_check() {
        assert_eq!(name_run(b"a-Z_0.9:b"), 7);
        assert_eq!(name_run(b"abc"), 3);
        assert_eq!(value_run(b"a@b:c/>=]'"), 9);
        for end in [b'"', b'\'', b'<', b'&', b' ', b'\t', b'\n', b'\r', 0, 0x1f, 0x80, 0xff] {
            assert_eq!(value_run(&[b'a', end]), 1, "{end:#x}");
        }
    }

    #[test]
    fn the_first_error_decides() {
        assert_eq!(check(b"\x01\xff").unwrap_err().0, 0);
        assert_eq!(check(b"\xff\x01"), Err((0, Error::UnsupportedEncoding)));
    }

    #[test]
    fn decodes_one_character_of_many() {
        assert_eq!(decode("€uro".as_bytes()), Ok(Some('€')));
        assert_eq!(decode("é\u{10000}".as_bytes()), Ok(Some('é')));
        assert_eq!(decode(b"\xf0\x90\x80"), Ok(None));
        assert_eq!(decode(b"\xf0\x28\x80"), Err(Error::UnsupportedEncoding));
    }
}
