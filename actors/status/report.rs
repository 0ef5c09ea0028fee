//! The documents that actors write about links, queues, components and failures.
//!
//! `nuncio sessions --json`, `nuncio queues --json` and the other commands print them as they are. The field
//! names are part of the JSON format and do not change.

mod account;
mod acknowledgement;
mod component;
mod ending;
mod failure;
mod link;
mod mailbox;
mod ping;
mod queue;
mod time;

pub use self::{
    account::Account,
    acknowledgement::{Acknowledgement, Acks, Latency},
    component::{ComponentReport, ComponentState, Denials, DeniedStanza, Rejections, SinceEvent},
    ending::{EndCause, Ending},
    failure::{FailureReport, Side},
    link::{Authentication, Direction, LinkReport, LinkState, Pair, TlsReport, Verdict},
    mailbox::{Deepest, MailboxReport},
    ping::UnansweredPing,
    queue::{QueueReport, QueueState},
    time::{Seconds, Time},
};

/// Shortens a text that a peer may have written to at most [`MAX_TEXT`] bytes.
///
/// A cut text ends with `…`, and no character is split.
///
/// ```
/// use status::report::{MAX_TEXT, bounded};
///
/// assert_eq!(bounded("connection reset".to_owned()), "connection reset");
/// assert!(bounded("x".repeat(1_000)).len() <= MAX_TEXT);
/// ```
pub fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT - ELLIPSIS.len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str(ELLIPSIS);
    }
    text
}

/// The longest text in a report, in bytes. It has room for a sentence and a half.
pub const MAX_TEXT: usize = 240;

const ELLIPSIS: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = bounded("ü".repeat(MAX_TEXT));
        assert!(text.len() <= MAX_TEXT && text.ends_with("ü…"), "{text}");
        assert_eq!(bounded("short".to_owned()), "short");
    }
}
