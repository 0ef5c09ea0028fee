//! Links that are lost: they are replaced at once, and within bounds.

use std::time::Duration;

use super::{
    fixture::{Peer, paused, sleep, timed},
    scene::{PEER, Scene},
};

#[test]
fn ten_resets_under_load_bounce_nothing_and_leave_no_gap_of_a_second() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let inbox = scene.node.inbox().await;
        let listener = scene.listens();
        let load = async {
            for number in 0..2000 {
                inbox.sends_message(PEER, &number.to_string(), "");
                sleep(Duration::from_millis(5)).await;
            }
        };
        let resets = async {
            let mut peer = scene.accepts(&listener).await;
            for _ in 0..10 {
                sleep(Duration::from_millis(900)).await;
                drop(peer);
                let (next, took) = timed(scene.accepts(&listener)).await;
                assert!(took < Duration::from_millis(150), "{took:?}");
                peer = next;
                peer.expects("message").await;
            }
            peer
        };
        let ((), _peer) = tokio::join!(load, resets);
        sleep(Duration::from_secs(1)).await;
        let account = scene.node.account().await;
        let bounced: u64 = account.bounces().map(|(_, count)| count).sum();
        assert_eq!((bounced, account.waiting().stanzas), (0, 0), "{account:?}");
    });
}

#[test]
fn a_remote_that_ends_every_link_is_dialled_about_once_a_second_and_tried_again_within_two_seconds() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let inbox = scene.node.inbox().await;
        let listener = scene.listens();
        let load = async {
            for number in 0..600 {
                inbox.sends_message(PEER, &number.to_string(), "");
                sleep(Duration::from_millis(100)).await;
            }
        };
        let resets = async {
            loop {
                let (mut peer, took) = timed(scene.accepts(&listener)).await;
                assert!(took < Duration::from_secs(2), "{took:?}");
                peer.expects("message").await;
            }
        };
        tokio::select! { () = load => {}, () = resets => {} }
        let dials = network.attempts(listener.address());
        assert!((30..=80).contains(&dials), "{dials} in a minute");
    });
}

#[test]
fn a_remote_that_accepts_connections_and_does_not_authenticate_is_tried_again_within_two_seconds() {
    paused(async |network| {
        let scene = Scene::set(network).await;
        let inbox = scene.node.inbox().await;
        let listener = scene.listens();
        inbox.sends_message(PEER, "waits", "");
        for _ in 0..60 {
            let (mut peer, took) = timed(listener.accepts()).await;
            assert!(took < Duration::from_secs(2), "{took:?}");
            breaks_off(&mut peer).await;
        }
        scene.accepts(&listener).await.expects_message("waits").await;
    });
}

/// A server that is being started.
async fn breaks_off(peer: &mut Peer) {
    peer.expects_header().await;
    peer.sends_header(PEER, super::scene::INBOX, "id='1'").await;
    peer.sends(
        "<stream:error><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
         </stream:stream>",
    )
    .await;
    peer.waits_for_the_end().await;
}
