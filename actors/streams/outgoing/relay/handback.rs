//! The end of a relay: it is reported, then the promise gets the stanzas that the other node has not settled.

use actix::{ActorContext, Context, Handler};

use super::{End, LOG};
use crate::{
    flow::batch::Batch,
    streams::{
        outgoing::{Closed, Interruption, Relay, Retire, Returned, Stopped, ending::Handback},
        relay::{Remains, Source},
    },
};
use mailbox::Queued;

impl Relay {
    /// From now on stanzas are kept to be given back. What is unsettled is waited for.
    pub(super) fn take_no_more(&mut self, reason: &str, context: &mut Context<Self>) {
        if self.custody.end() {
            let unsettled = self.custody.unsettled().stanzas;
            log::info!(
                target: LOG, pair:% = self.pair, node:% = self.custody.ferry().node, reason = reason,
                unsettled = unsettled, lived:% = format_args!("{}s", clock::since(self.state.since).as_secs());
                "relay ended"
            );
            let (doubtful, unwritten) = Default::default();
            let end = End { handback: Handback::Unreported, is_cut: false, doubtful, unwritten };
            self.state.end = Some(end);
        }
        self.report_end(context);
        self.give_back(context);
    }

    /// The other node settles nothing more.
    pub(super) fn way_ended(&mut self, reason: &str, in_doubt: &[u64], context: &mut Context<Self>) {
        self.take_no_more(reason, context);
        let Remains { doubtful, unwritten } = self.custody.take_back(in_doubt);
        if !doubtful.is_empty() {
            log::warn!(
                target: LOG, pair:% = self.pair, node:% = self.custody.ferry().node,
                stanzas = count(&doubtful), reason = reason;
                "the way to the other node is lost: stanzas may have arrived"
            );
        }
        if let Some(end) = &mut self.state.end {
            end.is_cut = true;
            end.doubtful.extend(doubtful);
            end.unwritten.extend(unwritten);
        }
        self.state.flushing.clear();
        self.give_back(context);
    }

    /// The other node gives stanzas back: a component serves the remote domain there. The next attempt follows after a pause, as
    /// when the way has ended.
    pub(super) fn came_back(&mut self, context: &mut Context<Self>) {
        self.take_no_more("the other node gives the stanzas back", context);
        if let Some(end) = &mut self.state.end {
            end.is_cut = true;
        }
        self.give_back(context);
    }

    /// Reports the end to the router, or to the promise if that sends portions; once. While the promise hands over all at
    /// once, the router may not know this relay yet, and could not forget it. Then `Open` or `Pull` is still to come, and its
    /// handler calls this again.
    pub(super) fn report_end(&mut self, context: &mut Context<Self>) {
        let (pair, session) = (self.pair.clone(), self.carrier());
        let Some(end) = &mut self.state.end else { return };
        if end.handback != Handback::Unreported {
            return;
        }
        let is_gone = match self.custody.source() {
            None => return,
            Some(Source::Store) => {
                end.handback = Handback::Stopped;
                self.owners.stopped.signal(Stopped { pair, session }).is_err()
            }
            Some(Source::Router) => {
                end.handback = Handback::Reported;
                self.owners.closed.signal(Closed { pair, session }).is_err()
            }
        };
        if is_gone {
            context.stop();
        }
    }

    /// Gives back what was not settled, once the router or the promise has sent its last stanza and the other node settles
    /// nothing more.
    pub(super) fn give_back(&mut self, context: &mut Context<Self>) {
        let is_settled = self.custody.is_settled();
        let Some(end) = self.state.end.as_mut().filter(|end| end.handback == Handback::Retired && is_settled)
        else {
            return;
        };
        end.handback = Handback::Returned;
        let open = std::mem::take(&mut end.doubtful);
        let mut batches = std::mem::take(&mut end.unwritten);
        batches.extend(self.custody.take_given_back());
        batches.extend(self.custody.take_leftovers());
        let interruption = (!open.is_empty()).then(|| {
            let since = clock::now();
            Box::new(Interruption { since, first: 1, lost: None, blames_first: false })
        });
        let mut tokens = std::mem::take(&mut self.state.flushing);
        tokens.append(&mut self.state.finishing);
        // A promise that is gone ends the process.
        let _ = self.owners.returned.signal(Returned {
            pair: self.pair.clone(),
            open,
            interruption,
            batches,
            lived: end.is_cut.then(|| clock::since(self.state.since)),
            carried: self.custody.has_carried(),
            is_relay: true,
            cut: end.is_cut,
            tokens,
        });
        context.stop();
    }
}

impl Handler<Queued<Retire>> for Relay {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.into_message();
        if let Some(end) = &mut self.state.end
            && matches!(end.handback, Handback::Reported | Handback::Stopped)
        {
            end.handback = Handback::Retired;
        }
        self.give_back(context);
    }
}

impl Drop for Relay {
    /// A panic costs this relay only: the actors that wait for its end are informed.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (pair, session) = (self.pair.clone(), self.carrier());
        let handback = self.state.end.as_ref().map(|end| end.handback);
        match (handback, self.custody.source()) {
            (Some(Handback::Reported | Handback::Stopped | Handback::Retired), _) => {
                let lived = Some(clock::since(self.state.since));
                let _ = self.owners.returned.signal(Returned::nothing(pair, lived));
            }
            (Some(Handback::Returned), _) => {}
            (_, Some(Source::Router)) => drop(self.owners.closed.signal(Closed { pair, session })),
            // If the promise has handed over all, the router learns of the end with its next stanza.
            (_, Some(Source::Store) | None) => drop(self.owners.stopped.signal(Stopped { pair, session })),
        }
    }
}

fn count(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.stanzas.len()).sum()
}
