//! The actor over a store that fails on request.

use actix_rt::Arbiter;
use journal::{
    fake::{Failure, Fake},
    record::Flags,
};
use tokio::sync::mpsc;
use xmpp::Stanza;

use super::*;
use crate::flow::journal::{Place, Receipt, RecordHandle, Waits};
use mailbox::{Meter, Outlet, drain};

struct Scene {
    fake: Fake,
    journal: Mailbox<Journal>,
    writer: Writer,
    synced: mpsc::Receiver<()>,
    asker: Outlet<Synced>,
}

/// Waits for the answers to [`Sync`].
struct Asker(mpsc::Sender<()>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Queued<Synced>> for Asker {
    type Result = ();

    fn handle(&mut self, synced: Queued<Synced>, _: &mut Context<Self>) {
        synced.into_message();
        self.0.try_send(()).unwrap();
    }
}

impl Scene {
    fn new(max_bytes: u64) -> Self {
        let fake = Fake::default();
        let here = Arbiter::current();
        let (log, restored) = Log::open(Box::new(fake.clone()), None, max_bytes, clock::now()).unwrap();
        let (journal, inbox) = mailbox::open(&Meter::new("journal", 1000, None), "journal");
        let writer = Writer::new(restored.next, journal.outlet(), journal.outlet());
        let (own, for_actor) = (journal.clone(), writer.clone());
        inbox.start_on(&here, move || Journal::new(log, for_actor, own));
        let (tell, synced) = mpsc::channel(8);
        let asker = mailbox::start_on(&here, &Meter::new("asker", 8, None), "asker", |_| Asker(tell));
        Self { fake, journal, writer, synced, asker: asker.outlet() }
    }

    fn write(&self, count: usize) -> Vec<RecordHandle> {
        let stanza = Stanza::restore("<message from='a.example' to='b.example'/>".into()).unwrap();
        let mut group = self.writer.group(Waits::ForLink);
        let handles = (0..count)
            .map(|_| {
                group.add(&stanza, &Place::None, clock::now(), true, Flags::default(), Receipt::default())
            })
            .collect();
        group.send();
        handles
    }

    async fn sync(&mut self) {
        assert!(self.journal.signal(Sync { done: self.asker.clone() }).is_ok());
        self.synced.recv().await.unwrap();
    }
}

fn stored(handles: &[RecordHandle]) -> usize {
    handles.iter().filter(|handle| handle.is_stored()).count()
}

#[actix::test]
async fn what_comes_during_a_commit_is_in_the_next_one() {
    let mut scene = Scene::new(1 << 20);
    // All of these messages are in the mailbox before the actor runs.
    let handles: Vec<Vec<RecordHandle>> = (0..50).map(|_| scene.write(3)).collect();
    scene.sync().await;
    assert!(handles.iter().all(|handles| stored(handles) == 3));
    assert_eq!(scene.fake.commits(), 1);
    assert_eq!(scene.writer.figures().read().records, 150);
}

#[actix::test]
async fn a_commit_does_not_wait_for_more() {
    let mut scene = Scene::new(1 << 20);
    let handles = scene.write(1);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stored(&handles), 1);
    scene.sync().await;
    assert_eq!(scene.fake.commits(), 1);
}

#[actix::test]
async fn records_of_settled_stanzas_are_removed_a_moment_later() {
    tokio::time::pause();
    let mut scene = Scene::new(1 << 20);
    let handles = scene.write(10);
    scene.sync().await;
    drop(handles);
    tokio::time::sleep(REMOVAL * 2).await;
    assert!(scene.fake.keys().is_empty());
    assert_eq!(scene.fake.commits(), 2);
}

#[actix::test]
async fn after_an_error_nothing_is_lost_and_the_file_is_opened_again() {
    tokio::time::pause();
    let mut scene = Scene::new(1 << 20);
    let first = scene.write(2);
    scene.sync().await;
    scene.fake.fail_each(Some(1), Failure::Before);
    let second = scene.write(3);
    scene.sync().await;
    assert_eq!((stored(&first), stored(&second)), (2, 0));
    assert!(second.iter().all(RecordHandle::is_lost));
    let third = scene.write(1);
    scene.sync().await;
    let shown = scene.writer.figures().read();
    assert_eq!((shown.up, shown.not_kept), (false, 4));
    scene.fake.fail_each(None, Failure::Before);
    assert_eq!(scene.writer.reopened(), 0);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(scene.writer.reopened(), 1, "what was refused can be offered at once");
    drop((second, third));
    let again = scene.write(4);
    scene.sync().await;
    assert_eq!((stored(&first), stored(&again)), (2, 4));
    let shown = scene.writer.figures().read();
    assert_eq!((shown.up, shown.not_kept, shown.records), (true, 0, 6));
}

#[actix::test]
async fn what_is_in_a_file_that_is_gone_is_not_kept_when_the_node_stops() {
    let mut scene = Scene::new(1 << 20);
    let handles = scene.write(3);
    scene.sync().await;
    assert_eq!(stored(&handles), 3);
    scene.fake.set_elsewhere(true);
    scene.fake.set_broken(true);
    // The actors ask for this when the node stops.
    scene.sync().await;
    assert_eq!(stored(&handles), 0, "no new file could be made");
}

#[actix::test]
async fn a_full_journal_refuses_the_newest() {
    let mut scene = Scene::new(500);
    let handles: Vec<RecordHandle> = (0..20).flat_map(|_| scene.write(1)).collect();
    scene.sync().await;
    let kept = stored(&handles);
    assert!(kept > 0 && kept < 20, "{kept}");
    assert!(handles[..kept].iter().all(RecordHandle::is_stored));
    assert!(handles[kept..].iter().all(RecordHandle::is_lost));
    assert_eq!(scene.writer.figures().read().not_kept, 20 - kept as u64);
}

#[actix::test]
async fn a_closed_journal_has_committed_what_came_before() {
    let scene = Scene::new(1 << 20);
    let handles = scene.write(5);
    let (token, closed) = drain::tokens();
    assert!(scene.journal.signal(Close { token }).is_ok());
    assert!(closed.within(Duration::from_secs(5)).await);
    assert_eq!((stored(&handles), scene.fake.keys().len()), (5, 5));
    let late = scene.write(1);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(late[0].is_lost());
}

#[actix::test]
async fn a_file_that_fails_is_opened_once_more_when_the_node_stops() {
    tokio::time::pause();
    let mut scene = Scene::new(1 << 20);
    scene.fake.fail_each(Some(1), Failure::Before);
    let lost = scene.write(3);
    scene.sync().await;
    assert!(lost.iter().all(RecordHandle::is_lost));
    scene.fake.fail_each(None, Failure::Before);
    assert!(scene.journal.signal(TryAgain).is_ok());
    let again = scene.write(3);
    scene.sync().await;
    assert_eq!(stored(&again), 3);
}
