//! Nodes that do not fit: other versions of frames, names that nobody has, two processes with one name.

use ::cluster::{
    arbiter::Disagreement,
    engine::{Engine, fake::Faults},
    ferry::{
        Body, Frame, Header, Parcels,
        codec::{self, Versions},
    },
    name::{Incarnation, NodeName},
};
use tokio::sync::{mpsc, oneshot};
use xmpp::Domain;

use super::{
    stanzas::{carry, ids, pair, write},
    *,
};
use crate::{
    flow::claims::Contested,
    relaying::cluster::{MOST_NODES, Show, Shown},
};

impl Node {
    /// What `nuncio nodes` would show, and the number of ferries.
    async fn shows(&self) -> (Shown, usize) {
        let (report, shown) = oneshot::channel();
        let (ferries, mut of_ferries) = mpsc::channel(2 * MOST_NODES);
        self.cluster.signal_quietly(Show { report, ferries }).unwrap();
        let shown = shown.await.unwrap();
        let mut count = 0;
        while of_ferries.recv().await.is_some() {
            count += 1;
        }
        (shown, count)
    }

    fn has_nothing_new(&mut self) -> bool {
        self.rest().iter().all(|said| !matches!(said, Said::Route(_)))
    }
}

#[actix::test]
async fn what_is_for_a_node_with_other_versions_of_frames_comes_back_until_it_is_upgraded() {
    let mut world = World::new(1, Faults::none());
    let mut b = world.node("b").await;
    world.versions = Versions { oldest: 2, newest: 3 };
    let mut a = world.node("a").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (shown, _) = b.shows().await;
    let troubles = &shown.report.disagreements;
    let trouble = troubles.iter().find(|(node, _)| *node == a.name).unwrap().1.to_string();
    assert!(trouble.contains("versions 2 to 3") && trouble.contains("version 1"), "{trouble}");
    assert!(shown.report.members.iter().any(|member| member.node == a.name && member.alive));
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 1);
    let (_, in_doubt) = b.relay_ends(1).await;
    assert!(in_doubt.is_empty() && a.has_nothing_new(), "it waits at this node");
    // The other node is upgraded.
    let gone = a.client;
    world.broker(move |broker| broker.detach(gone)).await;
    world.versions = Versions::OWN;
    let mut a = world.node("a").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(b.shows().await.0.report.disagreements.is_empty());
    carry(&way, &b.relay(2), 1, 1);
    assert_eq!(write(a.router_gets().await), [1]);
    b.relay_has_settled(2, &[1]).await;
}

#[actix::test]
async fn troubles_of_a_node_are_shown_from_the_moment_it_joins() {
    let mut world = World::new(1, Faults::none());
    let b = world.node("b").await;
    world.secret = "another".to_owned();
    let a = world.node("a").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (shown, _) = b.shows().await;
    assert!(shown.report.disagreements.contains(&(a.name.clone(), Disagreement::Secret)));
}

#[actix::test]
async fn frames_of_names_that_nobody_has_start_no_ferry_and_old_contests_have_no_effect() {
    let world = World::new(1, Faults::none());
    let [mut a, b] = world.nodes(["a", "b"]).await;
    let (sender, _events) = mpsc::channel(64);
    let stranger = world.hub.client(NodeName::new("stranger").unwrap(), sender).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (run, of_b) = (a.incarnation().await, b.incarnation().await);
    let header = |from: &str, incarnation, to| Header {
        from: NodeName::new(from).unwrap(),
        incarnation,
        to,
        session: 1,
    };
    for number in 0..3 * MOST_NODES as u64 {
        let header = header(&format!("x{number}"), Incarnation(number), run);
        let parcels = Parcels { frame: 1, at: 0, seen: 0, wants_answer: true, first: 1, parcels: Vec::new() };
        let frame = Frame { header, body: Body::Parcels(parcels) };
        stranger.publish(&a.name, codec::encode(&frame)).unwrap();
    }
    let contest = |header| {
        let name = Domain::new("echo.a.example").unwrap();
        codec::encode(&Frame { header, body: Body::Contest(name) })
    };
    let other = Incarnation(7);
    stranger.publish(&a.name, contest(header("b", of_b, other))).unwrap();
    stranger.publish(&a.name, contest(header("b", other, run))).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(a.shows().await.1, 1, "the ferry to b");
    assert!(a.rest().iter().all(|said| !matches!(said, Said::Contested(_))));
    stranger.publish(&a.name, contest(header("b", of_b, run))).unwrap();
    let contested = a.hears("the contest", |said| match said {
        Said::Contested(contested) => Ok(contested),
        other => Err(other),
    });
    assert_eq!(contested.await, Contested { name: Domain::new("echo.a.example").unwrap() });
}

/// Where each start has another host name, old names must not keep new nodes out.
#[actix::test]
async fn nodes_with_new_names_find_room_where_dead_ones_were() {
    let world = World::new(1, Faults::none());
    let mut b = world.node("b").await;
    let mut last = None;
    for number in 0..MOST_NODES + 6 {
        let node = world.node(&format!("x{number}")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(before) = last.replace(node) {
            let gone = before.client;
            world.broker(move |broker| broker.detach(gone)).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(before);
        }
    }
    let mut last = last.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let way = b.way_to(&mut last).await;
    carry(&way, &b.relay(1), 1, 1);
    assert_eq!(write(last.router_gets().await), [1]);
    b.relay_has_settled(1, &[1]).await;
    let (shown, ferries) = b.shows().await;
    assert!(ferries <= MOST_NODES && shown.report.members.len() <= MOST_NODES);
}

/// An operator's mistake.
#[actix::test]
async fn of_two_processes_with_one_name_the_first_keeps_its_sessions_and_the_second_is_silent() {
    let mut world = World::new(1, Faults::none());
    world.sees_processes = false;
    let [mut first, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut first).await;
    let mut second = world.node("a").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (shown, _) = second.shows().await;
    let [(node, about)] = &shown.report.disagreements[..] else { panic!("{shown:?}") };
    assert!(*node == first.name && about.as_str() == "same-name", "{about}");
    second.rest();
    let relay = b.relay(1);
    for number in 1..=20 {
        carry(&way, &relay, number, number);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let batches = first.router_gets().await;
        assert_eq!(ids(&batches), [number]);
        write(batches);
        b.relay_has_settled(1, &[number]).await;
    }
    assert!(second.has_nothing_new());
    let pair = pair("a.example", "c.example");
    second.claims(&pair);
    second.hears("no answer", |said| if matches!(said, Said::Unknown(_)) { Ok(()) } else { Err(said) }).await;
    let (shown, _) = first.shows().await;
    assert!(shown.report.lease.is_some() && shown.report.disagreements.is_empty());
}
