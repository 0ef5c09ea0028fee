//! A component that is not read, because it does not read its error answers, and that ends.

use super::*;

#[actix::test]
async fn the_end_of_a_component_that_is_not_read_for_its_unread_answers_is_noticed() {
    let house = House::with(Conflict::Refuse, Absence { max_stanzas: 10, ..ABSENCE });
    let mut bot = house.connect(BOT, 4096).await;
    // Each is answered, and no answer is read. In the end the node does not read either.
    let (mut sent, moment) = (0, Duration::from_millis(100));
    while tokio::time::timeout(moment, bot.sends("denied.example", sent..sent + 1)).await.is_ok() {
        sent += 1;
    }
    bot.socket.shutdown().await.unwrap();
    // The ping of a conflict would take 5 s.
    let again = tokio::time::timeout(Duration::from_secs(3), house.connect(BOT, WIDE)).await;
    assert!(again.is_ok(), "the name is not free");
}
