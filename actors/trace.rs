//! XML for the log at `trace`: short, and with everything cut out that proves somebody's identity.

use std::fmt;

/// Bytes of a stream as they may stand in a log.
pub fn redact(bytes: &[u8]) -> impl fmt::Display {
    let text = String::from_utf8_lossy(bytes.get(..LONGEST).unwrap_or(bytes));
    let mut shown = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(open) = rest.find('<') {
        let (before, tag) = rest.split_at(open);
        shown.push_str(before);
        let end = tag.find('>').map_or(tag.len(), |at| at + 1);
        let (tag, after) = tag.split_at(end);
        shown.push_str(tag);
        rest = after;
        if is_secret(tag) {
            let text = rest.find('<').unwrap_or(rest.len());
            if text > 0 {
                shown.push('…');
            }
            rest = &rest[text..];
        }
    }
    shown.push_str(rest);
    if bytes.len() > LONGEST {
        shown.push('…');
    }
    shown
}

/// Whether the text in an element with this start tag is a key, a digest or a SASL message.
fn is_secret(tag: &str) -> bool {
    let name =
        tag.trim_start_matches('<').split([' ', '>', '/', '\t', '\n', '\r']).next().unwrap_or_default();
    let local = name.rsplit(':').next().unwrap_or_default();
    matches!(
        local,
        "result" | "verify" | "handshake" | "auth" | "response" | "challenge" | "success" | "body"
    )
}

/// More is no help to a reader.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_bodies_are_cut() {
        let shown =
            redact(b"<db:result from='a' to='b'>37c69b1c</db:result><message><body>hi</body></message>")
                .to_string();
        assert_eq!(shown, "<db:result from='a' to='b'>…</db:result><message><body>…</body></message>");
    }

    #[test]
    fn an_unfinished_tag_and_broken_utf_8_are_shown_as_they_are() {
        assert_eq!(redact(b"<auth mech").to_string(), "<auth mech");
        assert_eq!(redact(b"\xff<a/>").to_string(), "\u{fffd}<a/>");
    }
}
