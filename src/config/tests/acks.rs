//! The keys for acknowledged streams (XEP-0198).

use std::time::Duration;

use super::{Dir, assert_finds};
use actors::settings::Repeat;

#[test]
fn acks_are_on_and_each_remote_may_differ() {
    let config = Dir::new()
        .load(
            "[[domain]]\nname = \"a.example\"\n[limits]\nresumable = 7\n[s2s]\nack_timeout = \"9s\"\n\
             [[remote]]\nname = \"b.example\"\nacks = false\n\
             [[remote]]\nname = \"c.example\"\nresume_timeout = \"0s\"\nack_timeout = \"5s\"\nrepeat = \"never\"\n",
        )
        .unwrap();
    assert!(config.settings.remote.acks);
    assert_eq!(config.settings.limits.resumable, 7);
    let times = |remote: &actors::settings::Remote| {
        (remote.acks, remote.resume_timeout.as_secs(), remote.ack_timeout.as_secs(), remote.repeat)
    };
    let [(_, b), (_, c)] = config.settings.overrides.as_slice() else { panic!("two remotes") };
    assert_eq!(times(&config.settings.remote), (true, 120, 9, Repeat::Messages));
    assert_eq!(times(b), (false, 120, 9, Repeat::Messages));
    assert_eq!(times(c), (true, 0, 5, Repeat::Never));
    assert_eq!(c.resume_timeout, Duration::ZERO);
    let offer = |remote: &actors::settings::Remote| remote.policy.acks.map(|offer| offer.resume_for);
    let offers = [offer(&config.settings.remote), offer(b), offer(c)];
    assert_eq!(offers, [Some(Some(Duration::from_secs(120))), None, Some(None)]);
}

#[test]
fn wrong_values_of_acks_are_reported_with_the_right_ones() {
    assert_finds(
        "[s2s]\nacks = \"yes\"\nresume_timeout = 120\nack_timeout = \"0s\"\nrepeat = \"always\"\n\
         [limits]\nresumable = -1\n[[remote]]\nname = \"b.example\"\nresume_timeout = \"2d\"\nack_timeout = \"2h\"",
        &[
            "n.toml:2: s2s.acks: expected true or false without quotes, for example acks = true, got a string",
            "n.toml:3: s2s.resume_timeout: expected a quoted string with a unit, for example \"30s\", got a number",
            "n.toml:4: s2s.ack_timeout: must be greater than zero",
            "n.toml:5: s2s.repeat: \"always\" is not one of \"messages\", \"never\"",
            "n.toml:7: limits.resumable: -1 is out of range: expected 0 or more",
            "n.toml:10: remote.resume_timeout: must not be longer than 24h",
            "n.toml:11: remote.ack_timeout: must not be longer than 1h",
        ],
    );
}

#[test]
fn misplaced_and_foreign_keys_of_acks_get_a_hint() {
    assert_finds(
        "acks = true\n[s2s]\nsmacks = true\nsmacks_hibernation_time = \"5m\"\nresumable = 7\n[limits]\nresume_timeout = \"1m\"",
        &[
            "n.toml:1: acks: unknown key or section; it belongs in [s2s]",
            "n.toml:3: s2s.smacks: unknown key in [s2s]; did you mean \"acks\"?",
            "n.toml:4: s2s.smacks_hibernation_time: unknown key in [s2s]; did you mean \"resume_timeout\"?",
            "n.toml:5: s2s.resumable: unknown key in [s2s]; it belongs in [limits]",
            "n.toml:7: limits.resume_timeout: unknown key in [limits]; it belongs in [s2s]",
        ],
    );
}

#[test]
fn a_rate_at_which_acks_come_late_is_a_warning() {
    let late = "other servers wait 30 s for an acknowledgement, and one that waits behind stanzas read at less than \
                4 KiB per second can come later; raise max_rate, or set acks = false";
    assert_finds(
        "[s2s]\nmax_rate = \"4095 B\"\n[[remote]]\nname = \"b.example\"\nidle_timeout = \"1m\"",
        &[&format!("n.toml:2: warning: s2s.max_rate: is low: {late}")],
    );
    assert_finds(
        "[s2s]\nmax_rate = \"1 KiB\"\nacks = false\n[[remote]]\nname = \"b.example\"\nacks = true",
        &[&format!("n.toml:6: warning: remote.acks: max_rate is low: {late}")],
    );
    assert_finds("[s2s]\nmax_rate = \"4 KiB\"", &[]);
}

#[test]
fn a_resumption_that_outlives_the_messages_is_a_warning() {
    assert_finds(
        "[s2s]\nresume_timeout = \"6m\"\n[[remote]]\nname = \"b.example\"\nidle_timeout = \"1m\"",
        &[
            "n.toml:2: warning: s2s.resume_timeout: is longer than promise.message (5m): by then the messages that wait to be resumed have been answered with an error; lower it, or raise promise.message",
        ],
    );
    assert_finds("[s2s]\nresume_timeout = \"6m\"\n[promise]\nmessage = \"6m\"", &[]);
}

#[test]
fn keys_without_effect_are_a_warning() {
    assert_finds(
        "[s2s]\nacks = false\nrepeat = \"never\"\n[[remote]]\nname = \"b.example\"\nack_timeout = \"5s\"",
        &[
            "n.toml:3: warning: s2s.repeat: has no effect with acks = false",
            "n.toml:6: warning: remote.ack_timeout: has no effect with acks = false",
        ],
    );
}
