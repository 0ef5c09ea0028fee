//! The receiving server stops or is killed while messages come, and is started again at once.

use std::collections::HashSet;

use super::{Plan, Tally, floods, patient, through};
use crate::support::{
    Auth, Component, Network, Node, Prosody, Proxy, SOON, Server, Setup, eventually, figure,
};

/// The size in the normal run: cuts are restarts here.
const SHORT: Plan = Plan { messages: 4_000, cuts: 2 };

/// How the receiver ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By SIGTERM.
    Stopped,
    /// By SIGKILL.
    Killed,
    /// By SIGKILL, and it has a journal.
    KilledWithJournal,
}

#[test]
fn a_node_that_stops_under_load_loses_and_repeats_nothing() {
    of_a_node(SHORT, End::Stopped);
}

#[test]
fn a_node_that_is_killed_under_load_leaves_each_message_delivered_or_answered() {
    of_a_node(SHORT, End::Killed);
}

#[test]
fn a_node_with_a_journal_that_is_killed_under_load_loses_nothing() {
    of_a_node(SHORT, End::KilledWithJournal);
}

#[test]
fn a_prosody_that_stops_under_load_loses_nothing() {
    of_prosody(SHORT);
}

/// The receiver is a node that ends so often.
pub(crate) fn of_a_node(plan: Plan, end: End) {
    let network = Network::new();
    let mut setup = patient("other.example");
    if end == End::KilledWithJournal {
        setup = setup.set("journal.path", "\"waiting.redb\"");
    }
    let mut other = Node::start(&network, setup);
    let far = "inbox.other.example";
    let sending = Sending::start(&network, &other, far);
    let mut receiver = other.inbox();
    let mut tally = Tally::of(plan.messages);
    let mut killed = Killed::default();
    let flood = floods(&sending.component, far, 0, plan.messages, "");
    let mut open = 0;
    for number in 0..plan.cuts {
        tally.waits_for_number(&mut receiver, plan.cut(number));
        // A message is sent on three links at most. On a busy machine the acknowledgements are late: what was open at the
        // last cut is acknowledged before the next one.
        eventually("acknowledgements", || {
            (figure(&sending.node.account(), "acknowledged") >= open).then_some(())
        });
        // The next process gets nothing before its component is connected.
        sending.proxy.refuses();
        match end {
            End::Stopped => assert!(other.terminate(SOON).success()),
            End::Killed | End::KilledWithJournal => {
                other.process().signal("KILL");
                other.process().exit_within(SOON);
                sending.proxy.cuts();
            }
        }
        receiver.expects_end().iter().for_each(|message| tally.takes(message));
        if end == End::Killed {
            killed.takes_stock(&sending.node, &tally, plan.messages);
        }
        open = figure(&sending.node.account(), "written");
        other.starts_again();
        receiver = other.inbox();
        sending.proxy.accepts();
    }
    assert_eq!(flood.join().unwrap(), plan.messages);
    match end {
        End::Stopped => {
            tally.waits_for(&mut receiver, plan.messages);
            tally.is_exact();
            let account = sending.node.settled_account();
            println!("{} times SIGTERM: {account}", plan.cuts);
            assert_eq!(figure(&account, "uncertain"), 0, "{account}");
            assert!(!sending.has_answers(), "nothing is answered");
        }
        End::KilledWithJournal => {
            let (lost, answered, account) = sending.outcome(&mut tally, &mut receiver, far);
            println!(
                "{} times SIGKILL with a journal: {} repeats, {} of them without a stamp, {} out of order; {account}",
                plan.cuts, tally.repeats, tally.unstamped, tally.out_of_order
            );
            assert_eq!(lost, Vec::<usize>::new(), "what was acknowledged was delivered or in the file");
            assert_eq!((answered, tally.out_of_order), (0, 0));
        }
        End::Killed => {
            let (lost, answered, account) = sending.outcome(&mut tally, &mut receiver, far);
            println!(
                "{} times SIGKILL: {} repeats, {answered} answered, {} lost in the memory of the killed nodes, at most \
                 {} at once; {account}",
                plan.cuts,
                tally.repeats,
                lost.len(),
                killed.most
            );
            assert_eq!(tally.unstamped, 0, "each repeat is stamped");
            assert_eq!(answered, 0, "nothing is answered: the next node takes what was not acknowledged");
            assert_eq!(
                lost, killed.lost,
                "only what the killed nodes had acknowledged and not passed on is lost"
            );
            let length = message_length(plan.messages);
            assert!(killed.most * length <= IN_MEMORY, "{} of {length} bytes at once", killed.most);
        }
    }
}

/// The receiver is a Prosody that stops so often.
///
/// It may lose what it acknowledged and has not written to its component, which no sender can mend. So its log says what it
/// received.
pub(crate) fn of_prosody(plan: Plan) {
    let network = Network::new();
    let setup = Setup::of("prosody.example").auth(Auth::External).smacks();
    let mut prosody = Prosody::start(&network, setup);
    let far = "inbox.prosody.example";
    let sending = Sending::start(&network, &prosody, far);
    let mut receiver = prosody.inbox();
    let (mut tally, mut received) = (Tally::of(plan.messages), HashSet::new());
    // Part by part, so that a slow Prosody does not fill the queue of the link.
    let part = plan.messages / (plan.cuts + 1);
    for cut in 0..=plan.cuts {
        let first = cut * part;
        let count = if cut < plan.cuts { part } else { plan.messages - first };
        let flood = floods(&sending.component, far, first, count, "");
        if cut < plan.cuts {
            let enough = tally.arrived + part / 4;
            tally.waits_for(&mut receiver, enough);
            sending.proxy.refuses();
            let away = prosody.stop();
            receiver.expects_end().iter().for_each(|message| tally.takes(message));
            received.extend(away.lines.iter().filter_map(|line| received_number(line)));
            prosody = away.start();
            receiver = prosody.inbox();
            sending.proxy.accepts();
        }
        assert_eq!(flood.join().unwrap(), count);
        sending.node.settled_account();
    }
    let (missing, answered, account) = sending.outcome(&mut tally, &mut receiver, far);
    received.extend(prosody.process().lines().iter().filter_map(|line| received_number(line)));
    let lost: Vec<_> = missing.iter().filter(|number| !received.contains(number)).collect();
    println!(
        "{} times SIGTERM of Prosody: {} repeats, {answered} answered, {} lost by Prosody, {} on the way; {account}",
        plan.cuts,
        tally.repeats,
        missing.len() - lost.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "lost on the way: {lost:?}");
    assert_eq!(tally.unstamped, 0, "each repeat is stamped");
    assert_eq!(figure(&account, "uncertain"), 0, "{account}");
}

/// The number of a message that Prosody logs as received.
fn received_number(line: &str) -> Option<usize> {
    let received = line.split("Received[s2sin]: <message").nth(1)?;
    received.split(" id='").nth(1)?.split('\'').next()?.parse().ok()
}

/// The sending node, and a proxy between it and the receiver.
struct Sending {
    node: Node,
    component: Component,
    proxy: Proxy,
}

impl Sending {
    #[track_caller]
    fn start(network: &Network, receiver: &dyn Server, far: &str) -> Self {
        let proxy = Proxy::start(network.address(), receiver.address());
        let node = Node::start(network, patient("nuncio.example").block(&through(&proxy, far)));
        let component = node.inbox();
        Self { node, component, proxy }
    }

    /// Waits for all that still comes. Returns the messages that neither arrived nor were answered, the number of answers, and
    /// the account.
    #[track_caller]
    fn outcome(
        mut self,
        tally: &mut Tally,
        receiver: &mut Component,
        far: &str,
    ) -> (Vec<usize>, usize, String) {
        self.component.sends_message(far, LAST, "");
        loop {
            let message = receiver.next(SOON).expect("the last message");
            if message.attribute("id") == LAST {
                break;
            }
            tally.takes(&message);
        }
        let account = self.node.settled_account();
        let mut answered = HashSet::new();
        while let Some(answer) = self.component.next(A_MOMENT) {
            answered.insert(answer.attribute("id").parse::<usize>().unwrap());
        }
        let missing = tally.missing().into_iter().flat_map(|(first, count)| first..first + count);
        let lost = missing.filter(|number| !answered.contains(number)).collect();
        (lost, answered.len(), account)
    }

    fn has_answers(mut self) -> bool {
        self.component.has_received()
    }
}

/// Messages that killed nodes had acknowledged, and that were in their memory only.
#[derive(Debug, Default)]
struct Killed {
    /// Their numbers, in order.
    lost: Vec<usize>,
    /// The most that one node had.
    most: usize,
}

impl Killed {
    /// A node was killed, its component has read everything that it sent, and the sender cannot connect. The messages leave
    /// in the order of their numbers and nothing is answered, so the acknowledged ones are those with the lowest numbers.
    #[track_caller]
    fn takes_stock(&mut self, sender: &Node, tally: &Tally, messages: usize) {
        let acknowledged = acknowledged_at_the_end_of_the_link(sender, messages);
        let before = self.lost.len();
        self.lost = (0..acknowledged).filter(|number| !tally.has(*number)).collect();
        self.most = self.most.max(self.lost.len() - before);
    }
}

/// Waits until the sender has noticed the end of its link. Gives the number of messages that were acknowledged.
#[track_caller]
fn acknowledged_at_the_end_of_the_link(sender: &Node, messages: usize) -> usize {
    let mut last = None;
    eventually("the sender has no link", || {
        let account = sender.account();
        // Between two messages of a link that is up nothing may be unacknowledged either, but then more follow.
        let now = (figure(&account, "unacked") == 0).then(|| figure(&account, "acknowledged"));
        // On a busy machine the killed node may have acknowledged all messages before its component got them.
        let follow = figure(&account, "waiting") > 0 || now == Some(messages);
        let is_over = now.is_some() && now == last && follow;
        last = now;
        is_over.then(|| now.unwrap())
    })
}

/// Bytes of one message between the servers, as [`floods`] sends it.
fn message_length(messages: usize) -> usize {
    let digits = messages.to_string().len();
    "<message from='a@inbox.nuncio.example' to='b@inbox.other.example' id=''><body></body></message>".len()
        + digits
}

/// The id of the message behind all others.
const LAST: &str = "the last one";

/// Bytes of the stanzas that a killed node may have acknowledged and not written to one component: those in the component's
/// queue (1 MiB, `BUDGET` of the outbox), those of the read that is being processed and of the chunk that is being written
/// (64 KiB each). They are in its memory only.
const IN_MEMORY: usize = (1024 + 2 * 64) * 1024;

/// How long the test waits for an answer that may not come.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(500);
