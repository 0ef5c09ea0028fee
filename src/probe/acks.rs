//! Finds out whether a server acknowledges stanzas and resumes streams (XEP-0198), and says what follows from it.

use std::time::Duration;

use actors::{attempt::Session, settings::Repeat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xmpp::stream::initiating::{Acks, open::Output};

use super::step::{Kind, Location, Step};

/// The acknowledgements of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It acknowledges, and resumes lost streams.
    Resumable {
        /// The time for which it keeps a lost stream, if it gives one.
        keeps_for: Option<Duration>,
    },
    /// It acknowledges, and does not resume.
    Acknowledged,
    /// It offers acknowledgements, and refused them.
    Refused,
    /// It offers acknowledgements, and did not answer our request.
    Silent,
    /// It does not offer them on this stream.
    NotOffered,
    /// The configuration disables them.
    Disabled,
}

impl Delivery {
    /// Finds out by the answer to `<enable/>`, which an open stream has sent if the server offers acknowledgements.
    /// No stanza is sent.
    pub(super) async fn of(session: &mut Session, enabled: bool) -> Self {
        if !enabled {
            return Self::Disabled;
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, answer(session)).await {
            Ok(delivery) => delivery,
            Err(_) => Self::Silent,
        }
    }

    /// The step of the report.
    pub(super) fn step(self, location: &Location, repeat: Repeat) -> Step {
        let text = format!("{}\n{}", self.offer(), self.consequence(repeat));
        let mut step = Step::ok(Kind::Acks, location, &text).fact("acks", self.as_str());
        if let Self::Resumable { keeps_for: Some(time) } = self {
            step = step.fact("keeps_for_s", time.as_secs());
        }
        step.nothing_found = !matches!(self, Self::Resumable { .. } | Self::Acknowledged);
        step
    }

    /// The result in JSON, as in the log of a node.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Resumable { .. } => "resumable",
            Self::Acknowledged => "yes",
            Self::Refused | Self::Silent | Self::NotOffered | Self::Disabled => "no",
        }
    }

    /// What the server offers, and how the probe knows.
    fn offer(self) -> String {
        match self {
            Self::Resumable { keeps_for } => {
                let time = keeps_for.map_or_else(String::new, |time| format!(" for {} s", time.as_secs()));
                format!("acks, resumable{time}: it answered <enable/> with an id")
            }
            Self::Acknowledged => "acks, not resumable: it answered <enable/> without an id".to_owned(),
            Self::Refused => "no acks: it offers them, and answered <enable/> with <failed/>".to_owned(),
            Self::Silent => format!(
                "no acks: it offers them, and did not answer <enable/> within {} s",
                ANSWER_TIMEOUT.as_secs()
            ),
            Self::NotOffered => "no acks: it does not offer urn:xmpp:sm:3 on this stream".to_owned(),
            Self::Disabled => "no acks: the configuration has acks = false".to_owned(),
        }
    }

    /// What the loss of a connection means.
    pub(crate) fn consequence(self, repeat: Repeat) -> &'static str {
        match (self, repeat) {
            (Self::Resumable { .. }, _) => {
                "after a connection loss, no stanza is missing and none arrives twice"
            }
            (Self::Acknowledged, Repeat::Messages) => {
                "after a connection loss, no stanza is missing, and messages may arrive twice"
            }
            (Self::Acknowledged, Repeat::Never) => {
                "after a connection loss, messages that may have arrived are answered with an error"
            }
            (Self::Refused | Self::Silent | Self::NotOffered | Self::Disabled, _) => {
                "after a connection loss, the last stanzas may be missing"
            }
        }
    }
}

/// Drives the stream until the server has answered `<enable/>`.
async fn answer(session: &mut Session) -> Delivery {
    loop {
        while let Some(output) = session.machine.poll() {
            match output {
                Output::Transmit(bytes) if session.stream.write_all(&bytes).await.is_err() => {
                    return Delivery::Silent;
                }
                Output::AcksRefused { .. } => return Delivery::Refused,
                Output::Ended(_) => return Delivery::Silent,
                _ => {}
            }
        }
        match session.machine.acks() {
            Acks::On { resumable: Some(resumable) } => {
                return Delivery::Resumable { keeps_for: resumable.max };
            }
            Acks::On { resumable: None } => return Delivery::Acknowledged,
            Acks::Off => return Delivery::NotOffered,
            Acks::Requested => {}
        }
        let mut bytes = bytes::BytesMut::with_capacity(READ_AT_ONCE);
        match session.stream.read_buf(&mut bytes).await {
            Ok(1..) => session.machine.receive(bytes),
            Ok(0) | Err(_) => return Delivery::Silent,
        }
    }
}

/// The time for the answer to `<enable/>`: one round trip, and patience for a server that is busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// More than the longest answer.
const READ_AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_offer_has_its_consequence() {
        let shown = |delivery: Delivery, repeat| delivery.step(&Location::default(), repeat).lines();
        let keeps_for = Some(Duration::from_secs(120));
        assert_eq!(
            shown(Delivery::Resumable { keeps_for }, Repeat::Messages),
            [
                "acks, resumable for 120 s: it answered <enable/> with an id",
                "after a connection loss, no stanza is missing and none arrives twice"
            ]
        );
        let twice = shown(Delivery::Acknowledged, Repeat::Messages);
        assert_eq!(twice[1], "after a connection loss, no stanza is missing, and messages may arrive twice");
        let never = shown(Delivery::Acknowledged, Repeat::Never);
        assert!(never[1].ends_with("are answered with an error"), "{never:?}");
        for none in [Delivery::Refused, Delivery::Silent, Delivery::NotOffered, Delivery::Disabled] {
            let step = none.step(&Location::default(), Repeat::Messages);
            assert!(step.nothing_found && step.finding.is_none());
            assert_eq!(step.facts["acks"], "no");
            assert!(step.lines()[0].starts_with("no acks: "), "{:?}", step.lines());
            assert_eq!(step.lines()[1], "after a connection loss, the last stanzas may be missing");
        }
    }
}
