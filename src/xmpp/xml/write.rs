//! Writes elements.

use super::{Element, Node, escape::escape_text, ns};
use ::xml::writer::{EmitterConfig, Error, EventWriter, XmlEvent};
use std::borrow::Cow;

/// Writes an element for a stream that declares a default namespace and prefixes.
pub(super) fn element(element: &Element, default_namespace: &str, prefixes: &[(&str, &str)]) -> String {
    let mut config = EmitterConfig::new().write_document_declaration(false).pad_self_closing(false);
    // `xml-rs` does not escape tabs and forbidden characters, so this module does.
    config.perform_escaping = false;
    let mut writer = Writer { events: EventWriter::new_with_config(Vec::new(), config), prefixes };
    let result = writer.element(element, default_namespace);
    debug_assert!(result.is_ok(), "writing to memory failed: {result:?}");
    String::from_utf8(writer.events.into_inner()).unwrap_or_default()
}

struct Writer<'a> {
    events: EventWriter<Vec<u8>>,
    prefixes: &'a [(&'a str, &'a str)],
}

impl Writer<'_> {
    /// Writes an element where `inherited` is the default namespace.
    ///
    /// Declarations are written as attributes: the namespace handling of the writer begins again with each
    /// element, would repeat the declarations of the stream header, and cannot write `xmlns=""`.
    fn element(&mut self, element: &Element, inherited: &str) -> Result<(), Error> {
        let mut attributes: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();

        let (name, default) = if element.namespace == inherited {
            (Cow::Borrowed(element.name.as_str()), inherited)
        } else if let Some(prefix) = self.prefix(&element.namespace) {
            (Cow::Owned(format!("{prefix}:{}", element.name)), inherited)
        } else {
            attributes.push(("xmlns".into(), super::escape(&element.namespace)));
            (Cow::Borrowed(element.name.as_str()), element.namespace.as_str())
        };

        for (namespace, local, value) in &element.attributes {
            let name = if namespace.is_empty() {
                Cow::Borrowed(local.as_str())
            } else if namespace == ns::XML {
                Cow::Owned(format!("xml:{local}"))
            } else if let Some(prefix) = self.prefix(namespace) {
                Cow::Owned(format!("{prefix}:{local}"))
            } else {
                let prefix = self.fresh_prefix(attributes.len());
                attributes.push((format!("xmlns:{prefix}").into(), super::escape(namespace)));
                Cow::Owned(format!("{prefix}:{local}"))
            };
            attributes.push((name, super::escape(value)));
        }

        let start = attributes
            .iter()
            .fold(XmlEvent::start_element(&*name), |start, (name, value)| start.attr(&**name, value));
        self.events.write(start)?;
        for child in &element.children {
            match child {
                Node::Element(child) => self.element(child, default)?,
                Node::Text(text) => self.events.write(XmlEvent::characters(&escape_text(text)))?,
            }
        }
        self.events.write(XmlEvent::end_element())
    }

    fn prefix(&self, namespace: &str) -> Option<&str> {
        self.prefixes.iter().find(|(_, uri)| *uri == namespace).map(|(prefix, _)| *prefix)
    }

    /// A prefix that the stream does not use, numbered from `at` so that the prefixes on one tag differ.
    fn fresh_prefix(&self, at: usize) -> String {
        let mut prefix = format!("ns{at}");
        while self.prefixes.iter().any(|(taken, _)| *taken == prefix) {
            prefix.push('_');
        }
        prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: [(&str, &str); 2] = [("stream", ns::STREAM), ("db", ns::DIALBACK)];

    #[test]
    fn declarations_of_the_stream_are_not_repeated() {
        let features = Element::new("features", ns::STREAM)
            .with_child(Element::new("starttls", ns::TLS).with_child(Element::new("required", ns::TLS)));
        assert_eq!(
            features.write(ns::SERVER, &STREAM),
            "<stream:features><starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"><required/></starttls></stream:features>"
        );
        let result = Element::new("result", ns::DIALBACK).with("to", "b").with_text("key");
        assert_eq!(result.write(ns::SERVER, &STREAM), "<db:result to=\"b\">key</db:result>");
        let message = Element::new("message", ns::SERVER).with_child(Element::new("body", ns::SERVER));
        assert_eq!(message.write(ns::SERVER, &STREAM), "<message><body/></message>");
    }

    #[test]
    fn undeclares_the_default_namespace() {
        let element = Element::new("a", ns::SERVER).with_child(Element::new("b", ""));
        assert_eq!(element.write(ns::SERVER, &[]), "<a><b xmlns=\"\"/></a>");
    }

    #[test]
    fn gives_attributes_of_a_foreign_namespace_a_prefix() {
        let mut element = Element::new("a", "").with_lang("de");
        element.attributes.push(("urn:x".into(), "k".into(), "v".into()));
        element.attributes.push(("urn:y".into(), "k".into(), "w".into()));
        let written = element.write("", &[("ns1", "urn:z")]);
        assert_eq!(
            written,
            "<a xml:lang=\"de\" xmlns:ns1_=\"urn:x\" ns1_:k=\"v\" xmlns:ns3=\"urn:y\" ns3:k=\"w\"/>"
        );
        assert_eq!(Element::parse(written.as_bytes(), &[]).unwrap(), element);
    }
}
