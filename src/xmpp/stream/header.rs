//! The opening tag of a stream (RFC 6120 section 4.7).
use super::error::Fault;
use crate::{Domain, xml as own};
use ::xml::reader::{EventReader, XmlEvent};
use std::fmt::Write;

/// A stream header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The domain that opens the stream or answers.
    pub from: Option<Domain>,
    /// The domain that the stream is for.
    pub to: Option<Domain>,
    /// The id of the stream, in a response.
    pub id: Option<String>,
    /// Major and minor version; `None` for a peer from before XMPP 1.0.
    pub version: Option<(u32, u32)>,
    /// The default language of the stanzas, `xml:lang`.
    pub lang: Option<String>,
    /// A prefix for dialback is declared (XEP-0220 section 2.4.1).
    pub dialback: bool,
}

impl Header {
    /// Reads the framed start tag of a stream with the content namespace `content`.
    pub(crate) fn parse(bytes: &[u8], content: &'static str) -> Result<Self, Fault> {
        let mut reader = EventReader::new(bytes);
        let (name, attributes, scope) = loop {
            match reader.next().map_err(|error| own::Error(error.to_string()))? {
                XmlEvent::StartElement { name, attributes, namespace } => {
                    break (name, attributes, namespace);
                }
                XmlEvent::EndDocument => return Err(Fault::NotAStream),
                _ => {}
            }
        };
        if name.local_name != "stream" || name.namespace.as_deref() != Some(own::ns::STREAM) {
            return Err(Fault::NotAStream);
        }
        let declares = |wanted: &str| scope.iter().any(|(_, uri)| uri == wanted);
        // The content namespace is the default namespace, or each stanza declares its own (RFC 6120 section
        // 4.8.2).
        let lawful = match scope.get("").filter(|uri| !uri.is_empty()) {
            Some(default) => default == content || default == own::ns::STREAM,
            None => declares(content),
        };
        if !lawful {
            return Err(Fault::ContentNamespace { wanted: content });
        }
        let dialback = declares(own::ns::DIALBACK);
        let mut header = Self { dialback, ..Self::default() };
        for attribute in attributes {
            let value = attribute.value;
            match (attribute.name.namespace.as_deref(), attribute.name.local_name.as_str()) {
                (None, "from") => header.from = domain("from", value)?,
                (None, "to") => header.to = domain("to", value)?,
                (None, "id") => header.id = Some(value).filter(|id| !id.is_empty()),
                (None, "version") => header.version = Some(version(&value).ok_or(Fault::Version(value))?),
                (Some(own::ns::XML), "lang") => header.lang = Some(value),
                _ => {}
            }
        }
        Ok(header)
    }

    /// Whether the peer supports XMPP 1.0, with features and stream restarts.
    pub(crate) fn is_modern(&self) -> bool {
        self.version.is_some_and(|version| version >= VERSION)
    }

    /// Writes the start tag of a stream with the content namespace `content`. A version is written as 1.0,
    /// whatever its number: RFC 6120 section 4.7.5 requires the lower of the two.
    pub(crate) fn write(&self, content: &str) -> String {
        let mut tag = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{content}' xmlns:stream='{}'",
            own::ns::STREAM
        );
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(tag, " {name}='{}'", own::escape(value));
            }
        };
        put("xmlns:db", self.dialback.then_some(own::ns::DIALBACK));
        // COMPAT: ejabberd 23.01 refuses an empty `from`, so it is left out.
        put("from", self.from.as_ref().map(Domain::wire).as_deref());
        put("to", self.to.as_ref().map(Domain::wire).as_deref());
        put("id", self.id.as_deref());
        put("xml:lang", self.lang.as_deref());
        put("version", self.version.is_some().then_some("1.0"));
        tag.push('>');
        tag
    }
}

/// Reads a domain. An empty one counts as none: servers answer with `from=''` for a host that they do not
/// know (RFC 6120 section 4.9.1.3).
fn domain(attribute: &'static str, value: String) -> Result<Option<Domain>, Fault> {
    match value.as_str() {
        "" => Ok(None),
        text => Domain::new(text).map(Some).map_err(|_| Fault::Address { attribute, value }),
    }
}

/// Reads `major.minor` as two numbers: 1.10 is above 1.9 (RFC 6120 section 4.7.5).
fn version(text: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    };
    let (major, minor) = text.split_once('.')?;
    Some((number(major)?, number(minor)?))
}

/// The version that we support.
pub(crate) const VERSION: (u32, u32) = (1, 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(attributes: &str) -> Result<Header, Fault> {
        let tag = format!(
            "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server' {attributes}>"
        );
        Header::parse(tag.as_bytes(), own::ns::SERVER)
    }

    // B27
    #[test]
    fn a_header_is_read_with_any_prefixes() {
        let header = parse(
            "xmlns:back='jabber:server:dialback' from='A.Example' to='b.example' id='1&amp;2' version='1.10' xml:lang='de'",
        );
        let domain = |name| Domain::new(name).ok();
        assert_eq!(
            header,
            Ok(Header {
                from: domain("a.example"),
                to: domain("b.example"),
                id: Some("1&2".into()),
                version: Some((1, 10)),
                lang: Some("de".into()),
                dialback: true,
            })
        );
    }

    // B23
    #[test]
    fn another_namespace_is_refused() {
        let root = Header::parse(b"<stream xmlns='jabber:server'>", own::ns::SERVER);
        assert_eq!(root, Err(Fault::NotAStream));
        let html = Header::parse(b"<html>", own::ns::SERVER);
        assert_eq!(html, Err(Fault::NotAStream));
        let content = Header::parse(
            b"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>",
            own::ns::SERVER,
        );
        assert_eq!(content, Err(Fault::ContentNamespace { wanted: own::ns::SERVER }));
    }

    // B9, B10
    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(!parse("").unwrap().is_modern());
        assert!(!parse("version='0.9'").unwrap().is_modern());
        assert!(parse("version='1.0'").unwrap().is_modern());
        assert!(parse("version='1.10'").unwrap().is_modern());
        assert!(parse("version='2.0'").unwrap().is_modern());
        for bad in ["version=''", "version='1'", "version='1.x'", "version='+1.0'", "version='99999999999.0'"]
        {
            assert!(matches!(parse(bad), Err(Fault::Version(_))), "{bad}");
        }
    }

    #[test]
    fn addresses_are_domains() {
        assert!(matches!(parse("from='u@b.example'"), Err(Fault::Address { attribute: "from", .. })));
        assert!(matches!(parse("to='b.example/r'"), Err(Fault::Address { attribute: "to", .. })));
        assert_eq!(parse("from=''").unwrap().from, None);
    }

    #[test]
    fn what_is_written_is_read() {
        let header = Header {
            id: Some("<'&\">".into()),
            lang: Some("en".into()),
            ..parse("from='xn--bcher-kva.example' to='[2001:DB8::1]'").unwrap()
        };
        let tag = header.write(own::ns::SERVER);
        assert!(tag.contains(" from='bücher.example' to='[2001:db8::1]' "), "{tag}");
        assert_eq!(Header::parse(tag.as_bytes(), own::ns::SERVER), Ok(header));
    }
}
