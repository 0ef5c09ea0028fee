//! Lets attempts through to an address, a few at a time.
//!
//! One host may serve a thousand domains: it is not to meet a thousand connections at once, and when it is dead it must
//! not take the turns of all others. Sessions and verifications have lanes of their own: two nodes that make links to
//! each other and each have to verify the other's dialback keys first would otherwise wait for each other.
//!
//! Strangers choose the addresses of verifications, so each address has a budget for those that did not confirm a key: the
//! node cannot be made to send many connections to a third party, however many sources ask for them.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;
use xmpp::DomainPair;

use crate::{
    budget::Budget,
    clock, listener,
    mailbox::{Mailbox, Meter, Outlet, Queued},
};

/// Let me connect to this address.
#[derive(Debug)]
pub struct Enter {
    /// Which.
    pub address: IpAddr,
    /// What for.
    pub purpose: Purpose,
    /// Whether to wait until there is room.
    pub waits: bool,
    /// Where the pass goes.
    pub answer: oneshot::Sender<Result<Pass, Full>>,
}

/// Let so many through to each address from now on.
#[derive(Debug)]
pub struct Adopt {
    /// In each lane.
    pub per_address: usize,
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session of this pair.
    Session(DomainPair),
    /// A question about a dialback key.
    Verification,
}

/// An attempt has to wait here.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub pair: DomainPair,
}

/// An attempt that had to wait goes on.
#[derive(Debug)]
pub struct Admitted {
    /// Whose.
    pub pair: DomainPair,
}

/// There is no room, or too many wait for that address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The right to connect to an address, until it is dropped.
#[derive(Debug)]
pub struct Pass {
    door: Door,
    gate: Mailbox<Gate>,
    /// A verification confirmed the key.
    confirmed: bool,
}

/// A connection has ended or stands, told by its pass.
#[derive(Debug)]
struct Left {
    door: Door,
    confirmed: bool,
}

/// An address (an IPv6 /64 is one), and one of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Door {
    address: IpAddr,
    verifies: bool,
}

/// Whom the gate tells that attempts wait: the promise.
#[derive(Clone, Debug)]
pub struct Owners {
    /// One has to wait.
    pub held: Outlet<Held>,
    /// It goes on.
    pub admitted: Outlet<Admitted>,
}

/// The actor at the gate.
pub struct Gate {
    per_address: usize,
    own: Mailbox<Self>,
    owners: Owners,
    meter: Arc<Meter>,
    doors: HashMap<Door, Queue>,
    /// Attempts that wait, for all addresses.
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    inside: usize,
    waiting: VecDeque<Enter>,
    /// Of verifications that have not confirmed a key; none for sessions.
    unconfirmed: Option<Budget>,
}

impl Gate {
    /// A gate that lets `per_address` connections through to each address at once, in each lane.
    pub fn new(per_address: usize, own: Mailbox<Self>, owners: Owners, meter: Arc<Meter>) -> Self {
        Self { per_address, own, owners, meter, doors: HashMap::new(), waiting: 0 }
    }

    fn enter(&mut self, enter: Enter) {
        let (door, now) = (Door::of(&enter), clock::now());
        let queue = self.doors.entry(door).or_default();
        if door.verifies {
            // Those under way have not confirmed anything yet, and are not to use it up.
            let most = UNCONFIRMED.max(2 * self.per_address);
            queue.unconfirmed.get_or_insert_with(|| Budget::new(most, UNCONFIRMED_PER_SECOND, now));
            if !queue.has_budget(now) {
                let _ = enter.answer.send(Err(Full));
                return;
            }
        }
        if queue.inside < self.per_address {
            queue.enter(now);
            self.let_in(door, enter);
        } else if !enter.waits
            || queue.waiting.len() >= self.per_address.saturating_mul(LINE)
            || self.waiting >= WAITING
        {
            // Whoever asked may have given up.
            let _ = enter.answer.send(Err(Full));
        } else {
            if let Purpose::Session(pair) = &enter.purpose {
                let _ = self.owners.held.signal(Held { pair: pair.clone() });
            }
            queue.waiting.push_back(enter);
            self.waiting += 1;
        }
    }

    /// Gives a pass to one that has been counted; a pass that nobody takes counts itself out.
    fn let_in(&self, door: Door, enter: Enter) {
        let _ = enter.answer.send(Ok(Pass { door, gate: self.own.clone(), confirmed: false }));
    }

    fn left(&mut self, door: Door, confirmed: bool) {
        if let Some(queue) = self.doors.get_mut(&door) {
            queue.inside -= 1;
            if confirmed && let Some(budget) = &mut queue.unconfirmed {
                // Its own cost, and that of another: a host of many domains has some that are broken.
                budget.give_back(2, clock::now());
            }
            self.let_in_next(door);
        }
    }

    /// Lets in as many as there is room for. Those who have given up meanwhile are passed over.
    fn let_in_next(&mut self, door: Door) {
        while let Some(queue) = self.doors.get_mut(&door)
            && queue.inside < self.per_address
        {
            let Some(next) = queue.waiting.pop_front() else {
                if queue.is_done(clock::now()) {
                    self.doors.remove(&door);
                }
                return;
            };
            self.waiting -= 1;
            if next.answer.is_closed() {
                continue;
            }
            if !queue.has_budget(clock::now()) {
                let _ = next.answer.send(Err(Full));
                continue;
            }
            queue.enter(clock::now());
            // The promise has to know before the attempt can tell it anything.
            if let Purpose::Session(pair) = &next.purpose {
                let _ = self.owners.admitted.signal(Admitted { pair: pair.clone() });
            }
            self.let_in(door, next);
        }
    }
}

impl Queue {
    /// Counts one that goes in.
    fn enter(&mut self, now: Instant) {
        self.inside += 1;
        if let Some(budget) = &mut self.unconfirmed {
            budget.take(now);
        }
    }

    fn has_budget(&mut self, now: Instant) -> bool {
        self.unconfirmed.as_mut().is_none_or(|budget| budget.has_room(now))
    }

    /// Whether there is nothing to remember.
    fn is_done(&mut self, now: Instant) -> bool {
        self.inside == 0
            && self.waiting.is_empty()
            && self.unconfirmed.as_mut().is_none_or(|budget| budget.is_whole(now))
    }
}

impl Pass {
    /// Ends the pass of a verification that confirmed a key, which costs the address nothing.
    pub fn confirm(mut self) {
        self.confirmed = true;
    }
}

impl Door {
    fn of(enter: &Enter) -> Self {
        let verifies = matches!(enter.purpose, Purpose::Verification);
        Self { address: listener::site(enter.address), verifies }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // A gate that is gone counts no more.
        let _ = self.gate.signal(Left { door: self.door, confirmed: self.confirmed });
    }
}

impl Actor for Gate {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(SWEEP, |gate, _| {
            let now = clock::now();
            gate.doors.retain(|_, queue| !queue.is_done(now));
        });
    }
}

impl Handler<Queued<Enter>> for Gate {
    type Result = ();

    fn handle(&mut self, enter: Queued<Enter>, _: &mut Context<Self>) {
        self.enter(enter.open());
    }
}

impl Handler<Queued<Left>> for Gate {
    type Result = ();

    fn handle(&mut self, left: Queued<Left>, _: &mut Context<Self>) {
        let Left { door, confirmed } = left.open();
        self.left(door, confirmed);
    }
}

impl Handler<Queued<Adopt>> for Gate {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        self.per_address = adopt.open().per_address;
        // Where there is more room now, nobody waits for the next one to leave.
        let doors: Vec<Door> = self.doors.keys().copied().collect();
        doors.into_iter().for_each(|door| self.let_in_next(door));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// Attempts that may wait for one address, for each connection to it that is under way at once: with 32, the 10,000
/// domains of a large hoster. At a hundred links a second, which is what one core makes, all have their turn within the
/// time that a message waits.
const LINE: usize = 512;

/// Attempts that may wait for all addresses. One that waits takes about 8 KiB.
const WAITING: usize = 32_768;

/// Verifications without a confirmed key that may go to one address in a burst.
const UNCONFIRMED: usize = 60;

/// Those that may go there in the long run: one connection a second is no burden to any server, and a host with broken
/// domains is still asked about each of them now and then.
const UNCONFIRMED_PER_SECOND: f64 = 1.0;

/// How often addresses are forgotten whose budget is whole again. Until then each takes some 150 bytes, and the verifier's
/// own limits let strangers name 80 of them in a second.
const SWEEP: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use actix::Arbiter;

    use super::*;
    use crate::mailbox;

    /// Stands where the promise would.
    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    impl Handler<Queued<Held>> for Nobody {
        type Result = ();

        fn handle(&mut self, held: Queued<Held>, _: &mut Context<Self>) {
            held.open();
        }
    }

    impl Handler<Queued<Admitted>> for Nobody {
        type Result = ();

        fn handle(&mut self, admitted: Queued<Admitted>, _: &mut Context<Self>) {
            admitted.open();
        }
    }

    fn start(per_address: usize) -> Mailbox<Gate> {
        let here = Arbiter::current();
        let nobody = mailbox::start_on(&here, &Meter::new("nobody", 1024, None), "nobody", move |_| Nobody);
        let owners = Owners { held: nobody.outlet(), admitted: nobody.outlet() };
        let meter = Meter::new("gate", 65_536, None);
        let counted = Arc::clone(&meter);
        mailbox::start_on(&here, &meter, "gate", move |own| Gate::new(per_address, own, owners, counted))
    }

    fn enter(gate: &Mailbox<Gate>, purpose: Purpose) -> oneshot::Receiver<Result<Pass, Full>> {
        let (answer, answered) = oneshot::channel();
        let address = [192, 0, 2, 7].into();
        gate.tell(Enter { address, purpose, waits: true, answer }).unwrap();
        answered
    }

    async fn verifications(gate: &Mailbox<Gate>, number: usize, confirmed: bool) -> usize {
        let mut entered = 0;
        for _ in 0..number {
            if let Ok(pass) = enter(gate, Purpose::Verification).await.unwrap() {
                entered += 1;
                if confirmed {
                    pass.confirm();
                }
            }
        }
        entered
    }

    #[actix::test]
    async fn verifications_that_confirm_nothing_are_few_to_one_address_and_sessions_are_not_counted() {
        tokio::time::pause();
        let gate = start(2);
        assert_eq!(verifications(&gate, 200, false).await, UNCONFIRMED);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(verifications(&gate, 200, false).await, 10);
        let pair = DomainPair {
            local: xmpp::Domain::new("a.example").unwrap(),
            remote: xmpp::Domain::new("b.example").unwrap(),
        };
        for _ in 0..200 {
            assert!(enter(&gate, Purpose::Session(pair.clone())).await.unwrap().is_ok());
        }
    }

    #[actix::test]
    async fn verifications_that_confirm_a_key_cost_an_address_nothing() {
        tokio::time::pause();
        let gate = start(32);
        assert_eq!(verifications(&gate, 10_000, true).await, 10_000);
        // A third of them may be broken.
        for _ in 0..100 {
            assert_eq!(verifications(&gate, 1, false).await, 1);
            assert_eq!(verifications(&gate, 2, true).await, 2);
        }
    }

    #[actix::test]
    async fn verifications_that_waited_are_counted_when_they_go_in() {
        tokio::time::pause();
        let gate = start(1);
        let waiting: Vec<_> = (0..100).map(|_| enter(&gate, Purpose::Verification)).collect();
        let mut entered = 0;
        for answered in waiting {
            entered += usize::from(answered.await.unwrap().is_ok());
        }
        assert_eq!(entered, UNCONFIRMED);
    }

    fn door(address: &str) -> Door {
        let (answer, _) = oneshot::channel();
        let address = address.parse().unwrap();
        Door::of(&Enter { address, purpose: Purpose::Verification, waits: true, answer })
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_one() {
        assert_eq!(door("2001:db8::7"), door("2001:db8::8:9"));
        assert_ne!(door("2001:db8::7"), door("2001:db8:0:1::7"));
        assert_ne!(door("192.0.2.7"), door("192.0.2.8"));
    }
}
