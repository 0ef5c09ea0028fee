//! Several nodes with ferries between them, and a cluster that says where each component is connected. All messages between
//! them take a random time.

use std::collections::{BTreeMap, HashMap};

use actix::{Actor, Handler};
use cluster::{ferry::Ranges, name::NodeName};

use super::*;
use crate::{
    flow::{
        batch::Batch,
        fence::{Fence, Lease},
        ferry::{Carry, Event, Ferry},
        journal::{Change, ParcelChanged, Place, Places, Receipt},
        route::{Ingress, Route},
    },
    routing::router::Router,
    scenario::schedules::Random,
};
use mailbox::{Outlet, Queued};

/// The nodes.
pub(super) struct World {
    pub(super) houses: Vec<House>,
}

/// What the cluster tells a node.
enum Told {
    Seated(Domain),
    Taken(Domain, usize),
    At(Domain, Option<usize>),
    Contested(Domain),
}

impl World {
    /// So many nodes, with these components.
    pub(super) fn of(nodes: usize, names: &[(Domain, Conflict, Absence)], seed: u64) -> Self {
        let (mut houses, mut noted) = (Vec::new(), Vec::new());
        for _ in 0..nodes {
            let (engine, notes) = FakeCluster::start();
            let claims = Claims {
                claim: engine.outlet(),
                renounce: engine.outlet(),
                seat: engine.outlet(),
                unseat: engine.outlet(),
                contest: engine.outlet(),
            };
            houses.push(House::beside(names.to_vec(), Beside { seats: Some(claims), ..Beside::default() }));
            noted.push(notes);
        }
        let (note, mut notes) = mpsc::channel(1_000_000);
        let mut tell = Vec::new();
        for (node, mut noted) in noted.into_iter().enumerate() {
            let note = note.clone();
            actix_rt::spawn(async move {
                while let Some(noted) = noted.recv().await {
                    note.try_send((node, noted)).unwrap();
                }
            });
            let router = houses[node].core.router.clone();
            let way = |other: usize, house: &House| {
                Bridge::start(node, house.core.router.clone(), seed * 100 + (node * 10 + other) as u64)
            };
            let ways = houses.iter().enumerate().map(|(other, house)| way(other, house)).collect();
            tell.push(tells(router, ways, Random(seed * 77 + node as u64)));
        }
        // The table of seats.
        actix_rt::spawn(async move {
            let mut table: HashMap<String, usize> = HashMap::new();
            while let Some((node, noted)) = notes.recv().await {
                let tell_others = |name: &str, at: Option<usize>| {
                    for other in (0..tell.len()).filter(|other| *other != node) {
                        tell[other].try_send(Told::At(domain(name), at)).unwrap();
                    }
                };
                match noted {
                    Noted::Seat(name) => match table.get(&name) {
                        Some(other) if *other != node => {
                            tell[node].try_send(Told::Taken(domain(&name), *other)).unwrap();
                        }
                        _ => {
                            tell[node].try_send(Told::Seated(domain(&name))).unwrap();
                            tell_others(&name, Some(node));
                            table.insert(name, node);
                        }
                    },
                    Noted::Unseat(name) => {
                        if table.get(&name) == Some(&node) {
                            table.remove(&name);
                            tell_others(&name, None);
                        }
                    }
                    Noted::Contest(name) => {
                        if let Some(other) = table.get(&name) {
                            tell[*other].try_send(Told::Contested(domain(&name))).unwrap();
                        }
                    }
                    Noted::Claimed(_) | Noted::Renounced(_) => {}
                }
            }
        });
        Self { houses }
    }
}

/// Tells the router of a node what the cluster says, in order.
fn tells(router: Mailbox<Router>, ways: Vec<Mailbox<Bridge>>, mut random: Random) -> mpsc::Sender<Told> {
    let (tell, mut told) = mpsc::channel(1_000_000);
    actix_rt::spawn(async move {
        while let Some(told) = told.recv().await {
            delays(&mut random).await;
            match told {
                Told::Seated(name) => router.signal(Seated { name }).unwrap(),
                Told::Taken(name, node) => {
                    router.signal(SeatTaken { name, node: node_name(node) }).unwrap();
                }
                Told::At(name, at) => {
                    let way = |node: usize| Ferry { node: node_name(node), carry: ways[node].outlet() };
                    router.signal(SeatAt { name, seat: at.map(way) }).unwrap();
                }
                Told::Contested(name) => router.signal(Contested { name }).unwrap(),
            }
        }
    });
    tell
}

fn node_name(node: usize) -> NodeName {
    NodeName::new(["a", "b", "c"][node]).unwrap()
}

/// A few milliseconds, or none.
async fn delays(random: &mut Random) {
    match random.below(4) {
        0 => {}
        _ => tokio::time::sleep(Duration::from_micros(random.below(8_000) as u64)).await,
    }
}

/// The ferry from one node to another: parcels arrive in order, and so do the reports about them.
struct Bridge {
    own: Mailbox<Self>,
    fence: Fence,
    there: mpsc::Sender<Vec<Batch>>,
    back: mpsc::Sender<(Outlet<Event>, Event)>,
    last: u64,
    lent: BTreeMap<u64, Lent>,
}

struct Lent {
    owner: Outlet<Event>,
    number: u64,
    given_back: Ranges,
}

impl Bridge {
    /// From the node with the number `from` to that of this router.
    fn start(from: usize, router: Mailbox<Router>, seed: u64) -> Mailbox<Self> {
        let (there, mut arriving) = mpsc::channel(1_000_000);
        let (back, mut returning) = mpsc::channel::<(Outlet<Event>, Event)>(1_000_000);
        let now = clock::now();
        let lease = Arc::new(Lease::new(now, now + Duration::from_secs(86_400)));
        let fence = Fence::new(lease, node_name(from));
        actix_rt::spawn(async move {
            let mut random = Random(seed);
            while let Some(batches) = arriving.recv().await {
                delays(&mut random).await;
                router.tell(Route { batches, ingress: Ingress::Node }).unwrap();
            }
        });
        actix_rt::spawn(async move {
            let mut random = Random(seed + 1);
            while let Some((owner, event)) = returning.recv().await {
                delays(&mut random).await;
                // The relay may have ended.
                let _ = owner.signal(event);
            }
        });
        let meter = Meter::new("ferry", CAPACITY, None);
        mailbox::start_on(&actix::Arbiter::current(), &meter, "ferry", |own| Self {
            own,
            fence,
            there,
            back,
            last: 0,
            lent: BTreeMap::new(),
        })
    }
}

impl Actor for Bridge {
    type Context = actix::Context<Self>;
}

impl Handler<Queued<Carry>> for Bridge {
    type Result = ();

    fn handle(&mut self, carry: Queued<Carry>, _: &mut actix::Context<Self>) {
        let Carry { parcel, owner } = carry.into_message();
        self.last += 1;
        let (begins, own) = (parcel.number == 1, self.own.outlet());
        let (receipt, _) = Receipt::of_parcel(self.last, begins, own, self.fence.clone());
        let mut next = 0;
        let batches = parcel.batches.into_iter().map(|carried| {
            let mut batch = Batch::between(carried.from, carried.to, Vec::new());
            (batch.since, batch.returning, batch.sends) = (carried.since, carried.returning, carried.sends);
            (batch.receipt, batch.places) = (receipt.clone(), Places::default());
            for bytes in carried.stanzas {
                batch.push(xmpp::Stanza::restore(bytes).unwrap(), Place::Lent(next));
                next += 1;
            }
            batch
        });
        let batches = batches.collect();
        let lent = Lent { owner, number: parcel.number, given_back: Ranges::new() };
        self.lent.insert(self.last, lent);
        self.there.try_send(batches).unwrap();
    }
}

impl Handler<Queued<ParcelChanged>> for Bridge {
    type Result = ();

    fn handle(&mut self, changed: Queued<ParcelChanged>, _: &mut actix::Context<Self>) {
        let ParcelChanged { number, change } = changed.into_message();
        match change {
            Change::Lost => panic!("parcel {number} is lost"),
            Change::GivenBack { stanzas, .. } => {
                self.lent.get_mut(&number).unwrap().given_back.merge(&stanzas);
            }
            Change::Ended => {
                let Lent { owner, number, given_back } = self.lent.remove(&number).unwrap();
                let event = match given_back.is_empty() {
                    true => Event::Settled { numbers: vec![number] },
                    false => Event::GivenBack { number, stanzas: given_back },
                };
                self.back.try_send((owner, event)).unwrap();
            }
        }
    }
}
