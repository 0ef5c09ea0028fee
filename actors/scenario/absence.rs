//! Components that come and go, or do not read: what is sent to them waits, and arrives in order.

mod away;
mod gained;
mod keep;
mod moves;
mod overflow;
mod presence;
mod races;
mod schedules;
mod seats;
mod slow;
mod unread;

use super::{
    component_client::{log_in_as, number},
    remotes::{Behaviour, Remotes},
    *,
};
use crate::{
    fixture::{ABSENCE, Beside, Core, each_its_own, environment, known, start_component, start_core},
    flow::account::Outcome,
    routing::mailroom,
    settings::{Absence, Conflict},
};
use xmpp::{
    Served,
    framer::{Frame, Framer, Limits},
};

/// A node with components only.
struct House {
    core: Core,
    names: Vec<(Domain, Conflict, Absence)>,
    meter: Arc<Meter>,
    /// How all remote servers behave.
    remotes: watch::Sender<Behaviour>,
    /// `None`: nothing is written.
    journal: Option<journal::Store>,
}

/// A connection of a component, which reads when the test does.
struct Client {
    name: String,
    socket: DuplexStream,
    read: BytesMut,
    framer: Framer,
}

impl House {
    /// A node for a component that sends, and for [`BOT`], with these rules.
    fn with(conflict: Conflict, absence: Absence) -> Self {
        tokio::time::pause();
        Self::on_paused_time(conflict, absence)
    }

    /// The same, when time is paused already.
    fn on_paused_time(conflict: Conflict, absence: Absence) -> Self {
        Self::over(None, conflict, absence)
    }

    /// The same, with what waits in this journal.
    fn over(journal: Option<journal::Store>, conflict: Conflict, absence: Absence) -> Self {
        let names = vec![
            (domain(OURS), Conflict::Refuse, ABSENCE),
            (domain(BOT), conflict, absence),
            (domain(OTHER), Conflict::Refuse, ABSENCE),
        ];
        Self::of_names(names, journal)
    }

    fn new() -> Self {
        Self::with(Conflict::Refuse, ABSENCE)
    }

    fn of(names: Vec<(Domain, Conflict, Absence)>) -> Self {
        Self::of_names(names, None)
    }

    fn of_names(names: Vec<(Domain, Conflict, Absence)>, journal: Option<journal::Store>) -> Self {
        Self::beside(names, Beside { journal, ..Beside::default() })
    }

    fn beside(names: Vec<(Domain, Conflict, Absence)>, beside: Beside) -> Self {
        let journal = beside.journal.clone();
        let behaviour = watch::Sender::new(Behaviour::default());
        let remotes = Remotes {
            behaviour: behaviour.clone(),
            dials: Arc::default(),
            cut: watch::Sender::new(0),
            arrived: mpsc::channel(1).0,
            counts: watch::Sender::default(),
            pipe: 1024,
            repeat: settings::Repeat::default(),
            denied: "denied.example",
        };
        let core = start_core(
            &names,
            Box::new(remotes),
            Workers::here(),
            bounds(),
            CAPACITY,
            RecorderHandle::disabled(),
            beside,
        );
        Self { core, names, meter: Meter::new("component", CAPACITY, None), remotes: behaviour, journal }
    }

    /// Connects a component. `pipe` bytes that it does not read fit into the connection.
    async fn connect(&self, name: &str, pipe: usize) -> Client {
        let (mut socket, link) = duplex(pipe);
        let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
        let mut environment = environment(&self.names, &self.core);
        environment.journal = self.journal.as_ref().map(|store| store.keeping.clone());
        let _ = start_component(&self.meter, environment, stream, address);
        let mut read = log_in_as(&mut socket, name).await;
        while read.len() < "/>".len() {
            assert!(socket.read_buf(&mut read).await.unwrap() > 0);
        }
        assert_eq!(read.split_to("/>".len()), "/>", "the end of the handshake");
        let mut framer = Framer::new(Limits::default());
        let header =
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>";
        framer.next(&mut BytesMut::from(header)).unwrap();
        Client { name: name.to_owned(), socket, read, framer }
    }

    async fn account(&self) -> Arc<Totals> {
        let (answer, answered) = oneshot::channel();
        self.core.router.signal(router::ShowFigures { busiest: 0, answer }).unwrap();
        answered.await.unwrap().account
    }

    /// The stanzas that wait in the mailroom for a component.
    async fn waiting(&self, name: &str) -> u64 {
        self.queue(name).await.waiting.stanzas
    }

    /// The queue of a component.
    async fn queue(&self, name: &str) -> mailroom::Shown {
        let (answer, shown) = oneshot::channel();
        self.core.mailroom.signal(mailroom::Show { of: Some(domain(name)), answer }).unwrap();
        shown.await.unwrap().pop().unwrap()
    }

    /// The account balances, whatever is under way.
    async fn balances(&self) -> Arc<Totals> {
        let account = self.account().await;
        assert_eq!(account.difference(), Default::default(), "{account:?}");
        let outcomes = [
            Outcome::Written,
            Outcome::Uncertain,
            Outcome::Answered,
            Outcome::Expired,
            Outcome::Dropped,
            Outcome::Kept,
            Outcome::Relayed,
        ];
        let settled: u64 = outcomes.into_iter().map(|outcome| account.settled(outcome).stanzas).sum();
        assert_eq!(account.taken().stanzas, settled + account.waiting().stanzas, "{account:?}");
        account
    }

    /// The account balances, and nothing waits.
    async fn has_settled(&self) -> Arc<Totals> {
        let account = self.balances().await;
        assert_eq!(account.waiting(), Default::default(), "{account:?}");
        account
    }

    /// A reload with these components.
    fn adopts(&self, names: &[(Domain, Conflict, Absence)]) {
        self.adopts_names(names, each_its_own(names), known(names));
    }

    /// A reload with these components, which serve these names.
    fn adopts_names(
        &self,
        names: &[(Domain, Conflict, Absence)],
        served: Served<Domain>,
        components: Vec<router::Known>,
    ) {
        let absences = names.iter().map(|(name, _, absence)| (name.clone(), absence.clone())).collect();
        let mailroom = mailroom::Adopt {
            components: absences,
            names: served,
            total_bytes: 1 << 20,
            gained: HashMap::new(),
            heirs: Vec::new(),
        };
        let sessions = outgoing::Adopt {
            policies: crate::dial::remote_policy::RemotePolicies::new(
                &super::receiver::configuration::settings(&[]),
            ),
            tls: net::tls::Tls::new(Vec::new(), &[settings::Trust::Authorities(Vec::new())]).unwrap(),
        };
        let service = settings::Service::default();
        self.core
            .router
            .signal(router::Adopt {
                domains: Vec::new(),
                components,
                service,
                listed: Vec::new(),
                sessions,
                mailroom,
            })
            .unwrap();
    }
}

impl Client {
    /// Sends text unchanged. It waits while the node does not read.
    async fn writes(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends numbered messages.
    async fn sends(&mut self, to: &str, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.sends_one(to, "message", "chat", number).await;
        }
    }

    /// Sends a numbered stanza.
    async fn sends_one(&mut self, to: &str, kind: &str, type_: &str, number: usize) {
        let from = &self.name;
        let stanza = format!(
            "<{kind} type='{type_}' from='a@{from}' to='b@{to}' id='{number}'><n>{number}</n></{kind}>"
        );
        self.writes(&stanza).await;
    }

    /// The next stanza; `None` if nothing comes for an hour, or at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            match self.framer.next(&mut self.read).unwrap() {
                Some(Frame::Element(element)) => {
                    return Some(String::from_utf8(element.bytes.to_vec()).unwrap());
                }
                Some(Frame::Header(_)) => {}
                Some(Frame::Footer) => return None,
                None => {
                    let hour = Duration::from_secs(3600);
                    let read = tokio::time::timeout(hour, self.socket.read_buf(&mut self.read));
                    if !matches!(read.await, Ok(Ok(1..))) {
                        return None;
                    }
                }
            }
        }
    }

    /// Receives so many stanzas, and gives their numbers.
    async fn receives(&mut self, count: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let stanza = self.next().await;
            numbers.push(number(&stanza.unwrap_or_else(|| panic!("only {numbers:?} of {count}"))));
        }
        numbers
    }

    /// Receives what comes within a second.
    async fn receives_some(&mut self) -> Vec<usize> {
        let mut numbers = Vec::new();
        while let Ok(Some(stanza)) = tokio::time::timeout(Duration::from_secs(1), self.next()).await {
            if !stanza.starts_with("<stream:error") {
                numbers.push(number(&stanza));
            }
        }
        numbers
    }

    /// Closes the stream with a closing tag, and reads the rest.
    async fn closes(mut self) -> Vec<usize> {
        // The node may have closed the stream of a component that does not read.
        let _ = self.socket.write_all(FOOTER.as_bytes()).await;
        let mut numbers = Vec::new();
        while let Some(stanza) = self.next().await {
            if !stanza.starts_with("<stream:error") {
                numbers.push(number(&stanza));
            }
        }
        numbers
    }

    /// Receives an error answer: its number, condition and text.
    async fn is_answered(&mut self) -> (usize, String, String) {
        let stanza = self.next().await.unwrap();
        assert!(stanza.contains("type='error'") || stanza.contains("type=\"error\""), "{stanza}");
        let between = |begin: &str, end: &str| {
            let rest = stanza.split(begin).nth(1).unwrap_or_else(|| panic!("{stanza}"));
            rest.split(end).next().unwrap().to_owned()
        };
        let error = between("<error", "</error>");
        let condition = error.split('<').nth(1).unwrap().split([' ', '/', '>']).next().unwrap().to_owned();
        let text = error.split("<text").nth(1).and_then(|rest| rest.split('>').nth(1));
        let text = text.and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned();
        (number(&stanza), condition, text)
    }
}

fn domain(name: &str) -> Domain {
    Domain::new(name).unwrap()
}

async fn passes(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A component that comes and goes.
const BOT: &str = "bot.example";

/// A component beside it.
const OTHER: &str = "other.example";

/// A connection that takes all that these tests send.
const WIDE: usize = 1 << 22;
