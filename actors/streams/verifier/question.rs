//! One question about a dialback key: it waits, is asked, and has an answer in its time.

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
use net::happy_eyeballs;
use status::event::{Event, What};

/// A question that waits, or is being asked. It is answered at the latest when it is dropped.
pub(super) struct Question {
    request: Request,
    pub(super) site: IpAddr,
    /// When it has to be answered.
    pub(super) deadline: Instant,
    /// `None`: it was answered.
    answer: Option<Outlet<Verified>>,
    stream: watch::Receiver<()>,
}

impl Question {
    pub(super) fn new(verify: Verify, now: Instant) -> Self {
        let Verify { request, site, answer, within, stream } = verify;
        Self { request, site, deadline: now + within, answer: Some(answer), stream }
    }

    pub(super) fn pair(&self) -> &DomainPair {
        &self.request.pair
    }

    /// Whether the stream stands that wants to know.
    pub(super) fn is_wanted(&self) -> bool {
        self.stream.has_changed().is_ok()
    }

    /// Tells the initiator why nobody was asked.
    pub(super) fn fail(mut self, failure: AttemptError) {
        self.tell(Err(failure));
    }

    /// Asks the authoritative server, until somebody `ends` that. Says whether it confirmed the key.
    pub(super) async fn ask(
        mut self,
        means: &Dialer,
        unasked: &Arc<LogLimiter>,
        ends: oneshot::Receiver<()>,
    ) -> bool {
        let mut attempt = means.verification(self.request.clone(), LOG);
        let deadline = time::Instant::from_std(self.deadline);
        // A server is where its peers can reach it: one that comes from elsewhere is not on our loopback or link.
        attempt.limits.near = happy_eyeballs::is_near(self.site);
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
            && unasked.permits()
        {
            log::warn!(
                target: LOG, pair:% = self.pair(), reason:% = failure.sentence(&self.pair().remote);
                "the authoritative server could not be asked about a dialback key"
            );
        }
        if !confirmed {
            self.note(means, &verdict);
        }
        self.tell(verdict);
        confirmed
    }

    fn note(&self, means: &Dialer, verdict: &Result<Answer, AttemptError>) {
        let DomainPair { local, remote } = self.pair();
        let text = match verdict {
            Ok(Answer::Error(said)) => {
                format!("its server answered the question about a dialback key with an error: {said}")
            }
            Ok(_) => "its server does not know the dialback key that was shown for it".to_owned(),
            Err(failure) => {
                format!("its server could not be asked about a dialback key: {}", failure.sentence(remote))
            }
        };
        means.recorder.note_claim(remote, Event::now(What::Verified).with(local).saying(text));
    }

    fn tell(&mut self, verdict: Result<Answer, AttemptError>) {
        let Some(answer) = self.answer.take() else { return };
        let request = self.request.clone();
        let verdict = verdict.map_err(|failure| failure.dialback_error(&request.pair.remote));
        // A stream that has ended meanwhile wants no answer.
        let _ = answer.signal(Verified { request, answer: verdict });
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // It has waited for too long.
        self.tell(Err(AttemptError::Overloaded));
    }
}
