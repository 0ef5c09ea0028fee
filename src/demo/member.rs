//! A node of the demo on a thread of its own, so that the timeline can tell which node an event is of.

use std::{error::Error, net::SocketAddr, path::PathBuf, thread, time::Duration};

use tokio::sync::{mpsc, oneshot};
use xmpp::Domain;

use super::timeline::Label;
use crate::control;
use actors::{Node, Outcome, settings::Settings};
use status::{answer::Nodes, report::ClusterReport, request::Request};

/// A node that runs.
pub(super) struct Member {
    tasks: mpsc::Sender<Task>,
    /// Where it listens for servers.
    pub(super) servers: SocketAddr,
    /// Where it listens for components.
    pub(super) components: SocketAddr,
    /// Its control socket.
    control: Option<PathBuf>,
    thread: thread::JoinHandle<()>,
}

/// What the node is to do.
enum Task {
    /// Closes the links to a domain.
    Close(Domain, oneshot::Sender<()>),
    /// Tells how many stanzas other nodes have settled for it.
    Relayed(oneshot::Sender<u64>),
    /// Stops in order.
    Stop,
}

/// The addresses for servers and for components, and the control socket.
type Ready = (SocketAddr, SocketAddr, Option<PathBuf>);

impl Member {
    /// Starts a node. Its events have the label.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn start(label: Label, settings: Settings) -> Result<Self, Box<dyn Error>> {
        let (tasks, queue) = mpsc::channel(1);
        let (ready, started) = oneshot::channel();
        let thread = thread::Builder::new().spawn(move || {
            actix_rt::System::new().block_on(async move {
                label.name_this_system();
                serve(settings, ready, queue).await;
            });
        })?;
        let (servers, components, control) = started.await??;
        Ok(Self { tasks, servers, components, control, thread })
    }

    /// Closes the links to a domain.
    pub(super) async fn closes(&self, remote: Domain) {
        let (answer, done) = oneshot::channel();
        if self.tasks.send(Task::Close(remote, answer)).await.is_ok() {
            let _ = done.await;
        }
    }

    /// The stanzas that other nodes have settled for it.
    pub(super) async fn relayed(&self) -> u64 {
        let (answer, relayed) = oneshot::channel();
        match self.tasks.send(Task::Relayed(answer)).await {
            Ok(()) => relayed.await.unwrap_or_default(),
            Err(_) => 0,
        }
    }

    /// The cluster as the node sees it, as `nuncio nodes` shows it.
    pub(super) async fn cluster(&self) -> Result<ClusterReport, Box<dyn Error>> {
        let socket = self.control.clone().ok_or("no control socket")?;
        let asked = tokio::task::spawn_blocking(move || control::answer::<Nodes>(&socket, &Request::Nodes));
        Ok(asked.await??.found.cluster)
    }

    /// Stops the node in order.
    pub(super) async fn stops(self) {
        let Self { tasks, thread, .. } = self;
        let _ = tasks.send(Task::Stop).await;
        // It fails if the node has panicked, and the panic was shown.
        let _ = tokio::task::spawn_blocking(|| thread.join()).await;
    }
}

async fn serve(
    settings: Settings,
    ready: oneshot::Sender<Result<Ready, String>>,
    mut tasks: mpsc::Receiver<Task>,
) {
    let node = match Node::start(settings).await {
        Ok(node) => node,
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
            return;
        }
    };
    let port = |kind| {
        let address = node.addresses().iter().find(|(known, _)| *known == kind);
        address.and_then(|(_, address)| address.tcp())
    };
    let (Some(servers), Some(components)) = (port("s2s"), port("component")) else {
        let _ = ready.send(Err("the node does not listen".to_owned()));
        return;
    };
    let _ = ready.send(Ok((servers, components, node.control().map(ToOwned::to_owned))));
    while let Some(task) = tasks.recv().await {
        match task {
            Task::Close(remote, done) => {
                node.close_links(remote, CLOSES_WITHIN).await;
                let _ = done.send(());
            }
            Task::Relayed(answer) => {
                let account = node.account().await;
                let relayed = account.map_or(0, |account| account.settled(Outcome::Relayed).stanzas);
                let _ = answer.send(relayed);
            }
            Task::Stop => break,
        }
    }
    node.drain().await;
}

/// Time for the other node to answer a closing tag.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);
