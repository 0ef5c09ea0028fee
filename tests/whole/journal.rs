//! The journal: what waits survives a crash and a stop of the node.
//!
//! A crash is a copy of the file while the node runs: that is what a killed process leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use actors::Outcome;
use tokio::time::timeout;

use super::{
    fixture::{Component, Element, Event, Network, Node, Setup, log_has, paused, sleep, timed},
    scene::{INBOX, PEER, Scene, message, quick},
};

/// A directory that is removed with the value.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nuncio-whole-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The node `nuncio.example` with its journal in this file.
async fn node(network: &Network, file: &Path) -> Node {
    node_with(network, file, &[]).await
}

async fn node_with(network: &Network, file: &Path, settings: &[(&str, &str)]) -> Node {
    let setup = Setup::of("nuncio.example").external().set("journal.path", &format!("{file:?}"));
    Node::start(network, settings.iter().fold(setup, |setup, (key, value)| setup.set(key, value))).await
}

/// A remote domain that refuses connections at first.
fn is_down(network: &Network) {
    network.publish(REMOTE, network.address());
}

/// The remote domain comes back: its component.
async fn comes_back(network: &Network) -> Component {
    Node::start(network, Setup::of("later.example").external()).await.inbox().await
}

/// The node is not to deliver what it has.
async fn is_dead(network: &Network, node: &Node) {
    node.reloads(network, &Setup::of("nuncio.example").external().set("s2s.deny", "[\"*\"]")).await;
}

fn ids(stanzas: &[Element]) -> Vec<String> {
    stanzas.iter().map(|stanza| stanza.attribute("id").to_owned()).collect()
}

/// The ids of the stanzas that the component receives until nothing comes for a minute.
async fn received(component: &mut Component) -> Vec<String> {
    let mut ids = Vec::new();
    while let Ok(Some(stanza)) = timeout(Duration::from_secs(60), component.next()).await {
        ids.push(stanza.attribute("id").to_owned());
    }
    ids
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn messages_that_waited_arrive_after_a_crash_in_order_and_nothing_else_does() {
    paused(async |network| {
        let directory = Directory::new("crash");
        let (file, copy) = (directory.file("a.redb"), directory.file("b.redb"));
        is_down(network);
        let first = node(network, &file).await;
        let sender = first.inbox().await;
        for number in 0..500 {
            sender.sends_message(REMOTE, &number.to_string(), "hello");
        }
        let from = sender.name();
        sender.sends(&format!("<presence from='{from}' to='{REMOTE}' id='presence'/>"));
        sender.sends_request(REMOTE, "request");
        sender.sends(&format!(
            "<message from='{from}' to='{REMOTE}' id='secret'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>"
        ));
        sleep(Duration::from_secs(1)).await;
        fs::copy(&file, &copy).unwrap();
        is_dead(network, &first).await;

        let second = node(network, &copy).await;
        let mut receiver = comes_back(network).await;
        assert_eq!(received(&mut receiver).await, numbers(500));
        let account = second.account().await;
        assert_eq!((account.restored().stanzas, account.taken().stanzas), (500, 500));
    });
}

#[test]
fn what_was_delivered_is_not_in_the_file_any_more() {
    paused(async |network| {
        let directory = Directory::new("delivered");
        let (file, copy) = (directory.file("a.redb"), directory.file("b.redb"));
        is_down(network);
        let first = node(network, &file).await;
        let sender = first.inbox().await;
        for number in 0..100 {
            sender.sends_message(REMOTE, &number.to_string(), "hello");
        }
        sleep(Duration::from_secs(1)).await;
        let mut receiver = comes_back(network).await;
        assert_eq!(received(&mut receiver).await, numbers(100));
        assert_eq!(first.account().await.journaled().stanzas, 100);
        sleep(Duration::from_secs(60)).await;
        fs::copy(&file, &copy).unwrap();
        is_dead(network, &first).await;
        let second = node(network, &copy).await;
        assert_eq!(second.account().await.restored().stanzas, 0);
    });
}

#[test]
fn a_stopped_node_keeps_its_messages_and_answers_the_rest() {
    paused(async |network| {
        let directory = Directory::new("stop");
        let file = directory.file("a.redb");
        is_down(network);
        let first = node(network, &file).await;
        let mut sender = first.inbox().await;
        // Long before the stop, and too late to be written before it.
        for number in 0..300 {
            sender.sends_message(REMOTE, &number.to_string(), "hello");
        }
        sleep(Duration::from_secs(1)).await;
        for number in 300..400 {
            sender.sends_message(REMOTE, &number.to_string(), "hello");
        }
        sender.sends(&format!("<presence from='{}' to='{REMOTE}' id='presence'/>", sender.name()));
        sleep(Duration::from_millis(20)).await;
        let account = first.stops().await;
        assert_eq!(account.settled(Outcome::Kept).stanzas, 400);
        assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 0));
        let answers = sender.rest().await;
        assert_eq!(ids(&answers), ["presence"]);
        assert!(answers[0].is("presence", "error"), "{}", answers[0]);

        let second = node(network, &file).await;
        assert!(log_has(&["journal opened", "records=400"]));
        let mut receiver = comes_back(network).await;
        assert_eq!(received(&mut receiver).await, numbers(400));
        assert_eq!(second.account().await.restored().stanzas, 400);
    });
}

#[test]
fn a_restored_message_has_the_time_of_grace_and_is_then_answered() {
    paused(async |network| {
        let directory = Directory::new("grace");
        let (file, copy) = (directory.file("a.redb"), directory.file("b.redb"));
        is_down(network);
        let settings = [("promise.message", "\"2m\""), ("journal.grace", "\"30s\"")];
        let first = node_with(network, &file, &settings).await;
        let sender = first.inbox().await;
        sender.sends_message(REMOTE, "1", "hello");
        sleep(Duration::from_secs(1)).await;
        fs::copy(&file, &copy).unwrap();
        is_dead(network, &first).await;
        // The node is down for longer than the message may wait.
        sleep(Duration::from_secs(600)).await;
        let second = node_with(network, &copy, &settings).await;
        let mut sender = second.inbox().await;
        sleep(Duration::from_secs(25)).await;
        assert_eq!(second.account().await.waiting().stanzas, 1);
        let answer = sender.receives_id("1").await;
        assert!(answer.is("message", "error"), "{answer}");
        assert_eq!(second.account().await.settled(Outcome::Expired).stanzas, 1);
    });
}

/// Rules with which few stanzas fill the queue of a component.
const NARROW: [(&str, &str); 2] = [("absence.max_stanzas", "500"), ("absence.message", "\"2h\"")];

/// Sixty times as many messages as such a queue has in memory.
const MANY: usize = 30_000;

#[test]
fn what_waits_for_an_absent_component_beside_a_small_memory_arrives_in_order() {
    paused(async |network| {
        let directory = Directory::new("absent-overflow");
        let one = node_with(network, &directory.file("a.redb"), &NARROW).await;
        let other = Node::start(network, Setup::of("other.example").external()).await;
        let far = other.inbox().await;
        for number in 0..MANY {
            far.sends_message(INBOX, &number.to_string(), "hello");
        }
        sleep(Duration::from_secs(30)).await;
        let account = one.account().await;
        assert_eq!((account.taken().stanzas, account.waiting().stanzas), (MANY as u64, MANY as u64));
        let figures = one.scrape().await;
        let on_disk = format!("nuncio_journal_overflow_stanzas {}\n", MANY - 500);
        assert!(figures.contains(&on_disk), "{figures}");
        let mut inbox = one.inbox().await;
        for number in MANY..MANY + 100 {
            far.sends_message(INBOX, &number.to_string(), "hello");
        }
        assert_eq!(received(&mut inbox).await, numbers(MANY + 100));
        let account = one.account().await;
        let settled = [Outcome::Answered, Outcome::Expired, Outcome::Dropped, Outcome::Uncertain];
        assert!(settled.iter().all(|outcome| account.settled(*outcome).stanzas == 0), "{account:?}");
        assert_eq!(account.difference().stanzas, 0);
    });
}

#[test]
fn a_crash_while_a_component_is_given_what_was_on_the_disk_loses_nothing_that_was_written() {
    paused(async |network| {
        let directory = Directory::new("absent-crash");
        let (file, copy) = (directory.file("a.redb"), directory.file("b.redb"));
        let one = node_with(network, &file, &NARROW).await;
        let other = Node::start(network, Setup::of("other.example").external()).await;
        let far = other.inbox().await;
        for number in 0..MANY {
            far.sends_message(INBOX, &number.to_string(), "hello");
        }
        sleep(Duration::from_secs(30)).await;
        let mut inbox = one.inbox().await;
        for number in 0..1500 {
            assert_eq!(inbox.next().await.unwrap().attribute("id"), number.to_string());
        }
        // At this moment the node is killed.
        fs::copy(&file, &copy).unwrap();
        let written = one.account().await.settled(Outcome::Written).stanzas as usize;
        is_dead(network, &one).await;
        let second = node_with(network, &copy, &NARROW).await;
        let restored = second.account().await.restored().stanzas as usize;
        assert!(restored > 0 && written + restored >= MANY, "{written} written, {restored} restored");
        // Those that were delivered last may arrive again; nothing is missing.
        let expected: Vec<String> = (MANY - restored..MANY).map(|number| number.to_string()).collect();
        assert_eq!(received(&mut second.inbox().await).await, expected);
        assert_eq!(second.account().await.difference().stanzas, 0);
    });
}

#[test]
fn what_a_component_does_not_read_waits_on_the_disk_and_a_stop_leaves_it_there() {
    paused(async |network| {
        let directory = Directory::new("deaf-overflow");
        let file = directory.file("a.redb");
        let one = node_with(network, &file, &NARROW).await;
        let other = Node::start(network, Setup::of("other.example").external()).await;
        let far = other.inbox().await;
        let deaf = one.deaf_inbox().await;
        let body = "x".repeat(2000);
        for number in 0..3000 {
            far.sends_message(INBOX, &number.to_string(), &body);
        }
        sleep(Duration::from_secs(10)).await;
        assert_eq!(
            one.account().await.waiting().stanzas + one.account().await.settled(Outcome::Written).stanzas,
            3000
        );
        let figures = one.scrape().await;
        assert!(!figures.contains("nuncio_journal_overflow_stanzas 0\n"), "{figures}");
        drop(far);
        let account = one.stops().await;
        drop(deaf);
        let kept = account.settled(Outcome::Kept).stanzas as usize;
        assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 0));
        assert!(kept > 1000, "{account:?}");
        assert_eq!(account.settled(Outcome::Answered).stanzas, 0);
        let second = node_with(network, &file, &NARROW).await;
        let received: Vec<usize> =
            received(&mut second.inbox().await).await.iter().map(|id| id.parse().unwrap()).collect();
        assert_eq!(received, (3000 - kept..3000).collect::<Vec<_>>());
    });
}

/// The node with its journal, and a stream of the peer with acknowledgements.
async fn receives<'a>(network: &'a Network, file: &Path) -> (Scene<'a>, super::fixture::Peer) {
    let scene = Scene::of(network, quick().set("journal.path", &format!("{file:?}"))).await;
    let mut peer = scene.peer().await;
    peer.sends("<enable xmlns='urn:xmpp:sm:3'/>").await;
    peer.expects("enabled").await;
    (scene, peer)
}

/// What the peer sends is acknowledged as a whole. Gives the count and the time.
async fn is_acknowledged(peer: &mut super::fixture::Peer, stanzas: &str) -> (String, Duration) {
    peer.sends(&format!("{stanzas}<r xmlns='urn:xmpp:sm:3'/>")).await;
    let (ack, took) = timed(peer.expects("a")).await;
    (ack.attribute("h").to_owned(), took)
}

#[test]
fn what_was_acknowledged_and_waits_for_a_component_is_in_the_file() {
    paused(async |network| {
        let directory = Directory::new("acknowledged");
        let (file, copy) = (directory.file("a.redb"), directory.file("b.redb"));
        let (scene, mut peer) = receives(network, &file).await;
        let messages: String = (0..200).map(|number| message(&number.to_string())).collect();
        let (count, took) = is_acknowledged(&mut peer, &messages).await;
        // At this moment the node is killed.
        fs::copy(&file, &copy).unwrap();
        assert_eq!(count, "200");
        assert!(took >= AFTER && took < 3 * AFTER, "{took:?}");
        is_dead(network, &scene.node).await;
        let second = node(network, &copy).await;
        assert_eq!(second.account().await.restored().stanzas, 200);
        assert_eq!(received(&mut second.inbox().await).await, numbers(200));
    });
}

#[test]
fn what_a_component_reads_or_the_journal_never_has_is_acknowledged_at_once() {
    paused(async |network| {
        let directory = Directory::new("at-once");
        let (scene, mut peer) = receives(network, &directory.file("a.redb")).await;
        let addresses = format!("from='romeo@{PEER}' to='juliet@{INBOX}'");
        let others =
            format!("<presence {addresses} id='0'/><iq {addresses} type='get' id='1'><x xmlns='x'/></iq>");
        let (count, took) = is_acknowledged(&mut peer, &others).await;
        assert_eq!(count, "2");
        assert!(took < AFTER / 2, "{took:?}");
        let mut inbox = scene.node.inbox().await;
        inbox.receives_id("1").await;
        let (count, took) = is_acknowledged(&mut peer, &message("2")).await;
        assert_eq!(count, "3");
        assert!(took < AFTER / 2, "{took:?}");
        assert_eq!(scene.node.account().await.journaled().stanzas, 0);
    });
}

#[test]
fn messages_that_a_peer_has_not_acknowledged_at_the_stop_are_sent_again_with_a_stamp() {
    paused(async |network| {
        let directory = Directory::new("unacked");
        let file = directory.file("a.redb");
        let setup = quick().set("journal.path", &format!("{file:?}"));
        let scene = Scene::of(network, setup.clone()).await;
        let listener = scene.listens();
        let inbox = scene.node.inbox().await;
        for number in 0..3 {
            inbox.sends_message(PEER, &number.to_string(), "hello");
        }
        inbox.sends_request(PEER, "request");
        let mut peer = listener.accepts().await;
        peer.answers_to_tls(PEER, &scene.identity).await;
        peer.takes_external_and_offers(PEER, "<sm xmlns='urn:xmpp:sm:3'/>").await;
        peer.expects("enable").await;
        peer.sends("<enabled xmlns='urn:xmpp:sm:3' id='1' resume='true'/>").await;
        for number in 0..3 {
            peer.expects_message(&number.to_string()).await;
        }
        peer.expects("iq").await;
        let account = scene.node.stops().await;
        let outcomes =
            [Outcome::Kept, Outcome::Uncertain, Outcome::Answered].map(|it| account.settled(it).stanzas);
        assert_eq!((outcomes, account.difference().stanzas), ([3, 1, 0], 0));

        drop(peer);
        let second = Node::start(network, setup).await;
        let mut peer = scene.accepts(&listener).await;
        for number in 0..3 {
            let Ok(Event::Element(message)) = peer.next(super::fixture::DAY).await else {
                panic!("a message")
            };
            assert_eq!(message.attribute("id"), number.to_string());
            assert!(message.child("delay").is_some(), "{message}");
        }
        assert_eq!(second.account().await.restored().stanzas, 3);
    });
}

/// `journal.after`, if it is not set.
const AFTER: Duration = Duration::from_millis(100);

const REMOTE: &str = "inbox.later.example";
