//! The part of a stanza that is needed to answer it later.

use super::{Places, Stanza, admit, text};
use crate::framer::Span;

impl Stanza {
    /// The stanza itself if it has at most `most` bytes, or its start tag with kind, addresses, id and type.
    /// `None` when the start tag is longer too. It shares no memory with the read that the stanza came in.
    #[must_use]
    pub fn memento(&self, most: usize) -> Option<Self> {
        if self.bytes.len() <= most {
            return Some(self.clone().detached());
        }
        let Places { from, to, id, type_, .. } = self.places;
        let named = [(" from=", Some(from)), (" to=", Some(to)), (" id=", id), (" type=", type_)];
        let named = named.into_iter().filter_map(|(name, place)| Some((name, place?)));
        let length: usize = named.clone().map(|(name, place)| name.len() + quoted(place).range().len()).sum();
        if length > most {
            return None;
        }
        let mut tag = format!("<{}", self.kind.as_str());
        for (name, place) in named {
            tag.extend([name, text(&self.bytes, quoted(place))]);
        }
        tag.push_str("/>");
        let element = admit::frame(&tag).ok()?;
        let places = Places::new(&element.head, &element.bytes, |place| place).ok()?;
        Some(Self {
            bytes: element.bytes,
            kind: self.kind,
            from: self.from.clone(),
            to: self.to.clone(),
            places,
            names: None,
        })
    }
}

/// A value with its quotes.
fn quoted(value: Span) -> Span {
    let value = value.range();
    Span::from(value.start - 1..value.end + 1)
}

#[cfg(test)]
mod tests {
    use crate::{
        stanza::{Condition, Error, ErrorType, Stanza},
        xml::Element,
    };

    fn request(payload: &str) -> Stanza {
        let iq =
            Element::new("iq", "jabber:server").with("from", "ab@a.example/\"'x").with("to", "b.example");
        let iq = iq.with("id", "1&2").with("type", "set");
        Stanza::from_element(&iq.with_child(Element::new("q", "urn:q").with_text(payload))).unwrap()
    }

    #[test]
    fn a_short_stanza_is_kept_and_of_a_long_one_its_start_tag() {
        let short = request("x");
        assert_eq!(short.memento(1000).unwrap().bytes(), short.bytes());
        let long = request(&"x".repeat(5000)).memento(1000).unwrap();
        assert!(long.bytes().len() < 200, "{long:?}");
        assert_eq!((long.from(), long.to(), long.id()), (short.from(), short.to(), short.id()));
        assert!(long.is_request());
        assert_eq!((long.from_domain(), long.to_domain()), (short.from_domain(), short.to_domain()));
        assert!(request(&"x".repeat(5000)).memento(50).is_none(), "its addresses are longer");
    }

    #[test]
    fn a_memento_is_answered_as_the_stanza_is() {
        let error =
            Error { type_: ErrorType::Wait, condition: Condition::RemoteServerTimeout, text: "why".into() };
        let answer = request(&"x".repeat(5000)).memento(1000).unwrap().bounce(&error).unwrap();
        assert_eq!((&*answer.to(), &*answer.from()), ("ab@a.example/\"'x", "b.example"));
        assert_eq!((answer.id().as_deref(), answer.type_()), (Some("1&2"), Some("error")));
    }
}
