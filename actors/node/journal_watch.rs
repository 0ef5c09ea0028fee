//! Notices a journal that does not answer: its disk hangs, or is far too slow.
//!
//! The watchdog of the service manager does not depend on it. All actors but the journal work on, nothing is refused for it,
//! and a restart would not mend the disk: the new process would hang in opening the file. So the log and the metrics tell
//! of it, and the node goes on.

use std::{path::Path, time::Duration};

use tokio::sync::oneshot;

use super::heartbeat::Respond;
use crate::flow::journal::Writer;
use mailbox::Outlet;

/// What the journal does.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// It has not answered for [`PATIENCE`].
    Hangs,
    /// It answers again, after this time.
    Answers(Duration),
}

/// Asks the journal now and then, logs when it does not answer and when it answers again, and shows it in the figures. Ends
/// when the journal is gone.
pub(super) async fn watch(journal: Outlet<Respond>, path: &Path, writer: Writer) {
    let path = path.display();
    ask(journal, |change| {
        writer.figures().show_hanging(change == Change::Hangs);
        match change {
            Change::Hangs => log::error!(
                target: LOG, path:% = path, not_answered_for:% = format!("{}s", PATIENCE.as_secs());
                "the journal does not answer: its disk hangs or is too slow. What waits is in memory only, and the node goes \
                 on; check the disk"
            ),
            Change::Answers(silence) => log::info!(
                target: LOG, path:% = path, silent_for:% = format!("{:.1}s", silence.as_secs_f64());
                "the journal answers again"
            ),
        }
    })
    .await;
}

async fn ask(journal: Outlet<Respond>, mut report: impl FnMut(Change)) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (alive, mut answer) = oneshot::channel();
        let asked = clock::now();
        if journal.signal(Respond { alive }).is_err() {
            return;
        }
        match tokio::time::timeout(PATIENCE, &mut answer).await {
            Ok(Ok(())) => continue,
            Ok(Err(_)) => return,
            Err(_) => report(Change::Hangs),
        }
        if answer.await.is_err() {
            return;
        }
        report(Change::Answers(clock::since(asked)));
    }
}

const LOG: &str = "nuncio::journal";

/// The interval at which the journal is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// The time within which it has to answer: a slow disk needs up to some seconds for a commit, and all that waits in memory
/// is written in less than this.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler};
    use actix_rt::Arbiter;
    use tokio::sync::mpsc;

    use super::*;
    use mailbox::{Meter, Queued};

    /// Stands for the journal, and waits before each answer.
    struct Slow(Duration);

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<Queued<Respond>> for Slow {
        type Result = ();

        fn handle(&mut self, respond: Queued<Respond>, _: &mut Context<Self>) {
            let (Respond { alive }, wait) = (respond.into_message(), self.0);
            self.0 = Duration::ZERO;
            actix_rt::spawn(async move {
                tokio::time::sleep(wait).await;
                let _ = alive.send(());
            });
        }
    }

    /// What is reported within five minutes if the first answer takes this time.
    async fn reported(wait: Duration) -> Vec<Change> {
        let slow =
            mailbox::start_on(&Arbiter::current(), &Meter::new("slow", 8, None), "slow", move |_| Slow(wait));
        let (tell, mut told) = mpsc::channel(8);
        let asking = ask(slow.outlet(), |change| tell.try_send(change).unwrap());
        let _ = tokio::time::timeout(Duration::from_secs(300), asking).await;
        drop(tell);
        let mut changes = Vec::new();
        while let Some(change) = told.recv().await {
            changes.push(change);
        }
        changes
    }

    #[actix::test]
    async fn a_journal_that_hangs_is_reported_once_and_again_when_it_answers() {
        tokio::time::pause();
        let hangs = Duration::from_secs(100);
        let changes = reported(hangs).await;
        let [Change::Hangs, Change::Answers(silence)] = changes[..] else { panic!("{changes:?}") };
        assert_eq!(silence.as_secs(), hangs.as_secs());
    }

    #[actix::test]
    async fn a_slow_commit_is_not_reported() {
        tokio::time::pause();
        assert_eq!(reported(PATIENCE / 2).await, []);
    }
}
