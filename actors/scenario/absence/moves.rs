//! A reload gives a name of one component to another: what waited for the name arrives there, before all that is newer.

use bytes::BytesMut;
use xmpp::{
    Stanza,
    framer::{Frame, Framer, Limits},
    stanza::Origin,
    xml::ns,
};

use super::*;
use crate::flow::{
    batch::Batch,
    route::{Ingress, Route},
};

/// The name that moves.
const MOVING: &str = "moving.example";

impl House {
    /// A reload after which this component serves [`MOVING`] as well.
    fn moves_to(&self, owner: &str) {
        let mut known = known(&self.names);
        let component = known.iter_mut().find(|component| component.name == domain(owner)).unwrap();
        component.names.push(domain(MOVING));
        let served = known
            .iter()
            .flat_map(|component| component.names.iter().map(|name| (name.clone(), component.name.clone())));
        self.adopts_names(&self.names, served.collect(), known.clone());
    }

    /// The router takes numbered messages for [`MOVING`], right after what it was sent before.
    fn takes(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let stanza = format!(
                "<message type='chat' from='a@{OURS}' to='b@{MOVING}' id='{number}'><n>{number}</n></message>"
            );
            let batches = vec![Batch::of(read(&stanza))];
            self.core.router.tell(Route { batches, ingress: Ingress::Local }).unwrap();
        }
    }
}

fn read(stanza: &str) -> Stanza {
    let mut framer = Framer::new(Limits::default());
    let mut bytes = BytesMut::from(format!("<s xmlns='jabber:server'>{stanza}").as_str());
    framer.next(&mut bytes).unwrap();
    let Ok(Some(Frame::Element(element))) = framer.next(&mut bytes) else { panic!("{stanza}") };
    let scope = framer.scope().to_vec();
    Stanza::admit(element, &Origin { namespace: ns::SERVER, scope, lang: None }).unwrap()
}

/// Messages that are sent before the reload, and after it.
const BEFORE: usize = 40;
const ALL: usize = 80;

#[actix::test]
async fn what_waited_for_a_name_that_moves_is_before_what_is_newer() {
    let house = House::new();
    house.moves_to(BOT);
    let mut sender = house.connect(OURS, WIDE).await;
    let mut other = house.connect(OTHER, WIDE).await;
    // The router sends to this connection itself.
    sender.sends(OTHER, 1000..1001).await;
    other.receives(1).await;
    passes(1).await;
    house.takes(0..BEFORE);
    passes(1).await;
    assert_eq!(house.waiting(BOT).await, BEFORE as u64);
    house.moves_to(OTHER);
    house.takes(BEFORE..ALL);
    assert_eq!(other.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    // And the router sends to it itself again.
    passes(1).await;
    sender.sends(OTHER, 0..3).await;
    assert_eq!(other.receives(3).await, [0, 1, 2]);
    house.has_settled().await;
}

#[actix::test]
async fn a_name_that_moves_while_its_new_component_connects_or_is_away_keeps_the_order() {
    let house = House::new();
    house.moves_to(BOT);
    house.takes(0..BEFORE);
    passes(1).await;
    // It is being handed over when the name comes.
    let mut other = house.connect(OTHER, WIDE).await;
    house.moves_to(OTHER);
    house.takes(BEFORE..ALL);
    assert_eq!(other.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    drop(other);
    passes(1).await;
    house.takes(0..BEFORE);
    passes(1).await;
    house.moves_to(BOT);
    house.takes(BEFORE..ALL);
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(ALL).await, (0..ALL).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn what_the_connection_of_a_renamed_component_returns_is_in_front() {
    let mut house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let bot = house.connect(BOT, 512).await;
    // It reads nothing: a part is in its outbox, and the rest waits.
    sender.sends(BOT, 0..300).await;
    passes(1).await;
    // The component is configured under another name from now on, and serves the old one too.
    let (_, conflict, absence) = house.names.remove(1);
    house.names.push((domain(MOVING), conflict, absence));
    let mut known = known(&house.names);
    known.last_mut().unwrap().names.push(domain(BOT));
    let served =
        known.iter().flat_map(|it| it.names.iter().map(|name| (name.clone(), it.name.clone()))).collect();
    house.adopts_names(&house.names, served, known.clone());
    sender.sends(BOT, 300..310).await;
    let mut renamed = house.connect(MOVING, WIDE).await;
    drop(bot);
    let received = renamed.receives(10).await;
    let first = received[0];
    let mut all = received;
    all.extend(renamed.receives(310 - first - 10).await);
    assert_eq!(all, (first..310).collect::<Vec<_>>());
    assert!(first < 100, "{first} may have been read before");
}
