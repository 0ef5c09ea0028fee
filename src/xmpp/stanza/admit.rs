//! How an element of one stream becomes a stanza that any stream may carry (RFC 6120 sections 4.8 and 8.1).

use super::edits::Edits;
use super::intake::Recent;
use super::{Kind, Origin, Places, Rejection, Stanza, text};
use crate::Domain;
use crate::framer::{self, Framer, Head, Outer, Span};
use crate::jid::{self, Jid};
use crate::xml::{self, Node, ns};
use bytes::{Bytes, BytesMut};

pub(super) fn admit(
    element: framer::Element,
    origin: &Origin,
    recent: &mut Recent,
) -> Result<Stanza, Rejection> {
    let framer::Element { bytes, head } = &element;
    if head.name.of(bytes).contains(&b':') || hides_content(head, origin) {
        return admit_anew(bytes, origin);
    }
    admit_edited(element, origin, recent)
}

pub(super) fn from_element(element: &xml::Element) -> Result<Stanza, Rejection> {
    let mut element = element.clone();
    adopt(&mut element);
    admit_written(&element)
}

/// Writes an element in `jabber:server`, so that prefixes are gone, and takes that in.
fn admit_written(element: &xml::Element) -> Result<Stanza, Rejection> {
    let written = element.write(ns::SERVER, &[]);
    let element = frame(&written).map_err(|error| Rejection::Xml(xml::Error(error)))?;
    // Not `admit`: an attribute may be in the content namespace, and that takes a prefix however it is written.
    admit_edited(element, &own(), &mut Recent::default())
}

/// Takes in an element whose content namespace is the default namespace.
fn admit_edited(element: framer::Element, origin: &Origin, recent: &mut Recent) -> Result<Stanza, Rejection> {
    let framer::Element { bytes, head } = element;
    let namespace = match head.xmlns {
        Some(place) => xml::unescape(text(&bytes, place)),
        None => default_namespace(origin).into(),
    };
    let kind = kind(text(&bytes, head.name), &namespace, origin)?;
    let (to, respelled_to) = address(&bytes, "to", head.to, &mut recent.to)?;
    let (from, respelled_from) = address(&bytes, "from", head.from, &mut recent.from)?;

    let mut edits = edits(&head, origin);
    for (place, respelled) in [(head.to, respelled_to), (head.from, respelled_from)] {
        if let (Some(place), Some(address)) = (place, respelled) {
            edits.replace_among(place.range(), address);
        }
    }
    let places = Places::new(&head, |place| edits.moved(place), edits.position(head.content))?;
    let bytes = if edits.is_empty() { bytes } else { Bytes::from(edits.apply(&bytes)) };
    Ok(Stanza { bytes, kind, from, to, places })
}

/// Frames what this node wrote itself, for a stream whose default namespace is `jabber:server`.
pub(super) fn frame(written: &str) -> Result<framer::Element, String> {
    match Framer::inside(own().scope).next(&mut BytesMut::from(written)) {
        Ok(Some(framer::Frame::Element(element))) => Ok(element),
        Ok(_) => Err("not one element".into()),
        Err(error) => Err(error.to_string()),
    }
}

impl Places {
    /// The places that `head` notes, each put where `moved` says.
    pub(super) fn new(head: &Head, moved: impl Fn(Span) -> Span, content: usize) -> Result<Self, Rejection> {
        Ok(Self {
            from: head.from.map(&moved).ok_or(Rejection::ImproperAddressing("from"))?,
            to: head.to.map(&moved).ok_or(Rejection::ImproperAddressing("to"))?,
            id: head.id.map(&moved),
            type_: head.kind.map(&moved),
            content,
        })
    }
}

/// Whether a prefix is bound to the content namespace inside the element, so that no edit can tell whose element is
/// whose.
fn hides_content(head: &Head, origin: &Origin) -> bool {
    head.content_namespaces.iter().any(|d| d.prefixed && d.namespace == origin.namespace)
}

/// Reads the element and writes it anew, without prefixes.
fn admit_anew(bytes: &[u8], origin: &Origin) -> Result<Stanza, Rejection> {
    let mut element = xml::Element::parse(bytes, &origin.scope).map_err(Rejection::Xml)?;
    kind(&element.name, &element.namespace, origin)?;
    if let (None, Some(lang)) = (element.lang(), &origin.lang) {
        element = element.with_lang(lang);
    }
    rename(&mut element, origin.namespace);
    admit_written(&element)
}

/// Puts an element, and all below it, that is in `namespace` into `jabber:server`.
fn rename(element: &mut xml::Element, namespace: &str) {
    if element.namespace == namespace {
        ns::SERVER.clone_into(&mut element.namespace);
    }
    for child in &mut element.children {
        if let Node::Element(child) = child {
            rename(child, namespace);
        }
    }
}

/// Puts an element without a namespace into `jabber:server`, and its children as far as they have none either.
fn adopt(element: &mut xml::Element) {
    if element.namespace.is_empty() {
        ns::SERVER.clone_into(&mut element.namespace);
        for child in &mut element.children {
            if let Node::Element(child) = child {
                adopt(child);
            }
        }
    }
}

fn kind(name: &str, namespace: &str, origin: &Origin) -> Result<Kind, Rejection> {
    if namespace != origin.namespace {
        let known = [ns::SERVER, ns::COMPONENT, ns::CLIENT].contains(&namespace);
        return Err(if known { Rejection::InvalidNamespace } else { Rejection::UnsupportedStanzaType });
    }
    Kind::parse(name).ok_or(Rejection::UnsupportedStanzaType)
}

/// The domain of an address attribute, all of which has been checked, and what must stand there for it when the domain
/// is spelled otherwise than it is on the streams that are authenticated for it. `recent` is that of the stanza before.
fn address(
    bytes: &[u8],
    attribute: &'static str,
    place: Option<Span>,
    recent: &mut Option<Domain>,
) -> Result<(Domain, Option<String>), Rejection> {
    let place = place.ok_or(Rejection::ImproperAddressing(attribute))?;
    if let Some(domain) = recent
        && jid::is_at(place.of(bytes), domain)
    {
        return Ok((domain.clone(), None));
    }
    let value = xml::unescape(text(bytes, place));
    let malformed = |error| Rejection::Malformed(attribute, error);
    let jid = Jid::parse(&value).map_err(malformed)?;
    let domain = Domain::new(jid.domain).map_err(malformed)?;
    let wire = domain.wire();
    let respelled =
        (wire != jid.domain).then(|| xml::escape(&Jid { domain: &wire, ..jid }.to_string()).into_owned());
    // The names of others are looked at each time: written as they are compared, they are not as they are on the wire.
    if wire == domain.as_str() {
        *recent = Some(domain.clone());
    }
    Ok((domain, respelled))
}

/// What must change so that the bytes mean on any stream what they meant on theirs.
fn edits<'a>(head: &Head, origin: &'a Origin) -> Edits<'a> {
    let mut edits = Edits::default();
    for &place in &head.leans_on {
        let Some((prefix, uri)) = origin.scope.get(place) else {
            continue;
        };
        let uri = if uri == origin.namespace { ns::SERVER } else { uri };
        edits.insert(head.name.range().end, format!(" xmlns:{prefix}='{}'", xml::escape(uri)));
    }
    if let (None, Some(lang)) = (&head.lang, &origin.lang) {
        edits.insert(head.name.range().end, format!(" xml:lang='{}'", xml::escape(lang)));
    }

    for declaration in &head.content_namespaces {
        if declaration.prefixed || declaration.namespace != origin.namespace {
            continue;
        }
        // Where the content namespace is inherited anyway, the next stream's own is inherited without the
        // declaration. Inside foreign payload somebody has to say it, and what leaves the node says `jabber:server`.
        if [Outer::Stream, Outer::Content(origin.namespace)].contains(&declaration.outer) {
            edits.replace(declaration.attribute.clone(), "");
        } else if origin.namespace != ns::SERVER {
            edits.replace(declaration.value.clone(), ns::SERVER);
        }
    }
    edits
}

fn default_namespace(origin: &Origin) -> &str {
    origin.scope.iter().find(|(prefix, _)| prefix.is_empty()).map_or("", |(_, uri)| uri)
}

/// Where the node's own stanzas come from.
fn own() -> Origin {
    Origin { namespace: ns::SERVER, scope: vec![(String::new(), ns::SERVER.to_owned())], lang: None }
}
