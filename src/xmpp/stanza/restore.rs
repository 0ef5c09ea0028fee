//! Stanzas from bytes that were kept outside of the memory, or that another node of the cluster has sent.

use super::{Intake, Rejection, Stanza, admit};
use crate::{framer::Framer, xml};
use bytes::Bytes;

impl Stanza {
    /// The stanza with these [`bytes`](Self::bytes), which another run of the node has kept. Of payload in the content
    /// namespace of a component it is not known any more that it was.
    ///
    /// # Errors
    /// The bytes are not those of a stanza.
    pub fn restore(bytes: Bytes) -> Result<Self, Rejection> {
        Restorer::default().restore(bytes)
    }
}

/// [`Stanza::restore`] for many stanzas that came together: what the work needs is made once, and the domains of the previous
/// stanza are not parsed again. Use another one for the next stanzas: those of this one are on other threads by then, which
/// would contend with this one for the reference counts of the domains.
#[derive(Debug)]
pub struct Restorer {
    framer: Framer,
    intake: Intake,
}

impl Default for Restorer {
    fn default() -> Self {
        Self { framer: admit::framer(), intake: Intake::new(admit::own()) }
    }
}

impl Restorer {
    /// The stanza with these bytes, which are not copied.
    ///
    /// # Errors
    /// The bytes are not those of a stanza.
    pub fn restore(&mut self, bytes: Bytes) -> Result<Stanza, Rejection> {
        let element =
            self.framer.whole(bytes).map_err(|error| Rejection::Xml(xml::Error(error.to_string())))?;
        self.intake.admit(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::{Kind, Origin};
    use crate::xml::ns;

    fn admitted(text: &str, origin: &Origin) -> Stanza {
        let element = admit::frame(text).unwrap();
        Stanza::admit(element, origin).unwrap()
    }

    #[test]
    fn a_stanza_is_the_same_after_it_was_kept() {
        let server = |scope: &[(&str, &str)]| Origin {
            namespace: ns::SERVER,
            scope: scope.iter().map(|(prefix, uri)| ((*prefix).to_owned(), (*uri).to_owned())).collect(),
            lang: Some("de".to_owned()),
        };
        let origin = server(&[("", ns::SERVER)]);
        for text in [
            "<message from='a@a.example/x&amp;y' to='b@b.example' id='&quot;1' type='chat'><body>hi</body></message>",
            "<message from='a.example' to='b.example'/>",
            "<presence from='a@a.example/r' to='b@b.example' type='unavailable'/>",
            "<iq from='a.example' to='b.example' id='1' type='get'><q xmlns='urn:q'><p xmlns=''/></q></iq>",
            "<message xml:lang='fr' from='ü.example' to='b.example'><x xmlns='jabber:component:accept'/></message>",
        ] {
            let before = admitted(text, &origin);
            let after = Stanza::restore(before.bytes().clone()).unwrap();
            assert_eq!(after.bytes(), before.bytes(), "{text}");
            assert_eq!((after.kind(), after.from(), after.to()), (before.kind(), before.from(), before.to()));
            assert_eq!((after.id(), after.type_()), (before.id(), before.type_()));
            assert_eq!((after.from_domain(), after.to_domain()), (before.from_domain(), before.to_domain()));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [
            "",
            "<",
            "text",
            "<message to='b.example'/>",
            "<other from='a.example' to='b.example'/>",
            "<message from='a.example' to='b.example'/><message from='a.example' to='b.example'/>",
            "<message from='a.example' to='b.example'/> ",
            "<message from='a.example' to='b.example'>",
        ] {
            assert!(Stanza::restore(Bytes::from_static(bytes.as_bytes())).is_err(), "{bytes}");
        }
        assert!(Stanza::restore(Bytes::from_static(b"<message from='a' to='b'>\xff</message>")).is_err());
        let kind =
            Stanza::restore("<iq from='a' to='b' type='get' id='1'/>".into()).map(|stanza| stanza.kind());
        assert_eq!(kind, Ok(Kind::Iq));
    }

    #[test]
    fn many_stanzas_are_restored_as_each_alone_without_copies_also_behind_one_that_is_refused() {
        let mut restorer = Restorer::default();
        let texts = [
            "<message from='a.example' to='b.example'/>",
            "<message from='a.example' to='b.example'><body xmlns:x='urn:x'><x:y",
            "<message from='a.example/r' to='c.example'><body>hi</body></message>",
            "<x:message from='a.example' to='b.example'/>",
            "<message from='a.example' to='b.example'><![CDATA[",
            "<iq from='d.example' to='u@c.example' id='1' type='get'><q xmlns='urn:q'/></iq>",
            "",
            " <presence from='a.example' to='b.example'/>",
            "<presence from='a.example' to='b.example'/>",
        ];
        for text in texts {
            let bytes = Bytes::from(text);
            let (alone, together) = (Stanza::restore(bytes.clone()), restorer.restore(bytes.clone()));
            assert_eq!(format!("{alone:?}"), format!("{together:?}"), "{text}");
            if let Ok(stanza) = together {
                assert_eq!(stanza.bytes().as_ptr(), bytes.as_ptr(), "{text} is not copied");
            }
        }
    }
}
