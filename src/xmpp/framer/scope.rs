//! What prefixes mean inside an element (Namespaces in XML 1.0).

use super::tag::{Attribute, Tag};
use super::{Declaration, Error, Head, Limits, Outer};
use crate::xml::{self, ns};
use std::hash::{DefaultHasher, Hasher};
use std::{borrow::Cow, ops::Range, str};

/// The namespace declarations in force at some place: those of the stream, and inside them those of the element that
/// is being walked over.
#[derive(Debug, Default)]
pub(super) struct Scope {
    stream: Vec<(String, String)>,
    /// Fingerprints of the URIs there.
    stream_uris: Vec<u64>,
    /// Outermost first, by their place in the element.
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    /// Empty for the default namespace.
    prefix: Range<usize>,
    value: Range<usize>,
    literal: bool,
    content: Option<&'static str>,
    /// Fingerprint of the URI; none is needed for the default namespace, which no attribute is in.
    uri: u64,
}

/// Where a prefix got its meaning, and the fingerprint of that.
enum Found {
    Element(u64),
    Stream(usize, u64),
}

impl Scope {
    /// What the stream declared: (prefix, URI).
    pub(super) fn stream(&self) -> &[(String, String)] {
        &self.stream
    }

    /// Enters a stream that declares this, or leaves one for nothing.
    pub(super) fn set_stream(&mut self, declared: Vec<(String, String)>) {
        self.stream_uris = declared.iter().map(|(_, uri)| fingerprint(uri.as_bytes())).collect();
        self.stream = declared;
    }

    /// What is in force inside the element, as strings. Right for a stream header, where nothing hides anything.
    pub(super) fn to_strings(&self, view: &[u8]) -> Vec<(String, String)> {
        let string = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.bindings
            .iter()
            .map(|b| (string(&view[b.prefix.clone()]), string(&resolved(view, &b.value, b.literal))))
            .collect()
    }

    /// How many declarations are in force inside the element.
    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Forgets all declarations of the element but the first `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bindings.truncate(length);
    }

    /// Puts the declarations of a tag in force, and notes those of content namespaces.
    ///
    /// # Errors
    /// Refuses what Namespaces in XML section 3 forbids to declare, and more declarations in force than `limit`.
    pub(super) fn declare(
        &mut self,
        view: &[u8],
        tag: &Tag,
        limit: usize,
        head: &mut Head,
    ) -> Result<(), Error> {
        let outer = self.len();
        for attribute in &tag.attributes {
            let prefix = match (attribute.name.prefix(view), attribute.name.local(view)) {
                (Some(b"xmlns"), _) => attribute.name.local..attribute.name.range.end,
                (None, b"xmlns") => 0..0,
                _ => continue,
            };
            let (value, literal) = (attribute.value.clone(), attribute.literal);
            let uri = resolved(view, &value, literal);
            check_declaration(&view[prefix.clone()], &uri)?;
            let content = CONTENT_NAMESPACES.into_iter().find(|namespace| namespace.as_bytes() == &*uri);
            if let Some(namespace) = content {
                let outer = self.bindings[..outer].iter().rfind(|binding| binding.prefix.is_empty());
                head.content_namespaces.push(Declaration {
                    namespace,
                    attribute: attribute.whole.clone(),
                    value: value.clone(),
                    prefixed: !prefix.is_empty(),
                    outer: match outer.map(|binding| binding.content) {
                        None => Outer::Stream,
                        Some(None) => Outer::Foreign,
                        Some(Some(namespace)) => Outer::Content(namespace),
                    },
                });
            }
            let uri = if prefix.is_empty() { NO_URI } else { fingerprint(&uri) };
            self.bindings.push(Binding { prefix, value, literal, content, uri });
        }
        if self.stream.len() + self.len() > limit {
            return Err(Error::TooComplex { what: "namespace declarations", limit });
        }
        Ok(())
    }

    /// Checks how long the namespaces are that were declared after the first `outer`, and all together with them.
    ///
    /// # Errors
    /// Refuses what is over the limits.
    pub(super) fn confine(&self, outer: usize, limits: &Limits) -> Result<(), Error> {
        let declared = &self.bindings[outer..];
        if declared.is_empty() {
            return Ok(());
        }
        if declared.iter().any(|binding| binding.value.len() > limits.namespace) {
            return Err(Error::TooComplex { what: "bytes of one namespace", limit: limits.namespace });
        }
        let of_stream: usize = self.stream.iter().map(|(_, uri)| uri.len()).sum();
        let of_element: usize = self.bindings.iter().map(|binding| binding.value.len()).sum();
        if of_stream + of_element > limits.namespaces {
            return Err(Error::TooComplex { what: "bytes of namespaces", limit: limits.namespaces });
        }
        Ok(())
    }

    /// Checks the names of a tag whose declarations are in force: prefixes bound, attributes unique. Notes prefixes
    /// that only the stream binds.
    ///
    /// # Errors
    /// Refuses what is not namespace-well-formed.
    pub(super) fn check(&self, view: &[u8], tag: &Tag, head: &mut Head) -> Result<(), Error> {
        if let Some(prefix) = tag.name.prefix(view) {
            self.check_prefix(view, prefix, head)?;
        }
        for (i, attribute) in tag.attributes.iter().enumerate() {
            if let Some(prefix) = attribute.name.prefix(view).filter(|prefix| prefix != b"xmlns") {
                self.check_prefix(view, prefix, head)?;
            }
            if tag.attributes[..i].iter().any(|earlier| self.same(view, attribute, earlier)) {
                return Err(Error::NotWellFormed("an attribute twice"));
            }
        }
        Ok(())
    }

    fn check_prefix(&self, view: &[u8], prefix: &[u8], head: &mut Head) -> Result<(), Error> {
        match self.find(view, prefix) {
            Some(Found::Stream(place, _)) if !head.leans_on.contains(&place) => head.leans_on.push(place),
            Some(_) => {}
            None => return Err(Error::NotWellFormed("a prefix that is not declared")),
        }
        Ok(())
    }

    /// Whether two attributes are one by their names, or by namespace and local name.
    fn same(&self, view: &[u8], a: &Attribute, b: &Attribute) -> bool {
        if a.name.local(view) != b.name.local(view) {
            return false;
        }
        match (a.name.prefix(view), b.name.prefix(view)) {
            (a, b) if a == b => true,
            (Some(a), Some(b)) => match (self.find(view, a), self.find(view, b)) {
                (Some(a), Some(b)) => a.uri() == b.uri(),
                _ => false,
            },
            _ => false,
        }
    }

    fn find(&self, view: &[u8], prefix: &[u8]) -> Option<Found> {
        if prefix == b"xml" {
            // No other prefix can be bound to what it means.
            return Some(Found::Element(NO_URI));
        }
        if let Some(binding) = self.bindings.iter().rfind(|binding| &view[binding.prefix.clone()] == prefix) {
            return Some(Found::Element(binding.uri));
        }
        let place = self.stream.iter().position(|(declared, _)| declared.as_bytes() == prefix)?;
        Some(Found::Stream(place, self.stream_uris[place]))
    }
}

impl Found {
    fn uri(&self) -> u64 {
        match self {
            Self::Element(uri) | Self::Stream(_, uri) => *uri,
        }
    }
}

/// A number that stands for a URI where attributes are compared.
///
/// URIs themselves may be ten thousands of bytes long and full of references, and a tag compares each attribute
/// with each: that would be a way to keep the node busy. Whoever finds two URIs with one number has found a way to
/// be refused.
fn fingerprint(uri: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(uri);
    hasher.finish()
}

/// Checks one declaration against the constraints of Namespaces in XML section 3.
fn check_declaration(prefix: &[u8], uri: &[u8]) -> Result<(), Error> {
    let problem = match (prefix, uri == ns::XML.as_bytes()) {
        (b"xmlns", _) => "the prefix xmlns declared",
        (b"xml", false) => "the prefix xml bound to another namespace",
        (b"xml", true) => return Ok(()),
        (_, true) => "another prefix bound to the namespace of xml",
        _ if uri == XMLNS.as_bytes() => "a prefix bound to the namespace of xmlns",
        ([_, ..], _) if uri.is_empty() => "a prefix undeclared",
        _ => return Ok(()),
    };
    Err(Error::NotWellFormed(problem))
}

/// The value between two quotes as it is meant, references resolved.
fn resolved<'a>(view: &'a [u8], value: &Range<usize>, literal: bool) -> Cow<'a, [u8]> {
    let raw = &view[value.clone()];
    if literal {
        return Cow::Borrowed(raw);
    }
    let text = str::from_utf8(raw).unwrap_or_default();
    Cow::Owned(xml::unescape(text).into_owned().into_bytes())
}

/// Namespaces that are the content namespace of streams that this node speaks, so that they change from one stream
/// to the next. Clients' is not among them: inside a stanza it is payload.
const CONTENT_NAMESPACES: [&str; 2] = [ns::SERVER, ns::COMPONENT];

/// A fingerprint for where no attribute's namespace can equal another's.
const NO_URI: u64 = 0;

/// What the prefix `xmlns` is bound to (Namespaces in XML section 3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
