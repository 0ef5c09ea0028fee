//! The stamp of a stanza that is sent later than it was taken (XEP-0203).

use super::{Places, Stanza, edits::Edits};
use crate::{
    Domain,
    xml::{Element, ns},
};

impl Stanza {
    /// The same stanza with a stamp as its last child: `by` has held it since `stamp`, a time in the format of
    /// XEP-0082. Stamps of others stay.
    #[must_use]
    pub fn delayed(&self, by: &Domain, stamp: &str) -> Self {
        let Self { bytes, places, names, .. } = self;
        let delay = Element::new("delay", DELAY).with("from", &*by.wire()).with("stamp", stamp);
        let delay = delay.write(ns::SERVER, &[]);
        let mut edits = Edits::default();
        let inserted;
        if places.alone {
            inserted = format!(">{delay}</{}>", self.kind.as_str());
            edits.replace(bytes.len() - "/>".len()..bytes.len(), &inserted);
        } else {
            let end_tag = memchr::memrchr(b'<', bytes).unwrap_or(bytes.len());
            edits.insert(end_tag, &delay);
        }
        // Addresses, id and type are in the start tag, before the edit.
        let places = Places { alone: false, ..places.clone() };
        let names = names.as_ref().map(|names| Box::new(names.moved(&edits)));
        let bytes = edits.apply(bytes).into();
        Self { bytes, kind: self.kind, from: self.from.clone(), to: self.to.clone(), places, names }
    }
}

/// The namespace of XEP-0203.
const DELAY: &str = "urn:xmpp:delay";

#[cfg(test)]
mod tests {
    use crate::{
        Domain,
        stanza::{Condition, Error, ErrorType, Stanza},
        xml::Element,
    };

    fn message() -> Element {
        let message = Element::new("message", "jabber:server").with("from", "a@a.example").with("id", "7");
        message.with("to", "b@b.example").with("type", "chat")
    }

    fn delayed(element: &Element) -> Stanza {
        let by = Domain::new("a.example").unwrap();
        Stanza::from_element(element).unwrap().delayed(&by, "2026-11-01T08:30:00.000Z")
    }

    #[test]
    fn the_stamp_is_the_last_child_and_everything_else_stays() {
        let body = || Element::new("body", "jabber:server").with_text("a < b");
        for element in [message(), message().with_child(body())] {
            let stanza = delayed(&element);
            let read = stanza.element().unwrap();
            let stamp = read.elements().last().unwrap();
            assert!(stamp.is("delay", super::DELAY), "{stanza:?}");
            assert_eq!(stamp.attribute("from"), Some("a.example"));
            assert_eq!(stamp.attribute("stamp"), Some("2026-11-01T08:30:00.000Z"));
            assert_eq!(read.elements().count(), element.elements().count() + 1);
            assert_eq!((stanza.id().as_deref(), stanza.type_()), (Some("7"), Some("chat")));
            assert_eq!((&*stanza.from(), &*stanza.to()), ("a@a.example", "b@b.example"));
        }
    }

    #[test]
    fn a_stamped_stanza_can_be_stamped_and_answered() {
        let stanza = delayed(&message());
        let twice = stanza.delayed(&Domain::new("c.example").unwrap(), "2026-11-01T08:31:00.000Z");
        assert_eq!(twice.element().unwrap().elements().count(), 2);
        let error =
            Error { type_: ErrorType::Wait, condition: Condition::RemoteServerTimeout, text: "late".into() };
        let answer = twice.bounce(&error).unwrap().element().unwrap();
        assert!(answer.child("error", "jabber:server").is_some());
        assert_eq!(answer.elements().count(), 3);
    }
}
