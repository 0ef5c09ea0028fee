//! The journal of a process that is killed, stopped or started twice.

use std::{fs, process::Command, time::Duration};

use crate::metrics::Watched;
use crate::support::{BINARY, Component, Network, Node, SOON, Server, Setup, figure, within};

#[test]
fn messages_that_wait_survive_sigkill_and_arrive_once_and_in_order() {
    let network = Network::new();
    let watched = Watched::start(&network, with_journal());
    network.publish(REMOTE, network.address());
    sends(&watched.node.inbox(), 0..COUNT);
    watched.eventually_shows(&format!("nuncio_journal_records {COUNT}"));
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);
    let shown = shows(&node);
    assert!(shown.ends_with(&format!("{COUNT} stanzas\n")), "{}", tail(&shown));

    node.starts_again();
    node.eventually_logs(&["nuncio::journal", "journal opened", &format!("records={COUNT}")]);
    let later = Node::start(&network, Setup::of("later.example"));
    assert_eq!(received(&mut later.inbox(), COUNT), expected(0..COUNT));
    let account = node.settled_account();
    assert!(account.contains(&format!("restored={COUNT} ")), "{account}");
    assert_eq!(node.terminate(SOON).code(), Some(0));
    assert!(shows(&node).ends_with("0 stanzas\n"));
}

#[test]
fn a_stopped_node_leaves_its_messages_in_the_file_whatever_their_age() {
    let network = Network::new();
    let mut node = Node::start(&network, with_journal());
    network.publish(REMOTE, network.address());
    let sender = node.inbox();
    sends(&sender, 0..COUNT);
    within(SOON, "the node has all messages", || {
        node.account().contains(&format!("taken={COUNT} ")).then_some(())
    });
    assert_eq!(node.terminate(SOON).code(), Some(0));
    node.eventually_logs(&["nuncio::account", "domain=*", "waiting=0", &format!("kept={COUNT} ")]);
    node.starts_again();
    let later = Node::start(&network, Setup::of("later.example"));
    assert_eq!(received(&mut later.inbox(), COUNT), expected(0..COUNT));
}

// A queue that is full in memory goes on in the file. Its bound is small here: 1,000 stanzas.
#[test]
fn a_hundred_and_twenty_thousand_messages_wait_beside_a_small_memory_and_arrive_in_order() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("journal.path", "\"waiting.redb\"");
    let watched =
        Watched::start(&network, setup.set("promise.max_stanzas", "1000").set("promise.message", "\"2h\""));
    network.publish(REMOTE, network.address());
    let sender = watched.node.inbox();
    sends(&sender, 0..MANY);
    // All but those that fit into the memory.
    watched.eventually_shows(&format!("nuncio_journal_overflow_stanzas {}", MANY - 1000));
    watched.eventually_shows(&format!("nuncio_stanzas_waiting {MANY}"));
    let account = watched.node.account();
    assert!(
        account.contains("answered=0 expired=0 dropped=0 ") && account.contains("difference=0 "),
        "{account}"
    );
    let later = Node::start(&network, Setup::of("later.example"));
    let mut receiver = later.inbox();
    for number in 0..MANY {
        let message = receiver.next(SOON).expect("a message");
        assert_eq!(message.attribute("id"), number.to_string());
    }
    let account = watched.node.settled_account();
    assert!(account.contains(&format!("written={MANY} ")) && account.contains("difference=0 "), "{account}");
    watched.eventually_shows("nuncio_journal_overflow_stanzas 0");
    watched.eventually_shows("nuncio_journal_records 0");
}

#[test]
fn messages_on_the_disk_only_survive_sigkill_and_wait_there_again() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("journal.path", "\"waiting.redb\"");
    let watched = Watched::start(&network, setup.set("promise.max_stanzas", "1000"));
    network.publish(REMOTE, network.address());
    sends(&watched.node.inbox(), 0..COUNT);
    watched.eventually_shows(&format!("nuncio_journal_overflow_stanzas {}", COUNT - 1000));
    watched.eventually_shows(&format!("nuncio_journal_records {COUNT}"));
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);

    node.starts_again();
    node.eventually_logs(&["nuncio::journal", "journal opened", &format!("records={COUNT}")]);
    let later = Node::start(&network, Setup::of("later.example"));
    assert_eq!(received(&mut later.inbox(), COUNT), expected(0..COUNT));
    let account = node.settled_account();
    assert!(account.contains(&format!("restored={COUNT} ")), "{account}");
    assert!(account.contains("answered=0 expired=0 dropped=0 "), "{account}");
    assert_eq!(node.terminate(SOON).code(), Some(0));
    assert!(shows(&node).ends_with("0 stanzas\n"));
}

#[test]
fn messages_for_an_absent_component_survive_sigkill_and_arrive_once_and_in_order() {
    let network = Network::new();
    let watched = Watched::start(&network, with_journal());
    let near = watched.node.setup().components[0].clone();
    sends_to(&watched.node.outbox(), &near, 0..COUNT);
    watched.eventually_shows(&format!("nuncio_journal_records {COUNT}"));
    watched.eventually_shows(&format!("nuncio_absent_waiting{{component=\"{near}\"}} {COUNT}"));
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);

    node.starts_again();
    node.eventually_logs(&["nuncio::mailroom", "restored", &format!("stanzas={COUNT}")]);
    assert_eq!(received(&mut node.inbox(), COUNT), expected(0..COUNT));
    let account = node.settled_account();
    assert!(account.contains(&format!("restored={COUNT} ")), "{account}");
    assert_eq!(node.terminate(SOON).code(), Some(0));
    assert!(shows(&node).ends_with("0 stanzas\n"));
}

#[test]
fn messages_for_an_absent_component_that_are_on_the_disk_only_survive_sigkill() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("journal.path", "\"waiting.redb\"");
    let watched = Watched::start(&network, setup.set("absence.max_stanzas", "1000"));
    let near = watched.node.setup().components[0].clone();
    sends_to(&watched.node.outbox(), &near, 0..AWAY);
    watched.eventually_shows(&format!("nuncio_journal_overflow_stanzas {}", AWAY - 1000));
    watched.eventually_shows(&format!("nuncio_absent_waiting{{component=\"{near}\"}} {AWAY}"));
    watched.eventually_shows(&format!("nuncio_journal_records {AWAY}"));
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);

    node.starts_again();
    node.eventually_logs(&["nuncio::mailroom", "restored", &format!("stanzas={AWAY}")]);
    assert_eq!(received(&mut node.inbox(), AWAY), expected(0..AWAY));
    let account = node.settled_account();
    assert!(account.contains(&format!("restored={AWAY} ")), "{account}");
    assert!(account.contains("answered=0 expired=0 dropped=0 "), "{account}");
    assert_eq!(node.terminate(SOON).code(), Some(0));
    assert!(shows(&node).ends_with("0 stanzas\n"));
}

#[test]
fn messages_that_a_component_does_not_read_survive_sigkill() {
    let network = Network::new();
    let watched = Watched::start(&network, with_journal());
    let near = watched.node.setup().components[0].clone();
    let deaf = Component::connect_deaf(watched.node.address(), &near);
    let sender = watched.node.outbox();
    let (from, to, body) = (sender.name().to_owned(), near.clone(), "x".repeat(2000));
    let message = move |number| {
        format!("<message from='a@{from}' to='b@{to}' id='{number}'><body>{body}</body></message>")
    };
    // More than the outbox, the queue behind it and what the system takes.
    sender.floods(COUNT, message).join().unwrap();
    // All that waits is in the file: in the outbox, and in the queue behind it.
    let records = within(SOON, "what waits is in the file", || {
        let (waiting, records) =
            (watched.figure("nuncio_stanzas_waiting"), watched.figure("nuncio_journal_records"));
        (watched.figure("nuncio_stanzas_taken_total") == COUNT && waiting == records && records > COUNT / 4)
            .then_some(records)
    });
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);
    drop(deaf);

    node.starts_again();
    assert_eq!(received(&mut node.inbox(), records), expected(COUNT - records..COUNT));
}

#[test]
fn a_stopped_node_leaves_the_messages_for_its_components_in_the_file() {
    let network = Network::new();
    let mut node = Node::start(&network, with_journal());
    let near = node.setup().components[0].clone();
    let sender = node.outbox();
    sends_to(&sender, &near, 0..COUNT);
    within(SOON, "the node has all messages", || {
        node.account().contains(&format!("taken={COUNT} ")).then_some(())
    });
    assert_eq!(node.terminate(SOON).code(), Some(0));
    node.eventually_logs(&["nuncio::account", "domain=*", "waiting=0", &format!("kept={COUNT} ")]);
    node.starts_again();
    assert_eq!(received(&mut node.inbox(), COUNT), expected(0..COUNT));
}

#[test]
fn messages_for_a_component_that_was_removed_are_answered_after_the_start() {
    let network = Network::new();
    let mut node = Node::start(&network, with_journal());
    let near = node.setup().components[0].clone();
    let sender = node.outbox();
    sends_to(&sender, &near, 0..3);
    within(SOON, "the node has all messages", || node.account().contains("taken=3 ").then_some(()));
    drop(sender);
    assert_eq!(node.terminate(SOON).code(), Some(0));
    let text = fs::read_to_string(node.file()).unwrap();
    assert!(text.contains(&near));
    fs::write(node.file(), text.replace(&near, "other.nuncio.example")).unwrap();
    node.starts_again();
    let mut sender = node.outbox();
    for number in 0..3 {
        let answer = sender.next(SOON).expect("an error answer");
        assert_eq!((answer.attribute("type"), answer.attribute("id")), ("error", &*number.to_string()));
        assert!(answer.to_string().contains("is no longer served here"), "{answer}");
    }
}

#[test]
fn a_full_disk_refuses_no_message_and_what_waits_is_written_when_there_is_room_again() {
    let network = Network::new();
    let watched = Watched::start(&network, with_journal());
    network.publish(REMOTE, network.address());
    let limits = |size: &str| {
        let process = watched.node.process().id().to_string();
        let status = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={size}:")]).status();
        assert!(status.unwrap().success());
    };
    // An empty file has about 1.5 MiB.
    limits("2097152");
    let mut sender = watched.node.inbox();
    let (from, body) = (sender.name().to_owned(), "x".repeat(1000));
    let message = move |number| {
        format!("<message from='a@{from}' to='b@{REMOTE}' id='{number}'><body>{body}</body></message>")
    };
    sender.floods(COUNT, message).join().unwrap();
    watched.node.eventually_logs(&["ERROR", "nuncio::journal", "journal failing"]);
    watched.eventually_shows("nuncio_journal_up 0");
    watched.eventually_shows(&format!("nuncio_stanzas_waiting {COUNT}\n"));
    assert!(!sender.has_received(), "nothing is answered");

    limits("unlimited");
    watched.node.eventually_logs(&["nuncio::journal", "journal working again"]);
    watched.eventually_shows(&format!("nuncio_journal_records {COUNT}\n"));
    watched.eventually_shows("nuncio_journal_not_kept 0\n");
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);
    node.starts_again();
    let later = Node::start(&network, Setup::of("later.example"));
    assert_eq!(received(&mut later.inbox(), COUNT), expected(0..COUNT));
}

#[test]
fn a_disk_that_has_room_again_when_the_node_stops_keeps_what_waits() {
    let network = Network::new();
    // A slow disk needs more than the ten seconds of the default.
    let watched = Watched::start(&network, with_journal().set("shutdown_timeout", "\"60s\""));
    network.publish(REMOTE, network.address());
    let limits = |size: &str| {
        let process = watched.node.process().id().to_string();
        let status = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={size}:")]).status();
        assert!(status.unwrap().success());
    };
    limits("2097152");
    let sender = watched.node.inbox();
    let (from, body) = (sender.name().to_owned(), "x".repeat(1000));
    let message = move |number| {
        format!("<message from='a@{from}' to='b@{REMOTE}' id='{number}'><body>{body}</body></message>")
    };
    sender.floods(COUNT, message).join().unwrap();
    watched.node.eventually_logs(&["ERROR", "nuncio::journal", "journal failing"]);
    watched.eventually_shows(&format!("nuncio_stanzas_waiting {COUNT}\n"));
    // The file is not opened again by itself in the next seconds.
    limits("unlimited");
    let mut node = watched.node;
    assert_eq!(node.terminate(SOON).code(), Some(0));
    node.eventually_logs(&["nuncio::account", "domain=*", "waiting=0", &format!("kept={COUNT} ")]);
    node.starts_again();
    let later = Node::start(&network, Setup::of("later.example"));
    assert_eq!(received(&mut later.inbox(), COUNT), expected(0..COUNT));
}

#[test]
fn a_file_that_is_removed_or_replaced_while_the_node_runs_is_followed_by_a_new_one_with_everything() {
    let network = Network::new();
    let watched = Watched::start(&network, with_journal());
    network.publish(REMOTE, network.address());
    let file = watched.node.file().with_file_name("waiting.redb");
    let sender = watched.node.inbox();
    sends(&sender, 0..COUNT);
    watched.eventually_shows(&format!("nuncio_journal_records {COUNT}\n"));
    fs::remove_file(&file).unwrap();
    watched.node.eventually_logs(&["ERROR", "nuncio::journal", "was moved, removed or replaced"]);
    sends(&sender, 0..COUNT);
    watched.eventually_shows(&format!("nuncio_journal_records {}\n", 2 * COUNT));
    // A backup.
    fs::write(file.with_extension("backup"), "").unwrap();
    fs::rename(file.with_extension("backup"), &file).unwrap();
    watched.node.eventually_logs(&[
        "ERROR",
        "nuncio::journal",
        "was moved, removed or replaced",
        "moved_to=",
    ]);
    let mut node = watched.node;
    node.process().signal("KILL");
    node.process().exit_within(SOON);
    node.starts_again();
    node.eventually_logs(&["nuncio::journal", "journal opened", &format!("records={}", 2 * COUNT)]);
    let later = Node::start(&network, Setup::of("later.example"));
    // Both were numbered from 0.
    assert_eq!(received(&mut later.inbox(), 2 * COUNT), [expected(0..COUNT), expected(0..COUNT)].concat());
}

#[test]
fn ten_crashes_under_load_lose_nothing_that_was_in_the_file() {
    let network = Network::new();
    let mut watched = Watched::start(&network, with_journal());
    network.publish(REMOTE, network.address());
    // Of each run, those that are in the file, and those that were sent.
    let (mut kept, mut sent) = (Vec::new(), 0..0);
    for _ in 0..10 {
        let sender = watched.node.inbox();
        let (from, first, before) =
            (sender.name().to_owned(), sent.end, watched.figure("nuncio_journal_records"));
        let message = move |number| {
            format!("<message from='a@{from}' to='b@{REMOTE}' id='{}'><body/></message>", first + number)
        };
        let flood = sender.floods_evenly(COUNT, Duration::from_millis(2), message);
        let records = within(SOON, "some are in the file, and more come", || {
            let records = watched.figure("nuncio_journal_records");
            (records >= before + 200).then_some(records)
        });
        watched.node.process().signal("KILL");
        watched.node.process().exit_within(SOON);
        sent = first..first + flood.join().unwrap();
        // The journal may have got more since.
        kept.extend(first..first + records - before);
        watched.node.starts_again();
    }
    let later = Node::start(&network, Setup::of("later.example"));
    let mut receiver = later.inbox();
    let waiting = watched.figure("nuncio_stanzas_waiting");
    let mut ids: Vec<usize> = received(&mut receiver, waiting).iter().map(|id| id.parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "in order, and once");
    ids.retain(|id| kept.binary_search(id).is_ok());
    assert_eq!(ids, kept);
    let account = watched.node.settled_account();
    assert_eq!(figure(&account, "difference"), 0, "{account}");
}

#[test]
fn a_damaged_file_is_read_as_far_as_possible_and_the_log_tells_the_rest() {
    let network = Network::new();
    let mut node = Node::start(&network, with_journal());
    network.publish(REMOTE, network.address());
    let sender = node.inbox();
    sends(&sender, 0..COUNT);
    within(SOON, "the node has all messages", || {
        node.account().contains(&format!("taken={COUNT} ")).then_some(())
    });
    assert_eq!(node.terminate(SOON).code(), Some(0));
    let file = node.file().with_file_name("waiting.redb");
    let sound = fs::read(&file).unwrap();
    // A byte in a record or in a page of the tree, a cut file, and none at all.
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[0] ^= 1,
        |bytes| {
            let at = place_of_record(bytes, bytes.len() / 2);
            bytes[at + 60] ^= 0x20;
        },
        |bytes| (4096..bytes.len()).step_by(50_000).for_each(|at| bytes[at] ^= 0xff),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.truncate(0),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let mut bytes = sound.clone();
        damage(&mut bytes);
        fs::write(&file, bytes).unwrap();
        node.starts_again();
        let account = node.account();
        let restored = figure(&account, "restored");
        assert_eq!(figure(&account, "difference"), 0, "{account}");
        println!("damage {number}: {restored} of {COUNT} restored");
        assert!(restored < COUNT || number == 0, "damage {number} costs a message");
        if restored < COUNT && number != 4 {
            node.eventually_logs(&["ERROR", "nuncio::journal"]);
        }
        assert_eq!(node.terminate(SOON).code(), Some(0));
    }
}

/// The place of the first record behind `from`.
fn place_of_record(bytes: &[u8], from: usize) -> usize {
    let text = b"<message from='a@";
    from + bytes[from..].windows(text.len()).position(|window| window == text).expect("a record")
}

#[test]
fn a_second_node_does_not_start_with_the_file_of_the_first() {
    let network = Network::new();
    let node = Node::start(&network, with_journal());
    let file = node.file().with_file_name("waiting.redb");
    let other = node.file().with_file_name("other.toml");
    let text = fs::read_to_string(node.file()).unwrap();
    fs::write(&other, text.replace(&node.address().to_string(), &network.address().to_string())).unwrap();
    let output = Command::new(BINARY).arg("run").arg("--config").arg(&other).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(&format!("cannot open the journal {}", file.display())), "{errors}");
    assert!(errors.contains(&format!("process {}", node.process().id())), "{errors}");
    let shown = Command::new(BINARY).arg("journal").arg(&file).output().unwrap();
    assert_eq!(shown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("`nuncio queues` shows"), "{shown:?}");
}

fn with_journal() -> Setup {
    let setup = Setup::of("nuncio.example").set("journal.path", "\"waiting.redb\"");
    setup.set("promise.max_stanzas", "100000").set("promise.max_bytes", "\"64 MiB\"")
}

fn sends(sender: &Component, numbers: std::ops::Range<usize>) {
    sends_to(sender, REMOTE, numbers);
}

fn sends_to(sender: &Component, to: &str, numbers: std::ops::Range<usize>) {
    let (from, to) = (sender.name().to_owned(), to.to_owned());
    sender
        .floods(numbers.len(), move |number| {
            format!("<message from='a@{from}' to='b@{to}' id='{number}'><body>{number}</body></message>")
        })
        .join()
        .unwrap();
}

#[track_caller]
fn received(receiver: &mut Component, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count
        && let Some(stanza) = receiver.next(SOON)
    {
        ids.push(stanza.attribute("id").to_owned());
    }
    ids
}

fn expected(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// The output of `nuncio journal` for the file of a node that has ended.
fn shows(node: &Node) -> String {
    let file = node.file().with_file_name("waiting.redb");
    let output = Command::new(BINARY).arg("journal").arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn tail(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

const REMOTE: &str = "inbox.later.example";

const COUNT: usize = 5000;

const MANY: usize = 120_000;

const AWAY: usize = 30_000;
