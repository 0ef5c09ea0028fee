//! Random moves of a component between two nodes, each determined by a seed.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::{flow::ferry::Event, scenario::schedules::Random};
use mailbox::Outlet;

/// A component that moves between two nodes at random. What it gets, at whichever node, is in one order.
struct Moving {
    seats: Seats,
    other: Client,
    /// What the component got, with whether it is stamped.
    got: mpsc::Receiver<(usize, bool)>,
    getting: mpsc::Sender<(usize, bool)>,
    sent: usize,
    /// Dropped: the component leaves this node.
    here: Option<oneshot::Sender<()>>,
    brought: Brought,
    /// The owners of the parcels that the other node has brought back, with their numbers there.
    lent: HashMap<u64, (Outlet<Event>, u64)>,
}

impl Moving {
    async fn start() -> Self {
        let mut seats = Seats::new();
        let other = seats.connect(OTHER).await;
        let (getting, got) = mpsc::channel(1_000_000);
        let brought = Brought::by("b");
        let lent = HashMap::new();
        seats.b.settles(false);
        Self { seats, other, got, getting, sent: 0, here: None, brought, lent }
    }

    async fn sends(&mut self, count: usize) {
        self.other.sends(BOT, self.sent..self.sent + count).await;
        self.sent += count;
        moment().await;
    }

    /// What the other node has written since the last call was got.
    fn note_arrived(&mut self) {
        while let Ok(seen) = self.seats.arrived.try_recv() {
            self.getting.try_send((seen.id, seen.is_stamped())).unwrap();
        }
    }

    /// The component writes and acknowledges so many parcels at the other node.
    async fn gets_there(&mut self, parcels: usize) {
        self.seats.b.settles_first(parcels);
        moment().await;
        self.note_arrived();
    }

    async fn leaves(&mut self) {
        if self.here.take().is_some() {
            moment().await;
        }
    }

    /// It connects to this node. The other node brings back what it has.
    async fn comes_here(&mut self) {
        self.leaves().await;
        self.seats.is_nowhere(BOT);
        let mut bot = self.seats.connect(BOT).await;
        let (leaving, mut left) = oneshot::channel::<()>();
        let getting = self.getting.clone();
        self.here = Some(leaving);
        actix_rt::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    stanza = bot.next() => match stanza {
                        Some(stanza) if stanza.starts_with("<message") => {
                            getting.try_send((number(&stanza), stanza.contains("urn:xmpp:delay"))).unwrap();
                        }
                        Some(_) => {}
                        None => return,
                    },
                    _ = &mut left => break,
                }
            }
            for number in bot.closes().await {
                getting.try_send((number, false)).unwrap();
            }
        });
        for (parcel, owner) in self.seats.b.takes_parcels().await {
            let router = &self.seats.house.core.router;
            let stanzas = parcel.batches.iter().flat_map(|batch| &batch.stanzas);
            let number = self.brought.brings_bytes(router, OTHER, BOT, stanzas.cloned().collect());
            self.lent.insert(number, (owner, parcel.number));
        }
        self.settle_lent();
    }

    /// What this node has settled of the parcels that were brought back, the other node settles.
    fn settle_lent(&mut self) {
        for number in self.brought.settled() {
            if let Some((owner, number)) = self.lent.remove(&number) {
                let _ = owner.signal(Event::Settled { numbers: vec![number] });
            }
        }
    }

    async fn goes_there(&mut self) {
        self.leaves().await;
        self.seats.is_at_b(BOT);
        moment().await;
    }
}

#[actix::test]
async fn a_component_that_moves_at_random_gets_everything_once_and_in_order() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(8) {
        let mut random = Random(seed * 7919);
        let mut moving = Moving::start().await;
        for _ in 0..60 {
            match random.below(8) {
                0 => moving.comes_here().await,
                // What was brought here goes back there, if it is not settled.
                1 => moving.goes_there().await,
                2 => moving.leaves().await,
                3 => moving.gets_there(random.below(4)).await,
                4 => moving.settle_lent(),
                _ => moving.sends(1 + random.below(5)).await,
            }
            moment().await;
            moving.settle_lent();
        }
        moving.comes_here().await;
        for _ in 0..20 {
            moment().await;
            moving.settle_lent();
        }
        let got: Vec<(usize, bool)> = std::iter::from_fn(|| moving.got.try_recv().ok()).collect();
        let ids: Vec<usize> = got.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (0..moving.sent).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let account = moving.seats.house.has_settled().await;
        assert_eq!(account.repeated().stanzas, 0);
    }
}
