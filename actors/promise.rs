//! Stanzas that wait for a link: a bounded queue for each domain pair, and the one attempt that is to end the wait.
//!
//! How a queue is handed over to its session, and taken back from one that died, is told in `handover`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{
    DomainPair, Stanza,
    stanza::{self, Condition, ErrorType},
    stream::initiating::Purpose,
};

use crate::{
    attempt::Means,
    backoff,
    batch::{Batch, Pass},
    drain,
    failure::Failure,
    mailbox::{Mailbox, Meter, Outlet, Queued},
    outgoing::{self, Outgoing},
    router,
    settings::Promise as Bounds,
    vital::Vital,
    workers::Workers,
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

/// What waited has been given to the session.
#[derive(Debug)]
pub struct Fulfilled {
    /// Whose.
    pub pair: DomainPair,
    /// Where stanzas go from now on.
    pub session: Mailbox<Outgoing>,
}

/// The actor that keeps the promise.
pub struct Promise {
    means: Means,
    bounds: Bounds,
    workers: Workers,
    outgoing: Arc<Meter>,
    own: Mailbox<Self>,
    fulfilled: Outlet<Fulfilled>,
    closed: Outlet<outgoing::Closed>,
    bounces: Outlet<router::Return>,
    queues: HashMap<DomainPair, Queue>,
    total_bytes: usize,
    stopping: bool,
    _vital: Vital,
}

/// What waits for one pair, and why.
struct Queue {
    state: State,
    waiting: VecDeque<Stanza>,
    bytes: usize,
    since: Instant,
    /// What did not fit; each batch holds up its source.
    overflow: VecDeque<Batch>,
    /// The overflow has been waiting too long: what does not fit is refused.
    refusing: bool,
    /// Failed attempts in a row.
    failures: u32,
}

enum State {
    /// An attempt is being made.
    Attempting,
    /// The session has what waited; the router is being told.
    HandingOver(Mailbox<Outgoing>),
    /// A session has ended and gives back what it had not written.
    AwaitingReturn,
    /// The last attempt failed with this; the next stanza after the pause makes another.
    Pausing { until: Instant, failure: Failure },
    /// The last link ended as soon as it stood; a new attempt is made after the pause.
    Resting,
}

impl Promise {
    /// A promise that reports to the router.
    pub fn new(
        means: Means,
        bounds: Bounds,
        workers: Workers,
        outgoing: Arc<Meter>,
        own: Mailbox<Self>,
        router: &Mailbox<router::Router>,
        vital: Vital,
    ) -> Self {
        Self {
            means,
            bounds,
            workers,
            outgoing,
            own,
            fulfilled: router.outlet(),
            closed: router.outlet(),
            bounces: router.outlet(),
            queues: HashMap::new(),
            total_bytes: 0,
            stopping: false,
            _vital: vital,
        }
    }

    fn deliver(&mut self, batch: Batch, context: &mut Context<Self>) {
        let pair = batch.pair();
        if self.stopping {
            return self.bounce(&pair, &batch.stanzas, &batch.pass, &Failure::Stopping);
        }
        if !self.means.terms.rules().permits(&pair.remote) {
            return self.bounce(&pair, &batch.stanzas, &batch.pass, &Failure::Denied);
        }
        let Some(queue) = self.queues.get_mut(&pair) else {
            log::info!(target: LOG, pair:% = pair, stanzas = batch.stanzas.len(); "queued");
            self.queues.insert(pair.clone(), Queue::new());
            self.start_attempt(&pair);
            return self.append(&pair, batch, context);
        };
        match &queue.state {
            State::Attempting | State::AwaitingReturn | State::Resting => self.append(&pair, batch, context),
            State::HandingOver(session) => {
                let session = session.clone();
                self.send_first(&session, batch);
            }
            State::Pausing { until, failure } if Instant::now() < *until => {
                let failure = failure.clone();
                self.bounce(&pair, &batch.stanzas, &batch.pass, &failure);
            }
            State::Pausing { .. } => {
                log::info!(target: LOG, pair:% = pair, stanzas = batch.stanzas.len(); "queued");
                queue.since = Instant::now();
                self.start_attempt(&pair);
                self.append(&pair, batch, context);
            }
        }
    }

    fn append(&mut self, pair: &DomainPair, batch: Batch, context: &mut Context<Self>) {
        let total = self.total_bytes;
        let Some(queue) = self.queues.get_mut(pair) else { return };
        let fits = queue.room_in(&batch, &self.bounds, total) == batch.stanzas.len();
        if queue.overflow.is_empty() && fits {
            self.total_bytes += queue.admit(batch);
        } else if queue.refusing {
            self.refuse(pair, &batch.stanzas, &batch.pass);
        } else {
            if queue.overflow.is_empty() {
                let pair = pair.clone();
                context.run_later(PATIENCE, move |promise, _| promise.lose_patience(&pair));
            }
            queue.overflow.push_back(batch);
        }
    }

    /// The sources have been held up long enough by a queue that is full.
    fn lose_patience(&mut self, pair: &DomainPair) {
        let Some(queue) = self.queues.get_mut(pair) else { return };
        if queue.overflow.is_empty() {
            return;
        }
        queue.refusing = true;
        let mut refused = Vec::new();
        for mut batch in std::mem::take(&mut queue.overflow) {
            let fitting = queue.room_in(&batch, &self.bounds, self.total_bytes);
            let rest = batch.stanzas.split_off(fitting);
            self.total_bytes += queue.extend(batch.stanzas);
            refused.push((rest, batch.pass));
        }
        for (stanzas, pass) in refused {
            self.refuse(pair, &stanzas, &pass);
        }
    }

    fn refuse(&self, pair: &DomainPair, stanzas: &[Stanza], pass: &Pass) {
        if stanzas.is_empty() {
            return;
        }
        log::warn!(target: LOG, pair:% = pair, stanzas = stanzas.len(); "refused: too much waits for a link");
        let error = stanza::Error {
            type_: ErrorType::Wait,
            condition: Condition::ResourceConstraint,
            text: format!("too many stanzas wait for a link to {}", pair.remote),
        };
        router::bounce(&self.bounces, stanzas, pass, &error);
    }

    fn bounce(&self, pair: &DomainPair, stanzas: &[Stanza], pass: &Pass, failure: &Failure) {
        router::bounce(&self.bounces, stanzas, pass, &failure.stanza_error(&pair.remote));
    }

    fn start_attempt(&mut self, pair: &DomainPair) {
        if let Some(queue) = self.queues.get_mut(pair) {
            queue.state = State::Attempting;
        }
        let attempt = self.means.attempt(pair.clone(), Purpose::Session, "nuncio::outgoing");
        let owners = outgoing::Owners {
            established: self.own.outlet(),
            failed: self.own.outlet(),
            closed: self.closed.clone(),
            returned: self.own.outlet(),
            bounces: self.bounces.clone(),
        };
        let meter = Arc::clone(&self.outgoing);
        self.workers.start_actor(&self.outgoing, &pair.to_string(), move |own| {
            Outgoing::new(attempt, owners, own, meter)
        });
    }

    fn send_first(&self, session: &Mailbox<Outgoing>, batch: Batch) {
        // What was taken in here is never refused there: the session's own budget decides.
        if session.signal(outgoing::SendFirst { batch }).is_err() {
            log::error!(target: LOG, "a session ended by a panic; what it was given is lost");
        }
    }

    /// Everything that waits for the pair, in order.
    fn take_waiting(&mut self, pair: &DomainPair) -> Vec<Stanza> {
        let Some(queue) = self.queues.get_mut(pair) else { return Vec::new() };
        self.total_bytes -= queue.bytes;
        queue.take()
    }

    fn end_state_later(&self, pair: &DomainPair, after: Duration, context: &mut Context<Self>) {
        let pair = pair.clone();
        context.run_later(after, move |promise, _| promise.pause_ended(&pair));
    }

    fn pause_ended(&mut self, pair: &DomainPair) {
        match self.queues.get(pair).map(|queue| &queue.state) {
            Some(State::Resting) => self.start_attempt(pair),
            Some(State::Pausing { until, .. }) if *until + FORGET_AFTER <= Instant::now() => {
                self.queues.remove(pair);
            }
            _ => {}
        }
    }
}

impl Queue {
    fn new() -> Self {
        Self {
            state: State::Attempting,
            waiting: VecDeque::new(),
            bytes: 0,
            since: Instant::now(),
            overflow: VecDeque::new(),
            refusing: false,
            failures: 0,
        }
    }

    /// How many stanzas of the batch, from its first on, fit within the bounds.
    fn room_in(&self, batch: &Batch, bounds: &Bounds, total: usize) -> usize {
        let stanzas = bounds.max_stanzas.saturating_sub(self.waiting.len());
        let bytes = bounds.max_bytes.saturating_sub(self.bytes).min(bounds.total_bytes.saturating_sub(total));
        let mut needed = 0;
        let fits = |stanza: &&Stanza| {
            needed += stanza.bytes().len();
            needed <= bytes
        };
        batch.stanzas.iter().take(stanzas).take_while(fits).count()
    }

    fn admit(&mut self, batch: Batch) -> usize {
        // What waits must not keep the whole of what one read brought in memory.
        self.extend(batch.stanzas.into_iter().map(Stanza::detached).collect())
        // The pass is dropped here: the source reads on.
    }

    fn extend(&mut self, stanzas: Vec<Stanza>) -> usize {
        let bytes = stanzas.iter().map(|stanza| stanza.bytes().len()).sum();
        self.bytes += bytes;
        self.waiting.extend(stanzas);
        bytes
    }

    fn prepend(&mut self, stanzas: Vec<Stanza>) -> usize {
        let bytes = stanzas.iter().map(|stanza| stanza.bytes().len()).sum();
        self.bytes += bytes;
        for stanza in stanzas.into_iter().rev() {
            self.waiting.push_front(stanza);
        }
        bytes
    }

    fn take(&mut self) -> Vec<Stanza> {
        self.bytes = 0;
        self.refusing = false;
        let overflow = self.overflow.drain(..).flat_map(|batch| batch.stanzas);
        self.waiting.drain(..).chain(overflow).collect()
    }
}

impl Actor for Promise {
    type Context = Context<Self>;
}

impl Handler<Queued<Deliver>> for Promise {
    type Result = ();

    fn handle(&mut self, deliver: Queued<Deliver>, context: &mut Context<Self>) {
        let Deliver { batch } = deliver.open();
        self.deliver(batch, context);
    }
}

impl Handler<Queued<outgoing::Established>> for Promise {
    type Result = ();

    fn handle(&mut self, established: Queued<outgoing::Established>, _: &mut Context<Self>) {
        let outgoing::Established { pair, session } = established.open();
        let stanzas = self.take_waiting(&pair);
        let Some(queue) = self.queues.get_mut(&pair) else { return };
        log::info!(
            target: LOG, pair:% = pair, stanzas = stanzas.len(), waited:% = crate::attempt::millis(queue.since);
            "handed over"
        );
        queue.state = State::HandingOver(session.clone());
        queue.failures = 0;
        if !stanzas.is_empty() {
            let (from, to) = (pair.local.clone(), pair.remote.clone());
            self.send_first(&session, Batch { from, to, stanzas, pass: Pass::free(), returning: false });
        }
        // A router that is gone takes the process with it.
        let _ = self.fulfilled.signal(Fulfilled { pair, session });
    }
}

impl Handler<Queued<Release>> for Promise {
    type Result = ();

    fn handle(&mut self, release: Queued<Release>, _: &mut Context<Self>) {
        let Release { pair } = release.open();
        if let Some(Queue { state: State::HandingOver(session), .. }) = self.queues.remove(&pair) {
            let _ = session.signal(outgoing::Open);
        }
    }
}

impl Handler<Queued<outgoing::Failed>> for Promise {
    type Result = ();

    fn handle(&mut self, failed: Queued<outgoing::Failed>, context: &mut Context<Self>) {
        let outgoing::Failed { pair, failure } = failed.open();
        let stanzas = self.take_waiting(&pair);
        let Some(queue) = self.queues.get_mut(&pair) else { return };
        queue.failures += 1;
        let pause = backoff::pause(&self.bounds, queue.failures);
        queue.state = State::Pausing { until: Instant::now() + pause, failure: failure.clone() };
        log::warn!(
            target: LOG, pair:% = pair, reason:% = failure.sentence(&pair.remote), answered = stanzas.len(),
            waited:% = crate::attempt::millis(queue.since), next_attempt_after:% = format_args!("{}ms", pause.as_millis());
            "no link"
        );
        self.bounce(&pair, &stanzas, &Pass::free(), &failure);
        self.end_state_later(&pair, pause + FORGET_AFTER, context);
    }
}

impl Handler<Queued<Expect>> for Promise {
    type Result = ();

    fn handle(&mut self, expect: Queued<Expect>, _: &mut Context<Self>) {
        let Expect { pair } = expect.open();
        let queue = self.queues.entry(pair).or_insert_with(Queue::new);
        queue.state = State::AwaitingReturn;
        queue.since = Instant::now();
    }
}

impl Handler<Queued<outgoing::Returned>> for Promise {
    type Result = ();

    fn handle(&mut self, returned: Queued<outgoing::Returned>, context: &mut Context<Self>) {
        let outgoing::Returned { pair, stanzas, lived } = returned.open();
        if self.stopping {
            return self.bounce(&pair, &stanzas, &Pass::free(), &Failure::Stopping);
        }
        let Some(queue) = self.queues.get_mut(&pair) else { return };
        // Nothing is refused that was taken in once: the bounds hold for what comes.
        self.total_bytes += queue.prepend(stanzas);
        if queue.waiting.is_empty() && queue.overflow.is_empty() {
            self.queues.remove(&pair);
            return;
        }
        log::info!(target: LOG, pair:% = pair, stanzas = queue.waiting.len(); "queued again");
        if lived < SHORT_LIFE {
            queue.failures += 1;
            queue.state = State::Resting;
            let pause = backoff::pause(&self.bounds, queue.failures);
            self.end_state_later(&pair, pause, context);
        } else {
            self.start_attempt(&pair);
        }
    }
}

impl Handler<Queued<Drain>> for Promise {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, _: &mut Context<Self>) {
        let Drain { token: _token } = drain.open();
        self.stopping = true;
        let pairs: Vec<DomainPair> = self.queues.keys().cloned().collect();
        for pair in pairs {
            let stanzas = self.take_waiting(&pair);
            self.bounce(&pair, &stanzas, &Pass::free(), &Failure::Stopping);
        }
    }
}

const LOG: &str = "nuncio::promise";

/// How long a full queue may hold up its sources: about what a cold link takes, call-backs of dialback included.
const PATIENCE: Duration = Duration::from_secs(3);

/// The reason of a failed attempt is remembered this long after its pause, for a pause that doubles.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A link that ends sooner than this is followed by a pause: it may be refused again and again.
const SHORT_LIFE: Duration = Duration::from_secs(1);
