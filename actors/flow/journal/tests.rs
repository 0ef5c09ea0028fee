//! The handles of batches: they stay with their stanzas, and give their records up when these are settled.

use actix::{Actor, Context, Handler};
use xmpp::Domain;

use super::*;
use crate::flow::batch::Batch;
use mailbox::{Mailbox, Meter, Queued};

/// Takes what a journal takes, and remembers the keys.
#[derive(Default)]
struct Listener {
    written: Vec<Arc<Slot>>,
    keys: Vec<u64>,
    forgotten: Vec<u64>,
}

struct Tell(tokio::sync::oneshot::Sender<(Vec<u64>, Vec<u64>)>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Queued<Write>> for Listener {
    type Result = ();

    fn handle(&mut self, write: Queued<Write>, _: &mut Context<Self>) {
        for record in write.into_message().records {
            self.keys.push(record.key);
            self.written.push(record.pending.slot);
        }
    }
}

impl Handler<Queued<Forget>> for Listener {
    type Result = ();

    fn handle(&mut self, forget: Queued<Forget>, _: &mut Context<Self>) {
        self.forgotten.push(forget.into_message().key);
    }
}

impl Handler<Queued<Tell>> for Listener {
    type Result = ();

    fn handle(&mut self, tell: Queued<Tell>, _: &mut Context<Self>) {
        tell.into_message().0.send((self.keys.clone(), self.forgotten.clone())).unwrap();
    }
}

fn listener(capacity: usize) -> (Mailbox<Listener>, Writer) {
    let meter = Meter::new("journal", capacity, None);
    let listener =
        mailbox::start_on(&actix_rt::Arbiter::current(), &meter, "journal", |_| Listener::default());
    let writer = Writer::new(1, listener.outlet(), listener.outlet());
    (listener, writer)
}

/// The keys that were written, and those that were forgotten.
async fn told(listener: &Mailbox<Listener>) -> (Vec<u64>, Vec<u64>) {
    let (tell, told) = tokio::sync::oneshot::channel();
    assert!(listener.signal(Tell(tell)).is_ok());
    told.await.unwrap()
}

fn stanza(id: u32, extra: &str) -> Stanza {
    let text = format!("<message from='a@a.example' to='b@b.example' id='{id}'>{extra}</message>");
    Stanza::restore(text.into()).unwrap()
}

/// A batch of stanzas with the numbers 0 to `count`, of which those in `written` have an handle.
fn batch(writer: &Writer, count: u32, written: &[u32]) -> Batch {
    let domain = |name: &str| Domain::new(name).unwrap();
    let mut batch = Batch::between(domain("a.example"), domain("b.example"), Vec::new());
    let mut group = writer.group(Waits::ForLink);
    for id in 0..count {
        let stanza = stanza(id, "");
        let handle = written.contains(&id).then(|| {
            group.add(&stanza, &Place::None, clock::now(), true, Flags::default(), Receipt::default())
        });
        batch.push(stanza, handle.into());
    }
    group.send();
    batch
}

/// The ids of the stanzas, and whether each has an handle.
fn ids(mut batch: Batch) -> Vec<(String, bool)> {
    let taken = batch.take_stanzas();
    taken.map(|(stanza, place)| (stanza.id().unwrap().into_owned(), is_written(&place))).collect()
}

fn is_written(place: &Place) -> bool {
    matches!(place, Place::Written(_))
}

fn expected(ids: &[(u32, bool)]) -> Vec<(String, bool)> {
    ids.iter().map(|(id, has_entry)| (id.to_string(), *has_entry)).collect()
}

#[actix::test]
async fn entries_stay_with_their_stanzas_through_every_split() {
    let (_listener, writer) = listener(100);
    for written in [&[][..], &[0], &[3], &[1, 3], &[0, 1, 2, 3, 4]] {
        let has = |ids: &[u32]| -> Vec<_> { ids.iter().map(|id| (*id, written.contains(id))).collect() };
        for at in 0..=5 {
            let mut first = batch(&writer, 5, written);
            let second = first.split_off(at as usize);
            let (before, behind): (Vec<u32>, Vec<u32>) = (0..5).partition(|id| *id < at);
            assert_eq!(ids(first), expected(&has(&before)), "{written:?} before {at}");
            assert_eq!(ids(second), expected(&has(&behind)), "{written:?} from {at} on");
        }
        let mut even = batch(&writer, 5, written);
        let odd = even.extract(|stanza| matches!(stanza.id().as_deref(), Some("1" | "3")));
        assert_eq!(ids(odd), expected(&has(&[1, 3])), "{written:?}");
        assert_eq!(ids(even), expected(&has(&[0, 2, 4])), "{written:?}");
        let reversed: Vec<_> = batch(&writer, 5, written).take_stanzas().rev().collect();
        let reversed =
            reversed.iter().map(|(stanza, place)| (stanza.id().unwrap().into(), is_written(place)));
        assert_eq!(reversed.collect::<Vec<_>>(), expected(&has(&[4, 3, 2, 1, 0])), "{written:?}");
    }
}

#[test]
fn reserved_keys_stay_with_their_stanzas_through_every_split() {
    let keys = |mut batch: Batch| -> Vec<(String, Option<u64>)> {
        let taken = batch.take_stanzas();
        taken.map(|(stanza, place)| (stanza.id().unwrap().into_owned(), place.key())).collect()
    };
    let expected =
        |ids: &[u64]| -> Vec<_> { ids.iter().map(|id| (id.to_string(), Some(100 + id))).collect() };
    let batch = || {
        let domain = |name: &str| Domain::new(name).unwrap();
        let stanzas = (0..5).map(|id| stanza(id, "")).collect();
        let batch = Batch::between(domain("a.example"), domain("b.example"), stanzas);
        Batch { places: Places::From(100), ..batch }
    };
    for at in 0..=5 {
        let mut first = batch();
        let second = first.split_off(at);
        assert_eq!(keys(first), expected(&(0..at as u64).collect::<Vec<_>>()));
        assert_eq!(keys(second), expected(&(at as u64..5).collect::<Vec<_>>()));
    }
    let mut even = batch();
    let odd = even.extract(|stanza| matches!(stanza.id().as_deref(), Some("1" | "3")));
    assert_eq!(keys(odd), expected(&[1, 3]));
    assert_eq!(keys(even), expected(&[0, 2, 4]));
    let reversed: Vec<_> = batch().take_stanzas().rev().map(|(_, place)| place.key()).collect();
    assert_eq!(reversed, [104, 103, 102, 101, 100].map(Some));
}

#[actix::test]
async fn a_settled_stanza_takes_its_record_with_it() {
    let (listener, writer) = listener(100);
    let mut first = batch(&writer, 4, &[0, 1, 3]);
    let second = first.split_off(1);
    assert_eq!(told(&listener).await, (vec![1, 2, 3], vec![]));
    drop(second);
    assert_eq!(told(&listener).await.1, [2, 3]);
    first.take_stanzas().for_each(|(_, place)| match place {
        Place::Written(handle) => handle.leave(),
        Place::None | Place::Reserved(_) | Place::Lent(_) => panic!("{place:?}"),
    });
    assert_eq!(told(&listener).await.1, [2, 3], "a record that was left stays in the file");
}

#[actix::test]
async fn stanzas_that_the_journal_has_no_room_for_count_as_not_kept_until_they_are_settled() {
    let (listener, writer) = listener(1);
    let kept = batch(&writer, 1, &[0]);
    let not_kept = batch(&writer, 3, &[0, 1, 2]);
    assert_eq!(writer.figures().read().not_kept, 3);
    drop(not_kept);
    assert_eq!(writer.figures().read().not_kept, 0);
    assert_eq!(told(&listener).await, (vec![1], vec![]), "what was never taken is not to be forgotten");
    drop(kept);
    assert_eq!(told(&listener).await.1, [1]);
}

#[actix::test]
async fn an_entry_knows_whether_its_record_is_in_the_present_file() {
    let (_listener, writer) = listener(100);
    let stanza = stanza(1, "");
    let mut group = writer.group(Waits::ForLink);
    let handle = group.add(&stanza, &Place::None, clock::now(), true, Flags::default(), Receipt::default());
    let slot = Arc::clone(&group.records[0].pending.slot);
    group.send();
    assert!(!handle.is_stored() && !handle.is_lost(), "it is on its way");
    writer.set_stored(&slot);
    assert!(handle.is_stored() && !handle.is_lost());
    writer.begin_generation();
    assert!(!handle.is_stored() && handle.is_lost(), "the file was damaged");
    let restored = writer.handle_of(7, true);
    assert!(restored.is_stored());
    assert!(writer.handle_of(7, false).is_lost());
}

#[test]
fn only_messages_that_may_be_stored_are_kept() {
    let hint = |name: &str| stanza(1, &format!("<{name} xmlns='urn:xmpp:hints'/>"));
    assert!(is_worth_keeping(&stanza(1, "<body>hi</body>")));
    assert!(is_worth_keeping(&hint("no-copy")) && is_worth_keeping(&hint("store")));
    assert!(!is_worth_keeping(&hint("no-store")) && !is_worth_keeping(&hint("no-permanent-store")));
    for other in [
        "<presence from='a@a.example' to='b@b.example'/>",
        "<iq from='a.example' to='b.example' id='1' type='get'><q xmlns='urn:q'/></iq>",
    ] {
        assert!(!is_worth_keeping(&Stanza::restore(other.into()).unwrap()), "{other}");
    }
}
