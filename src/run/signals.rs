//! What an operator tells the node by signals.
//!
//! They are waited for on a thread of their own: one that stops the node is heard at once, and the node ends in time,
//! whatever its own threads are busy with.

use std::{io, sync::Arc, thread, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{self, Instant},
};

use super::LOG;
use actors::flow::ledger::Totals;

/// What a signal tells the node to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Stop(&'static str),
    Report,
    Reload,
}

/// The signals an operator may send.
pub(super) struct Signals {
    told: mpsc::Receiver<Told>,
    terms: watch::Sender<Terms>,
}

/// How the node is ended if it does not end itself.
#[derive(Clone)]
struct Terms {
    /// How long a stop may take.
    within: Duration,
    /// What there is to be logged then.
    account: Option<Arc<Totals>>,
}

impl Signals {
    /// Listens from now on. A node that is told to stop and has not done so `within` is ended.
    pub(super) fn listen(within: Duration) -> io::Result<Self> {
        let (told, heard) = mpsc::channel(UNREAD);
        let (terms, known) = watch::channel(Terms { within, account: None });
        let (registered, outcome) = std::sync::mpsc::channel();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let started = runtime::Builder::new_current_thread().enable_all().build();
            let started = started.and_then(|runtime| {
                let sources = {
                    let _entered = runtime.enter();
                    Sources::new()?
                };
                Ok((runtime, sources))
            });
            match started {
                Ok((runtime, mut sources)) => {
                    // Whoever asked waits for it.
                    let _ = registered.send(Ok(()));
                    runtime.block_on(hear(async || sources.next().await, told, known.clone()));
                    end(&known);
                }
                Err(error) => drop(registered.send(Err(error))),
            }
        })?;
        outcome
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that waits for them has ended")))?;
        Ok(Self { told: heard, terms })
    }

    /// Has this account logged if the node has to be ended.
    pub(super) fn account_is(&self, account: Option<Arc<Totals>>) {
        self.terms.send_modify(|terms| terms.account = account);
    }

    /// Gives a stop this time.
    pub(super) fn stop_within(&self, within: Duration) {
        self.terms.send_modify(|terms| terms.within = within);
    }

    pub(super) async fn next(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            // The thread has ended the process, or is about to.
            None => std::future::pending().await,
        }
    }

    /// Waits for one that ends the process.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            if let Told::Stop(why) = self.next().await {
                return why;
            }
        }
    }
}

/// Passes signals on, until a node that was told to stop should have done so.
async fn hear(mut next: impl AsyncFnMut() -> Told, told: mpsc::Sender<Told>, terms: watch::Receiver<Terms>) {
    let mut ends: Option<Instant> = None;
    loop {
        let signal = tokio::select! {
            signal = next() => signal,
            () = time::sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => return,
        };
        if let Told::Stop(why) = signal {
            let within = match ends {
                None => {
                    log::info!(target: LOG, signal = why; "stopping");
                    terms.borrow().within
                }
                // The second one means at once.
                Some(_) => Duration::ZERO,
            };
            let end = Instant::now() + within + GRACE;
            ends = Some(ends.map_or(end, |before| before.min(end)));
        }
        // A node that reads none of so many is to be stopped by what was passed on before, or by its end.
        let _ = told.try_send(signal);
    }
}

/// Ends the process. Its other threads may be in the middle of anything.
fn end(terms: &watch::Receiver<Terms>) -> ! {
    let within = humantime::format_duration(terms.borrow().within).to_string();
    log::error!(target: LOG, shutdown_timeout = within; "shutdown timed out: exiting");
    if let Some(account) = &terms.borrow().account {
        account.log("*");
    }
    std::process::exit(1)
}

/// Where signals come from.
struct Sources {
    terminate: Signal,
    interrupt: Signal,
    report: Signal,
    reload: Signal,
}

impl Sources {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            report: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.report.recv() => Told::Report,
            _ = self.reload.recv() => Told::Reload,
        }
    }
}

/// Signals that the node has not read yet.
const UNREAD: usize = 16;

/// What the node has beyond its time to end itself: it logs its account then.
const GRACE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of `signals` come at their times; tells when the node is ended, if nobody reads what is passed on.
    async fn ended_after(signals: &'static [(u64, Told)]) -> Option<Duration> {
        let start = Instant::now();
        let mut signals = signals.iter();
        let (told, _unread) = mpsc::channel(1);
        let (_terms, known) = watch::channel(Terms { within: Duration::from_secs(10), account: None });
        let source = async || match signals.next() {
            Some((second, told)) => {
                time::sleep_until(start + Duration::from_secs(*second)).await;
                *told
            }
            None => std::future::pending().await,
        };
        let heard = time::timeout(Duration::from_secs(3600), hear(source, told, known)).await;
        heard.is_ok().then(|| start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_stop_is_ended_when_its_time_is_over() {
        let end = Duration::from_secs(15) + GRACE;
        assert_eq!(ended_after(&[(5, Told::Stop("SIGTERM"))]).await, Some(end));
        assert_eq!(
            ended_after(&[(1, Told::Report), (2, Told::Report), (5, Told::Stop("SIGINT"))]).await,
            Some(end)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_it_at_once() {
        let twice = &[(5, Told::Stop("SIGTERM")), (7, Told::Stop("SIGTERM"))];
        assert_eq!(ended_after(twice).await, Some(Duration::from_secs(7) + GRACE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_not_told_to_stop_goes_on() {
        assert_eq!(ended_after(&[(1, Told::Report), (2, Told::Reload)]).await, None);
    }
}
