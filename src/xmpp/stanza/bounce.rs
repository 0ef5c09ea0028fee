//! The error answer to a stanza (RFC 6120 section 8.3.1).

use super::edits::Edits;
use super::{Error, Places, Stanza, admit, names::Names, text};
use crate::{framer::Span, xml::ns};

/// The limit for a stanza that its error answer contains, in bytes. The sender of a longer one recognises it
/// by its id. An answer that is longer than the stanza might exceed a limit on the way back.
pub const MAX_ECHO: usize = 64 * 1024;

pub(super) fn bounce(stanza: &Stanza, error: &Error) -> Option<Stanza> {
    if !stanza.is_answerable() {
        return None;
    }
    let (mut answer, names) = match stanza.bytes.len() <= MAX_ECHO {
        true => echo(stanza),
        false => (start_tag(stanza), None),
    };
    answer.push_str(&error.element(ns::SERVER).write(ns::SERVER, &[]));
    answer.extend(["</", stanza.kind.as_str(), ">"]);

    let element = admit::frame(&answer);
    debug_assert!(element.is_ok(), "an ill-formed error answer: {element:?}");
    let element = element.ok()?;
    let places = Places::new(&element.head, &element.bytes, |place| place).ok()?;
    let (from, to) = (stanza.to.clone(), stanza.from.clone());
    Some(Stanza { bytes: element.bytes, kind: stanza.kind, from, to, places, names })
}

/// The stanza without its end tag, with swapped addresses and the type `error`, and otherwise unchanged.
fn echo(stanza: &Stanza) -> (String, Option<Box<Names>>) {
    let Stanza { bytes, places, names, .. } = stanza;
    let mut changes = vec![
        (quoted(places.to).range(), text(bytes, quoted(places.from))),
        (quoted(places.from).range(), text(bytes, quoted(places.to))),
    ];
    match places.type_ {
        Some(place) => changes.push((quoted(place).range(), "'error'")),
        None => {
            let behind_name = 1 + stanza.kind.as_str().len();
            changes.push((behind_name..behind_name, " type='error'"));
        }
    }
    let end = if places.alone {
        changes.push((bytes.len() - "/>".len()..bytes.len(), ">"));
        bytes.len()
    } else {
        memchr::memrchr(b'<', bytes).unwrap_or(bytes.len())
    };

    changes.sort_by_key(|(place, _)| place.start);
    let mut edits = Edits::default();
    for (place, text) in changes {
        edits.replace(place, text);
    }
    let names = names.as_ref().map(|names| Box::new(names.moved(&edits)));
    (String::from_utf8(edits.apply(&bytes[..end])).unwrap_or_default(), names)
}

/// A start tag that answers the stanza, with addresses and id only.
fn start_tag(stanza: &Stanza) -> String {
    let Stanza { bytes, places, .. } = stanza;
    let mut tag = format!("<{} type='error'", stanza.kind.as_str());
    let attributes = [(" to=", Some(places.from)), (" from=", Some(places.to)), (" id=", places.id)];
    for (name, place) in attributes {
        if let Some(place) = place {
            tag.extend([name, text(bytes, quoted(place))]);
        }
    }
    tag.push('>');
    tag
}

/// A value with its quotes.
fn quoted(value: Span) -> Span {
    let value = value.range();
    Span::from(value.start - 1..value.end + 1)
}
