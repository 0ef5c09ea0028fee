//! The handback at the end of a stream: the end is reported, then the promise gets the stanzas that were not delivered.

use actix::{ActorContext, Context, Handler};

use super::{
    Asks, Closed, Outgoing, Retire, Returned, State, Stopped, Supply,
    ending::{Handback, Redial},
    leftovers::Leftovers,
};
use mailbox::Queued;

impl Outgoing {
    /// Reports the end to the router, or to the promise if that sends portions; once. While the promise hands over all
    /// at once, the router may not know this session yet, and could not forget it. Then `Open` or `Pull` is still to
    /// come, and its handler calls this again.
    pub(super) fn report_end(&mut self, context: &mut Context<Self>) {
        let Some(ending) = self.state.ending_mut() else { return };
        if ending.handback != Handback::Unreported {
            return;
        }
        let (pair, session) = (self.pair.clone(), self.own.clone().into());
        let is_gone = match self.supply {
            Supply::Promise { asks: Asks::Never, .. } => return,
            Supply::Promise { .. } => {
                ending.handback = Handback::Stopped;
                self.owners.stopped.signal(Stopped { pair, session }).is_err()
            }
            Supply::Router | Supply::Congested { .. } => {
                ending.handback = Handback::Reported;
                self.owners.closed.signal(Closed { pair, session }).is_err()
            }
        };
        if is_gone {
            context.stop();
        }
    }

    /// Gives back stanzas that were not written or not acknowledged, once the router has sent its last stanza and the
    /// outcome of all in the outbox is known: all is written and acknowledged, or the link has ended.
    pub(super) fn give_back(&mut self, context: &mut Context<Self>) {
        let is_settled = !self.has_unsettled();
        let is_down = matches!(self.state, State::Closed(_));
        let Some(ending) = self.state.ending_mut().filter(|_| is_settled) else { return };
        if ending.handback == Handback::Retired {
            ending.handback = Handback::Returned;
            let (cut, redial, lived) = (!ending.is_orderly, ending.redial, ending.lived);
            let carried = ending.logged.stanzas_out > 0;
            let mut tokens = std::mem::take(&mut self.shutdown.flushing);
            if is_down {
                tokens.append(&mut self.shutdown.finishing);
            }
            let Leftovers { open, interruption, unwritten } = std::mem::take(&mut self.leftovers);
            // A promise that is gone ends the process.
            let _ = self.owners.returned.signal(Returned {
                pair: self.pair.clone(),
                open,
                interruption,
                batches: unwritten,
                lived: (redial == Redial::AfterPause).then_some(lived),
                carried,
                is_relay: false,
                cut,
                tokens,
            });
        }
        if is_down && self.state.ending_mut().is_some_and(|ending| ending.handback == Handback::Returned) {
            context.stop();
        }
    }
}

impl Handler<Queued<Retire>> for Outgoing {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.into_message();
        if let Some(ending) = self.state.ending_mut() {
            ending.retire();
        }
        self.give_back(context);
    }
}
