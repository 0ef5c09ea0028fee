//! The namespaces of prefixes inside an element (Namespaces in XML 1.0).

use super::tag::{Attribute, Tag};
use super::{Error, Head, Limits, Meaning, Measure};
use crate::xml::{self, ns};
use std::hash::{DefaultHasher, Hasher};
use std::{borrow::Cow, ops::Range, str};

/// The namespace declarations in scope: those of the stream, and then those of the current element.
#[derive(Debug, Default)]
pub(super) struct Scope {
    stream: Vec<(String, String)>,
    /// The properties of the URIs there.
    stream_uris: Vec<Uri>,
    /// The index of the default namespace.
    stream_default: Option<usize>,
    /// The declarations of the element, outermost first.
    bindings: Vec<Binding>,
}

/// A declaration in the element.
#[derive(Debug)]
pub(super) struct Binding {
    /// Empty for the default namespace.
    pub(super) prefix: Range<usize>,
    pub(super) value: Range<usize>,
    literal: bool,
    /// The begin of the white space before it.
    begin: usize,
    /// The content namespace that it declares.
    pub(super) content: Option<&'static str>,
    /// The fingerprint of the URI. The default namespace needs none, since no attribute is in it.
    fingerprint: u64,
}

/// The properties of a URI that a stream declares.
#[derive(Clone, Copy, Debug)]
struct Uri {
    content: Option<&'static str>,
    fingerprint: u64,
}

/// The origin of the namespace of a prefix.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// No declaration: the prefix is `xml`.
    Xml,
    /// The element: the index among all declarations in scope.
    Element(usize),
    /// The stream: the index there.
    Stream(usize),
}

impl Binding {
    /// From the white space before it to its closing quote.
    pub(super) fn whole(&self) -> Range<usize> {
        self.begin..self.value.end + 1
    }
}

impl Scope {
    /// The declarations of the stream: (prefix, URI).
    pub(super) fn stream(&self) -> &[(String, String)] {
        &self.stream
    }

    /// Enters a stream with these declarations.
    pub(super) fn set_stream(&mut self, declared: Vec<(String, String)>) {
        let uri = |uri: &[u8]| Uri { content: content(uri), fingerprint: fingerprint(uri) };
        self.stream_uris = declared.iter().map(|(_, value)| uri(value.as_bytes())).collect();
        self.stream_default = declared.iter().position(|(prefix, _)| prefix.is_empty());
        self.stream = declared;
    }

    /// The declarations in scope inside the element, as strings. To be used for a stream header, in which no
    /// declaration hides another.
    pub(super) fn to_strings(&self, view: &[u8]) -> Vec<(String, String)> {
        let string = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.bindings
            .iter()
            .map(|b| (string(&view[b.prefix.clone()]), string(&resolved(view, &b.value, b.literal))))
            .collect()
    }

    /// The number of declarations in scope inside the element.
    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Drops all declarations of the element but the first `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bindings.truncate(length);
    }

    /// The declarations of the element but the first `length`.
    pub(super) fn since(&self, length: usize) -> &[Binding] {
        &self.bindings[length..]
    }

    /// The declaration of a default namespace among the declarations after the first `length`.
    pub(super) fn default_since(&self, length: usize) -> Option<&Binding> {
        self.since(length).iter().find(|binding| binding.prefix.is_empty())
    }

    /// The default namespace in scope.
    pub(super) fn default(&self) -> Meaning {
        match self.bindings.iter().rfind(|binding| binding.prefix.is_empty()) {
            Some(binding) => Meaning::Element(binding.value.clone().into()),
            None => self.stream_default.map_or(Meaning::Nowhere, Meaning::Stream),
        }
    }

    /// The same, if it is a content namespace.
    pub(super) fn default_content(&self) -> Option<&'static str> {
        match self.bindings.iter().rfind(|binding| binding.prefix.is_empty()) {
            Some(binding) => binding.content,
            None => self.stream_uris[self.stream_default?].content,
        }
    }

    /// The namespace of a prefix.
    pub(super) fn meaning(&self, found: Found) -> Meaning {
        match found {
            Found::Xml => Meaning::Nowhere,
            Found::Element(place) => Meaning::Element(self.bindings[place].value.clone().into()),
            Found::Stream(place) => Meaning::Stream(place),
        }
    }

    /// The same, if it is a content namespace.
    pub(super) fn content(&self, found: Found) -> Option<&'static str> {
        match found {
            Found::Xml => None,
            Found::Element(place) => self.bindings[place].content,
            Found::Stream(place) => self.stream_uris[place].content,
        }
    }

    /// Adds the declarations of a tag.
    ///
    /// # Errors
    /// Refuses declarations that Namespaces in XML section 3 forbids, and more than `limit` declarations in
    /// scope.
    pub(super) fn declare(&mut self, view: &[u8], tag: &Tag, limit: usize) -> Result<(), Error> {
        for attribute in &tag.attributes {
            let prefix = match (attribute.name.prefix(view), attribute.name.local(view)) {
                (Some(b"xmlns"), _) => attribute.name.local..attribute.name.range.end,
                (None, b"xmlns") => 0..0,
                _ => continue,
            };
            let (value, literal) = (attribute.value.clone(), attribute.literal);
            let uri = resolved(view, &value, literal);
            check_declaration(&view[prefix.clone()], &uri)?;
            let content = content(&uri);
            let fingerprint = if prefix.is_empty() { NO_URI } else { fingerprint(&uri) };
            let begin = attribute.whole.start;
            self.bindings.push(Binding { prefix, value, literal, begin, content, fingerprint });
        }
        if self.stream.len() + self.len() > limit {
            return Err(Error::TooComplex { measure: Measure::Declarations, limit });
        }
        Ok(())
    }

    /// Checks the length of the namespaces that were declared after the first `outer`, and of all together.
    ///
    /// # Errors
    /// Refuses lengths above the limits.
    pub(super) fn confine(&self, outer: usize, limits: &Limits) -> Result<(), Error> {
        let declared = self.since(outer);
        if declared.is_empty() {
            return Ok(());
        }
        if declared.iter().any(|binding| binding.value.len() > limits.namespace) {
            return Err(Error::TooComplex { measure: Measure::Namespace, limit: limits.namespace });
        }
        let of_stream: usize = self.stream.iter().map(|(_, uri)| uri.len()).sum();
        let of_element: usize = self.bindings.iter().map(|binding| binding.value.len()).sum();
        if of_stream + of_element > limits.namespaces {
            return Err(Error::TooComplex { measure: Measure::Namespaces, limit: limits.namespaces });
        }
        Ok(())
    }

    /// Checks the names of a tag whose declarations are in scope: prefixes have to be bound, and attributes
    /// unique. Notes the properties of its attributes. Gives the namespace of its name.
    ///
    /// # Errors
    /// Refuses a tag that is not namespace-well-formed.
    pub(super) fn check(&self, view: &[u8], tag: &Tag, head: &mut Head) -> Result<Option<Found>, Error> {
        let name = match tag.name.prefix(view) {
            None => None,
            Some(prefix) => Some(self.bound(view, prefix)?),
        };
        for (i, attribute) in tag.attributes.iter().enumerate() {
            if let Some(prefix) = attribute.name.prefix(view).filter(|prefix| prefix != b"xmlns") {
                head.lean_on(self.bound(view, prefix)?);
            }
            let local = attribute.name.local(view);
            for earlier in &tag.attributes[..i] {
                if earlier.name.local(view) == local {
                    self.check_pair(view, attribute, earlier, head)?;
                }
            }
        }
        Ok(name)
    }

    /// The namespace of a prefix.
    fn bound(&self, view: &[u8], prefix: &[u8]) -> Result<Found, Error> {
        self.find(view, prefix).ok_or(Error::NotWellFormed("a prefix that is not declared"))
    }

    /// Checks that two attributes with the same local name differ in their prefixes or namespaces.
    fn check_pair(&self, view: &[u8], a: &Attribute, b: &Attribute, head: &mut Head) -> Result<(), Error> {
        let is_one = match (a.name.prefix(view), b.name.prefix(view)) {
            (a, b) if a == b => true,
            (Some(a), Some(b)) => match (self.find(view, a), self.find(view, b)) {
                (Some(a), Some(b)) => {
                    if self.content(a).is_some() && self.content(b).is_some() {
                        head.note_twins();
                    }
                    self.fingerprint(a) == self.fingerprint(b)
                }
                _ => false,
            },
            _ => false,
        };
        if is_one { Err(Error::NotWellFormed("a duplicate attribute")) } else { Ok(()) }
    }

    fn find(&self, view: &[u8], prefix: &[u8]) -> Option<Found> {
        if prefix == b"xml" {
            return Some(Found::Xml);
        }
        if let Some(place) = self.bindings.iter().rposition(|binding| &view[binding.prefix.clone()] == prefix)
        {
            return Some(Found::Element(place));
        }
        self.stream.iter().position(|(declared, _)| declared.as_bytes() == prefix).map(Found::Stream)
    }

    fn fingerprint(&self, found: Found) -> u64 {
        match found {
            // No other prefix can be bound to its namespace.
            Found::Xml => NO_URI,
            Found::Element(place) => self.bindings[place].fingerprint,
            Found::Stream(place) => self.stream_uris[place].fingerprint,
        }
    }
}

/// A fingerprint of a URI, for the comparison of attributes.
///
/// URIs may have ten thousands of bytes and many references, and each attribute of a tag is compared with
/// each other: a comparison of URIs would be an attack on the CPU. A peer that finds two URIs with one
/// fingerprint is refused.
fn fingerprint(uri: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(uri);
    hasher.finish()
}

/// The content namespace with this URI.
fn content(uri: &[u8]) -> Option<&'static str> {
    CONTENT_NAMESPACES.into_iter().find(|namespace| namespace.as_bytes() == uri)
}

/// Checks one declaration against the constraints of Namespaces in XML section 3.
fn check_declaration(prefix: &[u8], uri: &[u8]) -> Result<(), Error> {
    let problem = match (prefix, uri == ns::XML.as_bytes()) {
        (b"xmlns", _) => "the prefix xmlns declared",
        (b"xml", false) => "the prefix xml bound to another namespace",
        (b"xml", true) => return Ok(()),
        (_, true) => "another prefix bound to the namespace of xml",
        _ if uri == XMLNS.as_bytes() => "a prefix bound to the namespace of xmlns",
        ([_, ..], _) if uri.is_empty() => "a prefix without a namespace",
        _ => return Ok(()),
    };
    Err(Error::NotWellFormed(problem))
}

/// The value between two quotes, with references resolved.
fn resolved<'a>(view: &'a [u8], value: &Range<usize>, literal: bool) -> Cow<'a, [u8]> {
    let raw = &view[value.clone()];
    if literal {
        return Cow::Borrowed(raw);
    }
    let text = str::from_utf8(raw).unwrap_or_default();
    Cow::Owned(xml::unescape(text).into_owned().into_bytes())
}

/// The content namespaces of the streams that this node supports, which change from one stream to the next,
/// and that of clients, which some components use (see `stanza::admit`). Inside a stanza of another namespace
/// it is payload.
const CONTENT_NAMESPACES: [&str; 3] = [ns::SERVER, ns::COMPONENT, ns::CLIENT];

/// The fingerprint where no two attributes can have the same namespace.
const NO_URI: u64 = 0;

/// The namespace of the prefix `xmlns` (Namespaces in XML section 3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
