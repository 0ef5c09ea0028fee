//! Parcels that another node of a scenario brings to the router.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Arbiter, Context, Handler};
use cluster::name::NodeName;
use tokio::sync::mpsc;
use xmpp::Domain;

use crate::{
    flow::{
        batch::Batch,
        fence::{Fence, Lease, Mark},
        journal::{ParcelSettled, Receipt},
        route::{Ingress, Route},
    },
    routing::router::Router,
    scenario::{CAPACITY, Kind, OURS},
};
use mailbox::{Mailbox, Meter, Queued};

/// Counts the parcels of another node that are settled here.
pub(in crate::scenario) struct Settlements(mpsc::Sender<u64>);

impl Actor for Settlements {
    type Context = Context<Self>;
}

impl Handler<Queued<ParcelSettled>> for Settlements {
    type Result = ();

    fn handle(&mut self, settled: Queued<ParcelSettled>, _: &mut Context<Self>) {
        let ParcelSettled { number, is_lost } = settled.into_message();
        assert!(!is_lost);
        let _ = self.0.try_send(number);
    }
}

/// Parcels that another node brings to the router.
pub(in crate::scenario) struct Brought {
    settlements: Mailbox<Settlements>,
    settled: mpsc::Receiver<u64>,
    pub(in crate::scenario) fence: Fence,
    pub(in crate::scenario) lease: Arc<Lease>,
    number: u64,
}

impl Brought {
    pub(in crate::scenario) fn by(node: &str) -> Self {
        let (settling, settled) = mpsc::channel(1_000_000);
        let meter = Meter::new("ferry", CAPACITY, None);
        let settlements = mailbox::start_on(&Arbiter::current(), &meter, "ferry", |_| Settlements(settling));
        let now = clock::now();
        let lease = Arc::new(Lease::new(now, now + Duration::from_secs(86_400)));
        let fence = Fence::new(Arc::clone(&lease), NodeName::new(node).unwrap());
        Self { settlements, settled, fence, lease, number: 0 }
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

    /// The same of stanzas that came from this node before. Gives the number of their parcel.
    pub(in crate::scenario) fn brings_bytes(
        &mut self,
        router: &Mailbox<Router>,
        from: &str,
        to: &str,
        stanzas: Vec<bytes::Bytes>,
    ) -> u64 {
        let stanzas = stanzas.into_iter().map(|bytes| xmpp::Stanza::restore(bytes).unwrap()).collect();
        self.brings_all(router, from, to, stanzas);
        self.number
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
        let (receipt, mark) = Receipt::of_parcel(self.number, self.settlements.outlet(), self.fence.clone());
        batch.receipt = receipt;
        (batch, mark)
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
