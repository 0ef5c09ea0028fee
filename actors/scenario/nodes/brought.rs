//! Parcels that another node of a scenario brings to the router.

use std::{collections::HashSet, sync::Arc, time::Duration};

use actix::{Actor, Arbiter, Context, Handler};
use cluster::{ferry::Ranges, name::NodeName};
use tokio::sync::mpsc;
use xmpp::Domain;

use crate::{
    flow::{
        batch::Batch,
        fence::{Fence, Lease, Mark},
        journal::{Change, ParcelChanged, Places, Receipt},
        route::{Ingress, Route},
    },
    routing::router::Router,
    scenario::{CAPACITY, Kind, OURS},
};
use mailbox::{Mailbox, Meter, Queued};

/// Notes which parcels of another node are settled, lost or given back here.
pub(in crate::scenario) struct Settlements {
    settled: mpsc::Sender<u64>,
    given_back: mpsc::Sender<(u64, Ranges)>,
    /// Those of which something was given back.
    unsettled: HashSet<u64>,
}

impl Actor for Settlements {
    type Context = Context<Self>;
}

impl Handler<Queued<ParcelChanged>> for Settlements {
    type Result = ();

    fn handle(&mut self, changed: Queued<ParcelChanged>, _: &mut Context<Self>) {
        let ParcelChanged { number, change } = changed.into_message();
        match change {
            Change::Lost => panic!("parcel {number} is lost"),
            Change::GivenBack { stanzas, .. } => {
                self.unsettled.insert(number);
                let _ = self.given_back.try_send((number, stanzas));
            }
            Change::Ended if self.unsettled.contains(&number) => {}
            Change::Ended => drop(self.settled.try_send(number)),
        }
    }
}

/// Parcels that another node brings to the router.
pub(in crate::scenario) struct Brought {
    settlements: Mailbox<Settlements>,
    settled: mpsc::Receiver<u64>,
    given_back: mpsc::Receiver<(u64, Ranges)>,
    pub(in crate::scenario) fence: Fence,
    pub(in crate::scenario) lease: Arc<Lease>,
    number: u64,
    /// The next parcel is the first of a relay.
    begins: bool,
}

impl Brought {
    pub(in crate::scenario) fn by(node: &str) -> Self {
        let (settling, settled) = mpsc::channel(1_000_000);
        let (giving_back, given_back) = mpsc::channel(1_000_000);
        let meter = Meter::new("ferry", CAPACITY, None);
        let settlements = mailbox::start_on(&Arbiter::current(), &meter, "ferry", |_| Settlements {
            settled: settling,
            given_back: giving_back,
            unsettled: HashSet::new(),
        });
        let now = clock::now();
        let lease = Arc::new(Lease::new(now, now + Duration::from_secs(86_400)));
        let fence = Fence::new(Arc::clone(&lease), NodeName::new(node).unwrap());
        Self { settlements, settled, given_back, fence, lease, number: 0, begins: true }
    }

    /// The next parcel is the first of another relay of that node.
    pub(in crate::scenario) fn begins(&mut self) {
        self.begins = true;
    }

    /// Brings numbered stanzas from one domain to another. Gives the mark of their parcel.
    pub(in crate::scenario) fn brings(
        &mut self,
        router: &Mailbox<Router>,
        from: &str,
        to: &str,
        kind: Kind,
        ids: std::ops::Range<usize>,
    ) -> Mark {
        let stanzas = ids.map(|id| stanza(&kind.stanza(to, id).replace(OURS, from))).collect();
        self.brings_all(router, from, to, stanzas)
    }

    /// Brings so many stanzas at once, each in a parcel of its own, as when a broker is back after a while.
    pub(in crate::scenario) fn brings_each(
        &mut self,
        router: &Mailbox<Router>,
        from: &str,
        to: &str,
        ids: std::ops::Range<usize>,
    ) {
        let batches = ids.map(|id| {
            self.batch(from, to, vec![stanza(&Kind::Message.stanza(to, id).replace(OURS, from))]).0
        });
        let batches = batches.collect();
        router.tell(Route { batches, ingress: Ingress::Node }).unwrap();
    }

    fn brings_all(
        &mut self,
        router: &Mailbox<Router>,
        from: &str,
        to: &str,
        stanzas: Vec<xmpp::Stanza>,
    ) -> Mark {
        let (batch, mark) = self.batch(from, to, stanzas);
        router.tell(Route { batches: vec![batch], ingress: Ingress::Node }).unwrap();
        mark
    }

    fn batch(&mut self, from: &str, to: &str, stanzas: Vec<xmpp::Stanza>) -> (Batch, Mark) {
        self.number += 1;
        let mut batch = Batch::between(Domain::new(from).unwrap(), Domain::new(to).unwrap(), stanzas);
        let (begins, ferry) = (std::mem::take(&mut self.begins), self.settlements.outlet());
        let (receipt, mark) = Receipt::of_parcel(self.number, begins, ferry, self.fence.clone());
        (batch.receipt, batch.places) = (receipt, Places::Lent(0));
        (batch, mark)
    }

    /// The parcels of which stanzas were given back, with the numbers of these.
    pub(in crate::scenario) fn given_back(&mut self) -> Vec<(u64, Vec<(u64, u64)>)> {
        let given_back = std::iter::from_fn(|| self.given_back.try_recv().ok());
        given_back.map(|(number, stanzas)| (number, stanzas.iter().collect())).collect()
    }

    pub(in crate::scenario) fn settled(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.settled.try_recv().ok()).collect()
    }
}

/// A stanza as it comes from a stream between servers.
fn stanza(text: &str) -> xmpp::Stanza {
    let bytes = bytes::Bytes::from(text.replacen(' ', " xmlns='jabber:server' ", 1));
    xmpp::Stanza::restore(bytes).unwrap()
}
