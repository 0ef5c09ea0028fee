//! The nodes of a scenario.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ::cluster::{
    arbiter,
    engine::fake::{Broker, ClientId, Faults, Hub, random},
    ferry::codec::Versions,
    name::{Incarnation, NodeName},
    names::Names,
    record,
};
use actix::{Actor, ActorContext, Arbiter, Context, Handler};
use tokio::sync::{
    mpsc::{self, Receiver, Sender},
    oneshot,
};
use xmpp::DomainPair;

use super::stanzas::{ids, pair};
use crate::{
    flow::{
        account::Totals,
        batch::Batch,
        claims::{
            Claims, Conflict, Contested, Granted, HeldBy, SeatAt, SeatDelayed, SeatTaken, SeatUnknown,
            Seated, Unknown,
        },
        ferry::{Event, Ferry},
        route::{Ingress, Route},
    },
    relaying::{
        SharedEngine,
        cluster::{self, Cluster, Peering, Receivers},
        ferry, questions,
    },
};
use mailbox::{Inbox, Mailbox, Meter, Outlet, Queued, panic_guard::PanicGuard, workers::Workers};

/// What router, promise and relays of a node get.
#[derive(Debug)]
pub(super) enum Said {
    Granted(Granted),
    HeldBy(HeldBy),
    Unknown(Unknown),
    Conflict(Conflict),
    Seated(Seated),
    SeatTaken(SeatTaken),
    SeatUnknown(SeatUnknown),
    SeatDelayed(SeatDelayed),
    SeatAt(SeatAt),
    Contested(Contested),
    Route(Route),
    /// The relay with this number.
    Relay(u64, Event),
}

/// A stub of router and promise.
pub(super) struct Desk(Sender<Said>);

impl Actor for Desk {
    type Context = Context<Self>;
}

/// A stub of a relay.
pub(super) struct Relay(u64, Sender<Said>);

/// Stop, as a relay does that was retired.
#[derive(Debug)]
pub(super) struct Retire;

impl Actor for Relay {
    type Context = Context<Self>;
}

impl Handler<Queued<Retire>> for Relay {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.into_message();
        context.stop();
    }
}

impl Handler<Queued<Event>> for Relay {
    type Result = ();

    fn handle(&mut self, event: Queued<Event>, _: &mut Context<Self>) {
        // The scenario may be over.
        let _ = self.1.try_send(Said::Relay(self.0, event.into_message()));
    }
}

macro_rules! report {
    ($($message:ident)*) => {$(
        impl Handler<Queued<$message>> for Desk {
            type Result = ();

            fn handle(&mut self, message: Queued<$message>, _: &mut Context<Self>) {
                // The scenario may be over.
                let _ = self.0.try_send(Said::$message(message.into_message()));
            }
        }
    )*};
}

report!(Granted HeldBy Unknown Conflict Seated SeatTaken SeatUnknown SeatDelayed SeatAt Contested Route);

/// The broker of a scenario.
pub(super) struct World {
    pub(super) hub: Hub,
    /// The window of each ferry.
    pub(super) window: usize,
    /// The secret for dialback of each node.
    pub(super) secret: String,
    /// The versions of frames of each node.
    pub(super) versions: Versions,
    /// A node that is started sees that the one before with its name has ended.
    pub(super) sees_processes: bool,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        tokio::time::pause();
        Self {
            hub: Hub::start(Broker::new(seed, faults)),
            window: 8 << 20,
            secret: String::new(),
            versions: Versions::OWN,
            sees_processes: true,
        }
    }

    /// Does something to the broker.
    pub(super) async fn broker(&self, act: impl FnOnce(&mut Broker) + Send + 'static) {
        self.hub.act(move |broker, _| act(broker)).await;
    }

    pub(super) async fn cuts_off(&self, client: ClientId) {
        self.hub.act(move |broker, now| broker.cuts_off(client, now)).await;
    }

    pub(super) async fn rejoins(&self, client: ClientId) {
        self.hub.act(move |broker, now| broker.rejoins(client, now)).await;
    }

    /// Nodes that know each other.
    pub(super) async fn nodes<const COUNT: usize>(&self, names: [&str; COUNT]) -> [Node; COUNT] {
        let mut nodes = Vec::new();
        for name in names {
            nodes.push(self.node(name).await);
        }
        // Each has a lease, and has seen the others.
        tokio::time::sleep(Duration::from_secs(10)).await;
        nodes.try_into().unwrap_or_else(|_| panic!("as many nodes as names"))
    }

    /// Starts a node.
    pub(super) async fn node(&self, name: &str) -> Node {
        let (mut node, inbox) = self.node_with_router(name, 4096).await;
        node.router_starts(inbox);
        node
    }

    /// Starts a node whose router does not run yet, and has room for so many messages.
    pub(super) async fn node_with_router(&self, name: &str, room: usize) -> (Node, Inbox<Desk>) {
        let own = NodeName::new(name).unwrap();
        let (sender, events) = mpsc::channel(1024);
        let client = self.hub.client(own.clone(), sender).await.unwrap();
        let id = client.id();
        let engine: SharedEngine = Arc::new(client);
        let (said, heard) = mpsc::channel(MOST_SAID);
        let (router, inbox) = mailbox::open::<Desk>(&Meter::new("router", room, None), "router");
        let tell = said.clone();
        let promise =
            mailbox::start_on(&Arbiter::current(), &Meter::new("promise", 4096, None), "promise", {
                |_| Desk(tell)
            });
        let account = Arc::new(Totals::of_all());
        let receivers = Receivers {
            granted: promise.outlet(),
            held_by: promise.outlet(),
            unknown: promise.outlet(),
            conflict: promise.outlet(),
            seated: promise.outlet(),
            seat_taken: promise.outlet(),
            seat_unknown: promise.outlet(),
            seat_delayed: promise.outlet(),
            seat_at: promise.outlet(),
            contested: promise.outlet(),
            freeze: None,
        };
        let (panic, _) = mpsc::channel(1);
        let ferries = Peering {
            common: ferry::Common {
                own: own.clone(),
                engine: Arc::clone(&engine),
                routes: router.outlet(),
                account: Arc::clone(&account),
                window: self.window,
            },
            workers: Workers::here(),
            meter: Meter::new("ferry", 4096, None),
            panic: panic.clone(),
        };
        let config = arbiter::Config {
            own: own.clone(),
            versions: self.versions,
            lease: Duration::from_secs(15),
            secret: self.secret.clone(),
            names: Names::new([]),
            process: record::Process {
                host: "host".to_owned(),
                pid: 1,
                place: "place".to_owned(),
                since: String::new(),
            },
        };
        let mut seed = name
            .bytes()
            .fold(id_number(id), |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let random = Box::new(move || random(&mut seed));
        let (to_desk, desk) = questions::Desk::open(own.clone(), Arc::clone(&engine));
        let setup = cluster::Setup {
            cluster: "test".to_owned(),
            config,
            engine,
            events,
            random,
            has_ended: {
                let sees = self.sees_processes;
                Box::new(move |_| sees)
            },
            ferries,
            receivers,
            desk: to_desk,
        };
        let meter = Meter::new("cluster", 4096, None);
        let cluster = mailbox::start_on(&Arbiter::current(), &meter, "cluster", |own| {
            Cluster::new(setup, own, PanicGuard::new("cluster", panic))
        });
        let claims = Cluster::claims(&cluster);
        let (kept, number, desk) = (VecDeque::new(), 0, Some(desk));
        let node = Node { name: own, client: id, cluster, claims, account, desk, said, heard, kept, number };
        (node, inbox)
    }
}

/// A number that no other client has.
fn id_number(id: ClientId) -> u64 {
    format!("{id:?}")
        .bytes()
        .fold(7, |number: u64, byte| number.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// A node.
pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) client: ClientId,
    pub(super) cluster: Mailbox<Cluster>,
    pub(super) claims: Claims,
    pub(super) account: Arc<Totals>,
    /// Answers questions of other nodes, as soon as it is served.
    pub(super) desk: Option<questions::Desk>,
    said: Sender<Said>,
    heard: Receiver<Said>,
    /// What was heard while something else was awaited.
    kept: VecDeque<Said>,
    number: u64,
}

impl Node {
    /// The router of the node runs from now on.
    pub(super) fn router_starts(&mut self, inbox: Inbox<Desk>) {
        let said = self.said.clone();
        inbox.start_on(&Arbiter::current(), || Desk(said));
    }

    /// Waits until something is said, for two minutes at most.
    pub(super) async fn hears<T>(&mut self, what: &str, wanted: impl Fn(Said) -> Result<T, Said>) -> T {
        for _ in 0..self.kept.len() {
            let said = self.kept.pop_front().unwrap();
            match wanted(said) {
                Ok(found) => return found,
                Err(other) => self.kept.push_back(other),
            }
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        loop {
            let said = tokio::time::timeout_at(deadline, self.heard.recv()).await;
            let said = said.unwrap_or_else(|_| panic!("{} hears of {what}: {:?}", self.name, self.kept));
            match wanted(said.unwrap()) {
                Ok(found) => return found,
                Err(other) => self.kept.push_back(other),
            }
        }
    }

    /// What was said and not awaited, by now.
    pub(super) fn rest(&mut self) -> Vec<Said> {
        while let Ok(said) = self.heard.try_recv() {
            self.kept.push_back(said);
        }
        self.kept.drain(..).collect()
    }

    /// Asks for a pair. Gives the number of the claim.
    pub(super) fn claims(&mut self, pair: &DomainPair) -> u64 {
        self.number += 1;
        let claim = crate::flow::claims::Claim { pair: pair.clone(), number: self.number };
        self.claims.claim.signal(claim).unwrap();
        self.number
    }

    pub(super) async fn is_granted(&mut self, pair: &DomainPair) -> u64 {
        let wanted = pair.clone();
        self.hears("a grant", move |said| match said {
            Said::Granted(Granted { pair, number }) if pair == wanted => Ok(number),
            other => Err(other),
        })
        .await
    }

    /// Waits for the way to the holder of a pair.
    pub(super) async fn is_held_by(&mut self, pair: &DomainPair) -> Ferry {
        let wanted = pair.clone();
        self.hears("the holder", move |said| match said {
            Said::HeldBy(HeldBy { pair, ferry, .. }) if pair == wanted => Ok(ferry),
            other => Err(other),
        })
        .await
    }

    /// The way to a node that holds a pair.
    pub(super) async fn way_to(&mut self, holder: &mut Self) -> Ferry {
        let pair = pair("a.example", &format!("{}-{}.example", self.name, holder.number));
        holder.claims(&pair);
        holder.is_granted(&pair).await;
        self.claims(&pair);
        self.is_held_by(&pair).await
    }

    /// Starts a stub of a relay.
    pub(super) fn relay(&self, number: u64) -> Outlet<Event> {
        self.relay_that_ends(number).outlet()
    }

    /// Starts a stub of a relay that a test can retire.
    pub(super) fn relay_that_ends(&self, number: u64) -> Mailbox<Relay> {
        let (meter, said) = (Meter::new("relay", 4096, None), self.said.clone());
        mailbox::start_on(&Arbiter::current(), &meter, "relay", move |_| Relay(number, said))
    }

    /// Waits for the next event of a relay.
    pub(super) async fn relay_hears(&mut self, relay: u64) -> Event {
        self.hears("an event of a relay", move |said| match said {
            Said::Relay(number, event) if number == relay => Ok(event),
            other => Err(other),
        })
        .await
    }

    /// Waits until a relay hears that these parcels are settled, in any order.
    pub(super) async fn relay_has_settled(&mut self, relay: u64, expected: &[u64]) {
        let mut numbers = Vec::new();
        while numbers.len() < expected.len() {
            match self.relay_hears(relay).await {
                Event::Settled { numbers: more } => numbers.extend(more),
                other => panic!("{other:?}"),
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, expected);
    }

    /// Waits for the end of the way of a relay. Gives what is in doubt.
    pub(super) async fn relay_ends(&mut self, relay: u64) -> (String, Vec<u64>) {
        match self.relay_hears(relay).await {
            Event::Ended { reason, in_doubt } => (reason, in_doubt),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the next stanzas of another node.
    pub(super) async fn router_gets(&mut self) -> Vec<Batch> {
        let route = self.hears("stanzas", |said| match said {
            Said::Route(route) => Ok(route),
            other => Err(other),
        });
        let Route { batches, ingress } = route.await;
        assert_eq!(ingress, Ingress::Node);
        batches
    }

    /// Waits for so many stanzas of other nodes.
    pub(super) async fn router_gets_stanzas(&mut self, count: usize) -> Vec<Batch> {
        let mut batches = Vec::new();
        while ids(&batches).len() < count {
            batches.extend(self.router_gets().await);
        }
        assert_eq!(ids(&batches).len(), count);
        batches
    }

    /// Its present run.
    pub(super) async fn incarnation(&self) -> Incarnation {
        let (report, nodes) = oneshot::channel();
        let (ferries, _) = mpsc::channel(64);
        self.cluster.signal_quietly(cluster::Show { report, ferries }).unwrap();
        nodes.await.unwrap().report.incarnation
    }

    /// What it has counted as carried and settled.
    pub(super) fn carried(&self) -> (u64, u64) {
        let (carried, settled) = (self.account.carried(), self.account.carried_settled());
        (carried.stanzas, settled.stanzas)
    }
}

/// More than a node says in a scenario.
const MOST_SAID: usize = 1 << 16;
