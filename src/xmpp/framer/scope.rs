//! What prefixes mean inside an element (Namespaces in XML 1.0).

use super::tag::{Attribute, Tag};
use super::{Declaration, Error, Head};
use crate::xml::{self, ns};
use std::{borrow::Cow, ops::Range, str};

/// The namespace declarations in force at some place inside an element, outermost first, by their place in it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    /// Empty for the default namespace.
    prefix: Range<usize>,
    value: Range<usize>,
    literal: bool,
}

/// Where a prefix got its meaning.
enum Found<'a> {
    Xml,
    Here(&'a Binding),
    Stream(usize),
}

impl Scope {
    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.bindings.truncate(length);
    }

    /// Puts the declarations of a tag in force, and notes those of content namespaces.
    ///
    /// # Errors
    /// Refuses what Namespaces in XML section 3 forbids to declare.
    pub(super) fn declare(&mut self, view: &[u8], tag: &Tag, head: &mut Head) -> Result<(), Error> {
        let outer = self.len();
        for attribute in &tag.attributes {
            let prefix = match (attribute.name.prefix(view), attribute.name.local(view)) {
                (Some(b"xmlns"), _) => attribute.name.local..attribute.name.range.end,
                (None, b"xmlns") => 0..0,
                _ => continue,
            };
            let uri = resolved(view, &attribute.value, attribute.literal);
            check_declaration(&view[prefix.clone()], &uri)?;
            if CONTENT_NAMESPACES.contains(&&*uri) {
                let inside = self.bindings[..outer].iter().rfind(|binding| binding.prefix.is_empty());
                head.content_namespaces.push(Declaration {
                    attribute: attribute.whole.clone(),
                    value: attribute.value.clone(),
                    prefixed: !prefix.is_empty(),
                    inside: inside.map(|binding| binding.value.clone()),
                });
            }
            self.bindings.push(Binding {
                prefix,
                value: attribute.value.clone(),
                literal: attribute.literal,
            });
        }
        Ok(())
    }

    /// Checks the names of a tag whose declarations are in force: prefixes bound, attributes unique.
    ///
    /// # Errors
    /// Refuses what is not namespace-well-formed.
    pub(super) fn check(
        &self,
        view: &[u8],
        tag: &Tag,
        stream: &[(String, String)],
        head: &mut Head,
    ) -> Result<(), Error> {
        if let Some(prefix) = tag.name.prefix(view) {
            self.check_prefix(view, prefix, stream, head)?;
        }
        for (i, attribute) in tag.attributes.iter().enumerate() {
            if let Some(prefix) = attribute.name.prefix(view).filter(|prefix| prefix != b"xmlns") {
                self.check_prefix(view, prefix, stream, head)?;
            }
            for earlier in &tag.attributes[..i] {
                if self.same(view, attribute, earlier, stream) {
                    return Err(Error::NotWellFormed("an attribute twice"));
                }
            }
        }
        Ok(())
    }

    /// What is in force, as strings. Right for a stream header, where nothing hides anything.
    pub(super) fn to_strings(&self, view: &[u8]) -> Vec<(String, String)> {
        let string = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.bindings
            .iter()
            .map(|b| (string(&view[b.prefix.clone()]), string(&resolved(view, &b.value, b.literal))))
            .collect()
    }

    fn check_prefix(
        &self,
        view: &[u8],
        prefix: &[u8],
        stream: &[(String, String)],
        head: &mut Head,
    ) -> Result<(), Error> {
        match self.find(view, prefix, stream) {
            Some(Found::Stream(place)) if !head.leans_on.contains(&place) => head.leans_on.push(place),
            Some(_) => {}
            None => return Err(Error::NotWellFormed("a prefix that is not declared")),
        }
        Ok(())
    }

    /// Whether two attributes are one by their names, or by namespace and local name.
    fn same(&self, view: &[u8], a: &Attribute, b: &Attribute, stream: &[(String, String)]) -> bool {
        let (a, b) = (&a.name, &b.name);
        if a.local(view) != b.local(view) {
            return false;
        }
        match (a.prefix(view), b.prefix(view)) {
            (a, b) if a == b => true,
            (Some(a), Some(b)) => match (self.find(view, a, stream), self.find(view, b, stream)) {
                (Some(a), Some(b)) => a.uri(view, stream) == b.uri(view, stream),
                _ => false,
            },
            _ => false,
        }
    }

    fn find(&self, view: &[u8], prefix: &[u8], stream: &[(String, String)]) -> Option<Found<'_>> {
        if prefix == b"xml" {
            return Some(Found::Xml);
        }
        let here = self.bindings.iter().rfind(|binding| &view[binding.prefix.clone()] == prefix);
        let above = || stream.iter().position(|(declared, _)| declared.as_bytes() == prefix);
        here.map(Found::Here).or_else(|| above().map(Found::Stream))
    }
}

impl Found<'_> {
    fn uri<'a>(&self, view: &'a [u8], stream: &'a [(String, String)]) -> Cow<'a, [u8]> {
        match self {
            Self::Xml => Cow::Borrowed(ns::XML.as_bytes()),
            Self::Here(binding) => resolved(view, &binding.value, binding.literal),
            Self::Stream(place) => Cow::Borrowed(stream[*place].1.as_bytes()),
        }
    }
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
const CONTENT_NAMESPACES: [&[u8]; 2] = [ns::SERVER.as_bytes(), ns::COMPONENT.as_bytes()];

/// What the prefix `xmlns` is bound to (Namespaces in XML section 3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
