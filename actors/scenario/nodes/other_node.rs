//! The other nodes of a scenario, and the actor of the cluster, which answers claims as a test wants.

use std::{collections::VecDeque, fmt};

use actix::{Actor, Context, Handler};
use cluster::name::NodeName;

use crate::{
    flow::{
        claims::{Claim, Contest, Granted, HeldBy, Renounce, Seat, Unknown, Unseat},
        ferry::{Carry, Event, Ferry, Parcel},
    },
    routing::promise::Promise,
    scenario::{CAPACITY, Seen, number},
};
use actix::Arbiter;
use mailbox::{Mailbox, Meter, Outlet, Queued};
use tokio::sync::{mpsc, oneshot};
use xmpp::DomainPair;

/// What the cluster was asked.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Noted {
    Claimed(u64),
    Renounced(u64),
    Seat(String),
    Unseat(String),
    Contest(String),
}

/// How claims are answered from now on. Those that are not answered are answered at once.
#[derive(Clone, Debug)]
pub(in crate::scenario) enum Rule {
    /// Not at all.
    Silence,
    Granted,
    HeldBy(Ferry),
    Unknown,
}

/// The promise to answer.
#[derive(Debug)]
pub(in crate::scenario) struct Promised(pub(in crate::scenario) Mailbox<Promise>);

/// An actor in place of that of the cluster.
pub(in crate::scenario) struct FakeCluster {
    rule: Rule,
    promise: Option<Mailbox<Promise>>,
    open: Vec<(DomainPair, u64)>,
    noted: mpsc::Sender<Noted>,
}

impl FakeCluster {
    pub(in crate::scenario) fn start() -> (Mailbox<Self>, mpsc::Receiver<Noted>) {
        let (noted, notes) = mpsc::channel(1_000_000);
        let meter = Meter::new("cluster", CAPACITY, None);
        let own = mailbox::start_on(&Arbiter::current(), &meter, "cluster", |_| Self {
            rule: Rule::Silence,
            promise: None,
            open: Vec::new(),
            noted,
        });
        (own, notes)
    }

    fn answer(&mut self) {
        let Some(promise) = &self.promise else { return };
        if matches!(self.rule, Rule::Silence) {
            return;
        }
        for (pair, number) in self.open.drain(..) {
            let sent = match self.rule.clone() {
                Rule::Silence => true,
                Rule::Granted => promise.signal(Granted { pair, number }).is_ok(),
                Rule::HeldBy(ferry) => promise.signal(HeldBy { pair, number, ferry }).is_ok(),
                Rule::Unknown => promise.signal(Unknown { pair, number, why: "a test".to_owned() }).is_ok(),
            };
            assert!(sent);
        }
    }
}

impl Actor for FakeCluster {
    type Context = Context<Self>;
}

impl Handler<Queued<Promised>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, promised: Queued<Promised>, _: &mut Context<Self>) {
        self.promise = Some(promised.into_message().0);
        self.answer();
    }
}

impl Handler<Queued<Rule>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, rule: Queued<Rule>, _: &mut Context<Self>) {
        self.rule = rule.into_message();
        self.answer();
    }
}

impl Handler<Queued<Claim>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, claim: Queued<Claim>, _: &mut Context<Self>) {
        let Claim { pair, number } = claim.into_message();
        self.open.push((pair, number));
        let _ = self.noted.try_send(Noted::Claimed(number));
        self.answer();
    }
}

impl Handler<Queued<Renounce>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, renounce: Queued<Renounce>, _: &mut Context<Self>) {
        // An answer may be on its way: those that are open are answered all the same.
        let _ = self.noted.try_send(Noted::Renounced(renounce.into_message().number));
    }
}

impl Handler<Queued<Seat>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, message: Queued<Seat>, _: &mut Context<Self>) {
        let _ = self.noted.try_send(Noted::Seat(message.into_message().name.to_string()));
    }
}

impl Handler<Queued<Unseat>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, message: Queued<Unseat>, _: &mut Context<Self>) {
        let _ = self.noted.try_send(Noted::Unseat(message.into_message().name.to_string()));
    }
}

impl Handler<Queued<Contest>> for FakeCluster {
    type Result = ();

    fn handle(&mut self, message: Queued<Contest>, _: &mut Context<Self>) {
        let _ = self.noted.try_send(Noted::Contest(message.into_message().name.to_string()));
    }
}

/// Another node, which holds the links of all pairs that it gets stanzas for.
#[derive(Clone)]
pub(in crate::scenario) struct OtherNode {
    ferry: Mailbox<FakeFerry>,
}

/// The ferry to it.
pub(in crate::scenario) struct FakeFerry {
    is_settling: bool,
    /// The longest stanza that the broker permits.
    longest: usize,
    arrived: mpsc::Sender<Seen>,
    parcels: VecDeque<(Parcel, Outlet<Event>)>,
    /// The relays.
    owners: Vec<Outlet<Event>>,
}

type Act = Box<dyn FnOnce(&mut FakeFerry) + Send>;

/// A step of a test.
pub(in crate::scenario) struct Step(Act);

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

impl OtherNode {
    /// Stanzas that it writes count as arrived.
    pub(in crate::scenario) fn start(arrived: mpsc::Sender<Seen>) -> Self {
        let meter = Meter::new("ferry", CAPACITY, None);
        let ferry = mailbox::start_on(&Arbiter::current(), &meter, "ferry", |_| FakeFerry {
            is_settling: true,
            longest: usize::MAX,
            arrived,
            parcels: VecDeque::new(),
            owners: Vec::new(),
        });
        Self { ferry }
    }

    /// Settles everything from now on, or nothing.
    pub(in crate::scenario) fn settles(&self, is_settling: bool) {
        self.step(move |ferry| {
            ferry.is_settling = is_settling;
            if is_settling {
                ferry.settle(usize::MAX);
            }
        });
    }

    /// Settles so many parcels.
    pub(in crate::scenario) fn settles_first(&self, count: usize) {
        self.step(move |ferry| ferry.settle(count));
    }

    /// Settles the parcels at these places, in this order.
    pub(in crate::scenario) fn settles_each(&self, places: Vec<usize>) {
        self.step(move |ferry| {
            let mut gone = Vec::new();
            for place in places {
                let (parcel, owner) = &ferry.parcels[place];
                ferry.write(parcel);
                let _ = owner.signal(Event::Settled { numbers: vec![parcel.number] });
                gone.push(place);
            }
            gone.sort_unstable();
            gone.into_iter().rev().for_each(|place| drop(ferry.parcels.remove(place)));
        });
    }

    /// The window is used up, or has room again.
    pub(in crate::scenario) fn allows(&self, bytes: usize) {
        self.step(move |ferry| ferry.each_owner(|owner| drop(owner.signal(Event::Allowed { bytes }))));
    }

    /// The broker permits stanzas of so many bytes.
    pub(in crate::scenario) fn permits(&self, longest: usize) {
        self.step(move |ferry| ferry.longest = longest);
    }

    /// The way ends. So many of the unsettled parcels were written, and nobody has learned of it.
    pub(in crate::scenario) fn dies(&self, written: usize) {
        self.step(move |ferry| {
            ferry.parcels.iter().take(written).for_each(|(parcel, _)| ferry.write(parcel));
            let in_doubt: Vec<u64> =
                ferry.parcels.iter().take(written).map(|(parcel, _)| parcel.number).collect();
            ferry.end(&in_doubt);
        });
    }

    /// The number of unsettled parcels, and their bytes.
    pub(in crate::scenario) async fn unsettled(&self) -> (usize, usize) {
        let (answer, answered) = oneshot::channel();
        self.step(move |ferry| {
            let bytes = ferry.parcels.iter().map(|(parcel, _)| parcel.bytes).sum();
            let _ = answer.send((ferry.parcels.len(), bytes));
        });
        answered.await.unwrap()
    }

    /// The component has left it: it gives everything back, and has written so many stanzas of that.
    pub(in crate::scenario) fn gives_back(&self, written: u64) {
        self.step(move |ferry| ferry.give_back(written));
    }

    /// Gives back the parcel at this place, and all of it.
    pub(in crate::scenario) fn gives_back_one(&self, place: usize) {
        self.step(move |ferry| {
            let (parcel, owner) = ferry.parcels.remove(place).unwrap();
            let last = parcel.batches.iter().map(|batch| batch.stanzas.len() as u64).sum::<u64>() - 1;
            let stanzas = [(0, last)].into_iter().collect();
            let _ = owner.signal(Event::GivenBack { number: parcel.number, stanzas });
        });
    }

    fn step(&self, act: impl FnOnce(&mut FakeFerry) + Send + 'static) {
        self.ferry.signal(Step(Box::new(act))).unwrap();
    }
}

impl FakeFerry {
    fn settle(&mut self, count: usize) {
        for _ in 0..count.min(self.parcels.len()) {
            let Some((parcel, owner)) = self.parcels.pop_front() else { return };
            self.write(&parcel);
            let _ = owner.signal(Event::Settled { numbers: vec![parcel.number] });
        }
    }

    fn write(&self, parcel: &Parcel) {
        for batch in &parcel.batches {
            assert!(batch.stanzas.iter().map(bytes::Bytes::len).sum::<usize>() <= parcel.bytes);
            for stanza in &batch.stanzas {
                let stanza = String::from_utf8(stanza.to_vec()).unwrap();
                let (remote, id, at) = (batch.to.to_string(), number(&stanza), clock::now());
                self.arrived.try_send(Seen { remote, id, at, stanza }).unwrap();
            }
        }
    }

    fn give_back(&mut self, mut written: u64) {
        for (mut parcel, owner) in std::mem::take(&mut self.parcels) {
            let number = parcel.number;
            let count = parcel.batches.iter().map(|batch| batch.stanzas.len() as u64).sum();
            if let Some(last) = u64::checked_sub(count, 1).filter(|_| written < count) {
                let stanzas = [(written, last)].into_iter().collect();
                let _ = owner.signal(Event::GivenBack { number, stanzas });
            } else {
                let _ = owner.signal(Event::Settled { numbers: vec![number] });
            }
            for batch in &mut parcel.batches {
                batch.stanzas.truncate(usize::try_from(written).unwrap());
                written -= batch.stanzas.len() as u64;
            }
            self.write(&parcel);
        }
    }

    fn each_owner(&self, act: impl Fn(&Outlet<Event>)) {
        self.owners.iter().for_each(act);
    }

    fn end(&mut self, in_doubt: &[u64]) {
        self.parcels.clear();
        for owner in self.owners.drain(..) {
            let _ = owner.signal(Event::Ended { reason: "a test".to_owned(), in_doubt: in_doubt.to_vec() });
        }
    }
}

impl Actor for FakeFerry {
    type Context = Context<Self>;
}

impl Handler<Queued<Carry>> for FakeFerry {
    type Result = ();

    fn handle(&mut self, carry: Queued<Carry>, _: &mut Context<Self>) {
        let Carry { mut parcel, owner } = carry.into_message();
        if parcel.number == 1 {
            self.owners.push(owner.clone());
        }
        if parcel.take_longer_than(self.longest).is_some() {
            let _ = owner.signal(Event::TooLong { number: parcel.number, longest: self.longest });
        }
        self.parcels.push_back((parcel, owner));
        if self.is_settling {
            self.settle(usize::MAX);
        }
    }
}

impl Handler<Queued<Step>> for FakeFerry {
    type Result = ();

    fn handle(&mut self, step: Queued<Step>, _: &mut Context<Self>) {
        (step.into_message().0)(self);
    }
}

/// The way to another node.
pub(in crate::scenario) fn ferry(node: &str, other: &OtherNode) -> Ferry {
    Ferry { node: NodeName::new(node).unwrap(), carry: other.ferry.outlet() }
}
