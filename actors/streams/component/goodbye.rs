//! How a stream with a program is closed: once it has said all it had to say, as far as that can be seen.

use std::{
    fmt,
    time::{Duration, Instant},
};

use actix::{AsyncContext, Context};
use xmpp::stream::{self, Condition, End};

use super::{Component, WHOLE_CHUNK};
use crate::flow::{batch::ReadPermit, farewell::Farewell};

/// Why we close the stream of a component.
#[derive(Debug)]
pub(super) enum Parting {
    /// With a stream error.
    Error(stream::Error),
    /// An operator wants it.
    Operator,
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => End::ByUs(error.clone()).fmt(f),
            Self::Operator => f.write_str("closed by an operator"),
        }
    }
}

impl Component {
    /// Closes our side of the stream, and the connection once the program is done with its own.
    pub(super) fn close(&mut self, parting: Parting, context: &mut Context<Self>) {
        self.machine.close(match &parting {
            Parting::Error(error) => Some(error.clone()),
            Parting::Operator => None,
        });
        self.parting = Some(parting);
        self.turn(&ReadPermit::free(), context);
        self.await_silence(context);
        context.run_later(CLOSE_WITHIN, |component, context| {
            if let Some(link) = component.link.as_ref().filter(|_| component.outbox.is_empty()) {
                link.close(Farewell::Now);
            }
            context.run_later(PARTING, |component, context| {
                component.link_ended(WHOLE_CHUNK, "the component did not close its stream", context);
            });
        });
    }

    /// Closes the stream of a program that reads nothing (RFC 6120 4.9.3.4), whose name is free from now on. It is told,
    /// if it comes back within the moment that it has now.
    pub(super) fn give_up_on_reader(&mut self, context: &mut Context<Self>) {
        let reason = "the component does not read";
        if self.over {
            return self.link_ended(WHOLE_CHUNK, reason, context);
        }
        self.writing_since = None;
        self.machine.close(Some(stream::Error::new(
            Condition::ConnectionTimeout,
            "no data accepted within the write timeout",
        )));
        self.turn(&ReadPermit::free(), context);
        self.over = true;
        self.log_closed(reason);
        self.leave(context);
        context.run_later(CLOSE_WITHIN, |component, context| {
            component.link_ended(WHOLE_CHUNK, "", context);
        });
    }

    /// Many programs never answer a closing tag: one that has said nothing for a while has said all.
    fn await_silence(&mut self, context: &mut Context<Self>) {
        if self.over {
            return;
        }
        if self.is_quiet() {
            self.stream_ended(&End::Closed, context);
            // Its answer has been waited for.
            self.farewell = Farewell::Now;
            return self.feed_link();
        }
        context.run_later(SILENCE / QUIET_LOOKS, |component, context| component.await_silence(context));
    }

    /// Closes the stream of a program that has been quiet for a moment: what it sends to a link that is still to be
    /// made can be answered only before our closing tag.
    pub(super) fn close_when_quiet(&mut self, end: Instant, context: &mut Context<Self>) {
        if self.over {
            return;
        }
        if self.is_quiet() || clock::now() >= end {
            self.quiet_looks = 0;
            let error = stream::Error::new(Condition::SystemShutdown, "");
            self.parting = Some(Parting::Error(error.clone()));
            self.machine.close(Some(error));
            self.turn(&ReadPermit::free(), context);
            return self.await_silence(context);
        }
        context.run_later(QUIET / QUIET_LOOKS, move |component, context| {
            component.close_when_quiet(end, context);
        });
    }

    /// Whether it could have said something at each of the last few looks, and did not. While its last words are being
    /// taken it cannot; and looks, not time, are counted because on a busy machine time passes without a read.
    fn is_quiet(&mut self) -> bool {
        let deaf = self.reading.is_held() || self.offered.is_some();
        self.quiet_looks = if deaf { 0 } else { self.quiet_looks + 1 };
        self.quiet_looks > QUIET_LOOKS
    }
}

/// How long a program may take to answer our closing tag.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How long a component that has not answered our closing tag gets to read what is left.
const PARTING: Duration = Duration::from_millis(300);

/// Nothing read for this long is a pause in which a stream can be closed.
const QUIET: Duration = Duration::from_millis(20);

/// How often a program is looked at in a time that is to be quiet.
const QUIET_LOOKS: u32 = 4;

/// Nothing read for this long after our closing tag: nothing is on its way any more.
const SILENCE: Duration = Duration::from_millis(400);
