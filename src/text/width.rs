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

/// A text of at most `columns`: the end of a longer one is replaced by `…`, behind a whole word if that leaves most of the
/// text.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    match columns.checked_sub(1) {
        _ if width(text) <= columns => Cow::Borrowed(text),
        Some(room) => {
            let start = beginning(text, room);
            let ends_in_word = !text[start.len()..].starts_with(' ');
            let words = start.rfind(' ').map(|end| start[..end].trim_end()).filter(|_| ends_in_word);
            let kept = words.filter(|words| 2 * width(words) >= room).unwrap_or(start);
            Cow::Owned(format!("{kept}…"))
        }
        None => Cow::Borrowed(""),
    }
}

/// A domain, a pair of domains or an address of at most `columns`. Its domains stay recognisable.
pub(crate) fn shortened_name(text: &str, columns: usize) -> Cow<'_, str> {
    match (text.split_once(BETWEEN), text.split_once('@')) {
        _ if width(text) <= columns => Cow::Borrowed(text),
        (Some((local, remote)), _) => shortened_pair(text, local, remote, columns),
        (None, Some((local, rest))) => shortened_address(local, rest, columns),
        (None, None) => shortened(text, columns),
    }
}

/// An address whose domain is whole if there is room for it: its resourcepart goes first, then the localpart is shortened.
fn shortened_address<'t>(local: &str, rest: &'t str, columns: usize) -> Cow<'t, str> {
    let (domain, resource) = rest.split_once('/').map_or((rest, None), |(domain, part)| (domain, Some(part)));
    let mark = if resource.is_some() { "/…" } else { "" };
    let room = columns.saturating_sub(width(domain) + 1 + width(mark));
    if room < width(local).min(LEAST_LOCALPART) {
        return shortened(domain, columns);
    }
    let local = shortened(local, room);
    match resource {
        Some(part) if width(&local) + 1 < room => {
            let part = cut(part, room - width(&local) + 1);
            Cow::Owned(format!("{local}@{domain}/{part}"))
        }
        _ => Cow::Owned(format!("{local}@{domain}{mark}")),
    }
}

/// A pair of domains of at most `columns`: each of the two that is too long is shortened for itself.
fn shortened_pair<'t>(text: &'t str, local: &str, remote: &str, columns: usize) -> Cow<'t, str> {
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

/// The columns below which a shortened localpart says nothing.
const LEAST_LOCALPART: usize = 4;

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
        assert_eq!(
            [cut("reset by peer (os error 104)", 20), cut("a longest-word-of-all", 10), cut("two words", 9)],
            ["reset by peer (os…", "a longest…", "two words"]
        );
        for columns in 0..20 {
            for text in texts {
                assert!(width(&cut(text, columns)) <= columns, "{text} in {columns}");
                assert!(width(&shortened(text, columns)) <= columns, "{text} in {columns}");
            }
        }
    }

    #[test]
    fn an_address_keeps_its_domain() {
        let address = "#channel%irc.example.org@biboumi.example.org/Nick";
        assert_eq!(shortened_name(address, 49), address);
        assert_eq!(shortened_name(address, 46), "#channel%irc.example.org@biboumi.example.org/…");
        assert_eq!(shortened_name(address, 27), "#c…rg@biboumi.example.org/…");
        assert_eq!(shortened_name(address, 22), "biboumi.example.org");
        assert_eq!(shortened_name("u@b.example/gajim.ABCDEF", 20), "u@b.example/gajim.A…");
        assert_eq!(shortened_name("somebody@b.example", 15), "so…dy@b.example");
        for columns in 0..60 {
            assert!(width(&shortened_name(address, columns)) <= columns, "{columns}");
        }
    }

    #[test]
    fn both_domains_of_a_pair_stay_recognisable() {
        let pair = "chat.example.org > conference.prosody.example";
        assert_eq!(shortened_name(pair, 45), pair);
        assert_eq!(shortened_name(pair, 37), "chat.…ple.org > conferen…sody.example");
        assert_eq!(shortened_name(pair, 29), "chat…e.org > confer…y.example");
        assert_eq!(
            shortened_name("conference.prosody.example > a.example", 30),
            "confere…dy.example > a.example"
        );
        for columns in 0..50 {
            assert!(width(&shortened_name(pair, columns)) <= columns, "{columns}");
        }
    }
}
