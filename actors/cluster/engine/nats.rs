//! The client of the message broker NATS.
//!
//! One connection of the library lives as long as one connection to a server: what it still has in its buffer when that is
//! lost is thrown away, and not executed after a reconnection. Each new connection makes its subscriptions and watches
//! anew, and creates tables that are missing.

mod connection;
pub mod examine;
mod settings;
mod subjects;
mod tables;
mod watch;

#[cfg(test)]
mod tests;

use super::{Engine, EngineError, Event, Full, Request};
use crate::NodeName;
use async_nats::ServerAddr;
use bytes::Bytes;
use connection::Connection;
use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Where the broker is.
#[derive(Clone)]
pub struct Settings {
    /// The name of the cluster, in the form of the name of a node. It is a part of all subjects and tables.
    pub cluster: NodeName,
    /// Addresses of servers of one broker: `nats://127.0.0.1:4222`. They are tried in turn.
    pub servers: Vec<String>,
    /// How the node proves who it is.
    pub login: Login,
    /// How many servers keep each table: 1, or 3 if there are three.
    pub replicas: usize,
}

/// How a node proves to the broker who it is.
#[derive(Clone)]
pub enum Login {
    /// The broker asks nobody.
    None,
    /// A user with a password.
    User(String, String),
    /// A token.
    Token(String),
}

/// The settings cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is no server.
    #[error("no server of the message broker is configured; set cluster.servers")]
    NoServer,
    /// This is no address.
    #[error("{0:?} is no address of a server of the message broker; write nats://HOST:PORT")]
    Address(String),
    /// TLS is not built in.
    #[error(
        "{0:?}: this program has no TLS for the message broker; run a nats-server on this machine, with TLS to the \
         others, and write nats://127.0.0.1:4222"
    )]
    Tls(String),
    /// The address has a password.
    #[error("an address in cluster.servers has a user; write it to cluster.user and cluster.password_file")]
    UserInAddress,
}

/// The client. It connects again for ever, and ends when it is dropped.
pub struct Nats {
    requests: mpsc::Sender<Request>,
    frames: mpsc::Sender<(NodeName, Bytes)>,
    max_frame: Arc<AtomicUsize>,
}

/// Starts the client on the current runtime. What it reports goes to `events`; while nobody takes it, the client waits.
///
/// # Errors
///
/// An address cannot work. That a server is not there is no error: it is reported as [`Event::Down`].
pub fn connect(
    settings: Settings,
    own: NodeName,
    events: mpsc::Sender<Event>,
) -> Result<Nats, SettingsError> {
    let servers = settings.servers.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() {
        return Err(SettingsError::NoServer);
    }
    let (requests, request_queue) = mpsc::channel(REQUESTS);
    let (frames, frame_queue) = mpsc::channel(FRAMES);
    let max_frame = Arc::new(AtomicUsize::new(DEFAULT_PAYLOAD));
    let driver = Driver {
        requests: request_queue,
        frames: frame_queue,
        events,
        max_frame: max_frame.clone(),
        reasons: vec![None; servers.len()],
    };
    tokio::spawn(driver.run(settings, servers, own));
    Ok(Nats { requests, frames, max_frame })
}

/// Checks an address of a server.
///
/// # Errors
///
/// It cannot work.
pub fn address(text: &str) -> Result<ServerAddr, SettingsError> {
    let address: ServerAddr = text.parse().map_err(|_| SettingsError::Address(text.to_owned()))?;
    match address.scheme() {
        _ if address.username().is_some() || address.password().is_some() => {
            Err(SettingsError::UserInAddress)
        }
        "nats" if !address.host().is_empty() => Ok(address),
        "tls" => Err(SettingsError::Tls(text.to_owned())),
        _ => Err(SettingsError::Address(text.to_owned())),
    }
}

impl Engine for Nats {
    fn request(&self, request: Request) -> Result<(), Full> {
        self.requests.try_send(request).map_err(|_| Full)
    }

    fn publish(&self, to: &NodeName, frame: Bytes) -> Result<(), Full> {
        self.frames.try_send((to.clone(), frame)).map_err(|_| Full)
    }

    fn max_frame(&self) -> usize {
        self.max_frame.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User(..) => "User",
            Self::Token(_) => "Token",
        })
    }
}

/// The task of the client.
struct Driver {
    requests: mpsc::Receiver<Request>,
    frames: mpsc::Receiver<(NodeName, Bytes)>,
    events: mpsc::Sender<Event>,
    max_frame: Arc<AtomicUsize>,
    /// Why each server does not serve, as it was reported last.
    reasons: Vec<Option<String>>,
}

/// Why the task ends: the client was dropped, or nobody takes its events.
struct Dropped;

impl Driver {
    async fn run(mut self, settings: Settings, servers: Vec<ServerAddr>, own: NodeName) {
        // The only way out is that the client was dropped, which is no error.
        let _ = self.connects_for_ever(&settings, &servers, &own).await;
    }

    async fn connects_for_ever(
        &mut self,
        settings: &Settings,
        servers: &[ServerAddr],
        own: &NodeName,
    ) -> Result<(), Dropped> {
        let mut failures = 0;
        for (number, server) in servers.iter().enumerate().cycle() {
            let opening = Connection::open(settings, server, own);
            let opening = tokio::time::timeout(OPEN, opening);
            let reason = match self.refuses_while(opening).await? {
                Ok(Ok(connection)) => {
                    failures = 0;
                    self.reasons.fill(None);
                    self.max_frame.store(connection.max_frame(), Ordering::Relaxed);
                    connection.serve(self).await?
                }
                Ok(Err(reason)) => reason,
                Err(_) => "the server does not answer".to_owned(),
            };
            self.reports(servers, number, reason).await?;
            failures += 1;
            if failures >= servers.len() {
                let pause = FIRST_PAUSE
                    * 2_u32.saturating_pow(u32::try_from(failures - servers.len()).unwrap_or(u32::MAX));
                self.refuses_while(tokio::time::sleep(pause.min(LONGEST_PAUSE))).await?;
            }
        }
        Ok(())
    }

    /// Reports why a server does not serve, if that has changed, with the reasons of the others.
    async fn reports(
        &mut self,
        servers: &[ServerAddr],
        number: usize,
        reason: String,
    ) -> Result<(), Dropped> {
        let Some(known) = self.reasons.get_mut(number).filter(|known| known.as_ref() != Some(&reason)) else {
            return Ok(());
        };
        *known = Some(reason);
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for (server, reason) in servers.iter().zip(&self.reasons) {
            let Some(reason) = reason else { continue };
            match groups.iter_mut().find(|(known, _)| known == reason) {
                Some((_, hosts)) => hosts.push(host(server)),
                None => groups.push((reason, vec![host(server)])),
            }
        }
        let groups: Vec<String> =
            groups.into_iter().map(|(reason, hosts)| format!("{}: {reason}", hosts.join(", "))).collect();
        self.tells(Event::Down { reason: groups.join("; ") }).await
    }

    async fn tells(&self, event: Event) -> Result<(), Dropped> {
        self.events.send(event).await.map_err(|_| Dropped)
    }

    /// Waits for something. Requests that arrive meanwhile are answered at once, and frames are lost.
    async fn refuses_while<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Dropped> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Ok(output),
                request = self.requests.recv() => {
                    let Request { id, .. } = request.ok_or(Dropped)?;
                    self.tells(Event::Answered { id, answer: Err(EngineError::Unreachable) }).await?;
                }
                frame = self.frames.recv() => drop(frame.ok_or(Dropped)?),
            }
        }
    }
}

fn host(server: &ServerAddr) -> String {
    format!("nats://{}:{}", server.host(), server.port())
}

/// More than the arbiter has on its way.
const REQUESTS: usize = 1024;

/// 8 MiB of frames of 64 KiB.
const FRAMES: usize = 128;

/// The default of the server, until it says otherwise.
const DEFAULT_PAYLOAD: usize = 1024 * 1024;

/// A server that accepts the connection and does not serve within that time is given up. An election among three servers
/// takes 5 s.
const OPEN: Duration = Duration::from_secs(12);

/// After each server has failed once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A server that comes back is found within that time.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
