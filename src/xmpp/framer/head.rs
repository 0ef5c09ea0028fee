//! The framer's note of an element.

use super::Span;

/// The framer's note of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The whole name in the start tag, prefix included.
    pub name: Span,
    /// Value of `to`, raw: what is between the quotes, references not resolved. So are the other values.
    pub to: Option<Span>,
    /// Value of `from`.
    pub from: Option<Span>,
    /// Value of `id`.
    pub id: Option<Span>,
    /// Value of `type`.
    pub kind: Option<Span>,
    /// Value of `xml:lang`.
    pub lang: Option<Span>,
    /// The namespace that it is in.
    pub namespace: Meaning,
    /// Where the start tag ends: after its `>`. Equal to the length for `<a/>`.
    pub content: usize,
    /// What it says otherwise on another stream. Most say the same.
    pub elsewhere: Option<Box<Elsewhere>>,
}

/// What an element says otherwise on another stream, one whose default namespace is the element's own.
///
/// Of an element that is in no namespace that some stream has as content namespace, not all is noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where it has to change, in document order.
    pub changes: Vec<Change>,
    /// The default namespace that [`What::Default`] is about.
    pub displaced: Meaning,
    /// Prefixes that it uses and does not declare, by their place in [`Framer::scope`](super::Framer::scope);
    /// each once. Not those that `changes` takes out.
    pub leans_on: Vec<usize>,
    /// Some tag has two attributes that would be one if all content namespaces were one.
    pub twins: bool,
}

/// Where a namespace was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// Nowhere: it is none, or that of `xml`.
    #[default]
    Nowhere,
    /// By the stream, at this place in [`Framer::scope`](super::Framer::scope).
    Stream(usize),
    /// By the element, with this raw value.
    Element(Span),
}

/// A place in an element where it has to change so as to say the same on another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub place: Span,
    /// To what.
    pub what: What,
}

/// How an element has to change at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// This goes: a prefix with its colon, where the default namespace is that of the element; a declaration
    /// of the element's namespace as default where that is inherited, with the white space before it; or the
    /// declaration of another as default in a start tag with a prefix.
    Cut,
    /// The value of a declaration of the element's namespace, which is called otherwise there.
    Own,
    /// Nothing stands here, behind a name: the default namespace that holds around the element here, and not
    /// there, has to be declared.
    Default,
}
