//! The verification of one dialback key: it waits, is made, and is answered within its time limit.

use std::{net::IpAddr, sync::Arc, time::Instant};

use tokio::{
    sync::{oneshot, watch},
    time,
};
use xmpp::{
    DomainPair,
    dialback::{Answer, Request},
};

use super::{LOG, Verified, Verify};
use crate::{
    dial::{attempt::Dialer, error::AttemptError},
    observe::log_limit::LogLimiter,
};
use mailbox::Outlet;
use net::address;
use status::event::{Event, EventKind};

/// A verification that waits or is being made. It is answered at the latest when it is dropped.
pub(super) struct Verification {
    request: Request,
    pub(super) site: IpAddr,
    /// The time by which it has to be answered.
    pub(super) deadline: Instant,
    /// `None`: it was answered.
    answer: Option<Outlet<Verified>>,
    stream: watch::Receiver<()>,
}

impl Verification {
    pub(super) fn new(verify: Verify, now: Instant) -> Self {
        let Verify { request, site, answer, within, stream } = verify;
        Self { request, site, deadline: now + within, answer: Some(answer), stream }
    }

    pub(super) fn pair(&self) -> &DomainPair {
        &self.request.pair
    }

    /// Whether the stream that needs the answer still exists.
    pub(super) fn is_wanted(&self) -> bool {
        self.stream.has_changed().is_ok()
    }

    /// Answers that the server could not be asked.
    pub(super) fn fail(mut self, failure: AttemptError) {
        self.answer(Err(failure));
    }

    /// Asks the authoritative server, unless that is ended by `ends`. Gives whether the server confirmed the
    /// key.
    pub(super) async fn ask(
        mut self,
        dialer: &Dialer,
        failed: &Arc<LogLimiter>,
        ends: oneshot::Receiver<()>,
    ) -> bool {
        let mut attempt = dialer.verification(self.request.clone(), LOG);
        let deadline = time::Instant::from_std(self.deadline);
        // The server of a remote initiator is not on our loopback or link.
        attempt.limits.allows_local_scope = address::is_local_scope(self.site);
        let left = deadline.saturating_duration_since(time::Instant::now());
        attempt.limits.time = attempt.limits.time.min(left);
        let mut stream = self.stream.clone();
        // In a task of its own, so that a panic in it is an outcome too.
        let mut asking = actix_rt::spawn(attempt.make());
        let outcome = tokio::select! {
            outcome = &mut asking => Some(outcome.unwrap_or(Err(AttemptError::Crashed))),
            () = time::sleep_until(deadline) => Some(Err(AttemptError::Late)),
            Ok(()) = ends => Some(Err(AttemptError::Overloaded)),
            _ = stream.changed() => None,
        };
        asking.abort();
        let Some(verdict) = outcome else { return false };
        let confirmed = matches!(verdict, Ok(Answer::Valid));
        if let Err(failure) = &verdict
            && failed.count_line()
        {
            log::warn!(
                target: LOG, pair:% = self.pair(), reason:% = failure.sentence(&self.pair().remote);
                "the authoritative server could not be asked to verify a dialback key"
            );
        }
        if !confirmed {
            self.record(dialer, &verdict);
        }
        self.answer(verdict);
        confirmed
    }

    /// Records in the history of the remote domain that a key was not confirmed.
    fn record(&self, dialer: &Dialer, verdict: &Result<Answer, AttemptError>) {
        let DomainPair { local, remote } = self.pair();
        let text = match verdict {
            Ok(Answer::Error(said)) => {
                format!("its server answered the verification of a dialback key with an error: {said}")
            }
            Ok(_) => "its server did not confirm the dialback key that was shown for it".to_owned(),
            Err(failure) => {
                format!(
                    "its server could not be asked to verify a dialback key: {}",
                    failure.sentence(remote)
                )
            }
        };
        dialer.recorder.note_claim(remote, Event::now(EventKind::Verified).with(local).saying(text));
    }

    fn answer(&mut self, verdict: Result<Answer, AttemptError>) {
        let Some(answer) = self.answer.take() else { return };
        let request = self.request.clone();
        let verdict = verdict.map_err(|failure| failure.dialback_error(&request.pair.remote));
        // A stream that has ended meanwhile needs no answer.
        let _ = answer.signal(Verified { request, answer: verdict });
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        // It has waited for too long, or the stream that needs the answer has ended.
        self.answer(Err(AttemptError::Overloaded));
    }
}
