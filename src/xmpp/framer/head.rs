//! The framer's note of an element.

use super::Span;

/// The framer's note of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The whole name in the start tag, prefix included.
    pub name: Span,
    /// The value of `to`, raw: the text between the quotes, references not resolved. So are the other values.
    pub to: Option<Span>,
    /// The value of `from`.
    pub from: Option<Span>,
    /// The value of `id`.
    pub id: Option<Span>,
    /// The value of `type`.
    pub kind: Option<Span>,
    /// The value of `xml:lang`.
    pub lang: Option<Span>,
    /// The namespace of the element.
    pub namespace: Meaning,
    /// The position behind the start tag. It is equal to the length for `<a/>`.
    pub content: usize,
    /// The changes that it needs on another stream. Most elements need none.
    pub elsewhere: Option<Box<Elsewhere>>,
}

/// The changes that an element needs on another stream, one whose default namespace is that of the element.
///
/// For an element outside of all content namespaces the list is not complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// The changes, in document order.
    pub changes: Vec<Change>,
    /// The default namespace for [`What::Default`].
    pub displaced: Meaning,
    /// The prefixes that it uses and does not declare, by their index in
    /// [`Framer::scope`](super::Framer::scope), each once. Those that `changes` removes are not included.
    pub leans_on: Vec<usize>,
    /// A tag has two attributes that would be the same if all content namespaces were the same.
    pub twins: bool,
}

/// The declaration of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// None: there is no namespace, or it is that of `xml`.
    #[default]
    Nowhere,
    /// In the stream header, at this index of [`Framer::scope`](super::Framer::scope).
    Stream(usize),
    /// In the element, with this raw value.
    Element(Span),
}

/// A change to an element that keeps its meaning on another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The place.
    pub place: Span,
    /// The kind of change.
    pub what: What,
}

/// The kind of a change to an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The text is removed: a prefix with its colon, where the default namespace is that of the element; a
    /// declaration of the element's namespace as default where that is inherited, with the white space before
    /// it; or the declaration of another default namespace in a start tag with a prefix.
    Cut,
    /// The value of a declaration of the element's namespace, which has another name there.
    Own,
    /// A declaration is inserted behind a name: the default namespace around the element, which differs on
    /// the other stream.
    Default,
}
