//! Tests of the limit for one address.

use actix::Arbiter;
use mailbox::Meter;

use super::*;

fn start(per_address: usize) -> Mailbox<DialLimit> {
    let here = Arbiter::current();
    let meter = Meter::new("dial_limit", 65_536, None);
    mailbox::start_on(&here, &meter, "dial_limit", move |own| DialLimit::new(per_address, own))
}

fn acquire(limit: &Mailbox<DialLimit>, purpose: Purpose) -> oneshot::Receiver<Result<DialPermit, Full>> {
    let (answer, answered) = oneshot::channel();
    let address = [192, 0, 2, 7].into();
    limit.tell(Acquire { address, purpose, waits: true, answer }).unwrap();
    answered
}

async fn verifications(limit: &Mailbox<DialLimit>, number: usize, confirmed: bool) -> usize {
    let mut acquired = 0;
    for _ in 0..number {
        if let Ok(permit) = acquire(limit, Purpose::Verification).await.unwrap() {
            acquired += 1;
            if confirmed {
                permit.succeed();
            }
        }
    }
    acquired
}

#[actix::test]
async fn verifications_that_confirm_no_key_are_limited_per_address_and_sessions_are_not() {
    tokio::time::pause();
    let limit = start(2);
    assert_eq!(verifications(&limit, 200, false).await, UNCONFIRMED);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(verifications(&limit, 200, false).await, 10);
    for _ in 0..200 {
        assert!(acquire(&limit, Purpose::Session).await.unwrap().is_ok());
    }
}

#[actix::test]
async fn verifications_that_confirm_a_key_cost_no_budget() {
    tokio::time::pause();
    let limit = start(32);
    assert_eq!(verifications(&limit, 10_000, true).await, 10_000);
    // A third of them may fail.
    for _ in 0..100 {
        assert_eq!(verifications(&limit, 1, false).await, 1);
        assert_eq!(verifications(&limit, 2, true).await, 2);
    }
}

#[actix::test]
async fn verifications_that_waited_are_counted_when_they_get_a_permit() {
    tokio::time::pause();
    let limit = start(1);
    let waiting: Vec<_> = (0..100).map(|_| acquire(&limit, Purpose::Verification)).collect();
    let mut acquired = 0;
    for answered in waiting {
        acquired += usize::from(answered.await.unwrap().is_ok());
    }
    assert_eq!(acquired, UNCONFIRMED);
}

/// Acquires all permits that are free.
async fn at_once(limit: &Mailbox<DialLimit>) -> Vec<DialPermit> {
    let mut permits = Vec::new();
    loop {
        let (answer, answered) = oneshot::channel();
        let address = [192, 0, 2, 7].into();
        limit.tell(Acquire { address, purpose: Purpose::Session, waits: false, answer }).unwrap();
        match answered.await.unwrap() {
            Ok(permit) => permits.push(permit),
            Err(Full) => return permits,
        }
    }
}

#[actix::test]
async fn the_limit_grows_with_each_success_up_to_a_multiple() {
    let limit = start(4);
    // The address is not forgotten while a permit is in use.
    let anchor = acquire(&limit, Purpose::Session).await.unwrap().unwrap();
    for expected in [3, 6, 12, 24, 31, 31] {
        let permits = at_once(&limit).await;
        assert_eq!(permits.len(), expected);
        permits.into_iter().for_each(DialPermit::succeed);
    }
    drop(anchor);
    assert_eq!(at_once(&limit).await.len(), 4, "an unused address is forgotten");
}

#[actix::test]
async fn failures_lower_the_limit_to_the_configured_one() {
    let limit = start(4);
    // A quarter of the connections fails.
    let anchor = acquire(&limit, Purpose::Session).await.unwrap().unwrap();
    for number in 0..100 {
        let permit = acquire(&limit, Purpose::Session).await.unwrap().unwrap();
        if number % 4 != 0 {
            permit.succeed();
        }
    }
    let permits = at_once(&limit).await;
    assert!(permits.len() >= 24, "{}", permits.len());
    drop(permits);
    assert_eq!(at_once(&limit).await.len(), 3);
    drop(anchor);
}

#[actix::test]
async fn a_success_grants_its_permit_and_one_more_to_waiting_requests() {
    let limit = start(1);
    let first = acquire(&limit, Purpose::Session).await.unwrap().unwrap();
    let (second, third) = (acquire(&limit, Purpose::Session), acquire(&limit, Purpose::Session));
    first.succeed();
    let _held = [second.await.unwrap().unwrap(), third.await.unwrap().unwrap()];
}

fn key(address: &str) -> Key {
    let (answer, _) = oneshot::channel();
    let address = address.parse().unwrap();
    Key::of(&Acquire { address, purpose: Purpose::Verification, waits: true, answer })
}

#[test]
fn the_addresses_of_an_ipv6_64_network_share_a_limit() {
    assert_eq!(key("2001:db8::7"), key("2001:db8::8:9"));
    assert_ne!(key("2001:db8::7"), key("2001:db8:0:1::7"));
    assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
}
