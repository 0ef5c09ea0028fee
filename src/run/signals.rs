//! Signals of an operator: stop, reload, log a report.
//!
//! A thread of its own waits for signals and enforces `shutdown_timeout`, so that the process exits in time
//! even if the threads of the node are blocked.

use std::{io, sync::Arc, thread, time::Duration};

use tokio::{
    runtime,
    signal::unix::{self, SignalKind},
    sync::{mpsc, watch},
    time::{self, Instant},
};

use actors::Totals;

/// A signal that the process received.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT, with its name: stop the node.
    Stop(&'static str),
    /// SIGUSR1: log every mailbox and session.
    Report,
    /// SIGHUP: reload the configuration.
    Reload,
}

/// Receives signals from the thread that waits for them.
pub(super) struct Signals {
    received: mpsc::Receiver<Signal>,
    shutdown: watch::Sender<Shutdown>,
}

/// How the process exits if the node does not stop in time.
#[derive(Clone)]
struct Shutdown {
    /// Time that the node has to stop.
    timeout: Duration,
    /// The totals to log before the exit.
    account: Option<Arc<Totals>>,
}

impl Signals {
    /// Starts the thread. If the node does not stop within `timeout` after a signal, the process exits.
    ///
    /// # Errors
    /// The thread cannot be started, or the signal handlers cannot be installed.
    pub(super) fn listen(timeout: Duration) -> io::Result<Self> {
        let (sender, received) = mpsc::channel(MAX_UNREAD);
        let (shutdown, current) = watch::channel(Shutdown { timeout, account: None });
        let (started, outcome) = std::sync::mpsc::channel();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let installed = runtime.and_then(|runtime| {
                let handlers = {
                    let _entered = runtime.enter();
                    Handlers::install()?
                };
                Ok((runtime, handlers))
            });
            match installed {
                Ok((runtime, mut handlers)) => {
                    // `listen` waits for this message.
                    let _ = started.send(Ok(()));
                    runtime.block_on(forward(async || handlers.next().await, sender, current.clone()));
                    exit(&current);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        outcome.recv().unwrap_or_else(|_| Err(io::Error::other("the signal thread failed")))?;
        Ok(Self { received, shutdown })
    }

    /// Sets the totals that are logged if the node does not stop in time.
    pub(super) fn set_account(&self, account: Option<Arc<Totals>>) {
        self.shutdown.send_modify(|shutdown| shutdown.account = account);
    }

    /// Sets the time that the node has to stop.
    pub(super) fn set_shutdown_timeout(&self, timeout: Duration) {
        self.shutdown.send_modify(|shutdown| shutdown.timeout = timeout);
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Signal {
        match self.received.recv().await {
            Some(signal) => signal,
            // The thread has ended, and with it the process exits.
            None => std::future::pending().await,
        }
    }

    /// Waits for the next signal that stops the node, and returns its name.
    pub(super) async fn next_stop(&mut self) -> &'static str {
        loop {
            if let Signal::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// Forwards signals to the node. Returns when the time for a stop is over.
async fn forward(
    mut next: impl AsyncFnMut() -> Signal,
    node: mpsc::Sender<Signal>,
    shutdown: watch::Receiver<Shutdown>,
) {
    let mut deadline: Option<Instant> = None;
    loop {
        let signal = tokio::select! {
            signal = next() => signal,
            () = time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return,
        };
        if let Signal::Stop(name) = signal {
            let timeout = match deadline {
                None => {
                    log::info!(target: LOG, signal = name; "stopping");
                    shutdown.borrow().timeout
                }
                // A second signal means immediately.
                Some(_) => Duration::ZERO,
            };
            let earliest = Instant::now() + timeout + GRACE;
            deadline = Some(deadline.map_or(earliest, |before| before.min(earliest)));
        }
        // If the queue is full, the node has not read earlier signals either; the deadline still holds.
        let _ = node.try_send(signal);
    }
}

/// Exits the process, whatever its other threads are doing.
fn exit(shutdown: &watch::Receiver<Shutdown>) -> ! {
    let timeout = humantime::format_duration(shutdown.borrow().timeout).to_string();
    log::error!(target: LOG, shutdown_timeout = timeout; "shutdown timed out: exiting");
    if let Some(account) = &shutdown.borrow().account {
        account.log("*");
    }
    std::process::exit(1)
}

/// The handlers of all signals that the node reacts to.
struct Handlers {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    report: unix::Signal,
    reload: unix::Signal,
    /// A file would exceed the limit of its size (RLIMIT_FSIZE). By default that ends the process; with a handler the write
    /// fails, and whoever writes reports it.
    _file_too_large: unix::Signal,
}

impl Handlers {
    fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            report: unix::signal(SignalKind::user_defined1())?,
            reload: unix::signal(SignalKind::hangup())?,
            _file_too_large: unix::signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.report.recv() => Signal::Report,
            _ = self.reload.recv() => Signal::Reload,
        }
    }
}

const LOG: &str = "nuncio::node";

/// The number of the signal on Linux and on the BSDs; on Linux for MIPS it is another one.
const SIGXFSZ: i32 = 25;

/// Maximum number of signals that wait for the node to read them.
const MAX_UNREAD: usize = 16;

/// Time beyond `shutdown_timeout` in which the node can log its totals and exit by itself.
const GRACE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// When the process exits if `signals` arrive at the given seconds and the node does not stop.
    async fn exits_after(signals: &'static [(u64, Signal)]) -> Option<Duration> {
        let start = Instant::now();
        let mut signals = signals.iter();
        let (node, _unread) = mpsc::channel(1);
        let (_shutdown, current) =
            watch::channel(Shutdown { timeout: Duration::from_secs(10), account: None });
        let source = async || match signals.next() {
            Some((second, signal)) => {
                time::sleep_until(start + Duration::from_secs(*second)).await;
                *signal
            }
            None => std::future::pending().await,
        };
        let returned = time::timeout(Duration::from_secs(3600), forward(source, node, current)).await;
        returned.is_ok().then(|| start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_stop_is_ended_after_the_shutdown_timeout() {
        let end = Duration::from_secs(15) + GRACE;
        assert_eq!(exits_after(&[(5, Signal::Stop("SIGTERM"))]).await, Some(end));
        assert_eq!(
            exits_after(&[(1, Signal::Report), (2, Signal::Report), (5, Signal::Stop("SIGINT"))]).await,
            Some(end)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_stop_signal_ends_the_node_immediately() {
        let twice = &[(5, Signal::Stop("SIGTERM")), (7, Signal::Stop("SIGTERM"))];
        assert_eq!(exits_after(twice).await, Some(Duration::from_secs(7) + GRACE));
    }

    #[tokio::test(start_paused = true)]
    async fn other_signals_do_not_end_the_node() {
        assert_eq!(exits_after(&[(1, Signal::Report), (2, Signal::Reload)]).await, None);
    }
}
