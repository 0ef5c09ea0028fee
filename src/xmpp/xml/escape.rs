//! Escapes and unescapes character data.

use std::borrow::Cow;

/// Escapes text for attribute values, in either quotes, and for character data.
///
/// Line ends and tabs become references too: a reader would turn those of an attribute into spaces (XML 1.0
/// section 3.3.3) and a carriage return into a line feed (section 2.11). A character that XML 1.0 cannot
/// express (section 2.2) becomes U+FFFD: invalid text of a peer must not make our XML ill-formed.
pub fn escape(text: &str) -> Cow<'_, str> {
    replace(text, |c| match c {
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '"' => Some("&quot;"),
        '\'' => Some("&apos;"),
        _ => escape_anywhere(c),
    })
}

/// Escapes character data, in which quotes, tabs and line feeds are allowed.
pub(super) fn escape_text(text: &str) -> Cow<'_, str> {
    replace(text, escape_anywhere)
}

/// Resolves an attribute value as it stands between its quotes: references, line ends, white space (XML 1.0
/// sections 3.3.3 and 4.4).
///
/// An unknown reference stays as it is. The framer accepts none.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '\t' | '\n' | '\r');
    let Some(mut at) = raw.find(special) else {
        return Cow::Borrowed(raw);
    };
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (character, length) = match rest.as_bytes()[0] {
            b'\r' if rest.as_bytes().get(1) == Some(&b'\n') => (' ', 2),
            b'&' => {
                rest.find(';').and_then(|end| Some((resolve(&rest[1..end])?, end + 1))).unwrap_or(('&', 1))
            }
            _ => (' ', 1),
        };
        text.push(character);
        rest = &rest[length..];
        match rest.find(special) {
            Some(next) => at = next,
            None => break,
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character of a reference, given the text between `&` and `;`.
///
/// Only the five predefined entities, and characters that XML 1.0 allows, are known.
pub(crate) fn resolve(reference: &str) -> Option<char> {
    let code = match reference {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => reference.strip_prefix('#')?,
    };
    let (digits, radix) = match code.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (code, 10),
    };
    // `from_str_radix` would accept a sign.
    let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let digits = if all_digits { digits.trim_start_matches('0') } else { return None };
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|&c| is_char(c))
}

/// Whether XML 1.0 can express a character (section 2.2, production Char).
pub(crate) fn is_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn escape_anywhere(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\r' => Some("&#13;"),
        _ if !is_char(c) => Some("\u{fffd}"),
        _ => None,
    }
}

fn replace(text: &str, replacement: impl Fn(char) -> Option<&'static str>) -> Cow<'_, str> {
    let mut found = text.char_indices().filter_map(|(at, c)| Some((at, c, replacement(c)?))).peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for (at, c, replacement) in found {
        out.push_str(&text[done..at]);
        out.push_str(replacement);
        done = at + c.len_utf8();
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescape_reverses_escape() {
        for text in ["", "plain", "a&b", "<>\"'", "\t\r\n", "&amp;", "ü\u{10000}&", "&&&"] {
            assert_eq!(unescape(&escape(text)), text);
        }
        assert!(matches!(escape("plain ü"), Cow::Borrowed(_)));
        assert!(matches!(unescape("plain ü"), Cow::Borrowed(_)));
    }

    #[test]
    fn resolves_references_by_the_standard() {
        assert_eq!(unescape("&#65;&#x42;&#x00043;&lt;&gt;&amp;&quot;&apos;"), "ABC<>&\"'");
        assert_eq!(unescape("&amp;lt;"), "&lt;");
        assert_eq!(unescape("a\r\nb\rc\nd\te&#10;f"), "a b c d e\nf");
    }

    #[test]
    fn references_to_forbidden_characters_are_unknown() {
        for reference in [
            "",
            "#",
            "#x",
            "#0",
            "#8",
            "#xFFFE",
            "#xD800",
            "#x110000",
            "#X41",
            "#+65",
            "#99999999999",
            "nbsp",
            "LT",
        ] {
            assert_eq!(resolve(reference), None, "{reference}");
        }
        assert_eq!(resolve("#x10FFFF"), Some('\u{10ffff}'));
        assert_eq!(resolve("#00000000000000065"), Some('A'));
    }

    #[test]
    fn writes_no_character_that_xml_cannot_express() {
        assert_eq!(escape("a\0\u{1f}\u{fffe}b\u{ffff}"), "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(escape_text("a\u{b}\n'"), "a\u{fffd}\n'");
    }
}
