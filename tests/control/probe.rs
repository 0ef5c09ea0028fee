//! A probe of our own node does not count in the node's history and metrics.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{Place, nuncio, path};
use crate::support::{Network, Node, Peer, Server, eventually};

#[test]
fn the_probe_leaves_no_record_and_no_figure_of_the_domain_it_asks_about() {
    let (network, place) = (Network::new(), Place::new());
    let metrics = network.address();
    let setup = place.setup().set("listen.metrics", &format!("[\"{metrics}:9100\"]"));
    let node = Node::start(&network, setup);
    let before = figures(&format!("{metrics}:9100"));

    let probed = nuncio(&["probe", "--config", path(node.file()), "nosuch.example"]);
    let told = String::from_utf8_lossy(&probed.stdout);
    assert!(told.contains("Our own side"), "{told}");
    node.eventually_logs(&["connection of this node's own probe: not recorded"]);
    // The stream of the probe has ended when its line is in the log.
    node.eventually_logs(&["closed", "from=nosuch.example"]);
    let explained = place.nuncio(&["explain", "nosuch.example"]);
    assert_eq!(explained.status.code(), Some(1), "{explained:?}");
    assert_eq!(figures(&format!("{metrics}:9100")), before);

    // The same stream from another client is recorded.
    let mut stranger = Peer::dials(node.address());
    stranger.starts_tls("nosuch.example", "nuncio.example", None);
    stranger.expects("features");
    stranger.sends("</stream:stream>");
    stranger.expects_closed();
    eventually("the stranger is recorded", || {
        place.nuncio(&["explain", "nosuch.example"]).status.success().then_some(())
    });
}

/// Metrics of incoming streams.
fn figures(address: &str) -> Vec<String> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let about =
        |line: &&str| !line.starts_with('#') && line.contains("incoming") && !line.contains("mailbox");
    let mut lines: Vec<String> = text.lines().filter(about).map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}
