//! The remote servers of a scenario, and the links to them.

mod acks;

use super::*;
use crate::{
    dial::{
        attempt::{Dial, Lost, PendingDial, Session},
        error::AttemptError,
    },
    settings::Repeat,
};
use net::dns;

use self::acks::{Acknowledging, Element};
pub(super) use self::acks::{Acks, Counts, Resumption};

/// The remote servers, and the switches by which a test makes them fail.
#[derive(Clone)]
pub(super) struct Remotes {
    pub(super) behaviour: watch::Sender<Behaviour>,
    pub(super) dials: Arc<AtomicUsize>,
    pub(super) cut: watch::Sender<u64>,
    pub(super) arrived: mpsc::Sender<Seen>,
    /// The streams that the remote servers remember.
    pub(super) counts: watch::Sender<Counts>,
    /// Bytes between the two ends of a link.
    pub(super) pipe: usize,
    pub(super) repeat: Repeat,
    /// The domain with which the configuration forbids federation.
    pub(super) denied: &'static str,
}

/// How all remote servers behave.
#[derive(Clone, Copy)]
pub(super) struct Behaviour {
    pub(super) reachability: Reachability,
    pub(super) reading: Reading,
    pub(super) acks: Acks,
    pub(super) resumption: Resumption,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            reachability: Reachability::Up,
            reading: Reading::Fast,
            acks: Acks::No,
            resumption: Resumption::Resumed,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Reachability {
    Up,
    Down,
    /// A definitive failure.
    NoSuchDomain,
}

#[derive(Clone, Copy)]
pub(super) enum Reading {
    Fast,
    Slow,
    Stopped,
}

impl Dial for Remotes {
    fn permits(&self, remote: &Domain) -> bool {
        remote.as_str() != self.denied
    }

    fn serves(&self, _: &Domain) -> bool {
        true
    }

    /// Fewer slots than pairs, so that pairs wait for slots.
    fn dials(&self) -> settings::Dials {
        settings::Dials { at_once: 2, hanging: 2, per_address: 2, per_attempt: 2 }
    }

    fn repeat(&self, _: &Domain) -> Repeat {
        self.repeat
    }

    fn dial(&self, pair: &DomainPair, lost: Option<Lost>) -> PendingDial {
        let (remotes, pair, asked) = (self.clone(), pair.clone(), lost.clone());
        PendingDial { lost, ..fixture::dial(move || remotes.attempt(pair, asked)) }
    }
}

impl Remotes {
    async fn attempt(self, pair: DomainPair, lost: Option<Lost>) -> Result<Session, AttemptError> {
        let number = 1 + self.dials.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(80)).await;
        let Behaviour { reachability, acks, .. } = *self.behaviour.borrow();
        match reachability {
            Reachability::Up => {}
            Reachability::Down => return Err(AttemptError::Connect(Vec::new())),
            Reachability::NoSuchDomain => {
                let domain = pair.remote.to_string();
                return Err(AttemptError::Dns(dns::LookupError::NoSuchDomain { domain }));
            }
        }
        let (machine, acknowledging) = match acks {
            Acks::No => (fixture::established(&pair), Acknowledging::none()),
            _ => {
                self.begins(pair.remote.as_str(), number);
                let (options, answer) = self.asked(lost.as_ref()).await?;
                let machine = fixture::established_with_acks(&pair, options, &answer);
                let acknowledging = self.acknowledging(&machine, number);
                (machine, acknowledging)
            }
        };
        let (ours, theirs) = duplex(self.pipe);
        actix_rt::spawn(self.remote(pair.remote.to_string(), theirs, acknowledging));
        let address = ([127, 0, 0, 1], 5269).into();
        Ok(fixture::session_with(machine, Stream::Tcp(ours.into()), address))
    }

    /// Reads until the link is cut or the stream is closed. Bytes after a closing tag are ignored.
    async fn remote(self, remote: String, mut link: DuplexStream, mut acknowledging: Acknowledging) {
        let (mut cut, mut behaviour) = (self.cut.subscribe(), self.behaviour.subscribe());
        let mut bytes = BytesMut::new();
        let _ = link.write_all(acknowledging.confirmation().as_bytes()).await;
        loop {
            let reading = behaviour.borrow_and_update().reading;
            tokio::select! {
                biased;
                _ = cut.changed() => return,
                _ = behaviour.changed() => continue,
                read = link.read_buf(&mut bytes), if !matches!(reading, Reading::Stopped) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
            }
            if matches!(reading, Reading::Slow) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            while let Some(element) = Element::take(&mut bytes) {
                match element {
                    Element::Stanza(_) if self.has_ended(&remote, &acknowledging) => return,
                    Element::Stanza(stanza) => {
                        let (remote, id, at) = (remote.clone(), number(&stanza), clock::now());
                        self.arrived.send(Seen { remote, id, at, stanza }).await.unwrap();
                        let end = self.handled(&mut acknowledging, id);
                        if let Some(last) = end {
                            let _ = link.write_all(last.as_bytes()).await;
                            return;
                        }
                    }
                    Element::Request => {
                        let _ = link.write_all(self.answer(&acknowledging).as_bytes()).await;
                    }
                    Element::Other => {}
                    Element::ClosingTag => {
                        let _ = link.write_all(FOOTER.as_bytes()).await;
                        return;
                    }
                }
            }
        }
    }
}
