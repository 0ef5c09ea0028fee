//! The stanzas that are answered after a link has ended without a goodbye: the one that the peer complained about, and IQ
//! requests, whose senders wait.

use xmpp::{
    Domain,
    stanza::{self, Condition, ErrorType},
    stream,
};

use crate::outbox::{Fact, Suspects};

/// What is to be answered.
#[derive(Debug, Default)]
pub(super) struct Blame {
    /// The stanza that made the peer end the stream, with the answer to it.
    pub(super) culprit: Option<(Fact, stanza::Error)>,
    /// The requests that may not have arrived, without the culprit, with the answer to them.
    pub(super) requests: Option<(Vec<Fact>, stanza::Error)>,
}

impl Blame {
    /// Finds the stanza that `error`, the peer's stream error, is about, among those that may not have arrived.
    pub(super) fn find(remote: &Domain, error: Option<&stream::Error>, suspects: Suspects) -> Self {
        let Suspects { mut requests, oversized, alone } = suspects;
        let about_content = error.filter(|error| is_about_content(error.condition));
        let culprit = about_content.and_then(|error| {
            let oversized = oversized.filter(|_| error.condition == stream::Condition::PolicyViolation);
            let culprit = oversized.or(alone)?;
            let text = format!("{remote} ended the stream over this stanza: {error}");
            Some((culprit, answer(ErrorType::Modify, Condition::PolicyViolation, text)))
        });
        if let Some((culprit, _)) = &culprit {
            requests.retain(|request| !request.is(culprit));
        }
        let requests = (!requests.is_empty()).then(|| {
            let text = match error {
                Some(error) => format!("{remote} ended the stream ({error}): the request may have arrived"),
                None => format!("the connection to {remote} was lost: the request may have arrived"),
            };
            (requests, answer(ErrorType::Wait, Condition::RemoteServerTimeout, text))
        });
        Self { culprit, requests }
    }
}

fn answer(type_: ErrorType, condition: Condition, text: String) -> stanza::Error {
    stanza::Error { type_, condition, text }
}

/// Whether a stream error can be about a stanza, rather than about the stream, the peer's state or ours.
fn is_about_content(condition: stream::Condition) -> bool {
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
