//! What somebody else wrote, cut to what is worth being repeated: it goes into logs, records and answers, and whoever
//! wrote it decides how long it is.

use std::borrow::Cow;

/// The text, or as much of it as a person reads.
pub(crate) fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Characters. Reasons and names that mean something are shorter by far.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters_and_only_what_is_long() {
        let just = "ü".repeat(MOST);
        assert_eq!(brief(&just), just);
        assert_eq!(brief(&format!("{just}ü")), format!("{just}…"));
        assert_eq!(brief(""), "");
    }
}
