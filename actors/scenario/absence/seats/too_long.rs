//! Stanzas for a component at another node that are longer than the broker of the cluster permits.

use super::*;

#[actix::test]
async fn a_stanza_that_is_too_long_for_the_broker_is_answered_and_the_relay_of_the_component_goes_on() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.b.permits(LONGEST);
    seats.is_at_b(BOT);
    other.sends(BOT, 0..2).await;
    let long = format!(
        "<message type='chat' from='a@{OTHER}' to='b@{BOT}' id='2'><body>{}</body></message>",
        "x".repeat(LONGEST)
    );
    other.writes(&long).await;
    other.sends(BOT, 3..5).await;
    let answer = other.next().await.unwrap();
    assert!(answer.contains("policy-violation") && answer.contains("id='2'"), "{answer}");
    passes(5).await;
    assert_eq!(seats.arrived(), [0, 1, 3, 4]);
    let account = seats.house.has_settled().await;
    let settled = |outcome| account.settled(outcome).stanzas;
    assert_eq!((settled(Outcome::Relayed), settled(Outcome::Answered)), (4, 1));
}

/// What the broker permits, in bytes.
const LONGEST: usize = 1_000;
