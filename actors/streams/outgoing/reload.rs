//! A session under a new configuration: it goes on, or is closed so that waiting stanzas take another link.

use actix::{Context, Handler};
use xmpp::{
    certificate::Problem,
    policy::{self, Proof},
    stream::{Condition, Error},
};

use super::{Adopt, Forbid, LOG, Outgoing, Session, State, Yield, deadlines::Limits, ending::Redial};
use crate::{dial::attempt::StaticRoute, settings::Remote};
use mailbox::Queued;

impl Outgoing {
    /// Takes on the new configuration, and closes the stream where it is forbidden.
    pub(super) fn adopt(&mut self, adopt: &Adopt, context: &mut Context<Self>) {
        if let State::Dialing { adopted, .. } = &mut self.state {
            // The attempt goes on; its stream is checked when it is established.
            *adopted = Some(adopt.clone());
            return;
        }
        let Some(session) = self.state.session() else { return };
        let remote = adopt.policies.remote(&self.pair.remote);
        let refusal = self.forbidden(session, adopt, remote);
        self.limits = Limits {
            idle_timeout: remote.idle_timeout.min(session.peer_idle_timeout.unwrap_or(remote.idle_timeout)),
            keepalive: remote.keepalive,
            write_timeout: remote.write_timeout,
            strict: remote.policy.strict_certificates,
            ack_timeout: remote.ack_timeout,
            resume_timeout: remote.resume_timeout,
        };
        self.watch_deadlines(context);
        if let (Some(error), State::Open(_)) = (refusal, &self.state) {
            let reason = format!("closed by us: {error}");
            // The link did not fail, so the next attempt needs no pause.
            self.close_stream(Some(error), &reason, Redial::AtOnce, context);
        }
    }

    /// The stream error for a stream that the new configuration forbids.
    fn forbidden(&self, session: &Session, adopt: &Adopt, new: &Remote) -> Option<Error> {
        let (local, remote) = (&self.pair.local, &self.pair.remote);
        let rules = adopt.policies.rules();
        let violation = |text: String| Some(Error::new(Condition::PolicyViolation, text));
        if !rules.permits(remote) {
            return violation(format!("{remote} may no longer federate with this server"));
        }
        if rules.hosted(local).is_none() {
            let text = format!("{local} is no longer served here");
            return Some(Error::new(Condition::HostGone, text));
        }
        let certificate = session.peer_chain.as_ref().and_then(|chain| adopt.tls.verify_chain(chain));
        let verdict =
            certificate.ok_or(Problem::Missing).and_then(|shown| shown.proves(remote, new.policy.trust));
        let secured = session.machine.transport().is_some();
        if let Err(withdrawal) =
            policy::readmit(&new.policy, secured, verdict, Proof::from(session.machine.mechanism()))
        {
            return violation(withdrawal.explain(remote));
        }
        if StaticRoute::of(new) != session.route {
            let text = format!("the configured address of {remote} has changed");
            return Some(Error::new(Condition::Reset, text));
        }
        None
    }
}

impl Handler<Queued<Adopt>> for Outgoing {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let adopt = adopt.into_message();
        self.adopt(&adopt, context);
    }
}

impl Handler<Queued<Yield>> for Outgoing {
    type Result = ();

    fn handle(&mut self, yield_: Queued<Yield>, context: &mut Context<Self>) {
        let Yield { node } = yield_.into_message();
        if matches!(self.state, State::Open(_)) {
            log::info!(target: LOG, pair:% = self.pair, node:% = node; "second link closed: another node has one");
            // What waits goes to the other node at once.
            self.close_stream(None, "another node of this cluster has the link", Redial::AtOnce, context);
        }
    }
}

impl Handler<Queued<Forbid>> for Outgoing {
    type Result = ();

    fn handle(&mut self, forbid: Queued<Forbid>, context: &mut Context<Self>) {
        forbid.into_message();
        if matches!(self.state, State::Open(_)) {
            let error = Error::new(Condition::PolicyViolation, "federation is no longer allowed");
            self.close_stream(Some(error), "the new configuration forbids it", Redial::AfterPause, context);
        }
    }
}
