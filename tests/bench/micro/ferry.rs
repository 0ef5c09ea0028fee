//! Microbenchmark: frames between nodes, written from parcels and read back, and the stanzas of a frame restored.

use std::time::Duration;

use bytes::Bytes;
use cluster::{
    ferry::{Body, CarriedBatch, Frame, Header, Parcel, Parcels, codec, decode},
    name::{Incarnation, NodeName},
};
use criterion::{Criterion, Throughput};
use xmpp::{Domain, stanza::Restorer};

/// Measures frames of stanzas of 300 bytes: many in one batch, as under load, and lone ones.
pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ferry");
    for (name, parcels, stanzas) in
        [("200 stanzas in 2 parcels", 2, 100), ("200 lone stanzas", 200, 1), ("1 stanza", 1, 1)]
    {
        let frame = frame(parcels, stanzas);
        group.throughput(Throughput::Elements(parcels as u64 * stanzas as u64));
        group.bench_function(format!("{name}, written and read"), |bencher| {
            bencher.iter(|| {
                let bytes = codec::encode(std::hint::black_box(&frame));
                std::hint::black_box(decode(&bytes).expect("a frame"));
            });
        });
    }
    let stanzas = vec![stanza(); 200];
    group.throughput(Throughput::Elements(stanzas.len() as u64));
    group.bench_function("200 stanzas restored", |bencher| {
        bencher.iter(|| {
            let mut restorer = Restorer::default();
            for bytes in &stanzas {
                std::hint::black_box(restorer.restore(bytes.clone()).expect("a stanza"));
            }
        });
    });
}

/// A message of 300 bytes.
fn stanza() -> Bytes {
    let [head, tail] =
        ["<message from='a@a.example/r' to='b@b.example' type='chat'><body>", "</body></message>"];
    Bytes::from(format!("{head}{}{tail}", "x".repeat(300 - head.len() - tail.len())))
}

fn frame(parcels: usize, stanzas: usize) -> Frame {
    let domain = |name| Domain::new(name).expect("a domain");
    let batch = CarriedBatch {
        from: domain("a.example"),
        to: domain("b.example"),
        age: Duration::from_millis(1),
        returning: false,
        times: 0,
        may_have_arrived: false,
        stanzas: vec![stanza(); stanzas],
    };
    let parcels = vec![Parcel { begins: false, batches: vec![batch] }; parcels];
    let from = NodeName::new("node-a").expect("a name");
    let header = Header { from, incarnation: Incarnation(1), to: Incarnation(2), session: 1 };
    let body = Body::Parcels(Parcels { frame: 1, at: 1, seen: 0, wants_answer: false, first: 1, parcels });
    Frame { header, body }
}
