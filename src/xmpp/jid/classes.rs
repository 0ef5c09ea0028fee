//! Which characters may stand in a localpart and a resourcepart (RFC 7622 sections 3.3 and 3.4, RFC 8264).
//!
//! COMPAT: the PRECIS tables stop at Unicode 6.3, and every server of today (they prepare addresses with stringprep
//! or ICU) lets newer characters through, joined emoji in chat room nicknames first of all. To refuse them would
//! end a stream for a nickname. So newer characters are taken, and so is what holds emoji together.

use super::{Error, Part};
use precis_profiles::precis_core::profile::Profile;
use precis_profiles::precis_core::stringclasses::StringClass;
use precis_profiles::precis_core::{self as precis, DerivedPropertyValue as Property};
use precis_profiles::precis_core::{FreeformClass, IdentifierClass};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

/// Checks a localpart against the profile UsernameCaseMapped and the exclusions of RFC 7622 section 3.3.1.
pub(super) fn check_local(text: &str) -> Result<(), Error> {
    if let Some(c) = text.chars().find(|&c| c <= ' ' || c == '\u{7f}' || EXCLUDED.contains(c)) {
        return Err(Error::Forbidden(Part::Local, c));
    }
    if text.is_ascii() {
        return Ok(());
    }
    match UsernameCaseMapped::new().enforce(text) {
        // Mapping may narrow a fullwidth `＠` to the one that is excluded.
        Ok(normal) => match normal.chars().find(|&c| EXCLUDED.contains(c)) {
            Some(c) => Err(Error::Forbidden(Part::Local, c)),
            None => Ok(()),
        },
        Err(error) => {
            let class = IdentifierClass::default();
            explain(Part::Local, text, &error, |c| match class.get_value_from_char(c) {
                // A letter or digit of a script that is newer than the tables; symbols are out, old or new.
                Property::Unassigned => Verdict::newer_if(c.is_alphanumeric()),
                // The profile maps these before it looks at them.
                Property::Disallowed | Property::SpecClassDis => Verdict::known_if(is_wide(c)),
                _ => Verdict::Known,
            })
        }
    }
}

/// Checks a resourcepart against the profile OpaqueString.
pub(super) fn check_resource(text: &str) -> Result<(), Error> {
    if let Some(c) = text.chars().find(char::is_ascii_control) {
        return Err(Error::Forbidden(Part::Resource, c));
    }
    if text.is_ascii() {
        return Ok(());
    }
    match OpaqueString::new().enforce(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let class = FreeformClass::default();
            explain(Part::Resource, text, &error, |c| match class.get_value_from_char(c) {
                _ if is_glue(c) => Verdict::Newer,
                Property::Unassigned => Verdict::Newer,
                Property::Disallowed | Property::SpecClassDis => Verdict::Refused,
                _ => Verdict::Known,
            })
        }
    }
}

/// What becomes of one character of a text that PRECIS refused.
#[derive(PartialEq, Eq)]
enum Verdict {
    /// PRECIS knows and takes it.
    Known,
    /// PRECIS refuses it for its age, so nobody else will.
    Newer,
    Refused,
}

impl Verdict {
    fn newer_if(taken: bool) -> Self {
        if taken { Self::Newer } else { Self::Refused }
    }

    fn known_if(taken: bool) -> Self {
        if taken { Self::Known } else { Self::Refused }
    }
}

/// Decides about a text that PRECIS refused: whether all that it met were characters newer than its tables.
fn explain(
    part: Part,
    text: &str,
    error: &precis::Error,
    verdict: impl Fn(char) -> Verdict,
) -> Result<(), Error> {
    if let Some(c) = text.chars().find(|&c| verdict(c) == Verdict::Refused) {
        return Err(Error::Forbidden(part, c));
    }
    if text.chars().any(|c| verdict(c) == Verdict::Newer) {
        return Ok(());
    }
    match error {
        precis::Error::BadCodepoint(info) => match char::from_u32(info.cp) {
            Some(c) => Err(Error::Forbidden(part, c)),
            None => Err(Error::Disordered(part)),
        },
        precis::Error::Invalid | precis::Error::Unexpected(_) => Err(Error::Disordered(part)),
    }
}

/// Joiners and variation selectors: stringprep maps them to nothing (RFC 3454 table B.1), emoji cannot do without.
fn is_glue(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Fullwidth and halfwidth forms.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{ff01}'..='\u{ffee}')
}

/// What RFC 7622 section 3.3.1 keeps out of localparts though PRECIS would let it in.
const EXCLUDED: &str = "\"&'/:<>@";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_separators_quotes_and_spaces_out_of_the_localpart() {
        for c in ['"', '&', '\'', '/', ':', '<', '>', '@', ' ', '\0', '\n', '\u{7f}'] {
            assert_eq!(check_local(&format!("a{c}b")), Err(Error::Forbidden(Part::Local, c)), "{c:?}");
        }
        assert_eq!(check_local("a＠b"), Err(Error::Forbidden(Part::Local, '@')));
    }

    #[test]
    fn takes_letters_of_all_scripts() {
        for text in
            ["juliet", "Juliet+x=1!#$%*(){}[]^`|~?", "жульета", "Zoë", "ジュリエット", "ＡＢＣ", "δ", "יוליה"]
        {
            assert_eq!(check_local(text), Ok(()), "{text}");
            assert_eq!(check_resource(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn keeps_symbols_out_of_the_localpart_only() {
        assert_eq!(check_local("♚"), Err(Error::Forbidden(Part::Local, '♚')));
        assert_eq!(check_local("ab🤖"), Err(Error::Forbidden(Part::Local, '🤖')));
        assert_eq!(check_resource("♚ of hearts"), Ok(()));
    }

    #[test]
    fn refuses_controls_and_characters_that_turn_the_direction() {
        for c in ['\0', '\u{7}', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}', '\u{200f}'] {
            assert_eq!(check_resource(&format!("a{c}b")), Err(Error::Forbidden(Part::Resource, c)), "{c:?}");
            assert_eq!(check_local(&format!("a{c}b")), Err(Error::Forbidden(Part::Local, c)), "{c:?}");
        }
    }

    #[test]
    fn refuses_a_localpart_written_in_both_directions() {
        assert_eq!(check_local("aא"), Err(Error::Disordered(Part::Local)));
        assert_eq!(check_resource("aא"), Ok(()));
    }

    #[test]
    fn takes_characters_newer_than_the_tables() {
        // A letter of Osage, which came with Unicode 9.
        assert_eq!(check_local("ａ\u{104d8}"), Ok(()));
        assert_eq!(check_local("\u{104d8}＠♚"), Err(Error::Forbidden(Part::Local, '♚')));
        for text in ["🤖", "👩‍💻", "❤️", "🫠 melting"] {
            assert_eq!(check_resource(text), Ok(()), "{text}");
        }
        assert_eq!(check_resource("🤖\u{202e}"), Err(Error::Forbidden(Part::Resource, '\u{202e}')));
    }
}
