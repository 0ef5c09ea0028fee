//! What has happened to a configured component since the node knows it: its connections, their ends, and what was
//! refused.
//!
//! Architecture Invariant: plain data. The router counts.

use std::collections::BTreeMap;

use status::{
    amount::Amount,
    report::{self, Denials, EndCause, Rejections, Time, bounded},
};

/// The history of one component.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Connections that got the name.
    pub(crate) accepted: u64,
    /// Ends of these connections.
    pub(crate) ends: BTreeMap<EndCause, u64>,
    /// How its last connection ended.
    pub(crate) last_end: Option<report::Ending>,
    /// Stanzas that were answered because it was not connected.
    pub(crate) refused: Amount,
    /// Connections with a wrong secret.
    pub(crate) rejected: Rejections,
    /// Connections with the right secret that another one kept from the name.
    pub(crate) conflicts: Rejections,
    /// Stanzas that its rules do not permit.
    pub(crate) denied: Denials,
}

impl History {
    /// Notes the end of a connection that had the name.
    pub(super) fn ended(&mut self, at: Time, cause: EndCause, reason: String) {
        *self.ends.entry(cause).or_default() += 1;
        self.ends_now(at, cause, reason);
    }

    /// Notes the end of a connection whose cause is not certain yet: [`Self::ended`] follows.
    pub(super) fn ends_now(&mut self, at: Time, cause: EndCause, reason: String) {
        self.last_end = Some(report::Ending { at, cause, reason: bounded(reason) });
    }

    /// Counts stanzas that its rules do not permit.
    pub(super) fn count_denied(&mut self, denials: Denials) {
        self.denied.from_remote += denials.from_remote;
        self.denied.from_component += denials.from_component;
        if denials.last.is_some() {
            self.denied.last = denials.last;
        }
    }
}

#[cfg(test)]
mod tests {
    use status::report::DeniedStanza;

    use super::*;

    #[test]
    fn denied_stanzas_are_added_up_and_the_last_one_is_kept() {
        let last = |from: &str| DeniedStanza {
            at: Time::now(),
            from: from.to_owned(),
            to: "bot.example".to_owned(),
            address: "127.0.0.1".parse().unwrap(),
        };
        let mut history = History::default();
        for denials in [
            Denials { from_remote: 3, from_component: 0, last: Some(last("a.example")) },
            Denials { from_remote: 0, from_component: 2, last: Some(last("b.example")) },
            Denials::default(),
        ] {
            history.count_denied(denials);
        }
        assert_eq!((history.denied.from_remote, history.denied.from_component), (3, 2));
        assert_eq!(history.denied.last.unwrap().from, "b.example");
    }

    #[test]
    fn each_end_is_counted_with_its_cause() {
        let mut history = History::default();
        for cause in [EndCause::Lost, EndCause::Hung, EndCause::Lost] {
            history.ended(Time::now(), cause, cause.as_str().to_owned());
        }
        assert_eq!((history.ends[&EndCause::Lost], history.ends[&EndCause::Hung]), (2, 1));
        assert_eq!(history.last_end.unwrap().reason, "lost");
    }
}
