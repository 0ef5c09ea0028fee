//! Reloads of the configuration, one at a time, on a thread that may block: it may have long lists of addresses.
//!
//! Requests that arrive while one runs are answered by one further reload, which begins after they arrived.

use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

/// The reloads of a running node. `T` is what was read.
pub(super) struct Reloads<T> {
    read: Arc<dyn Fn() -> T + Send + Sync>,
    running: Option<JoinHandle<T>>,
    /// A reload was requested after the running one began.
    is_requested: bool,
}

impl<T: Send + 'static> Reloads<T> {
    /// Reads with this function, which may block.
    pub(super) fn new(read: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), running: None, is_requested: false }
    }

    /// Begins a reload, at once or after the running one.
    pub(super) fn request(&mut self) {
        if self.running.is_some() {
            self.is_requested = true;
        } else {
            let read = Arc::clone(&self.read);
            self.running = Some(spawn_blocking(move || read()));
        }
    }

    /// Whether a reload runs.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Waits for the end of the running reload, if there is one, and begins the next one. `None`: it has panicked.
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<T> {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let outcome = running.await;
        self.running = None;
        if std::mem::take(&mut self.is_requested) {
            self.request();
        }
        outcome.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    use futures_util::FutureExt as _;

    use super::*;

    /// Reloads that are numbered, and wait until the test lets them end.
    fn numbered() -> (Reloads<usize>, mpsc::Sender<()>) {
        let (end, ends) = mpsc::channel();
        let (ends, number) = (Mutex::new(ends), AtomicUsize::new(0));
        let read = move || {
            let number = number.fetch_add(1, SeqCst);
            ends.lock().unwrap().recv().unwrap();
            number
        };
        (Reloads::new(read), end)
    }

    #[tokio::test]
    async fn the_thread_goes_on_while_a_file_is_read() {
        let (mut reloads, end) = numbered();
        assert!(reloads.next().now_or_never().is_none() && !reloads.is_busy());
        reloads.request();
        // With one thread, this is reached only if the reload runs on another.
        assert!(reloads.next().now_or_never().is_none() && reloads.is_busy());
        end.send(()).unwrap();
        assert_eq!(reloads.next().await, Some(0));
        assert!(!reloads.is_busy());
    }

    #[tokio::test]
    async fn requests_during_a_reload_get_one_that_begins_after_them() {
        let (mut reloads, end) = numbered();
        reloads.request();
        (0..5).for_each(|_| reloads.request());
        (0..2).for_each(|_| end.send(()).unwrap());
        assert_eq!(reloads.next().await, Some(0));
        assert!(reloads.is_busy());
        assert_eq!(reloads.next().await, Some(1));
        assert!(!reloads.is_busy());
    }

    #[tokio::test]
    async fn a_reload_that_panics_ends() {
        let mut reloads: Reloads<()> = Reloads::new(|| panic!("the panic of a test"));
        reloads.request();
        assert_eq!(reloads.next().await, None);
        reloads.request();
        assert_eq!(reloads.next().await, None);
    }
}
