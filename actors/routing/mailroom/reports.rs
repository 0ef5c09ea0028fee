//! Reports of the queues: for commands, and for the metrics.

use actix::{Context, Handler};
use tokio::sync::oneshot;
use xmpp::Domain;

use super::{Mailroom, Show, Shown, seat::Seat};
use mailbox::Queued;
use status::report::Seconds;

/// Count what waits for each component.
#[derive(Debug)]
pub struct ShowFigures {
    /// Receives the numbers.
    pub answer: oneshot::Sender<Figures>,
}

/// What waits for each component.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The names, in order, and the stanzas that wait for each.
    pub waiting: Vec<(Domain, u64)>,
}

impl Seat {
    fn report(&self, name: &Domain) -> Shown {
        Shown {
            name: name.clone(),
            is_served: self.absence(clock::now()).is_none(),
            waiting: self.amount(),
            kept: (self.queue.stored() + self.overflow.stored()) as u64,
            on_disk: self.overflow.on_disk(),
            oldest: [self.queue.oldest().or_else(|| self.overflow.oldest()), self.lent.oldest()]
                .into_iter()
                .flatten()
                .min()
                .map(Seconds::since),
            first_answered: self.next_expiry().filter(|_| !self.is_empty()).map(Seconds::until),
        }
    }
}

impl Handler<Queued<Show>> for Mailroom {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { of, answer } = show.into_message();
        let shown = self.seats.iter().filter(|(name, _)| of.as_ref().is_none_or(|of| of == *name));
        // The receiver may be gone.
        let _ = answer.send(shown.map(|(name, seat)| seat.report(name)).collect());
    }
}

impl Handler<Queued<ShowFigures>> for Mailroom {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowFigures>, _: &mut Context<Self>) {
        let waiting = self.seats.iter().map(|(name, seat)| (name.clone(), seat.amount().stanzas));
        let mut waiting: Vec<(Domain, u64)> = waiting.collect();
        waiting.sort();
        // The receiver may be gone.
        let _ = show.into_message().answer.send(Figures { waiting });
    }
}
