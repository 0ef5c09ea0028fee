//! A session under other terms: it goes on, or is closed so that what waits goes on another link.

use actix::{Context, Handler};
use xmpp::{
    certificate::Problem,
    policy::{self, Proof},
    stream::{Condition, Error},
};

use super::{Adopt, Outgoing, Wire};
use crate::{dial::attempt::StaticRoute, settings::Remote};
use mailbox::Queued;

impl Outgoing {
    /// Takes on the new terms, and closes the stream where they forbid it.
    pub(super) fn adopt(&mut self, adopt: &Adopt, context: &mut Context<Self>) {
        let Some(wire) = &self.wire else {
            // The attempt goes on; its stream is looked at when there is one.
            self.adopted = Some(adopt.clone());
            return;
        };
        let remote = adopt.policies.remote(&self.pair.remote);
        let refusal = self.forbidden(wire, adopt, remote);
        self.strict = remote.policy.strict_certificates;
        self.idle_timeout = remote.idle_timeout.min(wire.peer_idles.unwrap_or(remote.idle_timeout));
        (self.keepalive, self.write_timeout) = (remote.keepalive, remote.write_timeout);
        self.watch_deadlines(context);
        let Some(error) = refusal.filter(|_| self.end.is_none()) else { return };
        let reason = format!("closed by us: {error}");
        self.close_stream(Some(error), &reason, context);
        if let Some(end) = &mut self.end {
            // What waits is dialled for at once: the link did not fail.
            end.idle = true;
        }
    }

    /// Why the stream may not go on.
    fn forbidden(&self, wire: &Wire, adopt: &Adopt, new: &Remote) -> Option<Error> {
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
        let certificate = wire.evidence.as_ref().and_then(|evidence| adopt.tls.judge(evidence));
        let verdict =
            certificate.ok_or(Problem::Missing).and_then(|shown| shown.proves(remote, new.policy.trust));
        let secured = wire.machine.transport().is_some();
        if let Err(withdrawal) = policy::readmit(&new.policy, secured, verdict, Proof::from(wire.mechanism)) {
            return violation(withdrawal.explain(remote));
        }
        if StaticRoute::of(new) != wire.route {
            let text = format!("{remote} is reached at another address now");
            return Some(Error::new(Condition::Reset, text));
        }
        None
    }
}

impl Handler<Queued<Adopt>> for Outgoing {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let adopt = adopt.open();
        self.adopt(&adopt, context);
    }
}
