//! Stanzas that wait for a link: a bounded queue for each domain pair, and one attempt at a time to end the wait.
//!
//! A failed attempt does not end the promise. What waiting would not mend is answered at once; after a passing failure
//! the pair pauses, IQ requests are answered with the reason, and messages and presence wait out their own time while
//! each pause is followed by one more attempt. A remote domain that shows life itself is tried at once.
//!
//! How a queue is handed over to its session, and taken back from one that died, is told in the crate's documentation.

mod figures;
mod queue;
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
use xmpp::{
    Domain, DomainPair,
    stanza::{self, Condition, ErrorType},
};

pub use self::figures::{Figures, ShowFigures};
use self::{queue::Queue, turns::Turns};
use crate::{
    account::{Amount, Outcome},
    attempt::{Dial, millis},
    backoff,
    batch::Batch,
    clock, drain,
    failure::Failure,
    gate, incoming,
    mailbox::{Mailbox, Meter, Outlet, Queued},
    outgoing::{self, Outgoing},
    recorder::{Event, Notes, What},
    report, router,
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

/// End the pause of this remote domain: an operator thinks that it can be reached again.
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
    pub bounces: Outlet<router::Return>,
    /// What is remembered of remote domains.
    pub notes: Notes,
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
    bytes: usize,
    /// Failures in a row of the pairs whose session stands, until it has stood long enough to forget them.
    restless: HashMap<DomainPair, u32>,
    turns: Turns,
    stopping: bool,
    _vital: Vital,
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
    failure: Option<Failure>,
    /// The earliest entry in the agenda.
    scheduled: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Too many attempts are under way: one of the next is this one's.
    AwaitingTurn,
    /// An attempt is being made.
    Attempting,
    /// The session has what waited; the router is being told.
    HandingOver(Mailbox<Outgoing>),
    /// A session has ended and gives back what it had not written.
    AwaitingReturn,
    /// The last attempt failed; nothing is tried before then.
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
        vital: Vital,
    ) -> Self {
        Self {
            turns: Turns::new(dial.at_once()),
            dial,
            bounds,
            workers,
            outgoing,
            own,
            owners,
            pairs: HashMap::new(),
            remotes: HashMap::new(),
            agenda: BinaryHeap::new(),
            bytes: 0,
            restless: HashMap::new(),
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
            return self.answer(vec![batch], &Failure::Stopping, Outcome::Answered);
        }
        if !self.permits(&key) {
            return self.answer(vec![batch], &Failure::Denied, Outcome::Answered);
        }
        let now = clock::now();
        match self.pairs.get(&key).map(|pair| &pair.state) {
            None => {
                log::info!(target: LOG, pair:% = key, stanzas = batch.stanzas.len(); "queued");
                self.note(&key, Event::now(What::Queued).of(batch.stanzas.len()));
                self.insert(key.clone());
                self.append(&key, batch, context);
                self.begin(&key);
            }
            Some(State::AwaitingTurn | State::Attempting | State::AwaitingReturn) => {
                self.append(&key, batch, context);
            }
            Some(State::HandingOver(session)) => send_first(session, batch),
            Some(State::Pausing { until }) if now < *until => {
                self.deliver_while_pausing(&key, batch, context);
            }
            Some(State::Pausing { .. }) => {
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
        // Requests are taken out one by one; what stays keeps its order.
        let mut requests = Vec::new();
        while let Some(place) = batch.stanzas.iter().position(xmpp::Stanza::is_request) {
            let mut request = batch.split_off(place);
            let after = request.split_off(1);
            requests.push(request);
            batch.stanzas.extend(after.stanzas);
            batch.slip.merge(after.slip);
        }
        self.answer(requests, &failure, Outcome::Answered);
        if !batch.stanzas.is_empty() {
            self.append(key, batch, context);
        }
    }

    /// Lets a batch wait: in the queue if it fits, else outside for a moment.
    fn append(&mut self, key: &DomainPair, batch: Batch, context: &mut Context<Self>) {
        let free = self.bounds.total_bytes.saturating_sub(self.bytes);
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if pair.overflow.is_empty() && pair.queue.room_in(&batch, &self.bounds, free) == batch.stanzas.len() {
            let before = pair.queue.bytes();
            pair.queue.admit(batch, &self.bounds, clock::now());
            self.bytes = self.bytes - before + pair.queue.bytes();
            self.shed_if_crowded();
            return self.look_ahead(key);
        }
        // A domain that is known to stay away is not worth a pause of the source.
        let away = matches!(pair.state, State::Pausing { until } if until > clock::now() + PATIENCE);
        let patient = !pair.refusing && !away;
        let first = pair.overflow.is_empty();
        pair.overflow.push_back(batch);
        if !patient {
            self.lose_patience(key);
        } else if first {
            let key = key.clone();
            context.run_later(PATIENCE, move |promise, _| promise.lose_patience(&key));
        }
    }

    /// The sources have been held up long enough by a queue that is full: what fits is taken, the rest refused.
    fn lose_patience(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if pair.overflow.is_empty() {
            return;
        }
        pair.refusing = true;
        let mut refused = Vec::new();
        for mut batch in std::mem::take(&mut pair.overflow) {
            let free = self.bounds.total_bytes.saturating_sub(self.bytes);
            let rest = batch.split_off(pair.queue.room_in(&batch, &self.bounds, free));
            let before = pair.queue.bytes();
            pair.queue.admit(batch, &self.bounds, clock::now());
            self.bytes = self.bytes - before + pair.queue.bytes();
            if !rest.stanzas.is_empty() {
                refused.push(rest);
            }
        }
        self.refuse(key, refused);
        self.look_ahead(key);
    }

    /// Past four fifths of the whole the largest queues give up their newest.
    fn shed_if_crowded(&mut self) {
        if self.bytes <= self.bounds.total_bytes / 5 * 4 {
            return;
        }
        let mut surplus = self.bytes - self.bounds.total_bytes / 4 * 3;
        let mut sizes: Vec<(usize, DomainPair)> =
            self.pairs.iter().map(|(key, pair)| (pair.queue.bytes(), key.clone())).collect();
        sizes.sort_unstable_by_key(|(size, _)| Reverse(*size));
        for (size, key) in sizes {
            // Half of what it has, so that no queue pays for all.
            let share = surplus.min(size / 2);
            if share == 0 {
                return;
            }
            let Some(pair) = self.pairs.get_mut(&key) else { continue };
            let shed = pair.queue.shed(size - share);
            surplus = surplus.saturating_sub(size - pair.queue.bytes());
            self.bytes = self.bytes - size + pair.queue.bytes();
            self.refuse(&key, shed);
        }
    }

    fn refuse(&self, key: &DomainPair, batches: Vec<Batch>) {
        let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
        if stanzas == 0 {
            return;
        }
        log::warn!(target: LOG, pair:% = key, stanzas = stanzas; "refused: too much waits for a link");
        let error = stanza::Error {
            type_: ErrorType::Wait,
            condition: Condition::ResourceConstraint,
            text: format!("too many stanzas wait for a link to {}", key.remote),
        };
        self.note(key, Event::now(What::Bounced).saying(&error.text).of(stanzas));
        for batch in batches {
            router::bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
        }
    }

    fn answer(&self, batches: Vec<Batch>, failure: &Failure, outcome: Outcome) {
        for batch in batches {
            let error = failure.stanza_error(&batch.to);
            self.note(&batch.pair(), Event::now(What::Bounced).saying(&error.text).of(batch.stanzas.len()));
            router::bounce(&self.owners.bounces, batch, &error, outcome);
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
        self.pairs.remove(key)
    }

    /// Makes an attempt, or lines up for one.
    fn begin(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if !self.turns.take(key) {
            pair.state = State::AwaitingTurn;
            return;
        }
        pair.state = State::Attempting;
        let dialling = self.dial.dial(key);
        let owners = outgoing::Owners {
            established: self.own.outlet(),
            failed: self.own.outlet(),
            closed: self.owners.closed.clone(),
            returned: self.own.outlet(),
            bounces: self.owners.bounces.clone(),
            notes: self.owners.notes.clone(),
        };
        let (meter, key) = (Arc::clone(&self.outgoing), key.clone());
        self.workers.start_actor(&self.outgoing, &key.to_string(), move |own| {
            Outgoing::new(key, dialling, owners, own, meter)
        });
    }

    fn attempt_ended(&mut self, key: &DomainPair) {
        self.turns.end(key);
        self.begin_next();
    }

    fn begin_next(&mut self) {
        while let Some(key) = self.turns.next() {
            if self.pairs.get(&key).is_some_and(|pair| matches!(pair.state, State::AwaitingTurn)) {
                self.begin(&key);
            }
        }
    }

    /// Everything that waits for the pair, in order.
    fn take_waiting(&mut self, key: &DomainPair) -> Vec<Batch> {
        let Some(pair) = self.pairs.get_mut(key) else { return Vec::new() };
        self.bytes -= pair.queue.bytes();
        pair.refusing = false;
        let mut batches = pair.queue.take_all();
        batches.extend(pair.overflow.drain(..));
        batches
    }

    /// Starts the pause after a failure.
    fn pause(&mut self, key: &DomainPair, failure: Failure) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        pair.failures += 1;
        pair.failure = Some(failure);
        pair.state = State::Pausing { until: clock::now() + backoff::pause(&self.bounds, pair.failures) };
        let long = matches!(pair.state, State::Pausing { until } if until > clock::now() + PATIENCE);
        if long {
            // What was held up by a full queue is decided now.
            self.lose_patience(key);
        }
        self.look_ahead(key);
    }

    /// Enters into the agenda when this pair has to be looked after next.
    fn look_ahead(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let expiry = pair.queue.next_expiry();
        let pause = match pair.state {
            State::Pausing { until } if pair.queue.is_empty() => Some(until + FORGET_AFTER),
            State::Pausing { until } => Some(until),
            _ => None,
        };
        let Some(next) = [expiry, pause].into_iter().flatten().min() else { return };
        if pair.scheduled.is_none_or(|scheduled| next < scheduled) {
            pair.scheduled = Some(next);
            self.agenda.push(Reverse((next, key.clone())));
        }
    }

    /// Looks after the pairs that are due.
    fn tick(&mut self) {
        let now = clock::now();
        while let Some(Reverse((due, _))) = self.agenda.peek() {
            if *due > now {
                return;
            }
            let Some(Reverse((due, key))) = self.agenda.pop() else { return };
            match self.pairs.get_mut(&key) {
                // Entries that an earlier one has overtaken say nothing.
                Some(pair) if pair.scheduled == Some(due) => pair.scheduled = None,
                _ => continue,
            }
            self.look_after(&key, now);
        }
    }

    fn look_after(&mut self, key: &DomainPair, now: Instant) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let before = pair.queue.bytes();
        let expired = pair.queue.take_expired(now);
        self.bytes = self.bytes - before + pair.queue.bytes();
        let reason = pair.failure.clone().unwrap_or(Failure::Late);
        let (empty, state) = (pair.queue.is_empty(), &pair.state);
        let next = match state {
            State::Pausing { until } if empty && *until + FORGET_AFTER <= now => Next::Forget,
            State::Pausing { until } if !empty && *until <= now => Next::Attempt,
            _ => Next::Wait,
        };
        let stanzas: usize = expired.iter().map(|batch| batch.stanzas.len()).sum();
        if stanzas > 0 {
            log::info!(
                target: LOG, pair:% = key, stanzas = stanzas, reason:% = reason.sentence(&key.remote);
                "expired: no link came about in time"
            );
        }
        self.answer(expired, &reason, Outcome::Expired);
        match next {
            Next::Forget => drop(self.remove(key)),
            Next::Attempt => self.begin(key),
            Next::Wait => {}
        }
        self.look_ahead(key);
    }

    fn sign_of_life(&mut self, remote: &Domain) {
        for key in self.remotes.get(remote).cloned().unwrap_or_default() {
            let Some(pair) = self.pairs.get_mut(&key) else { continue };
            if !matches!(pair.state, State::Pausing { .. }) {
                continue;
            }
            pair.failures = 0;
            if pair.queue.is_empty() {
                self.remove(&key);
            } else {
                log::info!(target: LOG, pair:% = key; "the remote shows life: trying again at once");
                self.note(&key, Event::now(What::LifeSign));
                self.begin(&key);
            }
        }
    }
}

enum Next {
    Forget,
    Attempt,
    Wait,
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
        }
    }
}

/// What was taken in here is never refused there: the session's own budget decides.
fn send_first(session: &Mailbox<Outgoing>, batch: Batch) {
    // A session that has panicked lets it fall, and the account shows it.
    let _ = session.signal(outgoing::SendFirst { batch });
}

impl Actor for Promise {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |promise, _| promise.tick());
    }
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
        let outgoing::Established { pair: key, session } = established.open();
        let batches = self.take_waiting(&key);
        if let Some(pair) = self.pairs.get_mut(&key) {
            let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
            log::info!(target: LOG, pair:% = key, stanzas = stanzas, waited:% = millis(pair.since); "handed over");
            let event = Event::now(What::HandedOver).with(&key.local).of(stanzas);
            self.owners.notes.note(&key.remote, event);
            pair.state = State::HandingOver(session.clone());
            for batch in batches {
                send_first(&session, batch);
            }
            if !self.permits(&key) {
                let _ = session.signal(outgoing::Forbid);
            }
            // A router that is gone takes the process with it.
            let _ = self.owners.fulfilled.signal(Fulfilled { pair: key.clone(), session });
        }
        self.attempt_ended(&key);
    }
}

impl Handler<Queued<Release>> for Promise {
    type Result = ();

    fn handle(&mut self, release: Queued<Release>, _: &mut Context<Self>) {
        let Release { pair: key } = release.open();
        if let Some(Pair { state: State::HandingOver(session), failures, .. }) = self.remove(&key) {
            if failures > 0 {
                self.restless.insert(key, failures);
            }
            let _ = session.signal(outgoing::Open);
        }
    }
}

impl Handler<Queued<outgoing::Failed>> for Promise {
    type Result = ();

    fn handle(&mut self, failed: Queued<outgoing::Failed>, _: &mut Context<Self>) {
        let outgoing::Failed { pair: key, failure } = failed.open();
        let answered = if failure.is_definitive() || self.stopping {
            self.take_waiting(&key)
        } else if let Some(pair) = self.pairs.get_mut(&key) {
            let before = pair.queue.bytes();
            let requests = pair.queue.take_requests();
            self.bytes = self.bytes - before + pair.queue.bytes();
            requests
        } else {
            Vec::new()
        };
        let stanzas: usize = answered.iter().map(|batch| batch.stanzas.len()).sum();
        self.answer(answered, &failure, Outcome::Answered);
        self.pause(&key, failure.clone());
        if let Some(pair) = self.pairs.get(&key)
            && let State::Pausing { until } = pair.state
        {
            let pause = until.saturating_duration_since(clock::now());
            log::warn!(
                target: LOG, pair:% = key, reason:% = failure.sentence(&key.remote), answered = stanzas,
                waiting = pair.queue.len(), waited:% = millis(pair.since),
                next_attempt_after:% = format_args!("{}ms", pause.as_millis());
                "no link"
            );
            self.note(&key, Event::now(What::NoLink).saying(failure.sentence(&key.remote)));
        }
        self.attempt_ended(&key);
    }
}

impl Handler<Queued<gate::Held>> for Promise {
    type Result = ();

    fn handle(&mut self, held: Queued<gate::Held>, _: &mut Context<Self>) {
        let gate::Held { pair } = held.open();
        if self.pairs.get(&pair).is_some_and(|known| matches!(known.state, State::Attempting)) {
            self.turns.hold(pair);
            self.begin_next();
        }
    }
}

impl Handler<Queued<gate::Admitted>> for Promise {
    type Result = ();

    fn handle(&mut self, admitted: Queued<gate::Admitted>, _: &mut Context<Self>) {
        let gate::Admitted { pair } = admitted.open();
        self.turns.resume(&pair);
    }
}

impl Handler<Queued<Expect>> for Promise {
    type Result = ();

    fn handle(&mut self, expect: Queued<Expect>, _: &mut Context<Self>) {
        let Expect { pair: key } = expect.open();
        if !self.pairs.contains_key(&key) {
            self.insert(key.clone());
        }
        if let Some(pair) = self.pairs.get_mut(&key) {
            pair.state = State::AwaitingReturn;
        }
    }
}

impl Handler<Queued<outgoing::Returned>> for Promise {
    type Result = ();

    fn handle(&mut self, returned: Queued<outgoing::Returned>, _: &mut Context<Self>) {
        let outgoing::Returned { pair: key, batches, lived, cut } = returned.open();
        if self.stopping {
            self.answer(batches, &Failure::Stopping, Outcome::Answered);
            let waiting = self.take_waiting(&key);
            return self.answer(waiting, &Failure::Stopping, Outcome::Answered);
        }
        let failures = self.restless.remove(&key).unwrap_or(0);
        if !self.permits(&key) {
            self.answer(batches, &Failure::Denied, Outcome::Answered);
            let waiting = self.take_waiting(&key);
            self.answer(waiting, &Failure::Denied, Outcome::Answered);
            self.remove(&key);
            return;
        }
        let Some(pair) = self.pairs.get_mut(&key) else {
            return self.answer(batches, &Failure::Late, Outcome::Answered);
        };
        // Nothing is refused that was taken in once: the bounds hold for what comes.
        let before = pair.queue.bytes();
        pair.queue.put_back(batches, &self.bounds, clock::now());
        self.bytes = self.bytes - before + pair.queue.bytes();
        let empty = pair.queue.is_empty() && pair.overflow.is_empty();
        if !empty {
            log::info!(target: LOG, pair:% = key, stanzas = pair.queue.len(); "queued again");
        }
        if lived.is_some_and(|lived| lived < SHORT_LIFE) && (cut || !empty) {
            // RFC 6120 3.3: the pause grows, for a link that was cut also when nothing waits.
            pair.failures = failures;
            self.pause(&key, Failure::ShortLived);
        } else if empty {
            self.remove(&key);
        } else {
            self.begin(&key);
            self.look_ahead(&key);
        }
    }
}

impl Handler<Queued<incoming::Authorized>> for Promise {
    type Result = ();

    fn handle(&mut self, authorized: Queued<incoming::Authorized>, _: &mut Context<Self>) {
        let incoming::Authorized { remote } = authorized.open();
        self.sign_of_life(&remote);
    }
}

impl Handler<Queued<Adopt>> for Promise {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { dial, bounds } = adopt.open();
        self.turns.limit(dial.at_once());
        (self.dial, self.bounds) = (dial, bounds);
        let forbidden: Vec<DomainPair> =
            self.pairs.keys().filter(|pair| !self.permits(pair)).cloned().collect();
        for key in forbidden {
            let waiting = self.take_waiting(&key);
            self.answer(waiting, &Failure::Denied, Outcome::Answered);
            match self.pairs.get(&key).map(|pair| &pair.state) {
                Some(State::HandingOver(session)) => drop(session.signal(outgoing::Forbid)),
                Some(State::AwaitingTurn | State::Pausing { .. }) => drop(self.remove(&key)),
                // What comes of it is met then.
                Some(State::Attempting | State::AwaitingReturn) | None => {}
            }
        }
        self.begin_next();
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
            self.answer(batches, &Failure::Stopping, Outcome::Answered);
        }
    }
}

const LOG: &str = "nuncio::promise";

/// How often the agenda is looked at; no stanza outlives its time by more than this and the time to answer it.
const TICK: Duration = Duration::from_millis(100);

/// How long a full queue may hold up its sources: about what a cold link takes, call-backs of dialback included.
const PATIENCE: Duration = Duration::from_secs(3);

/// The reason of a failed attempt is remembered this long after its pause, for a pause that doubles.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A link that ends sooner than this is followed by a pause: it may be refused again and again.
const SHORT_LIFE: Duration = Duration::from_secs(1);
