//! Incoming streams with acks (XEP-0198) in front of the real router, whose mailbox is full: the count has what the router
//! took, and all of it is in the account.

use super::{
    receiver::{Receiver, settled},
    *,
};
use crate::{
    flow::ledger::Outcome,
    routing::router::{Figures, ShowFigures},
};
use mailbox::panic_guard::PanicGuard;

const B: &str = "b.example";

/// The places in the mailbox of the router.
const PLACES: usize = 4;

// H14
#[actix::test]
async fn a_full_router_holds_back_the_count_and_takes_everything_later() {
    tokio::time::pause();
    let meter = |kind, capacity| Meter::new(kind, capacity, None);
    // The router does not run yet, so its mailbox fills.
    let (router, inbox) = mailbox::open(&meter("router", PLACES), "router");
    let (promise, _promise) = mailbox::open(&meter("promise", 100), "promise");
    let (service, _service) = mailbox::open(&meter("service", 100), "service");
    let mut node = Receiver::start();
    node.routes_to(&router);
    let (mut peer, _) = node.connect_with_acks(B).await;
    for number in 0..PLACES {
        peer.sends(B, number..number + 1).await;
        settled().await;
    }
    assert_eq!(peer.count().await, PLACES.to_string(), "they are in the mailbox");
    peer.sends(B, PLACES..PLACES + 3).await;
    peer.asks_for_ack().await;
    peer.reads_nothing_for(Duration::from_secs(5)).await;
    inbox.start_on(&Arbiter::current(), move || {
        let guard = PanicGuard::new("router", mpsc::channel(1).0);
        let recorder = RecorderHandle::disabled();
        // No component is connected, so each stanza is answered.
        let name = (Domain::new(OURS).unwrap(), settings::Conflict::Refuse);
        Router::new([], [name], promise, service, None, recorder, guard)
    });
    let ack = peer.reads_element("a").await;
    assert_eq!(attribute(&ack, "h"), (PLACES + 3).to_string());
    let (answer, figures) = oneshot::channel();
    router.signal(ShowFigures { busiest: 0, answer }).unwrap();
    let Figures { account, .. } = figures.await.unwrap();
    let all = (PLACES + 3) as u64;
    assert_eq!((account.taken().stanzas, account.settled(Outcome::Answered).stanzas), (all, all));
}
