//! Actors the node cannot live without: when one panics the process ends, for a node with a dead router must not look
//! alive.

use tokio::sync::mpsc;

/// Held by a vital actor; cries out when it is dropped by a panic.
#[derive(Debug)]
pub struct Vital {
    kind: &'static str,
    deaths: mpsc::Sender<&'static str>,
}

impl Vital {
    /// For the actor of this kind; its death is told to `deaths`.
    pub fn new(kind: &'static str, deaths: mpsc::Sender<&'static str>) -> Self {
        Self { kind, deaths }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            log::error!(target: "nuncio::node", actor = self.kind; "a vital actor panicked; the node ends");
            // Full or closed: the node is ending already.
            let _ = self.deaths.try_send(self.kind);
        }
    }
}
