//! The last message of an outgoing session that panics.

use super::{Closed, Failed, Outgoing, Returned, State, Stopped, Supply, ending::Handback};
use crate::dial::error::AttemptError;

impl Drop for Outgoing {
    /// A panic costs this stream only: the actors that wait for its end are informed.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let pair = self.pair.clone();
        match &self.state {
            State::New(_) | State::Dialing { .. } | State::Failed => {
                let _ = self.owners.failed.signal(Failed { pair, failure: AttemptError::Crashed });
            }
            State::Closing(_, ending) | State::Closed(ending)
                if matches!(ending.handback, Handback::Reported | Handback::Stopped | Handback::Retired) =>
            {
                // The router or the promise knows of the end; the promise waits for what is given back, or ignores it.
                let _ = self.owners.returned.signal(Returned::nothing(pair, Some(ending.lived)));
            }
            State::Open(_) | State::Closing(..) | State::Closed(_)
                if matches!(self.supply, Supply::Promise { .. }) =>
            {
                // If it has handed over all, the router learns of the end with its next stanza.
                let _ = self.owners.stopped.signal(Stopped { pair, session: self.own.clone().into() });
            }
            State::Open(_) | State::Closing(..) | State::Closed(_) => {
                let _ = self.owners.closed.signal(Closed { pair, session: self.own.clone().into() });
            }
        }
    }
}
