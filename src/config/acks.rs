//! The keys for acknowledged streams (XEP-0198): their values, and the combinations that are probably not intended.

use std::time::Duration;

use actors::settings::{Promise, Remote, Repeat};
use xmpp::acks::Offer;

use super::{finding::Message, section::Section, value};

/// A value of `resume_timeout`; zero is valid and disables resumption.
pub(super) fn resume_timeout(text: &str) -> Result<Duration, String> {
    at_most(value::duration(text)?, MAX_RESUME_TIMEOUT, "24h")
}

/// A value of `ack_timeout`.
pub(super) fn ack_timeout(text: &str) -> Result<Duration, String> {
    at_most(value::some_duration(text)?, MAX_ACK_TIMEOUT, "1h")
}

/// The offer to a remote server that opens a stream.
pub(super) fn offer(with_acks: bool, resume_timeout: Duration) -> Option<Offer> {
    let resume_for = Some(resume_timeout).filter(|time| !time.is_zero());
    with_acks.then_some(Offer { resume_for })
}

/// Adds a warning for each combination that is probably not intended, at the key of `section` that causes it.
pub(super) fn check(section: &Section<'_>, remote: &Remote, promise: &Promise) {
    if !remote.acks {
        for key in ["resume_timeout", "ack_timeout", "repeat"] {
            if section.has(key) {
                section.warning(key, "has no effect with acks = false");
            }
        }
        return;
    }
    if remote.max_rate.is_some_and(|rate| rate < MIN_RATE) {
        let text = "other servers wait 30 s for an acknowledgement, and one that waits behind stanzas read at less \
                    than 4 KiB per second can come later";
        let help = "raise max_rate, or set acks = false";
        match ["max_rate", "acks"].into_iter().find(|key| section.has(key)) {
            Some("acks") => {
                section.warning("acks", Message::with_help(format!("max_rate is low: {text}"), help));
            }
            Some(key) => section.warning(key, Message::with_help(format!("is low: {text}"), help)),
            None => {}
        }
    }
    if remote.resume_timeout > promise.message && section.has("resume_timeout") {
        let text = format!(
            "is longer than promise.message ({}): by then the messages that wait to be resumed have been answered \
             with an error",
            humantime::format_duration(promise.message)
        );
        section.warning("resume_timeout", Message::with_help(text, "lower it, or raise promise.message"));
    }
}

fn at_most(duration: Duration, longest: Duration, name: &str) -> Result<Duration, String> {
    if duration > longest { Err(format!("must not be longer than {name}")) } else { Ok(duration) }
}

/// The words for `repeat`.
pub(super) const REPEAT: [(&str, Repeat); 2] = [("messages", Repeat::Messages), ("never", Repeat::Never)];

/// The lowest `max_rate`, in bytes per second, at which a request for acknowledgement is read in time: Prosody ends a
/// stream on which a request is unanswered for 30 s, and 120 KiB fit into the buffers in front of it.
const MIN_RATE: usize = 4 << 10;

/// A stream that was lost a day ago has nothing left to resume: no queue keeps stanzas for that long by default.
const MAX_RESUME_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Until this time is over, up to 4 MiB of unacknowledged stanzas are kept for a peer that is gone.
const MAX_ACK_TIMEOUT: Duration = Duration::from_secs(60 * 60);
