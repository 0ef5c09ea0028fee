//! The mailroom: an actor that keeps stanzas for components that are not connected, or that read more slowly than
//! stanzas arrive.
//!
//! Each configured component has a seat, by the first of its names: a bounded queue, and the connection that serves the
//! names, if there is one. A connection asks for what waits, in portions. When nothing waits any more, the router sends to
//! it directly. A component that has been absent for longer than a stanza may wait gets no queue for it: the stanza is
//! answered at once.
//!
//! The handover of a queue to its connection, and the return of stanzas from a connection that ended, are described in
//! the documentation of the crate.

mod answers;
mod delay;
mod handover;
mod journal;
mod lent;
mod messages;
mod names;
mod notices;
mod overflow;
mod presences;
mod reports;
mod rules;
mod seat;
mod seats;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{Domain, Served, stanza::Kind};

use self::{
    answers::Reason,
    overflow::Disk,
    presences::Presences,
    seats::{Gone, Seats},
};
pub use self::{
    messages::{
        Adopt, Answered, Bounced, Deliver, Drain, Expect, HandedOver, Moved, Notified, Owners, Precede,
        Release, Restore, Show, Shown, TakeOver,
    },
    reports::{Figures, ShowFigures},
};
use crate::{
    flow::{
        account::{Outcome, Totals},
        batch::Batch,
        journal::Waits,
    },
    observe::log_limit::{self, LogLimiter},
    routing::journal::Keeper,
    settings::Absence,
};
use mailbox::{Mailbox, Queued, panic_guard::PanicGuard};

/// The actor.
pub struct Mailroom {
    seats: Seats,
    /// The component that serves each name.
    names: Served<Domain>,
    /// Components that have lost names while a part of their queue was on the disk.
    lost_names: HashSet<Domain>,
    /// The accounts of the components that have gained names at the last reload.
    gained: HashMap<Domain, Arc<Totals>>,
    presences: Presences,
    owners: Owners,
    /// Limits the log lines about full queues.
    refusals: Arc<LogLimiter>,
    /// `None` without a journal.
    keeper: Option<Keeper<Domain>>,
    /// The same.
    disk: Option<Disk>,
    stopping: bool,
    _guard: PanicGuard,
}

impl Mailroom {
    /// A mailroom for these components, and for their names. Their queues may have so many bytes in total.
    pub fn new(
        components: impl IntoIterator<Item = (Domain, Absence)>,
        names: Served<Domain>,
        total_bytes: usize,
        own: &Mailbox<Self>,
        owners: Owners,
        guard: PanicGuard,
    ) -> Self {
        let mut seats = Seats::new(total_bytes);
        seats.adopt(components, total_bytes, clock::now());
        let disk = owners.journal.as_ref().map(|store| {
            seats.use_journal();
            Disk::new(store, Waits::ForComponent, own.outlet(), own.outlet())
        });
        Self {
            seats,
            names,
            lost_names: HashSet::new(),
            gained: HashMap::new(),
            disk,
            presences: Presences::default(),
            keeper: owners
                .journal
                .clone()
                .map(|store| Keeper::new(store, Waits::ForComponent, own.outlet(), own.outlet())),
            owners,
            refusals: LogLimiter::new(
                LOG,
                log_limit::FEW,
                "more stanzas for components were refused: queues are full",
            ),
            stopping: false,
            _guard: guard,
        }
    }

    fn deliver(&mut self, mut batch: Batch) {
        if batch.receipt.is_of_a_parcel() {
            return self.deliver_lent(batch);
        }
        let now = clock::now();
        let Some((name, seat)) = self.seat_of(&batch.to) else {
            return self.answer(vec![batch], &Reason::Removed, Outcome::Answered);
        };
        if let Some(absence) = seat.absence(now) {
            if self.stopping {
                return self.leave_or_answer(vec![batch]);
            }
            let is_first = seat.is_empty();
            let late = batch.extract(|stanza| seat.rules.time_of(stanza) <= absence);
            self.forget_recipients(&name, &batch);
            if !late.stanzas.is_empty() {
                self.forget_recipients(&name, &late);
                self.answer(vec![late], &Reason::Away(absence), Outcome::Answered);
            }
            if batch.stanzas.is_empty() {
                return;
            }
            if is_first {
                log::info!(
                    target: LOG, name:% = name, stanzas = batch.stanzas.len(),
                    absent:% = seconds(absence);
                    "queued"
                );
            }
        }
        if let Some(batch) = self.pass_on(&name, batch) {
            self.append(&name, batch);
        }
    }

    /// A user who tells an absent component that they are unavailable need not learn that the component is.
    fn forget_recipients(&mut self, name: &Domain, batch: &Batch) {
        if self.presences.is_empty(name) {
            return;
        }
        for stanza in &batch.stanzas {
            if stanza.kind() == Kind::Presence && stanza.type_() == Some("unavailable") {
                self.presences.note(name, &stanza.to(), &stanza.from(), false);
            }
        }
    }

    /// Answers the stanzas whose time is over.
    fn expire(&mut self) {
        let now = clock::now();
        for name in self.seats.due(now) {
            let Some(seat) = self.seats.get(&name) else { continue };
            let reason = seat.absence(now).map_or(Reason::Slow, Reason::Away);
            let mut expired = self.seats.take_expired(&name, now);
            let mut stanzas = 0;
            if let Some(taken) = self.seats.take_expired_overflow(&name, now) {
                stanzas = taken.unread.len();
                expired.extend(self.end(&name, taken, reason, Outcome::Expired));
            }
            stanzas += expired.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
            if stanzas > 0 {
                log::info!(
                    target: LOG, name:% = name, stanzas = stanzas, reason:% = reason.text(&name);
                    "expired"
                );
            }
            self.answer(expired, &reason, Outcome::Expired);
            self.look_after(&name);
        }
    }
}

impl Actor for Mailroom {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |mailroom, _| {
            mailroom.expire();
            mailroom.notify_some();
            mailroom.offer_again(clock::now());
        });
        context.run_interval(REFILL, |mailroom, _| mailroom.refill_all());
    }
}

impl Handler<Queued<Deliver>> for Mailroom {
    type Result = ();

    fn handle(&mut self, deliver: Queued<Deliver>, _: &mut Context<Self>) {
        let Deliver { batch } = deliver.into_message();
        self.deliver(batch);
    }
}

impl Handler<Queued<Drain>> for Mailroom {
    type Result = ();

    /// What waits for a connection is handed over as far as that reads, until it is closed.
    fn handle(&mut self, drain: Queued<Drain>, _: &mut Context<Self>) {
        let Drain { token } = drain.into_message();
        self.stopping = true;
        for name in self.seats.absent() {
            let mut waiting = self.seats.take_all(&name);
            if let Some(taken) = self.seats.take_overflow(&name) {
                waiting.extend(self.end(&name, taken, Reason::Stopping, Outcome::Answered));
            }
            self.leave_or_answer(waiting);
        }
        self.hold_until_left(token.clone());
        self.hold_until_answered(token);
    }
}

impl Handler<Queued<Adopt>> for Mailroom {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { components, names, total_bytes, gained, heirs } = adopt.into_message();
        let before = std::mem::replace(&mut self.names, names);
        self.gained = gained;
        let gone = self.seats.adopt(components, total_bytes, clock::now());
        for Gone { name, mut batches, lent, overflow } in gone {
            lent::give_back(lent);
            self.presences.remove(&name);
            batches.extend(self.end(&name, overflow, Reason::Removed, Outcome::Answered));
            self.move_over(batches);
        }
        self.give_up_names(&before);
        self.await_promise(&heirs);
        self.refill_all();
    }
}

/// A duration for the log: `12.3s`.
fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

const LOG: &str = "nuncio::mailroom";

/// The interval at which timers are checked. A stanza outlives its time by this at most, and the time to answer it.
const TICK: Duration = Duration::from_millis(100);

/// The interval at which it is tried again to read from the disk.
const REFILL: Duration = Duration::from_secs(1);
