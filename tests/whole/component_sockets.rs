//! Where components connect: Unix sockets, TLS, and the addresses that may connect.

use std::{net::IpAddr, time::Duration};

use testkit::SECRET;

use super::{
    fixture::{
        Component, DAY, Network, Node, Nothing, Setup, Wire, eventually_logs, log_has, paused, sleep, timed,
    },
    scene::{INBOX, PEER, Scene, message, quick},
};

#[test]
fn a_component_at_a_unix_socket_sends_and_receives() {
    paused(async |network| {
        let scene = Scene::of(network, with_socket()).await;
        let wire = Component::shake_hands(scene.node.wire_at(SOCKET).await, INBOX, SECRET).await.unwrap();
        exchanges(&scene, Component::over(wire, INBOX)).await;
        eventually_logs(&["nuncio::component", "connected", "address=unix:/run/component.sock", INBOX]).await;
    });
}

#[test]
fn a_component_over_tls_sends_and_receives() {
    paused(async |network| {
        let scene = Scene::of(network, with_tls()).await;
        let mut wire = scene.node.wire_from(network, network.address(), 5348).await;
        wire.secure_as_client(None, INBOX).await.unwrap();
        let wire = Component::shake_hands(wire, INBOX, SECRET).await.unwrap();
        eventually_logs(&["nuncio::component", "secured", "protocol=TLSv1.3", "sni=inbox.nuncio.example"])
            .await;
        exchanges(&scene, Component::over(wire, INBOX)).await;
    });
}

/// A stanza goes each way between the component and a remote server.
async fn exchanges(scene: &Scene<'_>, mut component: Component) {
    let mut peer = scene.peer().await;
    peer.sends(&message("to the component")).await;
    component.receives_id("to the component").await;
    let listener = scene.listens();
    component.sends_message(PEER, "from the component", "");
    scene.accepts(&listener).await.expects_message("from the component").await;
}

#[test]
fn the_certificate_is_that_of_the_server_name_or_of_the_first_domain() {
    paused(async |network| {
        let node = Node::start(network, with_tls().with_own_certificates()).await;
        let mut names = Vec::new();
        for name in [INBOX, "nuncio.example", "elsewhere.example", ""] {
            let mut wire = node.wire_from(network, network.address(), 5348).await;
            match name {
                "" => wire.secure_without_name().await.unwrap(),
                name => wire.secure_as_client(None, name).await.unwrap(),
            }
            names.push(wire.certificate_names());
        }
        assert_eq!(names, [INBOX, "nuncio.example", "nuncio.example", "nuncio.example"]);
    });
}

#[test]
fn a_tls_handshake_that_stalls_or_fails_costs_only_itself() {
    paused(async |network| {
        let node = Node::start(network, with_tls().set("s2s.handshake_timeout", "\"20s\"")).await;
        let from = network.address();
        let mut silent = node.wire_from(network, from, 5348).await;
        let mut half = node.wire_from(network, from, 5348).await;
        // The header of a record with a ClientHello that does not follow.
        half.send("\u{16}\u{3}\u{1}\u{1}\u{0}\u{1}\u{0}\u{0}\u{5c}").await;
        let mut plain = node.wire_from(network, from, 5348).await;
        plain.send("no TLS, and no XML either").await;
        // It gets a TLS alert at most.
        let heard = plain.hear(DAY).await.unwrap_or_default();
        assert!(!heard.contains(&b'<'), "{heard:?}");
        eventually_logs(&["WARN", "nuncio::component", "TLS handshake failed"]).await;

        let mut wire = node.wire_from(network, from, 5348).await;
        wire.secure_as_client(None, INBOX).await.unwrap();
        let component = Component::over(Component::shake_hands(wire, INBOX, SECRET).await.unwrap(), INBOX);
        for stalled in [&mut silent, &mut half] {
            let (heard, took) = timed(stalled.hear(DAY)).await;
            assert_eq!(heard.err(), Some(Nothing::Ended));
            assert!(took <= Duration::from_secs(20), "{took:?}");
        }
        assert_eq!(component.closes().await.len(), 0);
    });
}

#[test]
fn a_component_at_the_wrong_kind_of_port_is_told_so_and_so_is_the_operator() {
    paused(async |network| {
        let node = Node::start(network, with_tls()).await;
        let from = network.address();
        let header = "<stream:stream xmlns='jabber:component:accept' to='inbox.nuncio.example'>";
        let client_hello = "\u{16}\u{3}\u{1}\u{1}\u{0}\u{1}\u{0}\u{0}\u{5c}";
        for (port, begins, told) in [
            (5348, header, "clear text on a port of component_tls"),
            (5347, client_hello, "TLS on a port without component_tls"),
        ] {
            let mut wire = node.wire_from(network, from, port).await;
            wire.send(begins).await;
            let mut heard = String::new();
            while let Ok(more) = wire.hear(DAY).await {
                heard.push_str(&String::from_utf8(more).unwrap());
            }
            assert!(heard.contains("<stream:error>") && heard.contains(told), "{heard}");
            eventually_logs(&["WARN", "nuncio::component", told, &format!("address={from}:")]).await;
        }
        let mut wire = node.wire_from(network, from, 5348).await;
        wire.secure_as_client(None, INBOX).await.unwrap();
        assert!(Component::shake_hands(wire, INBOX, SECRET).await.is_ok());
        let scrape = node.scrape().await;
        for figure in [
            "nuncio_tls_handshakes_failed_total{direction=\"component\",reason=\"clear-text\"} 1",
            "nuncio_tls_handshakes_failed_total{direction=\"component\",reason=\"port-without-tls\"} 1",
            "nuncio_tls_handshakes_total{direction=\"component\",version=\"TLSv1.3\"} 1",
            "nuncio_tls_ciphers_total{direction=\"component\",cipher=\"TLS_AES_",
        ] {
            assert!(scrape.contains(figure), "no {figure} in {scrape}");
        }
    });
}

#[test]
fn connections_that_show_no_secret_are_bounded_at_each_socket() {
    paused(async |network| {
        let setup = with_socket().set("limits.max_components_unauthenticated_per_address", "2");
        let node = Node::start(network, setup).await;
        let mut held = Vec::new();
        for _ in 0..40 {
            held.push(node.wire_at(SOCKET).await);
        }
        // Two are served and 32 wait; the others are refused.
        let refused = String::from_utf8(held.pop().unwrap().hear(DAY).await.unwrap()).unwrap();
        assert!(refused.contains("<policy-violation "), "{refused}");
        eventually_logs(&["WARN", "refused a connection", "address=unix:/run/component.sock"]).await;
        // Another socket is not concerned.
        let other = node.wire_from(network, node.address(), 5347).await;
        assert!(Component::shake_hands(other, INBOX, SECRET).await.is_ok());
        // Silent connections give way.
        drop(held);
        let (again, took) = timed(at_socket(&node, SECRET)).await;
        assert!(again.is_ok() || again.is_err_and(|why| why.contains("conflict")));
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

#[test]
fn wrong_secrets_at_a_unix_socket_are_logged_and_slowed_down() {
    paused(async |network| {
        let setup = with_socket().set("limits.max_components_unauthenticated_per_address", "1");
        let node = Node::start(network, setup).await;
        for _ in 0..6 {
            let refused = at_socket(&node, "guess").await.err().unwrap();
            assert!(refused.contains("not-authorized"), "{refused}");
        }
        eventually_logs(&["WARN", "component refused", "address=unix:/run/component.sock", INBOX]).await;
        eventually_logs(&["WARN", "too many wrong secrets", "address=unix:/run/component.sock", INBOX]).await;
        // The valid secret is only delayed.
        let (valid, took) = timed(at_socket(&node, SECRET)).await;
        assert!(valid.is_ok() && took > Duration::from_secs(1), "{took:?}");
    });
}

async fn at_socket(node: &Node, secret: &str) -> Result<Wire, String> {
    Component::shake_hands(node.wire_at(SOCKET).await, INBOX, secret).await
}

#[test]
fn only_listed_addresses_may_connect_over_tcp() {
    paused(async |network| {
        let (listed, other) = (network.address(), network.address());
        let node = Node::start(network, allowing(listed)).await;
        for port in [5347, 5348] {
            let mut wire = node.wire_from(network, other, port).await;
            assert_eq!(wire.hear(DAY).await.err(), Some(Nothing::Ended), "{port}");
        }
        let refused =
            ["WARN", "nuncio::component", "is not in listen.component_allow", &format!("address={other}")];
        eventually_logs(&refused).await;
        drop(with_secret(network, &node, listed).await.unwrap());
        // The permissions of the file decide at the Unix socket.
        assert!(at_socket_when_free(&node).await);
        // The list is not for servers.
        let mut server = node.wire_from(network, other, 5269).await;
        server.send("<").await;
        assert_eq!(server.hear(Duration::from_secs(1)).await.err(), Some(Nothing::Late));
    });
}

#[test]
fn a_reload_changes_who_may_connect_and_closes_those_who_may_no_longer() {
    paused(async |network| {
        let (first, second) = (network.address(), network.address());
        let node = Node::start(network, allowing(first)).await;
        let mut component = Component::over(with_secret(network, &node, first).await.unwrap(), INBOX);
        assert!(with_secret(network, &node, second).await.is_err());
        assert_eq!(node.reloads(network, &allowing(second)).await, Vec::<&str>::new(), "without a restart");
        assert_eq!(component.rest().await.len(), 0);
        eventually_logs(&["disconnected", "policy-violation", "components may no longer connect"]).await;
        assert!(with_secret(network, &node, first).await.is_err());
        let component = with_secret(network, &node, second).await;
        assert!(component.is_ok());
        // The others need a restart, and the sockets stay.
        let other = allowing(second).set("listen.component_socket_mode", "\"0666\"");
        assert_eq!(node.reloads(network, &other).await, ["listen"]);
        drop(component);
        assert!(at_socket_when_free(&node).await);
    });
}

#[test]
fn a_reload_gives_new_connections_the_new_certificate() {
    paused(async |network| {
        let node = Node::start(network, with_tls()).await;
        let first = serial(network, &node).await;
        node.reloads(network, &with_tls()).await;
        assert_ne!(serial(network, &node).await, first);
    });
}

async fn serial(network: &Network, node: &Node) -> String {
    let mut wire = node.wire_from(network, network.address(), 5348).await;
    wire.secure_as_client(None, INBOX).await.unwrap();
    wire.certificate_serial()
}

#[test]
fn a_unix_socket_is_gone_when_the_node_has_stopped() {
    paused(async |network| {
        let node = Node::start(network, with_socket()).await;
        let wire = at_socket(&node, SECRET).await.unwrap();
        let mut component = Component::over(wire, INBOX);
        node.stops().await;
        assert_eq!(component.rest().await.len(), 0);
        assert!(!node.has_socket(SOCKET).await);
        assert!(!log_has(&["ERROR"]));
    });
}

/// Connects the component from an address, and authenticates it.
async fn with_secret(network: &Network, node: &Node, from: IpAddr) -> Result<Wire, String> {
    Component::shake_hands(node.wire_from(network, from, 5347).await, INBOX, SECRET).await
}

/// Connects the component once the end of its last connection is known.
async fn at_socket_when_free(node: &Node) -> bool {
    for _ in 0..10 {
        match at_socket(node, SECRET).await {
            Ok(_) => return true,
            Err(why) => assert!(why.contains("conflict"), "{why}"),
        }
        sleep(Duration::from_secs(1)).await;
    }
    false
}

fn with_socket() -> Setup {
    quick().set("listen.component", &format!("[\"{{ip}}:5347\", \"unix:{SOCKET}\"]"))
}

fn with_tls() -> Setup {
    with_socket().set("listen.component_tls", "[\"{ip}:5348\"]")
}

/// A node at which components at one address may connect.
fn allowing(ip: IpAddr) -> Setup {
    with_tls().set("listen.component_allow", &format!("[\"{ip}\"]"))
}

const SOCKET: &str = "/run/component.sock";
