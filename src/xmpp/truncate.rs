//! Shortens text of a peer before it is repeated in logs, records and answers: the peer decides how long it
//! is.

use std::borrow::Cow;

/// Cuts a text to at most [`MAX_CHARS`] characters; `…` marks the cut.
pub(crate) fn truncate(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// In characters. Useful reasons and names are much shorter.
const MAX_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_text_is_cut_and_only_between_characters() {
        let longest = "ü".repeat(MAX_CHARS);
        assert_eq!(truncate(&longest), longest);
        assert_eq!(truncate(&format!("{longest}ü")), format!("{longest}…"));
        assert_eq!(truncate(""), "");
    }
}
