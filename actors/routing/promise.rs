//! The promise: an actor that keeps stanzas until there is a session for their domain pair, and starts one
//! attempt at a time for each pair to make one.
//!
//! A definitive failure is answered at once. After a temporary failure the pair pauses: IQ requests are
//! answered with the reason, messages and presence wait for their own time, and the pair is tried again after
//! each pause. A remote domain that contacts us in the meantime is tried at once.
//!
//! The actor connects three parts that are plain data: `Waiting` (the queues and their bounds),
//! `Schedule` (when to try a pair again and when to look at it) and `Slots` (how many attempts run at
//! once). The handover of a queue to its session, and the return of stanzas from a session that ended, are
//! described in the documentation of the crate.

mod answers;
mod attempts;
mod claims;
mod commands;
mod fair_queue;
mod figures;
mod handover;
mod journal;
mod memory;
mod messages;
mod open;
mod overflow;
mod pairs;
mod portions;
mod priority;
mod reason;
mod reload;
mod schedule;
mod slots;
mod unsent;
mod waiting;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{DomainPair, Served};

pub(crate) use self::messages::Cluster;
use self::{
    answers::count,
    claims::Claiming,
    handover::send_first,
    overflow::{Disk, Why},
    pairs::{Pairs, State},
    schedule::{Due, Schedule},
    slots::Slots,
    unsent::Unsent,
    waiting::{Arrival, Bound, FirstHeld, Waiting},
};
pub use self::{
    figures::{Figures, ShowFigures},
    journal::Restore,
    messages::{
        Adopt, Deliver, Drain, Expect, Fulfilled, Linked, LogUnsent, MoveOut, MovedOut, Owners, Release,
        Retried, Retry, Show, Shown, TakeOver, Unlinked,
    },
};
use crate::{
    dial::{attempt::Dial, error::AttemptError},
    flow::{account::Outcome, batch::Batch, journal::Waits},
    observe::log_limit::{self, LogLimiter},
    routing::journal::Keeper,
    settings::Promise as Bounds,
    streams::outgoing::{self, Carrier},
};
use mailbox::{Mailbox, Meter, Queued, panic_guard::PanicGuard, workers::Workers};
use status::event::{Event, EventKind};

/// The actor.
pub struct Promise {
    dial: Box<dyn Dial>,
    /// The threads of the sessions.
    workers: Workers,
    /// Counts the sessions and their mailboxes.
    outgoing: Arc<Meter>,
    owners: Owners,
    /// The mailboxes that the sessions report to.
    of_sessions: Arc<outgoing::Owners>,
    pairs: Pairs,
    waiting: Waiting,
    schedule: Schedule,
    slots: Slots,
    /// `None`: the node is alone.
    claiming: Option<Claiming>,
    /// Limits the log lines about full queues.
    refusals: Arc<LogLimiter>,
    /// `None` without a journal.
    keeper: Option<Keeper<DomainPair>>,
    /// The same.
    disk: Option<Disk>,
    /// Sessions that wait for a portion which has to be read from the disk, with the room that they have.
    pulls: HashMap<DomainPair, (Carrier, usize)>,
    /// The names that the node serves itself, since the last reload. Before the first one, nothing comes for them.
    local: Served<()>,
    stopping: bool,
    unsent: Unsent,
    _guard: PanicGuard,
}

impl Promise {
    /// A promise that starts its attempts with `dial` and its sessions on `workers`.
    pub fn new(
        dial: Box<dyn Dial>,
        bounds: Bounds,
        workers: Workers,
        outgoing: Arc<Meter>,
        own: &Mailbox<Self>,
        owners: Owners,
        guard: PanicGuard,
    ) -> Self {
        let disk =
            owners.journal.as_ref().map(|store| Disk::new(store, Waits::ForLink, own.outlet(), own.outlet()));
        let mut waiting = Waiting::new(bounds.clone());
        if disk.is_some() {
            waiting.use_journal();
        }
        let unsent = Unsent::new(Arc::clone(&owners.account));
        let (mut slots, mut schedule) = (Slots::new(dial.dials()), Schedule::new(bounds));
        slots.set_names(dial.rules());
        schedule.set_names(dial.rules());
        Self {
            slots,
            claiming: owners.cluster.as_ref().map(|cluster| Claiming::new(cluster.claims.clone())),
            dial,
            workers,
            outgoing,
            keeper: owners
                .journal
                .clone()
                .map(|store| Keeper::new(store, Waits::ForLink, own.outlet(), own.outlet())),
            of_sessions: Arc::new(owners.of_sessions(own)),
            owners,
            pairs: Pairs::default(),
            waiting,
            disk,
            pulls: HashMap::new(),
            schedule,
            refusals: LogLimiter::new(LOG, log_limit::FEW, "more stanzas were refused: queues are full"),
            local: Served::default(),
            stopping: false,
            unsent,
            _guard: guard,
        }
    }

    /// Whether the policy permits the pair. A reload can forbid a pair that is known.
    fn permits(&self, pair: &DomainPair) -> bool {
        self.dial.permits(&pair.remote) && self.dial.serves(&pair.local)
    }

    fn deliver(&mut self, batch: Batch, arrival: Arrival) {
        let pair = batch.pair();
        if self.stopping {
            return self.leave_or_answer(vec![batch]);
        }
        if self.is_local(&pair) {
            return self.move_out(vec![batch], Vec::new());
        }
        if !self.permits(&pair) {
            return self.answer(vec![batch], &AttemptError::Denied, Outcome::Answered);
        }
        let now = clock::now();
        match self.pairs.state(&pair) {
            None if matches!(arrival, Arrival::New(_)) && !self.waiting.has_room_for_a_pair() => {
                if batch.returning {
                    self.refuse(&pair, Bound::Memory, vec![batch]);
                } else {
                    self.waiting.hold(batch, arrival);
                }
            }
            None => {
                log::info!(target: LOG, pair:% = pair, stanzas = batch.stanzas.len(); "queued");
                self.record(&pair, Event::now(EventKind::Queued).of(batch.stanzas.len()));
                self.insert(pair.clone(), State::AwaitingSlot { requested: false }, now);
                self.append(&pair, batch, arrival);
                self.begin(&pair, false);
            }
            Some(
                State::Claiming { .. }
                | State::AwaitingSlot { .. }
                | State::Attempting(_)
                | State::Slow(_)
                | State::AwaitingReturn,
            ) => self.append(&pair, batch, arrival),
            Some(State::HandingOver(session)) => send_first(session, batch),
            Some(State::Pausing) if self.schedule.is_in_pause(&pair, now) => {
                self.deliver_in_pause(&pair, batch, arrival);
            }
            Some(State::Pausing) => {
                self.append(&pair, batch, arrival);
                self.begin(&pair, false);
            }
        }
    }

    /// In a pause, stanzas that need not wait or cannot are answered with the last failure.
    fn deliver_in_pause(&mut self, pair: &DomainPair, mut batch: Batch, arrival: Arrival) {
        if let Some(failure) = self.schedule.last_failure(pair).cloned() {
            if failure.is_definitive() {
                return self.answer(vec![batch], &failure, Outcome::Answered);
            }
            let requests = batch.extract(xmpp::Stanza::is_request);
            if !requests.stanzas.is_empty() {
                self.answer(vec![requests], &failure, Outcome::Answered);
            }
        }
        if !batch.stanzas.is_empty() {
            self.append(pair, batch, arrival);
        }
    }

    /// Queues a batch. What is beyond the bounds of the pair goes to the journal, or is answered; what is beyond the bound of all queues is
    /// held, and pauses its source.
    fn append(&mut self, pair: &DomainPair, batch: Batch, arrival: Arrival) {
        for (bound, beyond) in self.append_within_bounds(pair, batch, arrival) {
            self.refuse(pair, bound, vec![beyond]);
        }
        self.relieve();
        self.plan(pair);
    }

    /// Takes in held batches as far as there is room, and answers those that were held for too long.
    fn admit_held(&mut self, now: Instant) {
        while let Some(first) = self.waiting.first_held(now) {
            match first {
                FirstHeld::Fits(batch, arrival) => self.deliver(batch, arrival),
                FirstHeld::IsLate(batch) => self.refuse(&batch.pair(), Bound::Memory, vec![batch]),
            }
        }
    }

    /// Starts the pause of a pair after a failure. Returns the end of the pause.
    fn pause(&mut self, pair: &DomainPair, failure: AttemptError) -> Option<Instant> {
        let now = clock::now();
        self.waiting.set_replacing(pair, true);
        self.pairs.set(pair, State::Pausing);
        let ends = self.schedule.pause(pair, failure, now);
        self.plan(pair);
        ends
    }

    /// Sets a state other than a pause.
    fn enter(&mut self, pair: &DomainPair, state: State) {
        self.waiting.set_replacing(pair, !state.is_linked());
        self.pairs.set(pair, state);
        self.schedule.end_pause(pair);
    }

    /// Plans the next wake-up of a pair. To be called after each change of what waits, and of its pause.
    fn plan(&mut self, pair: &DomainPair) {
        self.refill(pair);
        let (deadline, idle) = self.waiting.outlook(pair);
        self.schedule.plan(pair, deadline, idle);
        self.note_unwritten(pair);
        self.serve_pull(pair);
    }

    /// Looks at a pair at the time that was planned.
    fn wake_up(&mut self, pair: &DomainPair, now: Instant) {
        let mut expired = self.waiting.take_expired(pair, now);
        let mut on_disk = 0;
        if let Some(taken) = self.waiting.take_expired_overflow(pair, now) {
            on_disk = taken.unread.len();
            let reason = self.reason(pair);
            expired.extend(self.end(pair, taken, || Why::Expired(reason)));
        }
        if !expired.is_empty() || on_disk > 0 {
            let reason = self.reason(pair);
            log::info!(
                target: LOG, pair:% = pair, stanzas = count(&expired) + on_disk,
                reason:% = reason.sentence(&pair.remote);
                "{}", reason.log_line()
            );
            self.answer_each(expired, |to| reason.stanza_error(to), Outcome::Expired);
        }
        match self.schedule.due(pair, self.waiting.is_idle(pair), now) {
            Due::Forget => self.remove(pair),
            Due::Retry => self.schedule.queue_retry(pair),
            Due::Nothing => {}
        }
        self.plan(pair);
    }

    /// Starts some of the retries whose pause is over.
    fn start_retries(&mut self, now: Instant) {
        let mut begun = 0;
        while begun < RETRIES_PER_TICK
            && let Some((pair, pause_is_over)) = self.schedule.next_retry(now)
        {
            if pause_is_over && !self.waiting.is_idle(&pair) {
                begun += 1;
                self.begin(&pair, false);
            }
            self.plan(&pair);
        }
    }

    fn tick(&mut self) {
        let now = clock::now();
        while let Some(pair) = self.schedule.next_wake_up(now) {
            self.wake_up(&pair, now);
        }
        self.admit_held(now);
        self.start_retries(now);
        self.reclaim_slots(now);
        self.offer_again(now);
        self.read_endings();
    }

    fn insert(&mut self, pair: DomainPair, state: State, now: Instant) {
        self.waiting.open(pair.clone());
        self.waiting.set_replacing(&pair, !state.is_linked());
        self.schedule.insert(pair.clone());
        self.pairs.insert(pair, state, now);
    }

    fn remove(&mut self, pair: &DomainPair) {
        self.waiting.close(pair);
        self.schedule.remove(pair);
        self.pairs.remove(pair);
        self.forget_pull(pair);
        self.renounce(pair);
    }
}

impl Actor for Promise {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |promise, _| promise.tick());
        context.run_interval(TIDY, |promise, _| promise.tidy());
    }
}

impl Handler<Queued<Deliver>> for Promise {
    type Result = ();

    fn handle(&mut self, deliver: Queued<Deliver>, _: &mut Context<Self>) {
        let Deliver { batch } = deliver.into_message();
        self.deliver(batch, Arrival::New(clock::now()));
    }
}

impl Handler<Queued<Drain>> for Promise {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, _: &mut Context<Self>) {
        let Drain { token } = drain.into_message();
        self.stopping = true;
        let pairs: Vec<DomainPair> = self.pairs.iter().map(|(pair, _)| pair.clone()).collect();
        let mut waiting = Vec::new();
        for pair in pairs {
            waiting.extend(self.take_all(&pair, &AttemptError::Stopping));
            match self.pairs.state(&pair) {
                // Another node may need the pair: its claim ends with it.
                Some(State::AwaitingSlot { .. } | State::Claiming { .. } | State::Pausing) => {
                    self.remove(&pair);
                }
                Some(State::Attempting(session)) if self.claiming.is_some() => {
                    let _ = session.signal(outgoing::GiveWay);
                }
                _ => {}
            }
        }
        waiting.extend(self.waiting.take_held());
        self.leave_or_answer(waiting);
        self.hold_until_left(token.clone());
        self.hold_until_answered(token);
    }
}

const LOG: &str = "nuncio::promise";

/// The interval at which timers are checked. A stanza outlives its time by this at most, and the time to
/// answer it.
const TICK: Duration = Duration::from_millis(100);

/// The interval at which unused memory is released.
const TIDY: Duration = Duration::from_secs(1);

/// Retries started at each tick: 500 a second. An attempt costs a tenth of a millisecond of processor time
/// when the domain is unreachable, and some milliseconds when it is not.
const RETRIES_PER_TICK: usize = 50;
