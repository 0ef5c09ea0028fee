//! Makes an element of one stream a stanza that any stream can carry (RFC 6120 sections 4.8 and 8.1).

use super::edits::Edits;
use super::names::Names;
use super::{Address, Kind, Origin, Places, Rejection, Stanza, text};
use crate::Domain;
use crate::framer::{self, Change, Elsewhere, Framer, Head, Meaning, Span, What};
use crate::jid::{self, Jid};
use crate::xml::{self, Node, ns};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// An element that is refused, and the reason. It is boxed, since it is rare.
#[derive(Debug)]
pub(crate) struct NotAdmitted(pub(crate) Rejection, pub(crate) framer::RawElement);

/// The domains of the previous stanza.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) from: Option<Domain>,
    pub(super) to: Option<Domain>,
}

/// Makes a stanza of an element. Gives the element back when that is not possible.
pub(super) fn admit(
    element: framer::RawElement,
    origin: &Origin,
    recent: &mut Recent,
) -> Result<Stanza, Box<NotAdmitted>> {
    let read = match read(&element, origin, recent) {
        Ok(read) => read,
        Err(rejection) => return Err(Box::new(NotAdmitted(rejection, element))),
    };
    let Read { kind, from: (from, from_respelled), to: (to, to_respelled), carried } = read;
    let Carried { bytes, places, names } = carried;
    let stanza = Stanza { bytes: bytes.unwrap_or(element.bytes), kind, from, to, places, names };
    Ok(match (to_respelled, from_respelled) {
        (None, None) => stanza,
        (to, from) => stanza.readdressed(to.as_deref(), from.as_deref()),
    })
}

/// The parts of a stanza as read from its element.
struct Read {
    kind: Kind,
    from: (Domain, Option<String>),
    to: (Domain, Option<String>),
    carried: Carried,
}

fn read(element: &framer::RawElement, origin: &Origin, recent: &mut Recent) -> Result<Read, Rejection> {
    let framer::RawElement { bytes, head } = element;
    let namespace = namespace(head.namespace, bytes, &origin.scope);
    let kind = kind(local_name(bytes, head), &namespace, origin)?;
    let to = address(bytes, Address::To, head.to, &mut recent.to)?;
    let from = address(bytes, Address::From, head.from, &mut recent.from)?;
    // The content namespace of components becomes `jabber:server`. That of servers stays as it is, and so
    // does another content namespace inside payload.
    let renamed = origin.namespace != ns::SERVER && namespace == origin.namespace;
    Ok(Read { kind, from, to, carried: carried(bytes, head, origin, renamed)? })
}

/// The bytes of a stanza as any stream can carry them.
struct Carried {
    /// `None`: unchanged.
    bytes: Option<Bytes>,
    places: Places,
    names: Option<Box<Names>>,
}

/// Edits the bytes so that they mean on any stream what they mean on theirs.
fn carried(bytes: &[u8], head: &Head, origin: &Origin, renamed: bool) -> Result<Carried, Rejection> {
    let lang = origin.lang.as_deref().filter(|_| head.lang.is_none());
    if head.elsewhere.is_none() && lang.is_none() {
        return Ok(Carried { bytes: None, places: Places::new(head, bytes, |place| place)?, names: None });
    }
    let nothing = Elsewhere::default();
    let elsewhere = head.elsewhere.as_deref().unwrap_or(&nothing);
    let said = Said::by(origin, &elsewhere.leans_on, lang);
    let default = default(elsewhere, bytes, origin, renamed)?;
    let (edits, names) = edits(elsewhere, head.name.range().end, renamed, &said, &default)?;
    let places = Places::new(head, bytes, |place| edits.moved(place))?;
    let bytes = (!edits.is_empty()).then(|| Bytes::from(edits.apply(bytes)));
    Ok(Carried { bytes, places, names: names.kept() })
}

/// Writes an element in `jabber:server`, without prefixes, and makes a stanza of it.
pub(super) fn from_element(element: &xml::Element) -> Result<Stanza, Rejection> {
    let mut element = element.clone();
    adopt(&mut element);
    let written = element.write(ns::SERVER, &[]);
    let element = frame(&written).map_err(|error| Rejection::Xml(xml::Error(error)))?;
    take_own(element)
}

/// Makes a stanza of an element that this node wrote, for the default namespace `jabber:server`.
pub(super) fn take_own(element: framer::RawElement) -> Result<Stanza, Rejection> {
    admit(element, &own(), &mut Recent::default()).map_err(|refused| refused.0)
}

/// Frames text that this node wrote, for the default namespace `jabber:server`.
pub(super) fn frame(written: &str) -> Result<framer::RawElement, String> {
    match framer().next(&mut BytesMut::from(written)) {
        Ok(Some(framer::Frame::Element(element))) => Ok(element),
        Ok(_) => Err("not one element".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// A framer for what this node wrote, for the default namespace `jabber:server`.
pub(super) fn framer() -> Framer {
    Framer::inside(own().scope)
}

impl Places {
    /// The places in `head`, after `moved`.
    pub(super) fn new(head: &Head, bytes: &[u8], moved: impl Fn(Span) -> Span) -> Result<Self, Rejection> {
        Ok(Self {
            from: head.from.map(&moved).ok_or(Rejection::Missing(Address::From))?,
            to: head.to.map(&moved).ok_or(Rejection::Missing(Address::To))?,
            id: head.id.map(&moved),
            type_: head.kind.map(&moved),
            alone: head.content == bytes.len(),
        })
    }
}

/// Puts an element without a namespace into `jabber:server`, and its children without one too.
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

/// The kind of a first-level element, by its name and namespace.
///
/// COMPAT: components write stanzas in `jabber:client` (AnyEvent::XMPP 0.55) or `jabber:server`, and ejabberd
/// 23.01 and Prosody 0.12 accept them. On the stream of a component all three content namespaces mean its
/// own.
fn kind(name: &str, namespace: &str, origin: &Origin) -> Result<Kind, Rejection> {
    let is_content = is_content(namespace);
    if namespace != origin.namespace && !(is_content && origin.namespace == ns::COMPONENT) {
        return Err(match Kind::parse(name) {
            Some(_) if is_content => Rejection::InvalidNamespace,
            _ => Rejection::UnsupportedStanzaType,
        });
    }
    Kind::parse(name).ok_or(Rejection::UnsupportedStanzaType)
}

/// The domain of an address attribute, after a check of the whole address. The second value is the new text
/// of the attribute, if the domain is spelled otherwise than on authenticated streams. `recent` is the domain
/// of the previous stanza.
fn address(
    bytes: &[u8],
    attribute: Address,
    place: Option<Span>,
    recent: &mut Option<Domain>,
) -> Result<(Domain, Option<String>), Rejection> {
    let place = place.ok_or(Rejection::Missing(attribute))?;
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
    // A domain with another form on the wire is not kept: its compared form may not stand there.
    if wire == domain.as_str() {
        *recent = Some(domain.clone());
    }
    Ok((domain, respelled))
}

/// The declarations of a stream header that a stanza has to contain itself on another stream.
#[derive(Default)]
struct Said {
    /// Declarations and `xml:lang`, each with a space before it.
    text: String,
    /// The places in `text` that name the content namespace.
    names: Vec<usize>,
}

impl Said {
    fn by(origin: &Origin, prefixes: &[usize], lang: Option<&str>) -> Self {
        let mut said = Self::default();
        for &place in prefixes {
            let Some((prefix, uri)) = origin.scope.get(place) else {
                continue;
            };
            said.text.extend([" xmlns:", prefix, "='"]);
            if uri == origin.namespace {
                said.names.push(said.text.len());
                said.text.push_str(ns::SERVER);
            } else {
                said.text.push_str(&xml::escape(uri));
            }
            said.text.push('\'');
        }
        if let Some(lang) = lang {
            said.text.extend([" xml:lang='", &*xml::escape(lang), "'"]);
        }
        said
    }
}

/// The edits after which the bytes mean on any stream what they mean on theirs, and the places where they
/// then name the content namespace.
fn edits<'a>(
    elsewhere: &Elsewhere,
    behind_name: usize,
    renamed: bool,
    said: &'a Said,
    default: &'a str,
) -> Result<(Edits<'a>, Names), Rejection> {
    if renamed && elsewhere.twins {
        return Err(Rejection::InvalidNamespace);
    }
    let in_name =
        elsewhere.changes.iter().take_while(|change| change.place.range().start < behind_name).count();
    let (in_name, behind) = elsewhere.changes.split_at(in_name);

    let mut edits = Edits::with_capacity(elsewhere.changes.len() + 1);
    let mut names = Names::default();
    for change in in_name {
        edits.replace(change.place.range(), "");
    }
    if !said.text.is_empty() {
        let at = edits.insert(behind_name, &said.text);
        said.names.iter().filter(|_| renamed).for_each(|name| names.note(at + name));
    }
    for Change { place, what } in behind {
        match what {
            What::Cut => drop(edits.replace(place.range(), "")),
            What::Own if renamed => names.note(edits.replace(place.range(), ns::SERVER)),
            What::Own => {}
            What::Default => drop(edits.insert(place.range().start, default)),
        }
    }
    Ok((edits, names))
}

/// The declaration of the default namespace, for the places where it is displaced.
fn default(elsewhere: &Elsewhere, bytes: &[u8], origin: &Origin, renamed: bool) -> Result<String, Rejection> {
    let places = elsewhere.changes.iter().filter(|change| change.what == What::Default).count();
    if places == 0 {
        return Ok(String::new());
    }
    let displaced = namespace(elsewhere.displaced, bytes, &origin.scope);
    if origin.namespace == ns::COMPONENT && !renamed && is_content(&displaced) {
        // `<c:message xmlns:c='jabber:client'><body/>`: both are in a content namespace, so in that of the
        // next stream.
        return Ok(String::new());
    }
    let declaration = format!(" xmlns='{}'", xml::escape(&displaced));
    if places * declaration.len() > MOST_DECLARED {
        return Err(Rejection::Displaced);
    }
    Ok(declaration)
}

/// The namespace of a declaration, in a stream that declares `scope`.
pub(super) fn namespace<'a>(
    meaning: Meaning,
    bytes: &'a [u8],
    scope: &'a [(String, String)],
) -> Cow<'a, str> {
    match meaning {
        Meaning::Nowhere => "".into(),
        Meaning::Stream(place) => scope.get(place).map_or("", |(_, uri)| uri).into(),
        Meaning::Element(place) => xml::unescape(text(bytes, place)),
    }
}

/// The name of the element without its prefix.
pub(super) fn local_name<'a>(bytes: &'a [u8], head: &Head) -> &'a str {
    let name = text(bytes, head.name);
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// The origin of the node's own stanzas.
pub(super) fn own() -> Origin {
    Origin { namespace: ns::SERVER, scope: vec![(String::new(), ns::SERVER.to_owned())], lang: None }
}

/// Whether a namespace is that of the stanzas of some kind of stream.
pub(super) fn is_content(namespace: &str) -> bool {
    CONTENT.contains(&namespace)
}

/// The content namespaces of all kinds of streams (RFC 6120 section 4.8.3, XEP-0114 section 3).
const CONTENT: [&str; 3] = [ns::SERVER, ns::COMPONENT, ns::CLIENT];

/// The limit for bytes that declarations of a displaced default namespace add to a stanza. Without it a peer
/// could make the node write many times what it has read.
const MOST_DECLARED: usize = 64 * 1024;
