//! The outgoing session of one domain pair: makes the attempt, then owns the authenticated stream and its
//! outbox.
//!
//! While the promise hands over what waited, stanzas from the router are held. Then they are written. While the peer
//! reads slowly, they wait in the promise. After the end of the stream they are kept, and given back when the router
//! has sent its last. The crate's documentation draws the protocol between router, promise and session.

mod acks;
mod attempt;
mod closing;
mod closing_log;
mod crash;
mod deadlines;
mod ending;
mod established;
mod handback;
mod inbound;
mod journal;
mod last_ack;
mod left_behind;
mod leftovers;
mod loss_answers;
mod messages;
mod owners;
mod portions;
mod relay;
mod reload;
mod show;
mod shutdown;
mod state;
mod supply;
mod writing;

use std::sync::Arc;

use actix::{Actor, Context, Handler, SpawnHandle};
use xmpp::{DomainPair, stream::initiating::open::Output};

use self::{
    deadlines::Limits,
    last_ack::LastAck,
    leftovers::Leftovers,
    shutdown::{Phase, Shutdown},
    state::{Session, State},
    supply::{Asks, Supply},
};
pub(crate) use self::{
    messages::{
        Abandon, Closed, Congested, Dismiss, Established, Failed, Finish, Flush, Forbid, GiveWay, GivenBack,
        Handled, Interruption, Open, Pull, Requested, Retire, Returned, Send, SendFirst, SendPortion, Show,
        Stopped, Yield,
    },
    owners::Owners,
};
pub(crate) use crate::dial::attempt::Adopt;
use crate::{
    dial::attempt::PendingDial,
    flow::{batch::ReadPermit, link, outbox::Timer},
    observe::metrics::MetricsHandle,
    streams::{carrier, connection::WHOLE_CHUNK, relay::Custody},
};
use mailbox::{Mailbox, Queued};
use status::event::Event;

/// The session of a pair, or the relay to the node that has it.
pub(crate) type Carrier = carrier::Carrier<Outgoing, Relay>;

/// The relay of one domain pair: it takes the place of the session, whose link another node has.
pub struct Relay {
    pair: DomainPair,
    own: Mailbox<Self>,
    owners: Arc<Owners>,
    custody: Custody,
    state: relay::State,
}

/// The actor of one domain pair.
pub struct Outgoing {
    pair: DomainPair,
    own: Mailbox<Self>,
    owners: Arc<Owners>,
    metrics: MetricsHandle,
    limits: Limits,
    /// The timer for the deadlines.
    ticking: Option<SpawnHandle>,
    /// The timer of the checks of unacknowledged stanzas.
    look_timer: Timer,
    /// The timer for a look at a peer that reads slowly.
    stall_timer: Timer,
    /// A timer runs after which old stanzas are given to the journal.
    is_unwritten_watched: bool,
    state: State,
    supply: Supply,
    /// The bytes that the link had written at the last look at a peer that reads slowly.
    written_before: u64,
    leftovers: Leftovers,
    shutdown: Shutdown,
}

impl Outgoing {
    /// An actor that makes the attempt as soon as it runs.
    pub fn new(pair: DomainPair, pending: PendingDial, owners: Arc<Owners>, own: Mailbox<Self>) -> Self {
        Self {
            pair,
            own,
            owners,
            metrics: pending.metrics.clone(),
            limits: Limits::from(&pending),
            ticking: None,
            look_timer: Timer::default(),
            stall_timer: Timer::default(),
            is_unwritten_watched: false,
            state: State::New(Box::new(pending)),
            supply: Supply::new(),
            written_before: 0,
            leftovers: Leftovers::default(),
            shutdown: Shutdown::default(),
        }
    }

    /// Performs the outputs of the machine, then gives the link the next bytes.
    fn drive(&mut self, permit: &ReadPermit, context: &mut Context<Self>) {
        let mut answers = Vec::new();
        let mut last_ack = LastAck::Earlier;
        while let Some(session) = self.state.session_mut()
            && let Some(output) = session.machine.poll()
        {
            last_ack = last_ack.after(&output);
            match output {
                Output::Transmit(bytes) => {
                    // On an open stream the machine writes answers to requests for acks, and the closing tag.
                    session.inbound.count_request(clock::now());
                    if let Some(shown) = session.connection.transmit(bytes) {
                        log::trace!(target: LOG, pair:% = self.pair; "sent {shown}");
                    }
                }
                Output::Unsolicited { element } => {
                    crate::dial::attempt::warn_unsolicited(LOG, &self.pair, &element);
                }
                Output::Answer(stanza) => answers.push(stanza),
                Output::Stray(stray) => self.drop_stray(stray),
                Output::AcksOn { resumable } => self.acks_confirmed(resumable.as_ref()),
                Output::AcksRefused { reason } => self.acks_refused(&reason),
                Output::Acknowledged { h } => self.acknowledged(h, context),
                Output::Ended(end) => {
                    self.pass_on(std::mem::take(&mut answers), permit);
                    self.stream_ended(&end, last_ack, context);
                }
            }
        }
        self.pass_on(answers, permit);
        self.flush(context);
    }

    /// Gives the link the next bytes, and goes on with the stop of the node when nothing is left.
    fn flush(&mut self, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        session.connection.flush();
        if self.has_unsettled() {
            self.watch_unwritten(context);
            return self.watch_unacked(context);
        }
        self.shutdown.flushing.clear();
        if self.shutdown.phase == Phase::Finishing {
            self.close_for_shutdown(context);
        }
    }

    /// Whether something waits to be written, or is being written.
    fn has_unwritten(&self) -> bool {
        self.state.session().is_some_and(|session| !session.connection.outbox.is_empty())
    }

    /// Whether something waits, is being written, or is not acknowledged.
    fn has_unsettled(&self) -> bool {
        self.state.session().is_some_and(|session| !session.connection.outbox.is_settled())
    }

    fn record(&self, event: Event) {
        self.owners.recorder.note(&self.pair.remote, event.with(&self.pair.local));
    }
}

impl Actor for Outgoing {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.begin();
    }
}

impl Handler<Queued<link::Event>> for Outgoing {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.into_message() {
            link::Event::Received { bytes, permit } => {
                if let Some(session) = self.state.session_mut() {
                    if let Some(shown) = session.connection.received(&bytes) {
                        log::trace!(target: LOG, pair:% = self.pair; "received {shown}");
                    }
                    session.machine.receive(bytes);
                }
                self.drive(&permit, context);
                self.give_back(context);
                self.read_on(permit, context);
            }
            link::Event::Written => {
                if let Some(session) = self.state.session_mut() {
                    session.connection.written();
                }
                self.flush(context);
                self.request();
                self.give_back(context);
            }
            // What is read is not delayed for long: the end follows.
            link::Event::PeerEnded { .. } => {}
            link::Event::Eof => self.link_ended(WHOLE_CHUNK, "the peer closed the connection", context),
            link::Event::Secured(_) => {}
            link::Event::Ended { written, error } => {
                let reason = error.map_or_else(|| "closed".to_owned(), |error| error.to_string());
                self.link_ended(written, &reason, context);
            }
        }
    }
}

const LOG: &str = "nuncio::outgoing";
