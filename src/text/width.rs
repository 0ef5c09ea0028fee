//! How many columns of a terminal a text takes, and texts that are shortened to a number of columns.
//!
//! Hidden characters have to be escaped before: see `status::escape`.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// The columns of a text: 2 for a wide East Asian character, 0 for a combining one (UAX #11).
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(of).sum()
}

/// The longest beginning of a text that takes at most `columns`.
pub(crate) fn beginning(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += of(*c);
        taken > columns
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// The longest end of a text that takes at most `columns`. It does not begin with a combining character.
fn ending(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        taken += of(c);
        if taken > columns {
            break;
        }
        if of(c) > 0 {
            start = at;
        }
    }
    &text[start..]
}

/// A text of at most `columns`: the middle of a longer one is replaced by `…`.
pub(crate) fn shortened(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    // The end of a domain says more than its beginning.
    let end = ending(text, room - (2 * room).div_ceil(5));
    let start = beginning(text, room - width(end));
    Cow::Owned(format!("{start}…{end}"))
}

/// A text of at most `columns`: the end of a longer one is replaced by `…`.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    match columns.checked_sub(1) {
        _ if width(text) <= columns => Cow::Borrowed(text),
        Some(room) => Cow::Owned(format!("{}…", beginning(text, room))),
        None => Cow::Borrowed(""),
    }
}

/// A pair of domains of at most `columns`: each of the two that is too long is shortened for itself.
pub(crate) fn shortened_pair(text: &str, columns: usize) -> Cow<'_, str> {
    let Some((local, remote)) = text.split_once(BETWEEN) else { return shortened(text, columns) };
    let (left, right) = (width(local), width(remote));
    match columns.checked_sub(BETWEEN.len()) {
        Some(room) if left + right > room && room >= 2 * RECOGNISABLE => {
            // The remote domain says more than one of this node.
            let least = room * 2 / 5;
            let left = if right < room - least { left.min(room - right) } else { left.min(least) };
            let (local, remote) = (shortened(local, left), shortened(remote, room - left));
            Cow::Owned(format!("{local}{BETWEEN}{remote}"))
        }
        _ => shortened(text, columns),
    }
}

/// A text followed by spaces up to `columns`.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{:1$}", "", columns.saturating_sub(width(text)))
}

/// A text after spaces, so that it ends at `columns`.
pub(crate) fn padded_before(text: &str, columns: usize) -> String {
    format!("{:1$}{text}", "", columns.saturating_sub(width(text)))
}

fn of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// What stands between the two domains of a pair.
const BETWEEN: &str = " > ";

/// The columns below which a shortened domain says nothing.
const RECOGNISABLE: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_combining_characters_are_counted_in_columns() {
        assert_eq!([width("bücher"), width("例え.example"), width("e\u{301}")], [6, 12, 1]);
        assert_eq!(padded("例え", 6), "例え  ");
        assert_eq!(padded_before("例え", 6), "  例え");
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(shortened("short.example", 13), "short.example");
        assert_eq!(shortened("conference.prosody.example", 13), "confe…example");
        assert_eq!(shortened("例え例え例え", 6), "例…え");
        assert_eq!(shortened("ee\u{301}e\u{301}e\u{301}ee\u{301}\u{302}", 3), "e…e\u{301}\u{302}");
        let texts = ["conference.example", "例え例え例え.example", "e\u{301}\u{301}\u{301}xample", ""];
        assert_eq!(
            [cut("no answer from", 10), cut("例え例え", 4), cut("short", 5)],
            ["no answer…", "例…", "short"]
        );
        for columns in 0..20 {
            for text in texts {
                assert!(width(&cut(text, columns)) <= columns, "{text} in {columns}");
                assert!(width(&shortened(text, columns)) <= columns, "{text} in {columns}");
            }
        }
    }

    #[test]
    fn both_domains_of_a_pair_stay_recognisable() {
        let pair = "chat.example.org > conference.prosody.example";
        assert_eq!(shortened_pair(pair, 45), pair);
        assert_eq!(shortened_pair(pair, 37), "chat.…ple.org > conferen…sody.example");
        assert_eq!(shortened_pair(pair, 29), "chat…e.org > confer…y.example");
        assert_eq!(
            shortened_pair("conference.prosody.example > a.example", 30),
            "confere…dy.example > a.example"
        );
        for columns in 0..50 {
            assert!(width(&shortened_pair(pair, columns)) <= columns, "{columns}");
        }
    }
}
