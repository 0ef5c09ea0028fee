//! Lets attempts through to an address, a few at a time.
//!
//! One host may serve a thousand domains: it is not to meet a thousand connections at once, and when it is dead it must
//! not take the turns of all others. Sessions and verifications have lanes of their own: two nodes that make links to
//! each other and each have to verify the other's dialback keys first would otherwise wait for each other.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;
use xmpp::DomainPair;

use crate::{
    listener,
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
}

/// A connection has ended or stands, told by its pass.
#[derive(Debug)]
struct Left {
    door: Door,
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
}

impl Gate {
    /// A gate that lets `per_address` connections through to each address at once, in each lane.
    pub fn new(per_address: usize, own: Mailbox<Self>, owners: Owners, meter: Arc<Meter>) -> Self {
        Self { per_address, own, owners, meter, doors: HashMap::new(), waiting: 0 }
    }

    fn enter(&mut self, enter: Enter) {
        let door = Door::of(&enter);
        let queue = self.doors.entry(door).or_default();
        if queue.inside < self.per_address {
            queue.inside += 1;
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
        let _ = enter.answer.send(Ok(Pass { door, gate: self.own.clone() }));
    }

    fn left(&mut self, door: Door) {
        if let Some(queue) = self.doors.get_mut(&door) {
            queue.inside -= 1;
            self.let_in_next(door);
        }
    }

    /// Lets in as many as there is room for. Those who have given up meanwhile are passed over.
    fn let_in_next(&mut self, door: Door) {
        while let Some(queue) = self.doors.get_mut(&door)
            && queue.inside < self.per_address
        {
            let Some(next) = queue.waiting.pop_front() else {
                if queue.inside == 0 {
                    self.doors.remove(&door);
                }
                return;
            };
            self.waiting -= 1;
            if next.answer.is_closed() {
                continue;
            }
            queue.inside += 1;
            // The promise has to know before the attempt can tell it anything.
            if let Purpose::Session(pair) = &next.purpose {
                let _ = self.owners.admitted.signal(Admitted { pair: pair.clone() });
            }
            self.let_in(door, next);
        }
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
        let _ = self.gate.signal(Left { door: self.door });
    }
}

impl Actor for Gate {
    type Context = Context<Self>;
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
        let Left { door } = left.open();
        self.left(door);
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

#[cfg(test)]
mod tests {
    use super::*;

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
