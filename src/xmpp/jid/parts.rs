//! The check of localparts and resourceparts that are relayed.
//!
//! The rule: no part contains a control character (C0, DEL, C1), and none is empty or longer than 1023 bytes.
//! No character of a localpart is, or becomes under NFKC, a space or one of `" & ' / : < > @`. All other text
//! passes unchanged.
//!
//! The reason: this node has no accounts, so it never needs the prepared form of a name. The users are on
//! servers that prepare names by different rules (stringprep with Unicode 3.2, PRECIS with a newer one), and
//! each of them checks again what we relay. A node that applied one set of tables would refuse names that the
//! others deliver every day: `♥` in the localpart of a room, `·` or an Arabic tatweel in a nickname, a
//! zero-width space. The rule excludes the text that is unsafe for a relay: bytes that break logs and
//! terminals, and characters that become a separator of an address, or a delimiter of XML, in software that
//! prepares names.
//!
//! The sources: RFC 7622 section 3.3.1 (the eight excluded characters, checked after mapping), section 3.3
//! (no space in a localpart) and sections 3.3 and 3.4 (length); RFC 3491 and RFC 3920 appendices A and B
//! (nodeprep, resourceprep: NFKC, tables C.1 to C.9 of RFC 3454). Prosody 0.12 (ICU's stringprep) and
//! ejabberd 23.01 (stringprep with Unicode 3.2) accept unassigned code points; ejabberd relays the name as
//! typed and not as prepared.
//!
//! Noncharacters need no special rule: XML excludes U+FFFE and U+FFFF (they are refused here too, so that an
//! accepted address can always be written), and the others are harmless.

use super::{Error, Part};
use std::iter;
use unicode_normalization::UnicodeNormalization;

/// Checks the characters of a localpart.
pub(super) fn check_local(text: &str) -> Result<(), Error> {
    if let Some(c) = text.chars().find(|&c| is_unsafe(c) || becomes_excluded(c)) {
        return Err(Error::Forbidden(Part::Local, c));
    }
    // The normal form of a text may differ from that of its characters one by one. No sequence is known that
    // becomes an excluded character and contains no such character; a future Unicode version might have one.
    match text.is_ascii() {
        true => Ok(()),
        false => {
            text.nfkc().find(|&c| is_excluded(c)).map_or(Ok(()), |c| Err(Error::Forbidden(Part::Local, c)))
        }
    }
}

/// Checks the characters of a resourcepart.
pub(super) fn check_resource(text: &str) -> Result<(), Error> {
    text.chars().find(|&c| is_unsafe(c)).map_or(Ok(()), |c| Err(Error::Forbidden(Part::Resource, c)))
}

/// Whether a character is unsafe in any part: a control character, or one that XML cannot carry.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Whether a character, or its compatibility form, is excluded from localparts.
fn becomes_excluded(c: char) -> bool {
    match c.is_ascii() {
        true => is_excluded(c),
        false => iter::once(c).nfkc().any(is_excluded),
    }
}

/// The characters that RFC 7622 section 3.3.1 excludes from localparts, and the space (section 3.3).
fn is_excluded(c: char) -> bool {
    matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All characters that XML 1.0 can carry and more: every scalar value.
    fn all() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    // rows: E5
    #[test]
    fn relays_every_character_of_a_resource_but_controls() {
        for c in all() {
            let refused = matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
            let expected = if refused { Err(Error::Forbidden(Part::Resource, c)) } else { Ok(()) };
            assert_eq!(check_resource(&format!("a{c}b")), expected, "{c:?}");
        }
    }

    // rows: E5
    #[test]
    fn relays_every_character_of_a_localpart_but_controls_and_separators() {
        for c in all() {
            let unsafe_ = matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
            let refused = unsafe_ || " \"&'/:<>@".contains(c) || MAPPED.contains(&u32::from(c));
            let expected = if refused { Err(Error::Forbidden(Part::Local, c)) } else { Ok(()) };
            assert_eq!(check_local(&format!("a{c}b")), expected, "{c:?} U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn a_character_newer_than_any_table_switches_no_check_off() {
        for newer in ['\u{104d8}', '\u{1fae0}', '\u{e0fff}', '\u{378}', '♥', '\u{200b}'] {
            for mapped in MAPPED.iter().filter_map(|&c| char::from_u32(c)).chain("\"&'/:<>@ \u{85}".chars()) {
                for text in [format!("{newer}{mapped}evil"), format!("evil{mapped}{newer}")] {
                    assert_eq!(check_local(&text), Err(Error::Forbidden(Part::Local, mapped)), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn relays_names_that_deployed_servers_have() {
        for text in [
            "he♥rt",
            "#a♥b%irc.example.net",
            "foo·bar",
            "مـــحمد",
            "a\u{200b}b",
            "\u{200b}",
            "aא",
            "ＡＢＣ",
            "Zoë",
            "Zoe\u{308}",
            "👩‍💻",
            "a≮b",
            "½",
            "\u{ad}",
            "\u{fdd0}",
            "Juliet+x=1!#$%*(){}[]^`|~?\\40",
        ] {
            assert_eq!(check_local(text), Ok(()), "{text:?}");
            assert_eq!(check_resource(text), Ok(()), "{text:?}");
        }
    }

    /// The characters beyond ASCII whose NFKC form holds an excluded character or a space, from the Unicode
    /// data by another implementation. A newer Unicode that adds one makes the test above fail, so that
    /// somebody looks.
    #[rustfmt::skip]
    const MAPPED: [u32; 86] = [
        0xa0, 0xa8, 0xaf, 0xb4, 0xb8, 0x2d8, 0x2d9, 0x2da, 0x2db, 0x2dc, 0x2dd, 0x37a, 0x384, 0x385, 0x1fbd, 0x1fbf,
        0x1fc0, 0x1fc1, 0x1fcd, 0x1fce, 0x1fcf, 0x1fdd, 0x1fde, 0x1fdf, 0x1fed, 0x1fee, 0x1ffd, 0x1ffe, 0x2000, 0x2001,
        0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x2017, 0x202f, 0x203e, 0x205f, 0x2100,
        0x2101, 0x2105, 0x2106, 0x2a74, 0x3000, 0x309b, 0x309c, 0xfc5e, 0xfc5f, 0xfc60, 0xfc61, 0xfc62, 0xfc63, 0xfdfa,
        0xfdfb, 0xfe13, 0xfe49, 0xfe4a, 0xfe4b, 0xfe4c, 0xfe55, 0xfe60, 0xfe64, 0xfe65, 0xfe6b, 0xfe70, 0xfe72, 0xfe74,
        0xfe76, 0xfe78, 0xfe7a, 0xfe7c, 0xfe7e, 0xff02, 0xff06, 0xff07, 0xff0f, 0xff1a, 0xff1c, 0xff1e, 0xff20, 0xffe3,
    ];
}
