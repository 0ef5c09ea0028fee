//! How long each stanza waits for a component.

use std::time::Duration;

use xmpp::{Stanza, stanza::Kind};

use crate::{routing::queue::Bounds, settings::Absence};

/// The bounds of one queue.
pub(super) struct Terms<'a> {
    pub(super) rules: &'a Absence,
    /// A connection serves the name: the stanzas wait for it to read.
    pub(super) is_served: bool,
    /// For error answers to stanzas of the component itself. More of them may wait, since nobody can be told that one was
    /// dropped.
    pub(super) returning: bool,
}

impl Bounds for Terms<'_> {
    fn max_stanzas(&self) -> usize {
        let factor = if self.returning { MORE_ANSWERS } else { 1 };
        self.rules.max_stanzas.saturating_mul(factor)
    }

    fn max_bytes(&self) -> usize {
        let factor = if self.returning { MORE_BYTES } else { 1 };
        self.rules.max_bytes.saturating_mul(factor)
    }

    fn time_of(&self, stanza: &Stanza) -> Duration {
        let time = time_of(stanza, self.rules);
        if self.is_served { time.max(READ_WITHIN) } else { time }
    }
}

/// The time that a stanza waits for an absent component.
pub(super) fn time_of(stanza: &Stanza, rules: &Absence) -> Duration {
    match stanza.kind() {
        Kind::Message => match rules.keep {
            Some(keep) if is_storable(stanza) => keep,
            _ => rules.message,
        },
        Kind::Presence => rules.presence,
        Kind::Iq => rules.iq,
    }
}

/// Whether a server would store the message for a user who is offline (RFC 6121 section 8.5.2.2, XEP-0334).
pub(super) fn is_storable(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Message
        && matches!(stanza.type_(), None | Some("chat" | "normal"))
        && !stanza.forbids_storing()
}

/// So many times as many error answers may wait. With the defaults that is a full queue for one remote domain, all of
/// whose stanzas are answered at once.
const MORE_ANSWERS: usize = 5;

/// The same for their bytes: half of the memory for all components, with the defaults.
const MORE_BYTES: usize = 2;

/// How long a stanza waits at least for a connected component to read: `"0s"` means that nothing waits for an absent
/// one.
const READ_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use xmpp::xml::Element;

    use super::*;

    fn stanza(name: &str, type_: Option<&str>, hint: Option<&str>) -> Stanza {
        let mut element =
            Element::new(name, "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        if let Some(type_) = type_ {
            element = element.with("type", type_);
        }
        if let Some(hint) = hint {
            element = element.with_child(Element::new(hint, "urn:xmpp:hints"));
        }
        Stanza::from_element(&element).unwrap()
    }

    const KEEP: Duration = Duration::from_secs(3600);

    fn rules() -> Absence {
        Absence { iq: Duration::ZERO, keep: Some(KEEP), ..super::super::seat::tests::rules() }
    }

    #[test]
    fn only_messages_that_servers_store_are_kept() {
        for type_ in [None, Some("chat"), Some("normal")] {
            assert_eq!(time_of(&stanza("message", type_, None), &rules()), KEEP);
            assert_eq!(time_of(&stanza("message", type_, Some("no-copy")), &rules()), KEEP);
            for hint in ["no-store", "no-permanent-store"] {
                assert_eq!(time_of(&stanza("message", type_, Some(hint)), &rules()), rules().message);
            }
        }
        for type_ in ["groupchat", "headline", "error"] {
            assert_eq!(time_of(&stanza("message", Some(type_), None), &rules()), rules().message);
        }
        assert_eq!(time_of(&stanza("presence", None, None), &rules()), rules().presence);
        assert_eq!(time_of(&stanza("iq", Some("get"), None), &rules()), Duration::ZERO);
    }

    #[test]
    fn a_connected_component_gets_time_to_read() {
        let (rules, request) = (rules(), stanza("iq", Some("get"), None));
        let time = |is_served| Terms { rules: &rules, is_served, returning: false }.time_of(&request);
        assert_eq!((time(false), time(true)), (Duration::ZERO, READ_WITHIN));
    }
}
