//! What a person sees, to the letter.

use super::bench::Bench;

#[test]
fn a() {
    let bench = Bench::new();
    bench.network.publish("peer.example", bench.peer);
    println!("{}", bench.shows());
    let bench = Bench::new();
    let identity = bench.network.authority.certificate(&["peer.example"]).expired().issue();
    bench.plays_secured(&identity, |peer| {
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'/>");
        peer.expects("result");
        peer.sends(
            "<db:result from='peer.example' to='nuncio.example' type='error'><error type='wait'>\
         <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
        );
    });
    println!("{}", bench.shows());
}
