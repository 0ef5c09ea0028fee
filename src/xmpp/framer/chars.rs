//! Characters: which may stand where (XML 1.0 sections 2.2 and 2.3), and UTF-8 that may end in the middle of one.

use super::Error;
use std::str;

/// What a byte means inside a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A letter or `_`: begins a name.
    NameStart,
    /// A digit, `-` or `.`: goes on with a name.
    NamePart,
    /// `:`.
    Colon,
    /// Space, tab, carriage return, line feed.
    White,
    /// Part of a character beyond ASCII.
    High,
    /// A control character that XML forbids.
    Forbidden,
    /// Any other ASCII.
    Other,
}

/// Classifies a byte.
pub(super) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether a byte is white space (production S).
pub(super) fn is_white_space(byte: u8) -> bool {
    class(byte) == Class::White
}

/// Measures how many bytes at the front of `run` are whole characters that XML allows.
///
/// That is less than all of them only where `run` ends inside a character.
///
/// # Errors
/// With the offset of the offending character.
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

/// Whether a character beyond ASCII may go on with a name (production NameChar).
pub(super) fn is_name_part(c: char) -> bool {
    is_name_start(c) || matches!(c, '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Finds the first character that XML forbids: a control character, U+FFFE or U+FFFF. UTF-8 has no surrogates.
fn find_forbidden(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    // Chunks without a way out of their middle, so that the compiler can look at many bytes at once.
    let control = |chunk: &[u8]| chunk.iter().fold(false, |found, &b| found | is_forbidden_control(b));
    let noncharacter = |at: usize| matches!(bytes[at..], [_, 0xbf, 0xbe | 0xbf, ..]);
    if !bytes.chunks(64).any(control) && !memchr::memchr_iter(0xef, bytes).any(noncharacter) {
        return None;
    }
    text.char_indices().find(|&(_, c)| !crate::xml::is_char(c)).map(|(at, _)| at)
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
    fn tells_forbidden_from_broken_from_unfinished() {
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
    fn what_comes_first_decides() {
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
