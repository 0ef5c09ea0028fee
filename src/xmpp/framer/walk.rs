//! The walk over one element, from its first byte to its last, in as many steps as the reads need.

use super::chars::{self, Class};
use super::relocation::{Entered, Relocation};
use super::scope::Scope;
use super::tag::{self, Tag};
use super::{Error, Head, Limits, Measure, text};
use std::{mem, ops::Range};

/// The state of the walk over an element. All positions count from the first byte of the element, which stays
/// the first byte of the buffer until the element is complete.
#[derive(Debug, Default)]
pub(super) struct Walk {
    begun: bool,
    limits: Limits,
    /// The begin of the part that is incomplete or not read.
    at: usize,
    /// The position up to which the end of that part was searched.
    pub(super) looked: usize,
    /// The quote that is open there.
    quote: Option<u8>,
    /// `at` is inside a CDATA section.
    in_cdata: bool,
    /// The open elements, outermost first.
    open: Vec<Open>,
    scope: Scope,
    relocation: Relocation,
    tag: Tag,
    head: Head,
}

#[derive(Debug)]
struct Open {
    name: Range<usize>,
    /// The number of declarations in scope outside of it.
    outer: usize,
    entered: Entered,
}

impl Walk {
    pub(super) fn begin(&mut self, limits: Limits) {
        self.begun = true;
        self.limits = limits;
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The state at the begin of this element.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Resets the state for the next element, and keeps the allocated memory.
    pub(super) fn reset(&mut self) {
        self.begun = false;
        self.in_cdata = false;
        self.move_to(0);
        self.open.clear();
        self.scope.truncate(0);
        self.relocation.reset();
        self.head = Head::default();
    }

    /// The note of the start tag of the element.
    pub(super) fn take_head(&mut self) -> Head {
        mem::take(&mut self.head)
    }

    /// Continues with a first-level element. Gives the position of its end; `None` when it is incomplete.
    pub(super) fn element(&mut self, view: &[u8]) -> Result<Option<usize>, Error> {
        loop {
            if self.in_cdata {
                let (at, closed) = text::skip_cdata(view, self.at)?;
                self.move_to(at);
                if !closed {
                    return Ok(None);
                }
                self.in_cdata = false;
            }
            if !self.open.is_empty() {
                self.at = text::skip(view, self.at, &mut self.looked)?;
            }
            if !self.markup(view)? {
                return Ok(None);
            }
            if self.open.is_empty() {
                return Ok(Some(self.at));
            }
        }
    }

    /// Continues with the tag of the root of a stream. Gives the position of its end; `None` when it is
    /// incomplete. The root may be an empty element: [`Walk::is_empty_element`].
    pub(super) fn header(&mut self, view: &[u8]) -> Result<Option<usize>, Error> {
        if view.starts_with(b"</") {
            return Err(Error::NotWellFormed("an end tag before the stream"));
        }
        if !self.markup(view)? {
            return Ok(None);
        }
        Ok(Some(self.at))
    }

    /// Whether the last tag is a whole element, as `<a/>` is.
    pub(super) fn is_empty_element(&self) -> bool {
        self.tag.empty
    }

    /// Continues with the end tag of the stream, whose root has the name `root`. Gives the position of its
    /// end; `None` when it is incomplete.
    pub(super) fn footer(&mut self, view: &[u8], root: &[u8]) -> Result<Option<usize>, Error> {
        let read = tag::read_end(view, self.at);
        match self.settle(view, read)? {
            Some((name, end)) if name.bytes(view) == root => Ok(Some(end)),
            Some(_) => Err(MISMATCH),
            None => Ok(None),
        }
    }

    /// Enters the stream whose header was the last tag. Gives the name of its root, prefix included.
    pub(super) fn enter_stream<'a>(&mut self, view: &'a [u8]) -> &'a [u8] {
        self.scope.set_stream(self.scope.to_strings(view));
        self.head.name.of(view)
    }

    /// The declarations of the stream.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Enters a stream with these declarations, without a header.
    pub(super) fn set_stream(&mut self, declared: Vec<(String, String)>) {
        self.scope.set_stream(declared);
    }

    /// Takes the tag or the begin of a CDATA section at `at`. Gives `false` when it is incomplete.
    fn markup(&mut self, view: &[u8]) -> Result<bool, Error> {
        let [b'<', second, ..] = view[self.at..] else {
            return Ok(false);
        };
        match (second, chars::class(second)) {
            (b'/', _) => self.end_tag(view),
            (b'!', _) => self.section(view),
            (b'?', _) => Err(Error::Restricted("a processing instruction")),
            (_, Class::NameStart | Class::High) => self.start_tag(view),
            _ => Err(Error::NotWellFormed("'<' that does not begin a tag")),
        }
    }

    fn start_tag(&mut self, view: &[u8]) -> Result<bool, Error> {
        if self.is_unfinished(view) {
            return Ok(false);
        }
        let read = self.tag.read(view, self.at, self.limits.attributes);
        if self.settle(view, read.map(|whole| whole.then_some(())))?.is_none() {
            return Ok(false);
        }

        let depth = self.open.len() + 1;
        if depth > self.limits.depth {
            return Err(Error::TooComplex { measure: Measure::Depth, limit: self.limits.depth });
        }
        let outer = self.scope.len();
        self.scope.declare(view, &self.tag, self.limits.declarations)?;
        self.scope.confine(outer, &self.limits)?;
        let name = self.scope.check(view, &self.tag, &mut self.head)?;
        let entered = if depth == 1 {
            note(&mut self.head, view, &self.tag);
            self.relocation.begin(&self.tag, name, &self.scope, &mut self.head)
        } else {
            self.relocation.enter(&self.tag, name, &self.scope, outer, &mut self.head)
        };

        if self.tag.empty {
            self.scope.truncate(outer);
            self.relocation.leave_empty(entered);
        } else {
            self.open.push(Open { name: self.tag.name.range.clone(), outer, entered });
        }
        self.move_to(self.tag.end);
        Ok(true)
    }

    fn end_tag(&mut self, view: &[u8]) -> Result<bool, Error> {
        if self.is_unfinished(view) {
            return Ok(false);
        }
        let Some(Open { name, outer, entered }) = self.open.last() else {
            return Err(MISMATCH);
        };
        let (name, outer, entered) = (&view[name.clone()], *outer, *entered);
        let rest = &view[self.at + 2..];
        let end = match rest.strip_prefix(name) {
            // Nearly every end tag.
            Some([b'>', ..]) => self.at + 2 + name.len() + 1,
            _ => {
                let read = tag::read_end(view, self.at);
                match self.settle(view, read)? {
                    Some((found, end)) if found.bytes(view) == name => end,
                    Some(_) => return Err(MISMATCH),
                    None => return Ok(false),
                }
            }
        };
        self.open.pop();
        self.scope.truncate(outer);
        self.relocation.leave(entered, self.at + 2, &mut self.head);
        self.move_to(end);
        Ok(true)
    }

    /// Takes the begin of a CDATA section. Refuses anything else that begins with `<!`.
    fn section(&mut self, view: &[u8]) -> Result<bool, Error> {
        let rest = &view[self.at + 2..];
        match rest.first() {
            None => return Ok(false),
            Some(b'-') => return Err(Error::Restricted("a comment")),
            Some(b'D') => return Err(Error::Restricted("a document type declaration")),
            Some(_) => {}
        }
        if self.open.is_empty() && rest.starts_with(CDATA) {
            return Err(Error::Misplaced("a CDATA section between elements"));
        }
        if rest.starts_with(CDATA) {
            self.move_to(self.at + 2 + CDATA.len());
            self.in_cdata = true;
            return Ok(true);
        }
        if CDATA.starts_with(rest) {
            return Ok(false);
        }
        Err(Error::NotWellFormed("'<!' that does not begin a CDATA section"))
    }

    fn move_to(&mut self, at: usize) {
        (self.at, self.looked, self.quote) = (at, 0, None);
    }

    /// Whether the tag at `at` was incomplete before and still is. Most tags arrive complete and are read
    /// without a search for their end.
    fn is_unfinished(&mut self, view: &[u8]) -> bool {
        self.looked > self.at && !self.find_end(view)
    }

    /// Decides about the result of reading the tag at `at`. An invalid tag is refused when it is complete and
    /// not before, so that the result does not depend on the split into reads.
    fn settle<T>(&mut self, view: &[u8], read: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        match read {
            Ok(Some(tag)) => Ok(Some(tag)),
            Err(error) if self.find_end(view) => Err(error),
            Err(_) => Ok(None),
            Ok(None) => {
                self.find_end(view);
                Ok(None)
            }
        }
    }

    fn find_end(&mut self, view: &[u8]) -> bool {
        tag::find_end(view, self.at, &mut self.looked, &mut self.quote)
    }
}

/// Notes the start tag of a first-level element.
fn note(head: &mut Head, view: &[u8], tag: &Tag) {
    head.name = tag.name.range.clone().into();
    head.content = tag.end;
    for attribute in &tag.attributes {
        let place = match attribute.name.bytes(view) {
            b"to" => &mut head.to,
            b"from" => &mut head.from,
            b"id" => &mut head.id,
            b"type" => &mut head.kind,
            b"xml:lang" => &mut head.lang,
            _ => continue,
        };
        *place = Some(attribute.value.clone().into());
    }
}

const MISMATCH: Error = Error::NotWellFormed("an end tag that does not match");

/// The text behind `<!` at the begin of a CDATA section (XML 1.0 section 2.7).
const CDATA: &[u8] = b"[CDATA[";
