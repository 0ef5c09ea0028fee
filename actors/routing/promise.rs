//! Stanzas that wait for a link: a bounded queue for each domain pair, and one attempt at a time to end the wait.
//!
//! A failed attempt does not end the promise. What waiting would not mend is answered at once; after a passing failure
//! the pair pauses, IQ requests are answered with the reason, and messages and presence wait out their own time while
//! each pause is followed by one more attempt. A remote domain that shows life itself is tried at once.
//!
//! How a queue is handed over to its session, and taken back from one that died, is told in the crate's documentation.

mod agenda;
mod attempts;
mod figures;
mod handover;
mod lanes;
mod memory;
mod overflow;
mod queue;
mod reload;
mod rota;
mod show;
mod turns;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;
use xmpp::{Domain, DomainPair};

pub use self::figures::{Figures, ShowFigures};
use self::{handover::send_first, lanes::Lanes, queue::Queue, turns::Turns};
use crate::{
    dial::{attempt::Dial, error::AttemptError},
    flow::{
        batch::Batch,
        ledger::Outcome,
        route::{Return, Route, bounce},
    },
    observe::{
        log_limit::{self, LogLimiter},
        recorder::RecorderHandle,
    },
    settings::Promise as Bounds,
    streams::outgoing::{self, Outgoing},
};
use mailbox::{Mailbox, Meter, Outlet, Queued, drain, panic_guard::PanicGuard, workers::Workers};
use status::{
    amount::Amount,
    event::{Event, What},
    report,
};

/// Deliver this when there is a link.
#[derive(Debug)]
pub struct Deliver {
    /// To the remote domain of a pair.
    pub batch: Batch,
}

/// The router sends to the session itself from now on; nothing more comes for the pair.
#[derive(Debug)]
pub struct Release {
    /// Which.
    pub pair: DomainPair,
}

/// A session of this pair has ended and will give back what it had not written: that comes first.
#[derive(Debug)]
pub struct Expect {
    /// Which.
    pub pair: DomainPair,
}

/// Answer all that waits, and all that comes, with an error.
#[derive(Debug)]
pub struct Drain {
    /// Dropped when nothing waits.
    pub token: drain::Token,
}

/// Say what waits, and what is being done about it.
#[derive(Debug)]
pub struct Show {
    /// Only for this remote domain.
    pub of: Option<Domain>,
    /// At most so many queues: those with the most that waits.
    pub limit: usize,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Shown>,
}

/// End the pause of this remote domain, and begin the back-off anew: an operator thinks that it can be reached again.
#[derive(Debug)]
pub struct Retry {
    /// Which.
    pub remote: Domain,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Retried>,
}

/// What waits.
#[derive(Debug)]
pub struct Shown {
    /// Those with the most that waits first.
    pub queues: Vec<report::Queue>,
    /// Queues there are, shown or not.
    pub total: usize,
    /// The pairs, at most as many, of which an attempt is being made, and since when something waits for it.
    pub attempts: Vec<(DomainPair, report::Time)>,
    /// What waits in all of them.
    pub waiting: Amount,
    /// Whether the policy lets us federate with the domain that was asked for.
    pub permitted: bool,
}

/// What was done to end a pause.
#[derive(Debug)]
pub struct Retried {
    /// Pairs of which an attempt was begun.
    pub begun: Vec<DomainPair>,
    /// Pairs of which one is being made already.
    pub under_way: Vec<DomainPair>,
}

/// Keep the promise on these terms from now on, and answer what waits for those whom they forbid.
pub struct Adopt {
    /// How attempts are made.
    pub dial: Box<dyn Dial>,
    /// Bounds of what waits; what waits already keeps its time.
    pub bounds: Bounds,
}

/// What waited has been given to the session.
#[derive(Debug)]
pub struct Fulfilled {
    /// Whose.
    pub pair: DomainPair,
    /// Where stanzas go from now on.
    pub session: Mailbox<Outgoing>,
}

/// Whom the promise reports to: the router.
#[derive(Clone, Debug)]
pub struct Owners {
    /// What waited has been handed over.
    pub fulfilled: Outlet<Fulfilled>,
    /// For the sessions.
    pub closed: Outlet<outgoing::Closed>,
    /// Error answers.
    pub bounces: Outlet<Return>,
    /// Error stanzas of remotes, for the sessions.
    pub routes: Outlet<Route>,
    /// What is remembered of remote domains.
    pub notes: RecorderHandle,
}

/// The actor that keeps the promise.
pub struct Promise {
    dial: Box<dyn Dial>,
    bounds: Bounds,
    workers: Workers,
    outgoing: Arc<Meter>,
    own: Mailbox<Self>,
    owners: Owners,
    pairs: HashMap<DomainPair, Pair>,
    /// Which pairs have state, by remote domain.
    remotes: HashMap<Domain, HashSet<DomainPair>>,
    agenda: BinaryHeap<Reverse<(Instant, DomainPair)>>,
    /// What the queues weigh.
    weight: usize,
    /// What all weighed when the last that was given up did not suffice.
    crowded: usize,
    /// Failures in a row of the pairs whose session stands, until it has stood long enough to forget them.
    restless: HashMap<DomainPair, u32>,
    turns: Turns,
    /// Those whose pause is over: they are tried again at a pace.
    due: Lanes,
    /// A source that goes on writing to a full queue is told each time, the log is not.
    refusals: Arc<LogLimiter>,
    stopping: bool,
    _vital: PanicGuard,
}

/// What is known of one pair.
struct Pair {
    state: State,
    queue: Queue,
    since: Instant,
    /// What did not fit; each batch holds up its source.
    overflow: VecDeque<Batch>,
    /// The overflow has been waiting too long: what does not fit is refused.
    refusing: bool,
    /// Failed attempts in a row.
    failures: u32,
    /// How the last one failed.
    failure: Option<AttemptError>,
    /// The earliest entry in the agenda.
    scheduled: Option<Instant>,
    /// It is one of those that are due.
    in_line: bool,
    life: Life,
    /// An operator wants an attempt, though nothing may be waiting.
    asked: bool,
}

/// Whether the remote has shown life while an attempt was being made, whose failure may be older than that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Unseen,
    Shown,
    /// It was believed: the attempt is the one that followed.
    Believed,
}

#[derive(Debug)]
enum State {
    /// Too many attempts are under way: one of the next is this one's.
    AwaitingTurn,
    /// An attempt is being made.
    Attempting(Mailbox<Outgoing>),
    /// The session has what waited; the router is being told.
    HandingOver(Mailbox<Outgoing>),
    /// A session has ended and gives back what it had not written.
    AwaitingReturn,
    /// The last attempt failed; nothing is tried before then, nor before its place in the line.
    Pausing { until: Instant },
}

impl Promise {
    /// A promise that dials with `dial` and reports to the router.
    pub fn new(
        dial: Box<dyn Dial>,
        bounds: Bounds,
        workers: Workers,
        outgoing: Arc<Meter>,
        own: Mailbox<Self>,
        owners: Owners,
        vital: PanicGuard,
    ) -> Self {
        Self {
            turns: Turns::new(dial.dials()),
            dial,
            bounds,
            workers,
            outgoing,
            own,
            owners,
            pairs: HashMap::new(),
            remotes: HashMap::new(),
            agenda: BinaryHeap::new(),
            weight: 0,
            crowded: 0,
            restless: HashMap::new(),
            due: Lanes::default(),
            refusals: LogLimiter::new(
                LOG,
                log_limit::FEW,
                "more stanzas were refused: too much waits for links",
            ),
            stopping: false,
            _vital: vital,
        }
    }

    /// Whether these two may federate; another configuration may forbid what was begun under the last.
    fn permits(&self, pair: &DomainPair) -> bool {
        self.dial.permits(&pair.remote) && self.dial.serves(&pair.local)
    }

    fn deliver(&mut self, batch: Batch, context: &mut Context<Self>) {
        let key = batch.pair();
        if self.stopping {
            return self.answer(vec![batch], &AttemptError::Stopping, Outcome::Answered);
        }
        if !self.permits(&key) {
            return self.answer(vec![batch], &AttemptError::Denied, Outcome::Answered);
        }
        let now = clock::now();
        match self.pairs.get(&key).map(|pair| (&pair.state, pair.in_line)) {
            None if !self.has_room_for_a_pair() => self.refuse(&key, vec![batch]),
            None => {
                log::info!(target: LOG, pair:% = key, stanzas = batch.stanzas.len(); "queued");
                self.note(&key, Event::now(What::Queued).of(batch.stanzas.len()));
                self.insert(key.clone());
                self.append(&key, batch, context);
                self.begin(&key);
            }
            Some((State::AwaitingTurn | State::Attempting(_) | State::AwaitingReturn, _)) => {
                self.append(&key, batch, context);
            }
            Some((State::HandingOver(session), _)) => send_first(session, batch),
            Some((State::Pausing { until }, in_line)) if in_line || now < *until => {
                self.deliver_while_pausing(&key, batch, context);
            }
            Some((State::Pausing { .. }, _)) => {
                self.append(&key, batch, context);
                self.begin(&key);
            }
        }
    }

    /// In a pause the reason of the last failure is the answer to whoever cannot or need not wait.
    fn deliver_while_pausing(&mut self, key: &DomainPair, mut batch: Batch, context: &mut Context<Self>) {
        let Some(failure) = self.pairs.get(key).and_then(|pair| pair.failure.clone()) else { return };
        if failure.is_definitive() {
            return self.answer(vec![batch], &failure, Outcome::Answered);
        }
        let requests = batch.extract(xmpp::Stanza::is_request);
        if !requests.stanzas.is_empty() {
            self.answer(vec![requests], &failure, Outcome::Answered);
        }
        if !batch.stanzas.is_empty() {
            self.append(key, batch, context);
        }
    }

    fn answer(&self, batches: Vec<Batch>, failure: &AttemptError, outcome: Outcome) {
        for batch in batches {
            let error = failure.stanza_error(&batch.to);
            self.note(&batch.pair(), Event::now(What::Bounced).saying(&error.text).of(batch.stanzas.len()));
            bounce(&self.owners.bounces, batch, &error, outcome);
        }
    }

    fn note(&self, key: &DomainPair, event: Event) {
        self.owners.notes.note(&key.remote, event.with(&key.local));
    }

    fn insert(&mut self, key: DomainPair) {
        self.remotes.entry(key.remote.clone()).or_default().insert(key.clone());
        self.pairs.insert(key, Pair::new());
    }

    fn remove(&mut self, key: &DomainPair) -> Option<Pair> {
        if let Some(pairs) = self.remotes.get_mut(&key.remote) {
            pairs.remove(key);
            if pairs.is_empty() {
                self.remotes.remove(&key.remote);
            }
        }
        let pair = self.pairs.remove(key)?;
        self.weight -= pair.queue.weight();
        Some(pair)
    }

    /// Everything that waits for the pair, in order.
    fn take_waiting(&mut self, key: &DomainPair) -> Vec<Batch> {
        let Some(pair) = self.pairs.get_mut(key) else { return Vec::new() };
        self.weight -= pair.queue.weight();
        pair.refusing = false;
        let mut batches = pair.queue.take_all();
        batches.extend(std::mem::take(&mut pair.overflow));
        batches
    }
}

impl Pair {
    fn new() -> Self {
        Self {
            state: State::AwaitingTurn,
            queue: Queue::new(),
            since: clock::now(),
            overflow: VecDeque::new(),
            refusing: false,
            failures: 0,
            failure: None,
            scheduled: None,
            in_line: false,
            life: Life::Unseen,
            asked: false,
        }
    }

    /// Nothing waits.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.overflow.is_empty()
    }
}

impl Actor for Promise {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |promise, _| {
            promise.tick();
            promise.relieve_turns();
        });
        context.run_interval(HOUSEKEEPING, |promise, _| promise.give_back_memory());
    }
}

impl Handler<Queued<Deliver>> for Promise {
    type Result = ();

    fn handle(&mut self, deliver: Queued<Deliver>, context: &mut Context<Self>) {
        let Deliver { batch } = deliver.open();
        self.deliver(batch, context);
    }
}

impl Handler<Queued<Drain>> for Promise {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, _: &mut Context<Self>) {
        let Drain { token: _token } = drain.open();
        self.stopping = true;
        let keys: Vec<DomainPair> = self.pairs.keys().cloned().collect();
        for key in keys {
            let batches = self.take_waiting(&key);
            self.answer(batches, &AttemptError::Stopping, Outcome::Answered);
            if matches!(self.pairs.get(&key), Some(Pair { state: State::AwaitingTurn, .. })) {
                self.remove(&key);
            }
        }
    }
}

const LOG: &str = "nuncio::promise";

/// How often what takes memory without need is looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How often the agenda is looked at; no stanza outlives its time by more than this and the time to answer it.
const TICK: Duration = Duration::from_millis(100);
