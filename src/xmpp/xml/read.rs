//! Reads elements.

use super::{Element, Error, Node, escape};
use ::xml::common::Position;
use ::xml::reader::{EventReader, ParserConfig, XmlEvent};

/// Reads one element inside an artificial parent that has the declarations of its stream.
pub(super) fn element(bytes: &[u8], scope: &[(String, String)]) -> Result<Element, Error> {
    let mut document = String::from("<scope");
    for (prefix, uri) in scope.iter().filter(|(prefix, _)| prefix != "xml") {
        let colon = if prefix.is_empty() { "" } else { ":" };
        document.extend([" xmlns", colon, prefix, "='", &escape(uri), "'"]);
    }
    document.push('>');

    let mut document = document.into_bytes();
    document.extend_from_slice(bytes);
    document.extend_from_slice(b"</scope>");
    let mut elements = tree(&document)?.children.into_iter();
    match (elements.next(), elements.next()) {
        (Some(Node::Element(element)), None) => Ok(element),
        _ => Err(Error("not one element".into())),
    }
}

/// Reads a start tag as if the element ended there.
pub(super) fn header(bytes: &[u8]) -> Result<Element, Error> {
    let Some(open) = bytes.strip_suffix(b">") else {
        return Err(Error("not a start tag".into()));
    };
    tree(&[open, b"/>"].concat())
}

/// Reads a whole document.
fn tree(document: &[u8]) -> Result<Element, Error> {
    let mut reader = EventReader::new_with_config(document, config());
    // The open elements, outermost first.
    let mut open: Vec<Element> = Vec::new();
    loop {
        match reader.next().map_err(|error| Error(error.to_string()))? {
            XmlEvent::StartDocument { .. } => {}
            XmlEvent::StartElement { name, attributes, namespace: _ } => open.push(Element {
                name: name.local_name,
                namespace: name.namespace.unwrap_or_default(),
                attributes: attributes
                    .into_iter()
                    .map(|a| (a.name.namespace.unwrap_or_default(), a.name.local_name, a.value))
                    .collect(),
                children: Vec::new(),
            }),
            XmlEvent::Characters(text) => match open.last_mut() {
                Some(parent) => parent.children.push(Node::Text(text)),
                None => return Err(Error("text outside the element".into())),
            },
            XmlEvent::EndElement { .. } => match (open.pop(), open.last_mut()) {
                (Some(done), Some(parent)) => parent.children.push(Node::Element(done)),
                (Some(root), None) => return Ok(root),
                (None, _) => return Err(Error("an end tag too many".into())),
            },
            XmlEvent::EndDocument => return Err(Error("no element".into())),
            // Comments, processing instructions, DTDs (RFC 6120 section 11.1); and CDATA and white space are
            // text here.
            _ => return Err(Error(format!("restricted XML at {}", reader.position()))),
        }
    }
}

fn config() -> ParserConfig {
    let mut config = ParserConfig::new()
        .override_encoding(Some(::xml::Encoding::Utf8))
        .whitespace_to_characters(true)
        .cdata_to_characters(true)
        .coalesce_characters(true)
        .ignore_comments(false)
        .allow_multiple_root_elements(false);
    config.max_entity_expansion_depth = 0;
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::ns;

    #[test]
    fn reads_an_element_in_the_scope_of_its_stream() {
        let scope = [("", ns::SERVER), ("db", ns::DIALBACK)].map(|(p, u)| (p.to_owned(), u.to_owned()));
        let result = element(b"<db:result to='b' xml:lang='de'>key<x/></db:result>", &scope).unwrap();
        assert!(result.is("result", ns::DIALBACK));
        assert_eq!(
            (result.attribute("to"), result.lang(), result.text()),
            (Some("b"), Some("de"), "key".into())
        );
        assert!(result.child("x", ns::SERVER).is_some());
    }

    #[test]
    fn keeps_white_space_and_reads_cdata_as_text() {
        let read = element(b"<a> <![CDATA[<&]]>&lt; <b/>\n</a>", &[]).unwrap();
        assert_eq!(read.text(), " <&< \n");
        assert_eq!(read.elements().count(), 1);
    }

    #[test]
    fn reads_a_stream_header() {
        let header = header(
            b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='b'>",
        );
        let header = header.unwrap();
        assert!(header.is("stream", ns::STREAM));
        assert_eq!(header.attribute("to"), Some("b"));
    }

    #[test]
    fn refuses_text_that_is_not_one_element() {
        for bytes in [
            "",
            "text",
            "<a/><b/>",
            "<a/>text",
            "<a>",
            "</scope>",
            "<!-- c --><a/>",
            "<a><?pi?></a>",
            "<a><!-- --></a>",
        ] {
            assert!(element(bytes.as_bytes(), &[]).is_err(), "{bytes}");
        }
    }
}
