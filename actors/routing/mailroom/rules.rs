//! How long each stanza waits for a component.

use std::time::Duration;

use xmpp::Stanza;

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
        let time = self.rules.time_of(stanza);
        if self.is_served { time.max(READ_WITHIN) } else { time }
    }
}

/// So many times as many error answers may wait. With the defaults that is a full queue for one remote domain, all of
/// whose stanzas are answered at once.
const MORE_ANSWERS: usize = 5;

/// The same for their bytes: half of the memory for all components, with the defaults.
const MORE_BYTES: usize = 2;

/// How long a stanza waits at least for a connected component to read: `"0s"` means that nothing waits for an absent
/// one.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use xmpp::xml::Element;

    use super::*;

    fn request() -> Stanza {
        let element =
            Element::new("iq", "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        Stanza::from_element(&element.with("type", "get").with("id", "1")).unwrap()
    }

    fn rules() -> Absence {
        Absence { iq: Duration::ZERO, ..super::super::seat::tests::rules() }
    }

    #[test]
    fn a_connected_component_gets_time_to_read() {
        let (rules, request) = (rules(), request());
        let time = |is_served| Terms { rules: &rules, is_served, returning: false }.time_of(&request);
        assert_eq!((time(false), time(true)), (Duration::ZERO, READ_WITHIN));
    }
}
