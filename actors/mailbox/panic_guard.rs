//! Reports the panic of an actor that the node cannot run without.
//!
//! The process ends then: a node with a dead router must not look healthy to its supervisor.

use tokio::sync::mpsc;

/// Held by an actor. It reports when it is dropped by a panic.
#[derive(Debug)]
pub struct PanicGuard {
    kind: &'static str,
    deaths: mpsc::Sender<&'static str>,
}

impl PanicGuard {
    /// Makes the guard of an actor. After a panic it sends `kind` to `deaths`.
    pub fn new(kind: &'static str, deaths: mpsc::Sender<&'static str>) -> Self {
        Self { kind, deaths }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!(target: "nuncio::node", actor = self.kind; "critical actor panicked: the node exits");
            // If the channel is full or closed, the node is stopping already.
            let _ = self.deaths.try_send(self.kind);
        }
    }
}
