//! One connection to a server, from the greeting to its loss.

use super::{
    Driver, Dropped, Login, Settings,
    subjects::Subjects,
    tables::{Failure, Tables},
    watch::watch,
};
use crate::{
    NodeName,
    engine::{Bucket, EngineError, Event, Request},
};
use async_nats::{
    Auth, AuthError, Client, ConnectOptions, HeaderMap, ServerAddr, ServerError, Subscriber, jetstream,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

pub(super) struct Connection {
    client: Client,
    tables: Tables,
    frames: Subscriber,
    subjects: Subjects,
    /// Why the connection ended.
    ended: mpsc::Receiver<String>,
    generation: [u64; 3],
    created: bool,
}

impl Connection {
    /// Connects, creates what is missing, and waits until the server delivers what is sent to this node.
    pub(super) async fn open(
        settings: &Settings,
        server: &ServerAddr,
        own: &NodeName,
    ) -> Result<Self, String> {
        let subjects = Subjects { cluster: settings.cluster.clone() };
        let (end, mut ended) = mpsc::channel(ENDS);
        let is_connected = Arc::new(AtomicBool::new(false));
        let options = options(settings, own, &subjects, end, is_connected.clone());
        let client = options.connect(server.clone()).await.map_err(|error| explain_connect(&error))?;
        is_connected.store(true, Ordering::Relaxed);

        let open = async {
            let mut context = jetstream::new(client.clone());
            context.set_timeout(REQUEST);
            let mut frames =
                client.subscribe(subjects.node(own.as_str())).await.map_err(|error| error.to_string())?;
            receives_own_message(&client, &mut frames, &subjects.node(own.as_str())).await?;
            let (tables, generation, created) = Tables::open(context, settings).await?;
            Ok::<_, String>((frames, tables, generation, created))
        };
        let (frames, tables, generation, created) = tokio::select! {
            biased;
            reason = ended.recv() => return Err(reason.unwrap_or_else(|| LOST.to_owned())),
            opened = open => opened?,
        };
        Ok(Self { client, tables, frames, subjects, ended, generation, created })
    }

    pub(super) fn max_frame(&self) -> usize {
        self.client.max_payload()
    }

    /// Serves until the connection is lost. Then each open request is answered.
    pub(super) async fn serve(self, driver: &mut Driver) -> Result<String, Dropped> {
        let Self { client, tables, mut frames, subjects, mut ended, generation, created } = self;
        driver.tells(Event::Up { generation, created }).await?;
        let mut open = BTreeSet::new();
        let events = &driver.events;
        let reason = tokio::select! {
            reason = ended.recv() => Ok(reason.unwrap_or_else(|| LOST.to_owned())),
            reason = requests(&tables, &mut driver.requests, events, &mut open) => reason,
            reason = publish(&client, &subjects, &mut driver.frames) => reason,
            reason = receive(&mut frames, events) => reason,
            reason = watch(&tables, Bucket::Nodes, events) => reason,
            reason = watch(&tables, Bucket::Seats, events) => reason,
        };
        for id in open {
            driver.tells(Event::Answered { id, answer: Err(EngineError::Unreachable) }).await?;
        }
        reason
    }
}

fn options(
    settings: &Settings,
    own: &NodeName,
    subjects: &Subjects,
    end: mpsc::Sender<String>,
    is_connected: Arc<AtomicBool>,
) -> ConnectOptions {
    let login = settings.login.clone();
    // The library always tries to connect again. Without a login it gives up, and with it what is in its buffer.
    let login = move |_| {
        let again = is_connected.load(Ordering::Relaxed);
        let mut auth = Auth::new();
        match login.clone() {
            Login::None => {}
            Login::User(user, password) => (auth.username, auth.password) = (Some(user), Some(password)),
            Login::Token(token) => auth.token = Some(token),
        }
        async move { if again { Err(AuthError::new("one connection only")) } else { Ok(auth) } }
    };
    ConnectOptions::with_auth_callback(login)
        .name(format!("nuncio {own}"))
        .custom_inbox_prefix(subjects.inbox(own))
        .connection_timeout(CONNECT)
        .request_timeout(Some(REQUEST))
        .ping_interval(PING)
        .subscription_capacity(SUBSCRIPTION)
        .max_reconnects(1)
        .ignore_discovered_servers()
        .event_callback(move |event| {
            let reason = match event {
                async_nats::Event::Disconnected | async_nats::Event::Closed => Some(LOST.to_owned()),
                async_nats::Event::LameDuckMode => Some("the server is about to stop".to_owned()),
                async_nats::Event::ServerError(ServerError::SlowConsumer(_)) => None,
                async_nats::Event::ServerError(error) => Some(format!("the server refuses: {error}")),
                _ => None,
            };
            if let Some(reason) = reason {
                // The first reason counts; the queue has room for it.
                let _ = end.try_send(reason);
            }
            std::future::ready(())
        })
}

/// A subscription is not known to the server yet when the library returns: the first messages may be lost.
async fn receives_own_message(client: &Client, frames: &mut Subscriber, subject: &str) -> Result<(), String> {
    for _ in 0..PROBES {
        let mut headers = HeaderMap::new();
        headers.insert(PROBE, "1");
        let sent = client.publish_with_headers(subject.to_owned(), headers, Bytes::new()).await;
        sent.map_err(|error| error.to_string())?;
        if let Ok(message) = tokio::time::timeout(PROBE_WAIT, frames.next()).await {
            return message.map(drop).ok_or_else(|| LOST.to_owned());
        }
    }
    Err(format!(
        "the server does not deliver what is published to {subject}; check the permissions of the user"
    ))
}

/// Executes requests.
async fn requests(
    tables: &Tables,
    requests: &mut mpsc::Receiver<Request>,
    events: &mpsc::Sender<Event>,
    open: &mut BTreeSet<u64>,
) -> Result<String, Dropped> {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            request = requests.recv(), if running.len() < PARALLEL => {
                let Request { id, bucket, op } = request.ok_or(Dropped)?;
                open.insert(id);
                running.push(async move { (id, tables.execute(bucket, op).await) });
            }
            Some((id, answer)) = running.next() => {
                let (answer, is_lost) = match answer {
                    Ok(answer) => (Ok(answer), false),
                    Err(Failure::Engine(error)) => (Err(error), false),
                    Err(Failure::NoTable) => (Err(EngineError::Unreachable), true),
                };
                open.remove(&id);
                events.send(Event::Answered { id, answer }).await.map_err(|_| Dropped)?;
                if is_lost {
                    return Ok("a table of the cluster is gone; it is created again".to_owned());
                }
            }
        }
    }
}

/// Publishes frames to other nodes.
async fn publish(
    client: &Client,
    subjects: &Subjects,
    frames: &mut mpsc::Receiver<(NodeName, Bytes)>,
) -> Result<String, Dropped> {
    loop {
        let (node, frame) = frames.recv().await.ok_or(Dropped)?;
        if let Err(error) = client.publish(subjects.node(node.as_str()), frame).await {
            // A frame that is too long for the server is lost, as any frame may be.
            if error.kind() != async_nats::client::PublishErrorKind::MaxPayloadExceeded {
                return Ok(error.to_string());
            }
        }
    }
}

/// Hands on the frames of other nodes.
async fn receive(frames: &mut Subscriber, events: &mpsc::Sender<Event>) -> Result<String, Dropped> {
    while let Some(message) = frames.next().await {
        let is_probe = message.headers.as_ref().is_some_and(|headers| headers.get(PROBE).is_some());
        if !is_probe {
            events.send(Event::Frame(message.payload)).await.map_err(|_| Dropped)?;
        }
    }
    Ok(LOST.to_owned())
}

fn explain_connect(error: &async_nats::ConnectError) -> String {
    use async_nats::ConnectErrorKind as Kind;
    match error.kind() {
        Kind::AuthorizationViolation | Kind::Authentication => {
            "the server refuses the login; check cluster.user and cluster.password_file".to_owned()
        }
        Kind::TimedOut => "the server does not answer".to_owned(),
        Kind::Tls => "the server demands TLS, and this program has none for the message broker".to_owned(),
        _ => {
            use std::error::Error;
            error.source().map_or_else(|| error.to_string(), |source| innermost(source).to_string())
        }
    }
}

fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// The loss of a connection without another reason.
const LOST: &str = "the connection is lost";

/// Marks a message of a node to itself.
pub(super) const PROBE: &str = "Nuncio-Probe";

/// A request without an answer. Below a beat, so that the next beat finds the way free.
const REQUEST: Duration = Duration::from_secs(2);

/// For the TCP connection and the greeting.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// A connection on which two pings had no answer is lost: 6 s, well below the lease.
const PING: Duration = Duration::from_secs(2);

/// Messages that wait in the library for this program. Frames beyond it are lost, and sent again by the other node.
const SUBSCRIPTION: usize = 1024;

/// Requests that are executed at a time.
const PARALLEL: usize = 512;

/// The first message arrives after a millisecond, or is lost.
const PROBE_WAIT: Duration = Duration::from_millis(100);

/// 5 s in all.
const PROBES: usize = 50;

/// Reasons for the end of a connection that wait; only the first is read.
const ENDS: usize = 4;
