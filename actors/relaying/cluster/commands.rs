//! Commands of an operator: show the cluster, and ask the other nodes.

use ::cluster::question;
use actix::{Context, Handler};

use super::{Cluster, Show, Shown};
use crate::relaying::questions::Ask;
use mailbox::Queued;

impl Cluster {
    /// Another node asks, or answers. This one answers members only, and not while it has no lease: then it may have hung, and
    /// the question may be an old one.
    pub(super) fn question_came(&mut self, frame: question::Frame) {
        let may_answer = self.run.is_held(clock::now()) && self.peers.incarnation(&frame.from).is_some();
        self.questions.came(frame, may_answer);
    }
}

impl Handler<Queued<Show>> for Cluster {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { report, ferries } = show.into_message();
        let shown = Shown {
            cluster: self.name.clone(),
            node: self.peers.own(),
            broker: self.broker.clone(),
            report: self.arbiter.report(clock::with_suspension()),
        };
        // The command may have ended.
        let _ = report.send(shown);
        self.peers.show(&ferries);
    }
}

impl Handler<Queued<Ask>> for Cluster {
    type Result = ();

    fn handle(&mut self, ask: Queued<Ask>, _: &mut Context<Self>) {
        let nodes = self.broker.connected.then(|| self.peers.members());
        self.questions.ask(ask.into_message(), nodes);
    }
}
