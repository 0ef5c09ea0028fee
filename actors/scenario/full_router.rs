//! Incoming streams with acks (XEP-0198) in front of the real router, whose mailbox is full: the count has what the router
//! took, and all of it is in the account.

use super::{
    receiver::{Receiver, message, settled},
    *,
};
use crate::{
    flow::account::Totals,
    routing::router::{Figures, Known, Receivers, ShowFigures},
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
    let (mailroom, _mailroom) = mailbox::open(&meter("mailroom", 100), "mailroom");
    let (service, _service) = mailbox::open(&meter("service", 100), "service");
    let mut node = Receiver::start();
    node.routes_to(&router);
    // One read of each stream is in the mailbox at most.
    let mut peers = Vec::new();
    for number in 0..=PLACES {
        let (mut peer, _) = node.connect_with_acks(B).await;
        peer.writes(&format!("{}<r xmlns='urn:xmpp:sm:3'/>", message(B, number))).await;
        settled().await;
        peers.push(peer);
    }
    let mut last = peers.pop().unwrap();
    for peer in &mut peers {
        assert_eq!(attribute(&peer.reads_element("a").await, "h"), "1", "it is in the mailbox");
    }
    last.reads_nothing_for(Duration::from_secs(5)).await;
    inbox.start_on(&Arbiter::current(), move || {
        let guard = PanicGuard::new("router", mpsc::channel(1).0);
        let recorder = RecorderHandle::disabled();
        // No component is connected, so each stanza waits in the mailroom, which does not run.
        let name = Domain::new(OURS).unwrap();
        let (names, conflict) = (vec![name.clone()], settings::Conflict::Refuse);
        let known = Known { name, names, conflict };
        Router::new(
            [],
            [known],
            Receivers {
                promise,
                mailroom,
                service,
                journal: None,
                seats: None,
                account: Arc::new(Totals::of_all()),
            },
            None,
            recorder,
            guard,
        )
    });
    assert_eq!(attribute(&last.reads_element("a").await, "h"), "1");
    let (answer, figures) = oneshot::channel();
    router.signal(ShowFigures { busiest: 0, answer }).unwrap();
    let Figures { account, .. } = figures.await.unwrap();
    let all = (PLACES + 1) as u64;
    assert_eq!((account.taken().stanzas, account.waiting().stanzas), (all, all));
}
