//! Acknowledgements of the stanzas that were sent (XEP-0198).

use std::time::Duration;

use actix::Context;
use xmpp::{
    acks::WrongCount,
    stream::{
        self, Condition,
        initiating::{Acks, Open, Resumable, Resumption},
    },
};

use super::{Handled, LOG, Outgoing, State, ending::Redial};
use crate::{
    dial::attempt::Lost,
    flow::outbox::{self, Outbox},
    streams::connection::limit_closing,
};

/// The outbox of a new stream.
pub(super) fn outbox(machine: &Open) -> Outbox {
    let counted = match machine.resumption() {
        Resumption::Resumed { h } => h,
        Resumption::NotAsked | Resumption::Counted { .. } | Resumption::Unknown => 0,
    };
    match machine.acks() {
        Acks::Off => Outbox::new(outbox::BUDGET),
        Acks::Requested => Outbox::with_acks(outbox::BUDGET, counted),
        Acks::On { resumable } => {
            let mut outbox = Outbox::with_acks(outbox::BUDGET, counted);
            outbox.confirm_acks(resumable.is_some());
            outbox
        }
    }
}

/// The stanzas of the lost stream that the peer has handled.
///
/// # Errors
/// It cannot have handled so many, or has acknowledged more before.
pub(super) fn handled(machine: &Open, lost: Option<&Lost>) -> Result<Handled, WrongCount> {
    let (handled, h) = match machine.resumption() {
        Resumption::NotAsked => return Ok(Handled::NotAsked),
        Resumption::Unknown => return Ok(Handled::Unknown),
        Resumption::Resumed { h } => (Handled::Resumed(h), h),
        Resumption::Counted { h } => (Handled::Counted(h), h),
    };
    lost.map_or(Ok(()), |lost| lost.check(h))?;
    Ok(handled)
}

impl Outgoing {
    /// The peer acknowledges the stanzas of this stream.
    pub(super) fn acks_confirmed(&mut self, resumable: Option<&Resumable>) {
        let resumes = resumable.is_some() && !self.limits.resume_timeout.is_zero();
        let Some(session) = self.state.session_mut() else { return };
        session.connection.outbox.confirm_acks(resumes);
        let acks = session.connection.outbox.acknowledgement().acks.as_str();
        log::info!(target: LOG, pair:% = self.pair, acks = acks; "acks enabled");
    }

    /// The peer has refused to acknowledge stanzas, although it offered to.
    pub(super) fn acks_refused(&mut self, reason: &str) {
        if let Some(session) = self.state.session_mut() {
            session.connection.outbox.end_acks(clock::now());
        }
        log::warn!(
            target: LOG, pair:% = self.pair, reason = reason;
            "the peer does not acknowledge stanzas, although it offered to"
        );
    }

    /// The peer has handled the stanzas up to number `h`.
    pub(super) fn acknowledged(&mut self, h: u32, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        match session.connection.outbox.acknowledged(h, clock::now()) {
            Ok(Some(took)) => self.metrics.acknowledged(took),
            Ok(None) => {}
            Err(wrong) => self.refuse_count(wrong, context),
        }
    }

    /// The peer has acknowledged stanzas that were not sent, or fewer than before: its counts are of no use.
    pub(super) fn refuse_count(&mut self, wrong: WrongCount, context: &mut Context<Self>) {
        let what = match wrong {
            WrongCount::TooHigh(_) => "stanzas that were not sent",
            WrongCount::Decreased(_) => "fewer stanzas than before",
        };
        let reason = format!("the peer acknowledges {what}: {wrong}");
        self.close_stream(Some(wrong.into()), &reason, Redial::AfterPause, context);
    }

    /// Requests an acknowledgement for the unacknowledged stanzas.
    pub(super) fn ask(&mut self, context: &mut Context<Self>) {
        if let Some(session) = self.state.session_mut() {
            session.connection.outbox.ask();
        }
        self.flush(context);
    }

    /// Checks unacknowledged stanzas each second, as long as there are some.
    pub(super) fn watch_unacked(&mut self, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        if session.connection.outbox.unacked() > 0 {
            self.look_timer.set(Some(clock::now() + LOOK), context, Self::look_at_unacked);
        }
    }

    fn look_at_unacked(&mut self, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        session.connection.outbox.look_at_unacked(clock::now());
        self.check_acks(context);
        self.flush(context);
    }

    /// Ends a stream whose peer does not answer requests. RFC 6120 section 4.9.3.4. Gives whether it ended.
    pub(super) fn check_acks(&mut self, context: &mut Context<Self>) -> bool {
        let State::Open(session) = &mut self.state else { return false };
        let outbox = &mut session.connection.outbox;
        let limit = self.limits.ack_timeout;
        if outbox.asked().is_some_and(|asked| clock::since(asked) >= limit) {
            let error = stream::Error::new(
                Condition::ConnectionTimeout,
                "no answer to a request for acknowledgement within the time limit",
            );
            self.close_stream(
                Some(error),
                "the peer does not acknowledge stanzas",
                Redial::AfterPause,
                context,
            );
            // Unacknowledged stanzas should not wait for the closing tag of a peer that is most likely gone.
            limit_closing(LAST_CHANCE, context, Self::close_if_written, Self::cut);
            return true;
        }
        if outbox.awaits_confirmation() && clock::since(session.connection.since) >= limit {
            self.acks_refused("it does not answer the request");
        }
        false
    }
}

/// How often unacknowledged stanzas are checked: a peer that resumes streams is asked for them then, and
/// those from before the last look are copied.
const LOOK: Duration = Duration::from_secs(1);

/// How long a peer that has not answered a request may still do so, or close its side.
const LAST_CHANCE: Duration = Duration::from_millis(500);
