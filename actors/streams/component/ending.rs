//! How the connection of a component ends: the reason for the log and for `nuncio components`, and its cause.

use std::io;

use xmpp::stream::{self, End};

use net::tls;
use status::report::EndCause;

/// The end of the connection, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// The end that was logged.
    pub(super) ended: Option<Ended>,
    /// Set when we close the stream.
    pub(super) cause: Option<CloseCause>,
}

/// The end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) cause: EndCause,
    pub(super) reason: String,
}

/// The cause for which we close the stream of a component.
#[derive(Debug)]
pub(super) struct CloseCause {
    cause: EndCause,
    /// The stream error that the component gets.
    error: Option<stream::Error>,
}

impl Closing {
    /// The end of a connection that the component closes after our closing tag. Many send none of their own.
    pub(super) fn cause(&self) -> Option<Ended> {
        self.cause.as_ref().map(|closing| match &closing.error {
            Some(error) => Ended::new(closing.cause, End::ByUs(error.clone()).to_string()),
            None => Ended::new(closing.cause, "closed by an operator"),
        })
    }

    /// The end of a connection whose protocol has ended like this.
    pub(super) fn after(&self, end: &End) -> Ended {
        match (end, self.cause()) {
            // After our own stream error, closing tags go both ways as without one.
            (End::Closed, Some(ended)) => ended,
            (End::Closed, None) => Ended::new(EndCause::Closed, "closed by the component"),
            (End::ByUs(_), Some(Ended { cause, .. })) => Ended::new(cause, end.to_string()),
            (End::ByUs(_), None) => Ended::new(EndCause::ProtocolError, end.to_string()),
            (End::ByPeer(error), _) => {
                Ended::new(EndCause::ComponentError, format!("closed by the component: {error}"))
            }
        }
    }
}

impl Ended {
    pub(super) fn new(cause: EndCause, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into() }
    }

    /// The component does not answer, or does not read.
    pub(super) fn hung(reason: &str) -> Self {
        Self::new(EndCause::Hung, reason)
    }

    /// The end is known already: this one is not logged.
    pub(super) fn again() -> Self {
        Self::new(EndCause::Lost, "")
    }
}

impl CloseCause {
    /// A stream error.
    pub(super) fn error(cause: EndCause, error: stream::Error) -> Self {
        Self { cause, error: Some(error) }
    }

    /// A command of an operator.
    pub(super) fn operator() -> Self {
        Self { cause: EndCause::Operator, error: None }
    }

    /// The stream error that the component gets.
    pub(super) fn stream_error(&self) -> Option<stream::Error> {
        self.error.clone()
    }
}

/// An error of the socket as a sentence, without the words and numbers of the operating system.
pub(super) fn broken(error: &io::Error) -> String {
    if error.get_ref().is_some() {
        // Of the TLS library.
        return tls::Error::later(error).to_string();
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset => "the connection was reset by the component".to_owned(),
        io::ErrorKind::BrokenPipe => "the component closed the connection while it was written to".to_owned(),
        io::ErrorKind::TimedOut => "the machine of the component does not answer (TCP timeout)".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "the machine of the component cannot be reached any more".to_owned()
        }
        io::ErrorKind::ConnectionAborted => {
            "the connection was aborted by the system of this node".to_owned()
        }
        io::ErrorKind::UnexpectedEof => {
            "the component ended the connection without closing its stream".to_owned()
        }
        kind => format!("the connection broke: {kind}"),
    }
}

/// The text for a component whose name was removed.
pub(super) const NOT_SERVED: &str = "this name is no longer served here";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_has_a_sentence_without_its_number() {
        // ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ECONNABORTED, ENOBUFS.
        for number in [104, 32, 110, 113, 101, 103, 105] {
            let told = broken(&io::Error::from_raw_os_error(number));
            assert!(told.starts_with("the ") && !told.contains("os error"), "{number}: {told}");
        }
        let told = broken(&io::Error::from_raw_os_error(104));
        assert_eq!(told, "the connection was reset by the component");
    }

    #[test]
    fn the_cause_of_our_own_end_wins_over_the_closing_tag_that_follows() {
        let error = stream::Error::new(stream::Condition::Conflict, "");
        let cause = Some(CloseCause::error(EndCause::Replaced, error.clone()));
        let closing = Closing { ended: None, cause };
        assert_eq!(closing.after(&End::Closed).cause, EndCause::Replaced);
        assert_eq!(closing.after(&End::ByUs(error.clone())).cause, EndCause::Replaced);
        let none = Closing::default();
        assert_eq!(none.after(&End::Closed).cause, EndCause::Closed);
        assert_eq!(none.after(&End::ByUs(error.clone())).cause, EndCause::ProtocolError);
        assert_eq!(none.after(&End::ByPeer(error)).cause, EndCause::ComponentError);
    }
}
