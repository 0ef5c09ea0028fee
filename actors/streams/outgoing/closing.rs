//! The end of a stream and of its link, by us or by the peer.

use actix::Context;
use xmpp::stream::{self, End};

use super::{
    Outgoing, State, Supply,
    ending::{Counts, Ending, Handback, Redial},
    last_ack::LastAck,
};
use crate::{
    flow::{batch::ReadPermit, close::CloseMode},
    streams::connection::{CLOSE_WITHIN, WHOLE_CHUNK, limit_closing},
};

impl Outgoing {
    /// Closes our side of the stream; the outbox is written before the closing tag.
    pub(super) fn close_stream(
        &mut self,
        error: Option<stream::Error>,
        reason: &str,
        redial: Redial,
        context: &mut Context<Self>,
    ) {
        self.take_no_more(reason, redial, context);
        if let Some(session) = self.state.session_mut() {
            session.connection.outbox.ask_last();
            session.machine.close(error);
        }
        self.drive(&ReadPermit::free(), context);
    }

    /// The protocol has ended.
    pub(super) fn stream_ended(&mut self, end: &End, last_ack: LastAck, context: &mut Context<Self>) {
        let error = match end {
            End::ByPeer(error) => Some(error),
            End::Closed | End::ByUs(_) => None,
        };
        if let Some(session) = self.state.session_mut()
            && (error.is_some() || session.connection.outbox.has_acks())
        {
            // RFC 6120 section 4.9.1.1: after the peer's stream error nothing more is sent but the closing
            // tag. A peer that acknowledges stanzas takes none after its closing tag either: its last
            // acknowledgement is final.
            let is_final = last_ack.is_final(&session.machine, end);
            let outbox = &mut session.connection.outbox;
            outbox.ask_no_more();
            let closing_tags = outbox.take_raw();
            let mut remains = outbox.remains(WHOLE_CHUNK);
            if is_final {
                // The rest has certainly not been accepted: it is as if it had not been written.
                remains.unwritten.splice(..0, std::mem::take(&mut remains.open));
            }
            let in_flight = outbox.mark_recent_uncertain(clock::now());
            closing_tags.into_iter().for_each(|tag| outbox.push_raw(tag));
            self.leave_behind(remains, in_flight, error);
        }
        self.take_no_more(&end.to_string(), Redial::AfterPause, context);
        if let State::Closing(session, ending) = &mut self.state {
            ending.is_orderly = matches!(end, End::Closed);
            session.connection.end(CloseMode::after(end, session.machine.is_open()));
        }
        self.flush(context);
    }

    /// The link has ended, or is cut. At most `written` bytes of its last chunk are on the wire.
    pub(super) fn link_ended(&mut self, written: usize, reason: &str, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        let has_closed = session.connection.has_ended();
        let outbox = &mut session.connection.outbox;
        let remains = outbox.remains(written);
        let in_flight = if has_closed {
            outbox.mark_arrived();
            0
        } else {
            outbox.mark_recent_uncertain(clock::now())
        };
        self.leave_behind(remains, in_flight, None);
        self.take_no_more(reason, Redial::AfterPause, context);
        if let State::Closing(session, ending) = &self.state {
            self.log_late(Counts::of(session), ending);
        }
        self.state.finish_closing();
        self.give_back(context);
    }

    /// From now on stanzas are kept to be given back.
    fn take_no_more(&mut self, reason: &str, redial: Redial, context: &mut Context<Self>) {
        if let State::Open(session) = &mut self.state {
            let ending = Ending {
                lived: clock::since(session.connection.since),
                logged: Counts::of(session),
                acks: session.connection.outbox.acknowledgement().acks.as_str(),
                redial,
                is_orderly: false,
                handback: Handback::Unreported,
            };
            let unacked = session.connection.outbox.unacked() as usize + self.leftovers.count_open();
            if matches!(self.supply, Supply::Congested { .. }) {
                // What still comes is kept to be given back, and pauses no source.
                self.supply = Supply::Router;
            }
            self.log_closed(reason, &ending, unacked);
            self.state.begin_closing(ending);
            limit_closing(CLOSE_WITHIN, context, Self::close_if_written, Self::cut);
        }
        self.report_end(context);
    }

    /// Closes the link of a peer that has not answered our closing tag, if all is written.
    pub(super) fn close_if_written(&mut self, _: &mut Context<Self>) {
        if let Some(session) = self.state.session() {
            session.connection.close_if_written();
        }
    }

    /// Cuts the link of a peer that has not closed its side.
    pub(super) fn cut(&mut self, context: &mut Context<Self>) {
        self.link_ended(WHOLE_CHUNK, "the peer did not close its side", context);
    }
}
