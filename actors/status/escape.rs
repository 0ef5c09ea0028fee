//! Escapes invisible characters in text of peers, before it is written to a log, a terminal, JSON or metrics.
//!
//! All outputs use this one list. A character is escaped if it has no glyph of its own, or if it moves or turns what
//! is beside it: general categories Cc, Cf, Co, Cn, Zl, Zp, and Zs except U+0020 (as the standard library has them),
//! and the characters that Unicode calls default-ignorable (variation selectors, Hangul fillers, joiners).

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Whether a character has to be escaped.
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    is_ignorable(c) || !has_glyph(c)
}

/// The text with hidden characters escaped, as in `\n` and `\u{202e}`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(2 * text.len());
    // A string takes all that is written to it.
    let _ = Escaping(&mut clean).write_str(text);
    Cow::Owned(clean)
}

/// A JSON document in which hidden characters are escaped as `\u202e`: it reads back to the same strings.
///
/// Outside of strings JSON has none of them but line breaks and tabs, which stay.
pub fn json(document: &str) -> Cow<'_, str> {
    let upsets = |c: char| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t');
    if !document.contains(upsets) {
        return Cow::Borrowed(document);
    }
    let mut clean = String::with_capacity(2 * document.len());
    for c in document.chars() {
        if upsets(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Escapes hidden characters in all that is written through it.
#[derive(Debug)]
pub struct Escaping<W>(pub W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", hidden.escape_default())?;
            rest = &rest[at + hidden.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Whether the standard library shows a character as it is in the middle of a debugged string. At the beginning it
/// would also escape combining marks, which belong to many scripts.
fn has_glyph(c: char) -> bool {
    let mut buffer = [b'x'; 5];
    let length = c.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..=length]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(c)
}

/// Default_Ignorable_Code_Point, as far as the general category does not cover it.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of every group that moves, turns or hides text.
    const HOSTILE: &str = "\0\u{7}\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{a0}\u{ad}\u{34f}\u{61c}\u{70f}\u{115f}\u{180e}\
        \u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2064}\u{2066}\u{2069}\u{206a}\u{206f}\
        \u{2800}\u{3164}\u{e000}\u{fdd0}\u{fe0f}\u{feff}\u{fff9}\u{fffb}\u{fffe}\u{1bca0}\u{1d173}\u{e0001}\u{e0020}\u{e007f}\
        \u{e0100}\u{10ffff}";

    #[test]
    fn escapes_every_character_that_hides_moves_or_turns_text() {
        for c in HOSTILE.chars().filter(|c| *c != '\u{2800}') {
            assert!(is_hidden(c), "U+{:04X}", u32::from(c));
            let shown = escaped(&c.to_string()).into_owned();
            assert!(shown.is_ascii() && shown.starts_with('\\'), "{shown:?}");
        }
        for (first, last) in
            [('\0', '\u{1f}'), ('\u{7f}', '\u{9f}'), ('\u{2000}', '\u{200f}'), ('\u{2028}', '\u{202f}')]
        {
            assert!((first..=last).all(is_hidden), "U+{:04X}", u32::from(first));
        }
        assert!(('\u{205f}'..='\u{206f}').chain('\u{e0000}'..='\u{e0fff}').all(is_hidden));
    }

    #[test]
    fn leaves_what_people_write_as_it_is() {
        for text in
            ["", "a b", "bücher.example", "u\u{308}", "नमस्ते", "مـرحبا·", "日本語", "🤖♥", "\\\"'<&>\u{fffd}"]
        {
            assert_eq!(escaped(text), text);
            assert_eq!(json(text), text);
        }
    }

    #[test]
    fn json_reads_back_to_the_same_text_and_shows_nothing_hidden() {
        let document =
            serde_json::to_string_pretty(&serde_json::json!({ "text": HOSTILE, "more": ["ü"] })).unwrap();
        let shown = json(&document);
        assert!(!shown.contains(|c| is_hidden(c) && c != '\n'), "{shown}");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["text"], HOSTILE);
        assert_eq!(read["more"][0], "ü");
    }

    #[test]
    fn parts_written_one_by_one_are_escaped_like_the_whole() {
        let mut shown = String::new();
        ["a\n", "\u{202e}", "b"].iter().for_each(|part| Escaping(&mut shown).write_str(part).unwrap());
        assert_eq!(shown, escaped("a\n\u{202e}b"));
        assert_eq!(shown, "a\\n\\u{202e}b");
    }
}
