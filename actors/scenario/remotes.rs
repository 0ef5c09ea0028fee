//! The remote servers of a scenario, and the links to them.

use super::*;
use crate::dial::{
    attempt::{Dial, PendingDial, Session},
    error::AttemptError,
};
use net::dns;

/// The remote servers, and the switches by which a test makes them fail.
#[derive(Clone)]
pub(super) struct Remotes {
    pub(super) behaviour: watch::Sender<Behaviour>,
    pub(super) dials: Arc<AtomicUsize>,
    pub(super) cut: watch::Sender<u64>,
    pub(super) arrived: mpsc::Sender<Seen>,
    /// Bytes between the two ends of a link.
    pub(super) pipe: usize,
}

/// How all remote servers behave.
#[derive(Clone, Copy)]
pub(super) struct Behaviour {
    pub(super) reachability: Reachability,
    pub(super) reading: Reading,
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
        remote.as_str() != "denied.example"
    }

    fn serves(&self, _: &Domain) -> bool {
        true
    }

    /// Fewer slots than pairs, so that pairs wait for slots.
    fn dials(&self) -> settings::Dials {
        settings::Dials { at_once: 2, hanging: 2, per_address: 2, per_attempt: 2 }
    }

    fn dial(&self, pair: &DomainPair) -> PendingDial {
        let (remotes, pair) = (self.clone(), pair.clone());
        fixture::dial(move || remotes.attempt(pair))
    }
}

impl Remotes {
    async fn attempt(self, pair: DomainPair) -> Result<Session, AttemptError> {
        self.dials.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(80)).await;
        let reachability = self.behaviour.borrow().reachability;
        match reachability {
            Reachability::Up => {}
            Reachability::Down => return Err(AttemptError::Connect(Vec::new())),
            Reachability::NoSuchDomain => {
                let domain = pair.remote.to_string();
                return Err(AttemptError::Dns(dns::LookupError::NoSuchDomain { domain }));
            }
        }
        let (ours, theirs) = duplex(self.pipe);
        actix_rt::spawn(self.remote(pair.remote.to_string(), theirs));
        Ok(fixture::session(&pair, Stream::Memory(ours), ([127, 0, 0, 1], 5269).into()))
    }

    /// Reads until the link is cut or the stream is closed. Bytes after a closing tag are ignored.
    async fn remote(self, remote: String, mut link: DuplexStream) {
        let (mut cut, mut behaviour) = (self.cut.subscribe(), self.behaviour.subscribe());
        let mut bytes = BytesMut::new();
        loop {
            let reading = behaviour.borrow_and_update().reading;
            tokio::select! {
                read = link.read_buf(&mut bytes), if !matches!(reading, Reading::Stopped) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
                _ = behaviour.changed() => continue,
                _ = cut.changed() => return,
            }
            if matches!(reading, Reading::Slow) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let closed = place_of(&bytes, FOOTER);
            bytes.truncate(closed.unwrap_or(bytes.len()));
            while let Some(stanza) = take_until(&mut bytes, "</n></") {
                let (remote, id, at) = (remote.clone(), number(&stanza), clock::now());
                self.arrived.send(Seen { remote, id, at }).await.unwrap();
            }
            if closed.is_some() {
                let _ = link.write_all(FOOTER.as_bytes()).await;
                return;
            }
        }
    }
}
