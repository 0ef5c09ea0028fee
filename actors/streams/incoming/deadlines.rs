//! What a peer may take its time for, and for how long.

use std::time::Duration;

use actix::Context;
use bytes::Bytes;
use xmpp::stream::{self, Condition};

use super::Incoming;

impl Incoming {
    /// RecorderHandle whether an element is under way, and since when. The time that the throttle takes is not the peer's.
    pub(super) fn watch_element(&mut self, paused: Option<Duration>) {
        let under_way = self.machine.unfinished();
        self.unfinished = match (under_way, self.unfinished) {
            (Some(number), Some((known, since))) if number == known => {
                Some((number, since + paused.unwrap_or_default()))
            }
            (Some(number), _) => Some((number, clock::now() + paused.unwrap_or_default())),
            (None, _) => None,
        };
    }

    pub(super) fn demand_authentication(&mut self, context: &mut Context<Self>) {
        if !self.authorized && !self.over {
            let text = format!("not authenticated in time, {}", self.machine.stage());
            self.close(Some(stream::Error::new(Condition::ConnectionTimeout, text)), context);
        }
    }

    /// Closes the stream of a peer that reads nothing (RFC 6120 4.9.3.4). It is told, if it comes back within the moment
    /// that it has now.
    fn give_up_on_reader(&mut self, context: &mut Context<Self>) {
        let reason = "the peer does not read";
        if self.over {
            return self.link_ended(reason, context);
        }
        self.writing_since = None;
        self.close(
            Some(stream::Error::new(
                Condition::ConnectionTimeout,
                "no data accepted within the write timeout",
            )),
            context,
        );
        self.over = true;
        self.log_closed(reason);
    }

    pub(super) fn tick(&mut self, context: &mut Context<Self>) {
        if self.writing_since.is_some_and(|since| clock::since(since) > self.remote.write_timeout) {
            return self.give_up_on_reader(context);
        }
        // Nothing follows our closing tag, white space neither.
        if self.over || !self.authorized || self.machine.is_closing() {
            return;
        }
        let within = self.remote.element_timeout;
        if self.unfinished.is_some_and(|(_, since)| clock::since(since) > within) {
            let text = format!("an element that was not whole within {} s", within.as_secs_f32());
            self.close(Some(stream::Error::new(Condition::ConnectionTimeout, text)), context);
        } else if self.expires.take_if(|end| *end <= clock::system()).is_some()
            && self.machine.certificate_ended()
        {
            // RFC 6120 13.7.2.3.
            self.close(Some(stream::Error::new(Condition::Reset, "the certificate has expired")), context);
        } else if clock::since(self.last_stanza) >= self.remote.idle_timeout {
            self.close(None, context);
        } else if clock::since(self.last_read) >= self.remote.keepalive {
            // RFC 6120 4.6.1: whitespace; a peer that is gone does not acknowledge it, and TCP says so.
            self.last_read = clock::now();
            self.outbox.push_raw(Bytes::from_static(b" "));
            self.feed_link();
        }
    }
}
