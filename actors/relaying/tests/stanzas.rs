//! Stanzas on their way between the nodes of a scenario.

use xmpp::{Domain, DomainPair, Stanza};

use crate::flow::{
    account::Outcome,
    batch::{Batch, Sends},
    ferry::{Carried, Carry, Event, Ferry, Parcel},
};
use mailbox::Outlet;

/// A pair of domains.
pub(super) fn pair(local: &str, remote: &str) -> DomainPair {
    let domain = |name| Domain::new(name).unwrap();
    DomainPair { local: domain(local), remote: domain(remote) }
}

/// A parcel of messages with these ids, which have about this length.
pub(super) fn parcel(number: u64, ids: &[u64], length: usize) -> Parcel {
    let stanza = |id: &u64| {
        let text = format!(
            "<message from='x@a.example' to='y@b.example' id='{id}'><body>{}</body></message>",
            "x".repeat(length)
        );
        Stanza::restore(text.into()).unwrap().bytes().clone()
    };
    let stanzas: Vec<_> = ids.iter().map(stanza).collect();
    let bytes = stanzas.iter().map(bytes::Bytes::len).sum();
    let DomainPair { local: from, remote: to } = pair("a.example", "b.example");
    let since = clock::now();
    let batch = Carried { from, to, since, returning: false, sends: Sends::default(), stanzas };
    Parcel { number, bytes, batches: vec![batch] }
}

/// Hands over a parcel with one stanza.
pub(super) fn carry(way: &Ferry, relay: &Outlet<Event>, number: u64, id: u64) {
    carry_parcel(way, relay, parcel(number, &[id], 100));
}

pub(super) fn carry_parcel(way: &Ferry, relay: &Outlet<Event>, parcel: Parcel) {
    way.carry.signal(Carry { parcel, owner: relay.clone() }).unwrap();
}

/// The ids of the stanzas, in order.
pub(super) fn ids(batches: &[Batch]) -> Vec<u64> {
    let stanzas = batches.iter().flat_map(|batch| &batch.stanzas);
    stanzas.map(|stanza| stanza.id().unwrap().parse().unwrap()).collect()
}

/// Writes the stanzas: they are settled, unless another node takes them back. Gives the ids of those that were written.
pub(super) fn write(batches: Vec<Batch>) -> Vec<u64> {
    let now = clock::now();
    let written = batches.into_iter().filter(|batch| batch.receipt.admits(now)).collect::<Vec<_>>();
    let ids = ids(&written);
    written.into_iter().for_each(|mut batch| batch.entry.settle_rest(Outcome::Written));
    ids
}
