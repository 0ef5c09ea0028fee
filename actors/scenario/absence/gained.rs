//! A reload gives a remote name to a component: what waited for a link to it arrives there, before all that is newer.

use super::{super::disk::Disk, *};
use crate::scenario::remotes::Reachability;

/// The name that becomes local.
const GAINED: &str = "gained.example";

/// Messages that are sent before the reload, and after it.
const BEFORE: usize = 40;
const ALL: usize = 80;

impl House {
    /// A node whose remote servers cannot be reached.
    fn without_remotes() -> Self {
        tokio::time::pause();
        Self::without_remotes_over(None)
    }

    /// The same on paused time, with what waits in this journal.
    fn without_remotes_over(journal: Option<journal::Store>) -> Self {
        let house = Self::over(journal, Conflict::Refuse, ABSENCE);
        house.remotes.send_modify(|behaviour| behaviour.reachability = Reachability::Down);
        house
    }

    /// A reload after which a component of this name serves it.
    fn adds_gained(&mut self) {
        self.names.push((domain(GAINED), Conflict::Refuse, ABSENCE));
        self.adopts(&self.names);
    }

    /// A reload after which [`OTHER`] serves [`GAINED`] as well.
    fn gives_gained_to_other(&self) {
        let mut known = known(&self.names);
        let other = known.iter_mut().find(|component| component.name == domain(OTHER)).unwrap();
        other.names.push(domain(GAINED));
        let served = known
            .iter()
            .flat_map(|component| component.names.iter().map(|name| (name.clone(), component.name.clone())));
        self.adopts_names(&self.names, served.collect(), known.clone());
    }

    /// The stanzas that wait for links.
    async fn waiting_for_links(&self) -> u64 {
        let (answer, shown) = oneshot::channel();
        self.core.promise.signal(promise::Show { of: None, limit: 10, answer }).unwrap();
        shown.await.unwrap().waiting.stanzas
    }
}

#[actix::test]
async fn what_waited_for_a_link_arrives_at_the_component_that_gets_the_name() {
    let mut house = House::without_remotes();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(GAINED, 0..BEFORE).await;
    passes(5).await;
    assert_eq!(house.waiting_for_links().await, BEFORE as u64);
    house.adds_gained();
    sender.sends(GAINED, BEFORE..ALL).await;
    passes(1).await;
    assert_eq!((house.waiting_for_links().await, house.waiting(GAINED).await), (0, ALL as u64));
    let mut gained = house.connect(GAINED, WIDE).await;
    assert_eq!(gained.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    // The router sends to it itself then.
    passes(1).await;
    sender.sends(GAINED, 0..3).await;
    assert_eq!(gained.receives(3).await, [0, 1, 2]);
    house.has_settled().await;
}

#[actix::test]
async fn a_connected_component_that_gets_a_remote_name_gets_what_waited_for_it_first() {
    let house = House::without_remotes();
    let mut sender = house.connect(OURS, WIDE).await;
    let mut other = house.connect(OTHER, WIDE).await;
    // The router sends to this connection itself.
    sender.sends(OTHER, 1000..1001).await;
    other.receives(1).await;
    sender.sends(GAINED, 0..BEFORE).await;
    passes(5).await;
    house.gives_gained_to_other();
    sender.sends(GAINED, BEFORE..ALL).await;
    assert_eq!(other.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    passes(1).await;
    sender.sends(GAINED, 0..3).await;
    assert_eq!(other.receives(3).await, [0, 1, 2]);
    house.has_settled().await;
}

#[actix::test]
async fn a_component_that_gets_a_remote_name_while_it_connects_gets_what_waited_first() {
    let house = House::without_remotes();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(GAINED, 0..BEFORE).await;
    passes(5).await;
    // The end of its handover crosses the reload.
    let mut other = house.connect(OTHER, WIDE).await;
    house.gives_gained_to_other();
    sender.sends(GAINED, BEFORE..ALL).await;
    assert_eq!(other.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    passes(1).await;
    sender.sends(GAINED, 0..3).await;
    assert_eq!(other.receives(3).await, [0, 1, 2]);
    house.has_settled().await;
}

#[actix::test]
async fn what_waited_for_a_link_in_the_journal_arrives_at_the_component_that_gets_the_name() {
    tokio::time::pause();
    let disk = Disk::start(1 << 20, Duration::ZERO);
    let mut house = House::without_remotes_over(Some(disk.store.clone()));
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(GAINED, 0..BEFORE).await;
    passes(5).await;
    house.adds_gained();
    sender.sends(GAINED, BEFORE..ALL).await;
    passes(5).await;
    assert_eq!(house.queue(GAINED).await.kept, ALL as u64);
    let mut gained = house.connect(GAINED, WIDE).await;
    assert_eq!(gained.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn what_waited_for_a_link_expires_by_the_rules_of_the_component() {
    let mut house = House::without_remotes();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(GAINED, 0..2).await;
    passes(100).await;
    let short = Absence { message: Duration::from_secs(60), ..ABSENCE };
    house.names.push((domain(GAINED), Conflict::Refuse, short));
    house.adopts(&house.names);
    assert_eq!((sender.is_answered().await.0, sender.is_answered().await.0), (0, 1));
    assert_eq!(house.has_settled().await.settled(Outcome::Expired).stanzas, 2);
}

#[actix::test]
async fn a_link_to_a_name_that_becomes_local_ends_and_newer_stanzas_reach_the_component() {
    let mut house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(GAINED, 0..BEFORE).await;
    passes(5).await;
    house.adds_gained();
    sender.sends(GAINED, BEFORE..ALL).await;
    let mut gained = house.connect(GAINED, WIDE).await;
    assert_eq!(gained.receives(ALL - BEFORE).await, (BEFORE..ALL).collect::<Vec<_>>());
    passes(60).await;
    house.has_settled().await;
}
