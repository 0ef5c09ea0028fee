//! Decides for one node who is a member of the cluster, who holds which pair of domains, and where components are connected.
//!
//! A machine without input and output: events of the broker and times go in, requests and decisions come out of
//! [`Arbiter::poll`]. The rules:
//!
//! - The name of a node belongs to the run that has its record. Another run takes it when that one has certainly ended, or does
//!   not renew the record.
//! - A node renews its record with each beat. It holds its *lease* for four beats, counted from before the last renewal
//!   that succeeded. The others take it for dead when the record has not changed for five beats of their own clock, and a
//!   read after that time shows it unchanged. So the lease of a node is over before anybody takes its place.
//! - A claim names the run of its holder. It is void when that run is dead, or when the node has begun another one.
//! - A claim is granted only after a write to it succeeded: whatever this node sent earlier, and the broker executes late,
//!   finds another revision and fails.
//! - When the broker has lost its data, each node writes again what it holds, and grants nothing new for two beats.

mod answers;
mod holdings;
mod io;
mod members;
mod output;
mod own;
mod seating;
mod sweep;

#[cfg(test)]
mod tests;

use crate::{
    Incarnation,
    engine::{Bucket, EngineError, Event, Op},
    names::Names,
    record::{Load, Process},
};
use holdings::Holdings;
use io::{Io, Purpose};
use members::Members;
use own::Own;
use seating::Seating;
use std::time::{Duration, Instant};
use sweep::Sweep;
use xmpp::{Domain, DomainPair};

pub use output::{Config, Disagreement, Ending, MemberReport, Namesake, Output, Report};

/// The machine. See the page of the module.
pub struct Arbiter {
    beat: Duration,
    up: bool,
    generation: Option<[u64; 3]>,
    io: Io,
    own: Own,
    /// The run at the last look.
    run: Incarnation,
    members: Members,
    claims: Holdings<DomainPair>,
    seats: Holdings<Domain>,
    seating: Seating,
    sweep: Sweep,
    /// When the tables of nodes and seats are read as a whole, and some own claims are compared.
    next_list: Instant,
    next_audit: Instant,
    stopping: bool,
    left: bool,
}

impl Arbiter {
    /// An arbiter for a node that has just started. `random` gives the numbers of its runs and the pauses between
    /// attempts, and `has_ended` tells whether a process has certainly ended: one of this machine.
    pub fn new(
        config: Config,
        now: Instant,
        random: impl FnMut() -> u64 + Send + 'static,
        has_ended: impl Fn(&Process) -> bool + Send + 'static,
    ) -> Self {
        let beat = config.lease / BEATS_TO_DEATH;
        let mut io = Io::new(beat * REQUEST_BEATS, random);
        let members = Members::new(&config);
        let own = Own::new(config, beat, Box::new(has_ended), now, &mut io);
        Self {
            beat,
            up: false,
            generation: None,
            run: own.incarnation(),
            own,
            io,
            members,
            claims: Holdings::new(beat),
            seats: Holdings::new(beat),
            seating: Seating::default(),
            sweep: Sweep::new(beat, now),
            next_list: now,
            next_audit: now + beat,
            stopping: false,
            left: false,
        }
    }

    /// Takes an event of the client of the broker. Frames are not for the arbiter.
    pub fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Up { generation, created } => self.is_up(generation, created, now),
            Event::Down { .. } => {
                self.up = false;
                self.own.is_down();
                self.members.is_down();
            }
            Event::Answered { id, answer } => {
                if let Some((purpose, sent)) = self.io.answered(id) {
                    self.answered(purpose, sent, answer, now);
                }
            }
            Event::Changed { bucket: Bucket::Nodes, key, revision, value } => {
                self.own.changed(&key, now);
                self.members.changed(&key, revision, value.as_ref(), now, &mut self.io);
                self.judged(now);
            }
            Event::Changed { bucket: Bucket::Seats, key, revision, value } => {
                self.seating.changed(&key, revision, value.as_ref(), now);
                self.view_seats(now);
            }
            Event::Changed { bucket: Bucket::Claims, .. } | Event::Frame(_) => {}
        }
        self.act(now);
    }

    /// The pair is wanted. The answer is `Granted`, `HeldBy` or `Unknown`.
    pub fn claim(&mut self, pair: &DomainPair, now: Instant) {
        self.claims.want(pair, now);
        self.act(now);
    }

    /// The pair is no longer wanted. There is no answer.
    pub fn renounce(&mut self, pair: &DomainPair, now: Instant) {
        self.claims.release(pair);
        self.act(now);
    }

    /// The component is connected here. The answer is `Seated`, `SeatTaken` or `SeatUnknown`.
    pub fn seat(&mut self, name: &Domain, now: Instant) {
        self.seats.want(name, now);
        self.act(now);
    }

    /// The time in which a claim or a seat is answered.
    pub fn answers_within(&self) -> Duration {
        self.beat * holdings::ANSWER_BEATS
    }

    /// The component is no longer connected here. There is no answer.
    pub fn unseat(&mut self, name: &Domain, now: Instant) {
        self.seats.release(name);
        self.act(now);
    }

    /// The domains or components that this node serves, or its secret, changed (a reload). The next beat tells the others.
    pub fn reconfigure(&mut self, secret: String, names: Names, now: Instant) {
        self.members.reconfigure(&secret, &names, &mut self.io);
        self.own.reconfigure(secret, names, now);
        self.act(now);
    }

    /// Renounces everything and deletes the record of the node. [`Output::Left`] follows.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        self.claims.release_all();
        self.seats.release_all();
        self.act(now);
    }

    /// Does what is due. Call it at [`Self::next_tick`].
    pub fn tick(&mut self, now: Instant) {
        for (purpose, sent) in self.io.expired(now) {
            self.answered(purpose, sent, Err(EngineError::Unreachable), now);
        }
        self.act(now);
    }

    /// When something is due, if no event comes before.
    pub fn next_tick(&self) -> Instant {
        let mut next = self.next_audit;
        if self.left {
            return next;
        }
        let mut consider = |at: Option<Instant>| next = at.map_or(next, |at| next.min(at));
        consider(self.io.next_expiry());
        consider(self.own.next_tick(self.up));
        consider(self.claims.next_tick());
        consider(self.seats.next_tick());
        if self.up {
            consider(self.members.next_tick());
            consider(Some(self.next_list));
        }
        next
    }

    /// The next request or decision.
    pub fn poll(&mut self) -> Option<Output> {
        self.io.outputs.pop_front()
    }

    /// The current run of this node.
    pub fn incarnation(&self) -> Incarnation {
        self.own.incarnation()
    }

    /// What an operator sees.
    pub fn report(&self, now: Instant) -> Report {
        let mut disagreements = self.members.disagreements();
        if let Some(namesake) = self.own.certain_namesake() {
            let about = Disagreement::SameName(Box::new(namesake.clone()));
            disagreements.push((self.own.name().clone(), about));
        }
        Report {
            incarnation: self.own.incarnation(),
            up: self.up,
            lease: self.own.lease(now),
            refusal: self.own.refusal().map(str::to_owned),
            namesake: self.own.namesake().cloned(),
            refills: self.own.refills(),
            claims: self.claims.granted(),
            seats: self.seats.granted(),
            members: self.members.report(now),
            disagreements,
        }
    }

    #[cfg(test)]
    fn has_output(&self) -> bool {
        !self.io.outputs.is_empty()
    }

    /// Whether a claim was confirmed by the broker in the current run.
    #[cfg(test)]
    fn confirms(&self, pair: &DomainPair, now: Instant) -> bool {
        self.own.lease(now).is_some() && self.claims.confirms(pair)
    }

    /// As [`Self::confirms`], for the seat of a component.
    #[cfg(test)]
    fn confirms_seat(&self, name: &Domain, now: Instant) -> bool {
        self.own.lease(now).is_some() && self.seats.confirms(name)
    }

    fn is_up(&mut self, generation: [u64; 3], created: bool, now: Instant) {
        self.up = true;
        let lost = created || self.generation.is_some_and(|known| known != generation);
        self.generation = Some(generation);
        self.own.is_up(now);
        self.members.is_up(lost, now);
        self.sweep.is_up(now);
        if lost {
            self.data_lost();
        }
        self.next_list = now;
        self.claims.look_again();
        self.seats.look_again();
    }

    /// The broker has lost records. What this node holds is written again before anything new is granted.
    fn data_lost(&mut self) {
        self.own.begin_refill();
        self.members.forget_revisions();
        self.seating.forget_revisions();
        self.claims.doubt_all();
        self.seats.doubt_all();
    }

    /// More is known about other nodes: decisions that waited for it are taken.
    fn judged(&mut self, now: Instant) {
        if self.members.take_news() {
            self.claims.look_at_awaiting();
            self.seats.look_at_awaiting();
            self.view_seats(now);
            self.sweep.wakes();
        }
    }

    fn view_seats(&mut self, now: Instant) {
        self.seating.view(self.own.name(), &mut self.members, &mut self.io, now);
    }

    /// Sends what can be sent now.
    fn act(&mut self, now: Instant) {
        if self.left {
            self.next_audit = now + self.beat;
            return;
        }
        self.own.expires(now, &mut self.io);
        if self.run != self.own.incarnation() {
            // Whatever was confirmed belongs to the run before.
            self.run = self.own.incarnation();
            self.claims.doubt_all();
            self.seats.doubt_all();
        }
        if self.own.ends_refill(now) {
            self.claims.look_again();
            self.seats.look_again();
        }
        if now >= self.next_audit {
            self.next_audit = now + self.beat;
            self.claims.audit(AUDITED_PER_BEAT);
            self.seats.audit(AUDITED_PER_BEAT);
            self.sweep.beat(now);
            if self.may_clean(now) {
                self.members.clean_up(now, &mut self.io);
            }
        }
        if self.up && now >= self.next_list {
            self.next_list = now + self.beat * LIST_BEATS;
            self.io.ask(Op::List, Purpose::ListNodes, now);
            self.io.ask(Op::List, Purpose::ListSeats, now);
        }
        let has_left = self.stopping && self.claims.is_empty() && self.seats.is_empty();
        if has_left && !self.left {
            self.left = self.own.leaves(self.up, now, &mut self.io);
        } else if !has_left {
            let load = Load { links: self.claims.granted() as u64, components: self.seats.granted() as u64 };
            self.own.act(self.up, load, now, &mut self.io);
        }
        let mut scene = holdings::Scene {
            now,
            up: self.up,
            own: &self.own,
            members: &mut self.members,
            io: &mut self.io,
            stopping: self.stopping,
        };
        self.claims.act(&mut scene);
        self.seats.act(&mut scene);
        if self.may_clean(now) {
            let claims = &self.claims;
            self.sweep.act(&self.own, &mut self.members, &mut self.io, |key| claims.knows(key), now);
        }
        if self.up {
            self.members.act(now, &mut self.io);
        }
    }
}

/// A node is dead after five beats without a change, and its lease ends after four.
const BEATS_TO_DEATH: u32 = 5;

/// A request without an answer for two beats will not be answered: the clients of brokers give up earlier.
const REQUEST_BEATS: u32 = 2;

/// The tables of nodes and seats are read as a whole every ten beats (30 s), in case a change was not reported.
const LIST_BEATS: u32 = 10;

/// Claims that are compared with the broker in each beat: 10 a second, so 36,000 an hour.
const AUDITED_PER_BEAT: usize = 32;
