//! Decides which stanzas are answered after a link has broken: the one that the peer's stream error is about,
//! and IQ requests that the peer has most likely not read, since their senders wait.
//!
//! The peer answers the requests that it has read. After an error about a known stanza, the requests behind
//! that stanza are answered here; after an error about an unknown stanza those of the last few seconds, which
//! may have been behind it. After any other end only the requests that were being written.

use std::time::Instant;

use xmpp::{
    Domain,
    stanza::{self, Condition, ErrorType},
    stream,
};

use crate::flow::outbox::{Suspect, Suspects};

/// The stanzas to answer.
#[derive(Debug, Default)]
pub(super) struct LossAnswers {
    /// The stanza for which the peer ended the stream, with the error for its sender.
    pub(super) rejected: Option<(Suspect, stanza::Error)>,
    /// Requests that have most likely not been read, with the error for their senders.
    pub(super) requests: Option<(Vec<Suspect>, stanza::Error)>,
}

impl LossAnswers {
    /// Finds the stanza that `error`, the peer's stream error, is about, among those that may not have
    /// arrived.
    pub(super) fn find(
        remote: &Domain,
        error: Option<&stream::Error>,
        suspects: Suspects,
        now: Instant,
    ) -> Self {
        let Suspects { mut requests, oversized, alone } = suspects;
        let about_content = error.filter(|error| is_about_content(error.condition));
        let rejected = about_content.and_then(|error| {
            let oversized = oversized.filter(|_| error.condition == stream::Condition::PolicyViolation);
            let rejected = oversized.or(alone)?;
            let text = format!("{remote} closed the stream because of this stanza: {error}");
            Some((rejected, answer(ErrorType::Modify, Condition::PolicyViolation, text)))
        });
        requests.retain(|request| match &rejected {
            Some((rejected, _)) if request.is_touched => !request.is(rejected),
            None if request.is_touched => true,
            Some((rejected, _)) => request.follows(rejected),
            None => about_content.is_some() && request.is_fresh(now),
        });
        let requests = (!requests.is_empty()).then(|| {
            let text = match error {
                Some(error) => format!("{remote} closed the stream ({error}): the request may have arrived"),
                None => format!("the connection to {remote} was lost: the request may have arrived"),
            };
            (requests, answer(ErrorType::Wait, Condition::RemoteServerTimeout, text))
        });
        Self { rejected, requests }
    }
}

fn answer(type_: ErrorType, condition: Condition, text: String) -> stanza::Error {
    stanza::Error { type_, condition, text }
}

/// Whether a stream error can be about a stanza, and not about the stream, the peer's state or ours.
pub(super) fn is_about_content(condition: stream::Condition) -> bool {
    use stream::Condition as C;
    match condition {
        C::BadFormat
        | C::BadNamespacePrefix
        | C::HostUnknown
        | C::ImproperAddressing
        | C::InvalidFrom
        | C::InvalidNamespace
        | C::InvalidXml
        | C::NotWellFormed
        | C::PolicyViolation
        | C::RestrictedXml
        | C::UnsupportedEncoding
        | C::UnsupportedStanzaType => true,
        C::Conflict
        | C::ConnectionTimeout
        | C::HostGone
        | C::InternalServerError
        | C::NotAuthorized
        | C::RemoteConnectionFailed
        | C::Reset
        | C::ResourceConstraint
        | C::SeeOtherHost
        | C::SystemShutdown
        | C::UndefinedCondition
        | C::UnsupportedFeature
        | C::UnsupportedVersion => false,
    }
}

#[cfg(test)]
mod tests {
    use xmpp::{Stanza, xml::Element};

    use super::*;
    use crate::flow::{
        account::{self, Outcome, Totals},
        batch::Batch,
        outbox::{BUDGET, Outbox},
    };
    use status::amount::Amount;

    fn stanza(kind: &str, id: &str, length: usize) -> Stanza {
        let element =
            Element::new(kind, "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        let element = if kind == "iq" { element.with("type", "get") } else { element };
        Stanza::from_element(&element.with("id", id).with_text("x".repeat(length))).unwrap()
    }

    /// An outbox that has written these stanzas, and the totals that count them.
    fn written(stanzas: Vec<Stanza>) -> (Outbox, std::sync::Arc<Totals>) {
        let all = std::sync::Arc::new(Totals::default());
        let entry = account::Entry::take_in(&all, &std::sync::Arc::default(), Amount::of(&stanzas));
        let first = stanzas[0].clone();
        let batch = Batch {
            entry,
            ..Batch::between(first.from_domain().clone(), first.to_domain().clone(), stanzas)
        };
        let mut outbox = Outbox::new(BUDGET);
        outbox.accept(batch);
        while outbox.next_chunk(clock::now()).is_some() {
            outbox.written(clock::now());
        }
        (outbox, all)
    }

    /// The ids of the rejected stanza and of the requests.
    fn answered_ids(outbox: &mut Outbox, condition: stream::Condition) -> (Option<String>, Vec<String>) {
        let error = stream::Error::new(condition, "some text");
        let remote = Domain::new("b.example").unwrap();
        let id = |suspect: Suspect| suspect.stanza.id().unwrap().into_owned();
        let LossAnswers { rejected, requests } =
            LossAnswers::find(&remote, Some(&error), outbox.take_suspects(&[], clock::now()), clock::now());
        if let Some((_, error)) = &rejected {
            assert_eq!((error.type_, error.condition), (ErrorType::Modify, Condition::PolicyViolation));
            assert!(error.text.ends_with(&format!("{} (some text)", condition.as_str())), "{}", error.text);
        }
        let requests = requests.map(|(requests, _)| requests).unwrap_or_default();
        (rejected.map(|(suspect, _)| id(suspect)), requests.into_iter().map(id).collect())
    }

    /// Every condition, whether it rejects a stanza that is alone, and a long one among others.
    const BLAMES: [(stream::Condition, bool, bool); 25] = {
        use stream::Condition as C;
        [
            (C::BadFormat, true, false),
            (C::BadNamespacePrefix, true, false),
            (C::Conflict, false, false),
            (C::ConnectionTimeout, false, false),
            (C::HostGone, false, false),
            (C::HostUnknown, true, false),
            (C::ImproperAddressing, true, false),
            (C::InternalServerError, false, false),
            (C::InvalidFrom, true, false),
            (C::InvalidNamespace, true, false),
            (C::InvalidXml, true, false),
            (C::NotAuthorized, false, false),
            (C::NotWellFormed, true, false),
            (C::PolicyViolation, true, true),
            (C::RemoteConnectionFailed, false, false),
            (C::Reset, false, false),
            (C::ResourceConstraint, false, false),
            (C::RestrictedXml, true, false),
            (C::SeeOtherHost, false, false),
            (C::SystemShutdown, false, false),
            (C::UndefinedCondition, false, false),
            (C::UnsupportedEncoding, true, false),
            (C::UnsupportedFeature, false, false),
            (C::UnsupportedStanzaType, true, false),
            (C::UnsupportedVersion, false, false),
        ]
    };

    #[test]
    fn each_condition_rejects_a_stanza_that_it_can_be_about() {
        for (condition, alone, long) in BLAMES {
            let (mut outbox, _) = written(vec![stanza("message", "1", 5)]);
            let wanted = alone.then(|| "1".to_owned());
            assert_eq!(answered_ids(&mut outbox, condition), (wanted, vec![]), "{condition:?}");

            let several =
                vec![stanza("message", "1", 5), stanza("message", "2", 20_000), stanza("iq", "3", 5)];
            let (mut outbox, _) = written(several);
            let wanted = long.then(|| "2".to_owned());
            let requests = if alone { vec!["3".to_owned()] } else { vec![] };
            assert_eq!(answered_ids(&mut outbox, condition), (wanted, requests), "{condition:?}");
        }
    }

    #[test]
    fn the_peer_answers_requests_before_the_rejected_stanza() {
        let (mut outbox, _) =
            written(vec![stanza("iq", "1", 5), stanza("message", "2", 20_000), stanza("iq", "3", 5)]);
        let answered_ids = answered_ids(&mut outbox, stream::Condition::PolicyViolation);
        assert_eq!(answered_ids, (Some("2".to_owned()), vec!["3".to_owned()]));
    }

    #[test]
    fn a_request_that_was_being_written_is_answered_after_any_end() {
        let kept = crate::flow::batch::Kept {
            stanza: stanza("iq", "1", 5),
            taken: true,
            since: clock::now(),
            sends: crate::flow::batch::Sends::default(),
            place: crate::flow::journal::Place::None,
            receipt: crate::flow::journal::Receipt::default(),
        };
        for error in [None, Some(stream::Error::new(stream::Condition::SystemShutdown, ""))] {
            let suspects = Outbox::new(BUDGET).take_suspects(std::slice::from_ref(&kept), clock::now());
            let remote = Domain::new("b.example").unwrap();
            let LossAnswers { rejected, requests } =
                LossAnswers::find(&remote, error.as_ref(), suspects, clock::now());
            assert!(rejected.is_none());
            assert_eq!(requests.map(|(requests, _)| requests.len()), Some(1));
        }
    }

    #[test]
    fn a_long_request_is_answered_once() {
        let (mut outbox, _) = written(vec![stanza("iq", "1", 20_000), stanza("iq", "2", 5)]);
        let answered_ids = answered_ids(&mut outbox, stream::Condition::PolicyViolation);
        assert_eq!(answered_ids, (Some("1".to_owned()), vec!["2".to_owned()]));
    }

    #[test]
    fn answered_stanzas_count_as_answered_and_the_rest_as_uncertain() {
        let (mut outbox, all) = written(vec![stanza("iq", "1", 5), stanza("message", "2", 5)]);
        assert_eq!(all.settled(Outcome::Written).stanzas, 2);
        assert_eq!(outbox.mark_recent_uncertain(clock::now()), 2);
        let requests = outbox.take_suspects(&[], clock::now()).requests;
        outbox.answered(requests[0].amount, Condition::RemoteServerTimeout, 1);
        let of = |outcome| all.settled(outcome).stanzas;
        assert_eq!((of(Outcome::Written), of(Outcome::Uncertain), of(Outcome::Answered)), (0, 1, 1));
        assert_eq!((all.difference(), all.waiting()), Default::default());
    }
}
