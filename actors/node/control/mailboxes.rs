//! Answers the command about mailboxes.

use tokio::sync::oneshot;

use super::{commands::Sources, round::Round};
use mailbox::monitor::{self, Figures, KindStats};
use status::{
    answer::{Mailboxes, Refusal},
    report::{Deepest, MailboxReport},
};

impl Sources {
    /// The mailboxes of all kinds of actors.
    pub(super) async fn mailboxes(&self) -> Result<String, Refusal> {
        let mut round = Round::begin(self.patience.of_actors);
        let (answer, kinds) = oneshot::channel();
        let _ = self.monitor.signal_quietly(monitor::Look { answer });
        let kinds = round.wait("monitor", kinds).await.ok_or_else(|| round.refusal("monitor"))?;
        let mailboxes = kinds.into_iter().map(report).collect();
        Ok(self.document(round, Mailboxes { mailboxes }))
    }
}

fn report(figures: Figures) -> MailboxReport {
    let Figures { stats, deepest, times } = figures;
    let KindStats {
        actor,
        instances,
        depth,
        deepest: greatest,
        peak,
        capacity,
        handled,
        refused,
        restarts,
        ..
    } = stats;
    let nanos = |(time, count): (std::time::Duration, u64)| {
        (u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), count)
    };
    MailboxReport {
        actor: actor.to_owned(),
        instances,
        depth,
        deepest: deepest.map(|name| Deepest { name, depth: greatest }),
        peak,
        capacity,
        handled,
        refused,
        restarts,
        waits: times.into_iter().map(nanos).collect(),
    }
}
