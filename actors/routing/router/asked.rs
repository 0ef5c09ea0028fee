//! What is addressed to the node itself: it goes to the service, and the answers go where all stanzas go.

use actix::{Context, Handler};
use xmpp::stanza::{Condition, ErrorType};

use super::{Acknowledge, Router};
use crate::{
    flow::{batch::Batch, route::Ingress},
    routing::service::{self, Acknowledged, Answered},
};
use mailbox::Queued;

impl Router {
    /// What is addressed to a local domain that no component claims.
    pub(super) fn serve(&mut self, batch: Batch) {
        if let Err(refused) = self.service.tell(service::Serve { batch }) {
            let batch = refused.into_inner().batch;
            let text = format!("{} has too much to answer", batch.to);
            self.answer(batch, ErrorType::Wait, Condition::ResourceConstraint, &text);
        }
    }
}

impl Handler<Queued<Answered>> for Router {
    type Result = ();

    fn handle(&mut self, answered: Queued<Answered>, _: &mut Context<Self>) {
        for batch in answered.open().batches {
            self.route(batch, Ingress::Local);
        }
    }
}

impl Handler<Queued<Acknowledge>> for Router {
    type Result = ();

    /// The last answers of the service are passed on too.
    fn handle(&mut self, acknowledge: Queued<Acknowledge>, _: &mut Context<Self>) {
        let Acknowledge { token } = acknowledge.open();
        // A service that is gone takes the process with it.
        let _ = self.service.signal(service::Acknowledge { token });
    }
}

impl Handler<Queued<Acknowledged>> for Router {
    type Result = ();

    fn handle(&mut self, acknowledged: Queued<Acknowledged>, _: &mut Context<Self>) {
        let Acknowledged { token } = acknowledged.open();
        drop(token);
    }
}

#[cfg(test)]
mod tests {
    use actix::Arbiter;
    use bytes::BytesMut;
    use tokio::sync::{mpsc, oneshot};
    use xmpp::{
        Domain, Stanza,
        framer::{Frame, Framer, Limits},
        stanza::Origin,
        xml::ns,
    };

    use super::*;
    use crate::{
        flow::{
            ledger::{Outcome, Totals},
            route::{Ingress, Route},
        },
        observe::recorder::RecorderHandle,
        routing::{
            promise::Promise,
            router::{Figures, ShowFigures},
            service::{Owners, Service},
        },
        settings,
    };
    use mailbox::{Inbox, Mailbox, Meter, panic_guard::PanicGuard};

    /// A router whose service has room for two messages and is busy until it is let off.
    struct Desk {
        router: Mailbox<Router>,
        service: Option<Inbox<Service>>,
        // What goes to remote domains waits here.
        _promise: Inbox<Promise>,
    }

    impl Desk {
        fn with_a_busy_service() -> Self {
            let meter = |kind, capacity| Meter::new(kind, capacity, None);
            let (service, busy) = mailbox::open(&meter("service", 2), "service");
            let (promise, waiting) = mailbox::open(&meter("promise", 100), "promise");
            let router = mailbox::start_on(&Arbiter::current(), &meter("router", 100), "router", move |_| {
                let vital = PanicGuard::new("router", mpsc::channel(1).0);
                Router::new(
                    [domain("a.example")],
                    [],
                    promise,
                    service,
                    None,
                    RecorderHandle::disabled(),
                    vital,
                )
            });
            Self { router, service: Some(busy), _promise: waiting }
        }

        fn gets(&self, stanza: &str) {
            let batches = vec![Batch::of(read(stanza))];
            self.router.tell(Route { batches, ingress: Ingress::Remote }).unwrap();
        }

        /// What the router counts once it has done what it was told before.
        async fn account(&self) -> std::sync::Arc<Totals> {
            let (answer, figures) = oneshot::channel();
            self.router.signal(ShowFigures { busiest: 0, answer }).unwrap();
            let Figures { account, .. } = figures.await.unwrap();
            account
        }

        fn service_has_time(&mut self) {
            let (answered, acknowledged) = (self.router.outlet(), self.router.outlet());
            self.service.take().unwrap().start_on(&Arbiter::current(), move || {
                let vital = PanicGuard::new("service", mpsc::channel(1).0);
                let owners = Owners { answered, acknowledged };
                Service::new(Vec::new(), settings::Service::default(), owners, vital)
            });
        }
    }

    fn domain(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn read(stanza: &str) -> Stanza {
        let mut framer = Framer::new(Limits::default());
        let mut bytes = BytesMut::from(format!("<s xmlns='jabber:server'>{stanza}").as_str());
        framer.next(&mut bytes).unwrap();
        let Ok(Some(Frame::Element(element))) = framer.next(&mut bytes) else { panic!("{stanza}") };
        let scope = framer.scope().to_vec();
        Stanza::admit(element, &Origin { namespace: ns::SERVER, scope, lang: None }).unwrap()
    }

    const PING: &str =
        "<iq type='get' id='1' from='b.example' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>";

    #[actix::test]
    async fn what_the_node_is_asked_holds_up_nothing_else_and_is_refused_when_it_is_too_much() {
        let desk = Desk::with_a_busy_service();
        desk.gets(PING);
        desk.gets(PING);
        let account = desk.account().await;
        assert_eq!((account.waiting().stanzas, account.settled(Outcome::Answered).stanzas), (2, 0));
        desk.gets(PING);
        desk.account().await;
        assert_eq!((account.waiting().stanzas, account.settled(Outcome::Answered).stanzas), (2, 1));
        let refused = account.bounces().find(|(condition, _)| *condition == "resource-constraint");
        assert_eq!(refused, Some(("resource-constraint", 1)));
    }

    #[actix::test]
    async fn all_that_was_asked_is_answered_before_the_router_says_that_it_has_passed_all_on() {
        let mut desk = Desk::with_a_busy_service();
        desk.gets(PING);
        let (token, passed_on) = mailbox::drain::tokens();
        desk.router.signal(Acknowledge { token }).unwrap();
        let account = desk.account().await;
        assert_eq!(account.waiting().stanzas, 1);
        desk.service_has_time();
        assert!(passed_on.within(std::time::Duration::from_secs(60)).await);
        assert_eq!((account.waiting().stanzas, account.settled(Outcome::Answered).stanzas), (0, 1));
    }
}
