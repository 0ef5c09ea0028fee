//! Tests of the gate.

use actix::Arbiter;

use super::*;

/// Stands where the promise would.
struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<Queued<Waiting>> for Nobody {
    type Result = ();

    fn handle(&mut self, held: Queued<Waiting>, _: &mut Context<Self>) {
        held.open();
    }
}

impl Handler<Queued<Acquired>> for Nobody {
    type Result = ();

    fn handle(&mut self, admitted: Queued<Acquired>, _: &mut Context<Self>) {
        admitted.open();
    }
}

fn start(per_address: usize) -> Mailbox<DialLimit> {
    let here = Arbiter::current();
    let nobody = mailbox::start_on(&here, &Meter::new("nobody", 1024, None), "nobody", move |_| Nobody);
    let owners = Owners { held: nobody.outlet(), admitted: nobody.outlet() };
    let meter = Meter::new("dial_limit", 65_536, None);
    let counted = Arc::clone(&meter);
    mailbox::start_on(&here, &meter, "dial_limit", move |own| {
        DialLimit::new(per_address, own, owners, counted)
    })
}

fn enter(gate: &Mailbox<DialLimit>, purpose: Purpose) -> oneshot::Receiver<Result<DialPermit, Full>> {
    let (answer, answered) = oneshot::channel();
    let address = [192, 0, 2, 7].into();
    gate.tell(Acquire { address, purpose, waits: true, answer }).unwrap();
    answered
}

async fn verifications(gate: &Mailbox<DialLimit>, number: usize, confirmed: bool) -> usize {
    let mut entered = 0;
    for _ in 0..number {
        if let Ok(pass) = enter(gate, Purpose::Verification).await.unwrap() {
            entered += 1;
            if confirmed {
                pass.succeed();
            }
        }
    }
    entered
}

#[actix::test]
async fn verifications_that_confirm_nothing_are_few_to_one_address_and_sessions_are_not_counted() {
    tokio::time::pause();
    let gate = start(2);
    assert_eq!(verifications(&gate, 200, false).await, UNCONFIRMED);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(verifications(&gate, 200, false).await, 10);
    for _ in 0..200 {
        assert!(enter(&gate, session()).await.unwrap().is_ok());
    }
}

#[actix::test]
async fn verifications_that_confirm_a_key_cost_an_address_nothing() {
    tokio::time::pause();
    let gate = start(32);
    assert_eq!(verifications(&gate, 10_000, true).await, 10_000);
    // A third of them may be broken.
    for _ in 0..100 {
        assert_eq!(verifications(&gate, 1, false).await, 1);
        assert_eq!(verifications(&gate, 2, true).await, 2);
    }
}

#[actix::test]
async fn verifications_that_waited_are_counted_when_they_go_in() {
    tokio::time::pause();
    let gate = start(1);
    let waiting: Vec<_> = (0..100).map(|_| enter(&gate, Purpose::Verification)).collect();
    let mut entered = 0;
    for answered in waiting {
        entered += usize::from(answered.await.unwrap().is_ok());
    }
    assert_eq!(entered, UNCONFIRMED);
}

fn session() -> Purpose {
    let domain = |name| xmpp::Domain::new(name).unwrap();
    Purpose::Session(DomainPair { local: domain("a.example"), remote: domain("b.example") })
}

/// As many as the gate lets through at once; gives their passes.
async fn at_once(gate: &Mailbox<DialLimit>) -> Vec<DialPermit> {
    let mut passes = Vec::new();
    loop {
        let (answer, answered) = oneshot::channel();
        let address = [192, 0, 2, 7].into();
        gate.tell(Acquire { address, purpose: session(), waits: false, answer }).unwrap();
        match answered.await.unwrap() {
            Ok(pass) => passes.push(pass),
            Err(Full) => return passes,
        }
    }
}

#[actix::test]
async fn an_address_where_sessions_are_made_is_met_by_more_at_once_up_to_a_bound() {
    let gate = start(4);
    // While it is inside, the address is not forgotten.
    let anchor = enter(&gate, session()).await.unwrap().unwrap();
    for expected in [3, 6, 12, 24, 31, 31] {
        let passes = at_once(&gate).await;
        assert_eq!(passes.len(), expected);
        passes.into_iter().for_each(DialPermit::succeed);
    }
    drop(anchor);
    assert_eq!(at_once(&gate).await.len(), 4, "nothing is remembered of an address that nobody connects to");
}

#[actix::test]
async fn an_address_where_attempts_come_to_nothing_is_soon_met_by_as_few_as_at_first() {
    let gate = start(4);
    // Some of a hoster's domains may be broken.
    let anchor = enter(&gate, session()).await.unwrap().unwrap();
    for number in 0..100 {
        let pass = enter(&gate, session()).await.unwrap().unwrap();
        if number % 4 != 0 {
            pass.succeed();
        }
    }
    let passes = at_once(&gate).await;
    assert!(passes.len() >= 24, "{}", passes.len());
    drop(passes);
    assert_eq!(at_once(&gate).await.len(), 3);
    drop(anchor);
}

#[actix::test]
async fn who_waits_is_let_in_when_another_one_succeeds_and_one_more_with_him() {
    let gate = start(1);
    let first = enter(&gate, session()).await.unwrap().unwrap();
    let (second, third) = (enter(&gate, session()), enter(&gate, session()));
    first.succeed();
    let _held = [second.await.unwrap().unwrap(), third.await.unwrap().unwrap()];
}

fn door(address: &str) -> Key {
    let (answer, _) = oneshot::channel();
    let address = address.parse().unwrap();
    Key::of(&Acquire { address, purpose: Purpose::Verification, waits: true, answer })
}

#[test]
fn the_addresses_of_an_ipv6_network_are_one() {
    assert_eq!(door("2001:db8::7"), door("2001:db8::8:9"));
    assert_ne!(door("2001:db8::7"), door("2001:db8:0:1::7"));
    assert_ne!(door("192.0.2.7"), door("192.0.2.8"));
}
