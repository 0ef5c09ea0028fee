//! Reports the panic of an actor that the node cannot run without. The process ends then: a node with a dead router
//! must not look alive.

use tokio::sync::mpsc;

/// Held by an actor; reports when a panic drops it.
#[derive(Debug)]
pub struct PanicGuard {
    kind: &'static str,
    deaths: mpsc::Sender<&'static str>,
}

impl PanicGuard {
    /// For the actor of this kind; its death is told to `deaths`.
    pub fn new(kind: &'static str, deaths: mpsc::Sender<&'static str>) -> Self {
        Self { kind, deaths }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!(target: "nuncio::node", actor = self.kind; "a vital actor panicked; the node ends");
            // Full or closed: the node is ending already.
            let _ = self.deaths.try_send(self.kind);
        }
    }
}
