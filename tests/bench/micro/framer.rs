//! Microbenchmark: the framer, and the conversion of an element to a stanza.

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput};
use xmpp::Stanza;
use xmpp::framer::{Frame, Framer, Limits};
use xmpp::stanza::Origin;

use crate::script::Script;

/// Measures framing alone, and framing with admission, of stanzas from a component.
pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framer");
    let written = |script: &Script, count: u64| {
        let mut bytes = Vec::new();
        (0..count).for_each(|number| script.write(number, &mut bytes));
        (bytes, count)
    };
    let large = format!(
        "<message from='a@a.example' to='b@b.example' type='chat'><body>{}</body></message>",
        "It is the east. ".repeat(1250)
    );
    let of = ("a.example", "b.example");
    let sorts = [
        ("messages of 200 bytes", written(&Script::messages(of.0, of.1), 100)),
        ("a message of 20 KB", (large.into_bytes(), 1)),
        ("a mix as chat servers send", written(&Script::mix(of.0, of.1), 50)),
    ];
    for (name, (bytes, count)) in sorts {
        group.throughput(Throughput::ElementsAndBytes { elements: count, bytes: bytes.len() as u64 });
        let mut framer = Framer::new(Limits::default());
        let mut header = BytesMut::from(HEADER.as_bytes());
        framer.next(&mut header).expect("a header");
        let origin = Origin { namespace: NAMESPACE, scope: framer.scope().to_vec(), lang: None };
        group.bench_function(format!("{name}, framed"), |bencher| {
            bencher.iter_batched(
                || BytesMut::from(&bytes[..]),
                |mut buffer| {
                    while let Some(frame) = framer.next(&mut buffer).expect("stanzas") {
                        std::hint::black_box(&frame);
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("{name}, framed and admitted"), |bencher| {
            bencher.iter_batched(
                || BytesMut::from(&bytes[..]),
                |mut buffer| {
                    while let Some(Frame::Element(element)) = framer.next(&mut buffer).expect("stanzas") {
                        std::hint::black_box(Stanza::admit(element, &origin).expect("a stanza"));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
}

const NAMESPACE: &str = "jabber:component:accept";

const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' to='a.example'>";
