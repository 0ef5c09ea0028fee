//! How an element of one stream becomes a stanza that any stream may carry (RFC 6120 sections 4.8 and 8.1).

use super::edits::Edits;
use super::intake::Recent;
use super::names::Names;
use super::{Kind, Origin, Places, Rejection, Stanza, text};
use crate::Domain;
use crate::framer::{self, Change, Elsewhere, Framer, Head, Meaning, Span, What};
use crate::jid::{self, Jid};
use crate::xml::{self, Node, ns};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// Takes in an element of a stream.
pub(super) fn admit(
    element: framer::Element,
    origin: &Origin,
    recent: &mut Recent,
) -> Result<Stanza, Rejection> {
    let framer::Element { bytes, head } = element;
    let kind = kind(local_name(&bytes, &head), &namespace(head.namespace, &bytes, origin), origin)?;
    let (to, to_respelled) = address(&bytes, "to", head.to, &mut recent.to)?;
    let (from, from_respelled) = address(&bytes, "from", head.from, &mut recent.from)?;
    let stanza = carried(bytes, &head, origin, kind, from, to)?;
    Ok(match (to_respelled, from_respelled) {
        (None, None) => stanza,
        (to, from) => stanza.readdressed(to.as_deref(), from.as_deref()),
    })
}

/// Makes the bytes mean on any stream what they meant on theirs.
fn carried(
    bytes: Bytes,
    head: &Head,
    origin: &Origin,
    kind: Kind,
    from: Domain,
    to: Domain,
) -> Result<Stanza, Rejection> {
    let lang = origin.lang.as_deref().filter(|_| head.lang.is_none());
    if head.elsewhere.is_none() && lang.is_none() {
        let places = Places::new(head, &bytes, |place| place)?;
        return Ok(Stanza { bytes, kind, from, to, places, names: None });
    }
    let nothing = Elsewhere::default();
    let elsewhere = head.elsewhere.as_deref().unwrap_or(&nothing);
    let said = Said::by(origin, &elsewhere.leans_on, lang);
    let default = default(elsewhere, &bytes, origin)?;
    let (edits, names) = edits(elsewhere, head.name.range().end, origin, &said, &default)?;
    let places = Places::new(head, &bytes, |place| edits.moved(place))?;
    let bytes = if edits.is_empty() { bytes } else { Bytes::from(edits.apply(&bytes)) };
    Ok(Stanza { bytes, kind, from, to, places, names: names.kept() })
}

/// Writes an element in `jabber:server`, so that prefixes are gone, and takes that in.
pub(super) fn from_element(element: &xml::Element) -> Result<Stanza, Rejection> {
    let mut element = element.clone();
    adopt(&mut element);
    let written = element.write(ns::SERVER, &[]);
    let element = frame(&written).map_err(|error| Rejection::Xml(xml::Error(error)))?;
    admit(element, &own(), &mut Recent::default())
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
    pub(super) fn new(head: &Head, bytes: &[u8], moved: impl Fn(Span) -> Span) -> Result<Self, Rejection> {
        Ok(Self {
            from: head.from.map(&moved).ok_or(Rejection::ImproperAddressing("from"))?,
            to: head.to.map(&moved).ok_or(Rejection::ImproperAddressing("to"))?,
            id: head.id.map(&moved),
            type_: head.kind.map(&moved),
            alone: head.content == bytes.len(),
        })
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

/// What the header of a stream said that a stanza has to say itself elsewhere.
#[derive(Default)]
struct Said {
    /// Declarations and `xml:lang`, each with a space before it.
    text: String,
    /// Where in that the content namespace is named.
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

/// What must change so that the bytes mean on any stream what they meant on theirs, and where they then name the
/// content namespace.
fn edits<'a>(
    elsewhere: &Elsewhere,
    behind_name: usize,
    origin: &Origin,
    said: &'a Said,
    default: &'a str,
) -> Result<(Edits<'a>, Names), Rejection> {
    // What a component calls its own is `jabber:server` from here on; what that means between servers stays as it is.
    let renamed = origin.namespace != ns::SERVER;
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

/// The declaration of the default namespace for where it is displaced.
fn default(elsewhere: &Elsewhere, bytes: &[u8], origin: &Origin) -> Result<String, Rejection> {
    let places = elsewhere.changes.iter().filter(|change| change.what == What::Default).count();
    if places == 0 {
        return Ok(String::new());
    }
    let declaration = format!(" xmlns='{}'", xml::escape(&namespace(elsewhere.displaced, bytes, origin)));
    if places * declaration.len() > MOST_DECLARED {
        return Err(Rejection::Displaced);
    }
    Ok(declaration)
}

/// The namespace that was declared somewhere.
fn namespace<'a>(meaning: Meaning, bytes: &'a [u8], origin: &'a Origin) -> Cow<'a, str> {
    match meaning {
        Meaning::Nowhere => "".into(),
        Meaning::Stream(place) => origin.scope.get(place).map_or("", |(_, uri)| uri).into(),
        Meaning::Element(place) => xml::unescape(text(bytes, place)),
    }
}

/// The name of the element without its prefix.
fn local_name<'a>(bytes: &'a [u8], head: &Head) -> &'a str {
    let name = text(bytes, head.name);
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Where the node's own stanzas come from.
fn own() -> Origin {
    Origin { namespace: ns::SERVER, scope: vec![(String::new(), ns::SERVER.to_owned())], lang: None }
}

/// Bytes that declarations of a displaced default namespace may add to a stanza. Without a bound it would be a way to
/// have the node write many times what it read; who has a use for more writes the stanza in the usual way.
const MOST_DECLARED: usize = 64 * 1024;
