//! Character data: text, references and CDATA sections (XML 1.0 sections 2.4, 2.7 and 4.1).

use super::{Error, chars};
use crate::xml;

/// Walks over text that begins at `at`. Gives the position where it stopped: a `<`, or an incomplete part.
///
/// `looked` is the position up to which a reference at `at` was searched before.
pub(super) fn skip(view: &[u8], mut at: usize, looked: &mut usize) -> Result<usize, Error> {
    loop {
        let rest = &view[at..];
        match rest.first() {
            None | Some(b'<') => return Ok(at),
            Some(b'&') => match reference(view, at, looked)? {
                Some(end) => at = end,
                None => return Ok(at),
            },
            Some(_) => {
                let length = memchr::memchr2(b'<', b'&', rest).unwrap_or(rest.len());
                let end = at + length;
                let whole = at + check_run(view, at, end)?;
                match whole {
                    _ if whole == end => at = end,
                    _ if end == view.len() => return Ok(whole),
                    _ => return Err(Error::UnsupportedEncoding),
                }
            }
        }
    }
}

/// Walks over a CDATA section from `at` inside it. Gives the position where it stopped, and whether that is
/// behind the `]]>`.
pub(super) fn skip_cdata(view: &[u8], at: usize) -> Result<(usize, bool), Error> {
    // The text of a CDATA section follows a `[`, so a look back never leaves the section.
    let close = memchr::memchr_iter(b'>', &view[at..]).map(|i| at + i).find(|&i| view[..i].ends_with(b"]]"));
    let whole = at + chars::check(&view[at..close.unwrap_or(view.len())]).map_err(|(_, error)| error)?;
    match close {
        Some(close) if whole == close => Ok((close + 1, true)),
        Some(_) => Err(Error::UnsupportedEncoding),
        None => Ok((whole, false)),
    }
}

/// Reads the reference at `at`. Gives the position of its end; `None` when it is incomplete.
pub(super) fn reference(view: &[u8], at: usize, looked: &mut usize) -> Result<Option<usize>, Error> {
    let name = &view[at + 1..];
    if name.first() == Some(&b'#') {
        return character_reference(view, at, looked);
    }
    // The predefined entity with the longest common prefix, and the length of that.
    let agreed = PREDEFINED.map(|entity| entity.iter().zip(name).take_while(|(a, b)| a == b).count());
    let (entity, agreed) =
        PREDEFINED.into_iter().zip(agreed).max_by_key(|&(_, agreed)| agreed).unwrap_or_default();
    if agreed == entity.len() {
        return Ok(Some(at + 1 + agreed));
    }
    match name.get(agreed) {
        None => Ok(None),
        Some(&next) if continues_name(next, agreed > 0) => Err(Error::Restricted("an entity reference")),
        Some(_) => Err(Error::NotWellFormed("'&' that does not begin a reference")),
    }
}

/// Reads `&#…;`. It may have any number of leading zeros, so the search continues where it stopped.
fn character_reference(view: &[u8], at: usize, looked: &mut usize) -> Result<Option<usize>, Error> {
    let hexadecimal = view.get(at + 2) == Some(&b'x');
    let digits = at + 2 + usize::from(hexadecimal);
    let mut end = digits.max((*looked).min(view.len()));
    let is_digit = |b: &u8| if hexadecimal { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
    while view.get(end).is_some_and(is_digit) {
        end += 1;
    }
    *looked = end;
    match view.get(end) {
        None => Ok(None),
        Some(b';') => match std::str::from_utf8(&view[at + 1..end]).ok().and_then(xml::resolve) {
            Some(_) => Ok(Some(end + 1)),
            None => Err(Error::NotWellFormed("invalid character reference")),
        },
        Some(_) => Err(Error::NotWellFormed("an invalid character reference")),
    }
}

/// Checks text between `at` and `end`. Gives the length of its complete characters.
fn check_run(view: &[u8], at: usize, end: usize) -> Result<usize, Error> {
    let run = &view[at..end];
    if chars::is_plain(run) {
        return Ok(run.len());
    }
    let checked = chars::check(run);
    let sound = at
        + match &checked {
            Ok(length) => *length,
            Err((offset, _)) => *offset,
        };
    // Text follows a `>` or `;`, so a look back never leaves it.
    if memchr::memchr_iter(b'>', &view[at..sound]).any(|i| view[..at + i].ends_with(b"]]")) {
        return Err(Error::NotWellFormed("]]> in text"));
    }
    checked.map_err(|(_, error)| error)
}

/// Whether a byte after `&`, or after `&` and a part of a name, makes it an entity reference.
fn continues_name(byte: u8, named: bool) -> bool {
    match chars::class(byte) {
        chars::Class::NameStart | chars::Class::Colon | chars::Class::High => true,
        chars::Class::NamePart => named,
        _ => named && byte == b';',
    }
}

/// The entities that need no DTD (XML 1.0 section 4.6).
const PREDEFINED: [&[u8]; 5] = [b"lt;", b"gt;", b"amp;", b"quot;", b"apos;"];
