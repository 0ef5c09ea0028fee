//! The content of one tag (XML 1.0 section 3.1): its name and attributes. Namespaces are not resolved here.

use super::chars::{self, Class};
use super::text;
use super::{Error, Measure};
use std::ops::Range;

/// The parts of a start tag or an empty element. The struct is reused, so a tag needs no allocation.
#[derive(Debug, Default)]
pub(super) struct Tag {
    pub(super) name: Name,
    pub(super) attributes: Vec<Attribute>,
    /// Whether it ends in `/>`.
    pub(super) empty: bool,
    /// The position behind its `>`.
    pub(super) end: usize,
}

/// A name in a tag, by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) range: Range<usize>,
    /// The begin of its local part: after the colon, or that of the name.
    pub(super) local: usize,
}

/// An attribute in a tag, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Name,
    /// The text between the quotes.
    pub(super) value: Range<usize>,
    /// From the white space before it to its closing quote.
    pub(super) whole: Range<usize>,
    /// Whether the value is literal: no references, no line ends or tabs.
    pub(super) literal: bool,
}

impl Name {
    pub(super) fn bytes<'a>(&self, view: &'a [u8]) -> &'a [u8] {
        &view[self.range.clone()]
    }

    pub(super) fn local<'a>(&self, view: &'a [u8]) -> &'a [u8] {
        &view[self.local..self.range.end]
    }

    /// The prefix, without its colon.
    pub(super) fn prefix<'a>(&self, view: &'a [u8]) -> Option<&'a [u8]> {
        (self.local > self.range.start).then(|| &view[self.range.start..self.local - 1])
    }
}

impl Tag {
    /// Reads the start tag at `at`. Gives `false` when it is incomplete; the parts are invalid then.
    pub(super) fn read(&mut self, view: &[u8], at: usize, limit: usize) -> Result<bool, Error> {
        self.attributes.clear();
        let Some(name) = name(view, at + 1)? else {
            return Ok(false);
        };
        let mut at = name.range.end;
        self.name = name;
        loop {
            let begin = at;
            at = skip_white_space(view, at);
            match view.get(at) {
                None => return Ok(false),
                Some(b'>') => {
                    (self.empty, self.end) = (false, at + 1);
                    return Ok(true);
                }
                Some(b'/') => match view.get(at + 1) {
                    None => return Ok(false),
                    Some(b'>') => {
                        (self.empty, self.end) = (true, at + 2);
                        return Ok(true);
                    }
                    Some(_) => return Err(Error::NotWellFormed("a slash inside a tag")),
                },
                Some(_) if at == begin => {
                    return Err(Error::NotWellFormed("attributes without white space between them"));
                }
                Some(_) if self.attributes.len() == limit => {
                    return Err(Error::TooComplex { measure: Measure::Attributes, limit });
                }
                Some(_) => match attribute(view, begin, at)? {
                    None => return Ok(false),
                    Some(attribute) => {
                        at = attribute.whole.end;
                        self.attributes.push(attribute);
                    }
                },
            }
        }
    }
}

/// Reads the end tag at `at`. Gives its name and the position of its end; `None` when it is incomplete.
pub(super) fn read_end(view: &[u8], at: usize) -> Result<Option<(Name, usize)>, Error> {
    let Some(name) = name(view, at + 2)? else {
        return Ok(None);
    };
    let close = skip_white_space(view, name.range.end);
    match view.get(close) {
        None => Ok(None),
        Some(b'>') => Ok(Some((name, close + 1))),
        Some(_) => Err(Error::NotWellFormed("an end tag with more than a name")),
    }
}

/// Searches for the end of the tag that begins at `at`, from the position where the last search stopped.
///
/// A tag ends at the first `>` outside quotes. A character that no tag can contain (`<`, control characters)
/// ends it too, so that a missing quote is detected when the next tag begins.
pub(super) fn find_end(view: &[u8], at: usize, looked: &mut usize, quote: &mut Option<u8>) -> bool {
    let mut i = (*looked).max(at + 1);
    while let Some(&byte) = view.get(i) {
        match (byte, *quote) {
            (b'<', _) | (b'>', None) => break,
            (b'"' | b'\'', None) => *quote = Some(byte),
            (_, Some(open)) if byte == open => *quote = None,
            _ if chars::class(byte) == Class::Forbidden => break,
            _ => {}
        }
        i += 1;
    }
    *looked = i;
    i < view.len()
}

fn attribute(view: &[u8], begin: usize, at: usize) -> Result<Option<Attribute>, Error> {
    let Some(name) = name(view, at)? else {
        return Ok(None);
    };
    let equals = skip_white_space(view, name.range.end);
    match view.get(equals) {
        None => return Ok(None),
        Some(b'=') => {}
        Some(_) => return Err(Error::NotWellFormed("an attribute without a value")),
    }
    let open = skip_white_space(view, equals + 1);
    match view.get(open) {
        None => Ok(None),
        Some(&quote @ (b'"' | b'\'')) => Ok(value(view, open + 1, quote)?.map(|(close, literal)| {
            Attribute { name, value: open + 1..close, whole: begin..close + 1, literal }
        })),
        Some(_) => Err(Error::NotWellFormed("an attribute value without quotes")),
    }
}

/// Reads an attribute value from behind its opening quote. Gives the position of the closing quote, and
/// whether the value is literal.
fn value(view: &[u8], mut at: usize, quote: u8) -> Result<Option<(usize, bool)>, Error> {
    let mut literal = true;
    loop {
        at += chars::value_run(&view[at..]);
        let Some(&byte) = view.get(at) else {
            return Ok(None);
        };
        match (byte, chars::class(byte)) {
            _ if byte == quote => return Ok(Some((at, literal))),
            (b'<', _) => return Err(Error::NotWellFormed("< in an attribute value")),
            (b'&', _) => match text::reference(view, at, &mut 0)? {
                Some(end) => (at, literal) = (end, false),
                None => return Ok(None),
            },
            (_, Class::Forbidden) => return Err(Error::NotWellFormed("a character that XML forbids")),
            (_, Class::High) => match chars::decode(&view[at..])? {
                Some(c) if crate::xml::is_char(c) => at += c.len_utf8(),
                Some(_) => return Err(Error::NotWellFormed("a character that XML forbids")),
                None => return Ok(None),
            },
            (_, class) => {
                literal &= byte == b' ' || class != Class::White;
                at += 1;
            }
        }
    }
}

/// Reads a name at `at`, with at most one colon and none at its ends (Namespaces in XML section 4). `None`
/// when it may continue.
fn name(view: &[u8], at: usize) -> Result<Option<Name>, Error> {
    // Nearly every name is ASCII without a prefix.
    let end = at + chars::name_run(&view[at..]);
    if end > at
        && chars::class(view[at]) == Class::NameStart
        && let Some(&next) = view.get(end)
        && !matches!(chars::class(next), Class::Colon | Class::High)
    {
        return Ok(Some(Name { range: at..end, local: at }));
    }
    let mut name = Name { range: at..at, local: at };
    loop {
        let end = name.range.end;
        let Some(&byte) = view.get(end) else {
            return Ok(None);
        };
        // A part begins at the start of the name and after the colon.
        let begins = end == name.local;
        match chars::class(byte) {
            Class::NameStart => name.range.end += 1,
            Class::NamePart if !begins => name.range.end += 1,
            Class::Colon if !begins && name.local == at => {
                name.range.end += 1;
                name.local = name.range.end;
            }
            Class::High => match chars::decode(&view[end..])? {
                Some(c) if chars::is_name_start(c) || (!begins && chars::is_name_part(c)) => {
                    name.range.end += c.len_utf8();
                }
                Some(_) => return Err(Error::NotWellFormed("an invalid character in a name")),
                None => return Ok(None),
            },
            _ if begins => return Err(Error::NotWellFormed("a missing name")),
            Class::Colon => return Err(Error::NotWellFormed("a name with two colons")),
            _ => return Ok(Some(name)),
        }
    }
}

fn skip_white_space(view: &[u8], at: usize) -> usize {
    at + view[at..].iter().take_while(|&&b| chars::is_white_space(b)).count()
}
