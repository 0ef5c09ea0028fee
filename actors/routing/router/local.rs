//! Stanzas for the node itself: the router sends them to the service, and routes its answers like any other
//! stanza.

use actix::{Context, Handler};
use xmpp::stanza::{Condition, ErrorType};

use super::{Acknowledge, Router};
use crate::{
    flow::{batch::Batch, route::Ingress},
    routing::service::{self, Acknowledged, Answered},
};
use mailbox::Queued;

impl Router {
    /// Sends a batch to the service of the node.
    pub(super) fn serve(&mut self, batch: Batch) {
        if let Err(refused) = self.service.tell(service::Serve { batch }) {
            let batch = refused.into_inner().batch;
            let text = format!("{} is overloaded; try again later", batch.to);
            self.answer(batch, ErrorType::Wait, Condition::ResourceConstraint, &text);
        }
    }
}

impl Handler<Queued<Answered>> for Router {
    type Result = ();

    fn handle(&mut self, answered: Queued<Answered>, _: &mut Context<Self>) {
        for batch in answered.into_message().batches {
            self.route(batch, Ingress::Local);
        }
    }
}

impl Handler<Queued<Acknowledge>> for Router {
    type Result = ();

    /// The service answers this after its last answer, so that is passed on too.
    fn handle(&mut self, acknowledge: Queued<Acknowledge>, _: &mut Context<Self>) {
        let Acknowledge { token } = acknowledge.into_message();
        // If the service is gone, the process ends.
        let _ = self.service.signal(service::Acknowledge { token });
    }
}

impl Handler<Queued<Acknowledged>> for Router {
    type Result = ();

    fn handle(&mut self, acknowledged: Queued<Acknowledged>, _: &mut Context<Self>) {
        let Acknowledged { token } = acknowledged.into_message();
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
            account::{Outcome, Totals},
            route::{Ingress, Route},
        },
        observe::recorder::RecorderHandle,
        routing::{
            mailroom::Mailroom,
            promise::Promise,
            router::{Figures, Receivers, ShowFigures},
            service::{Owners, Service},
        },
        settings,
    };
    use mailbox::{Inbox, Mailbox, Meter, panic_guard::PanicGuard};

    /// A router whose service has room for two messages and handles none until [`Self::starts_service`].
    struct Fixture {
        router: Mailbox<Router>,
        service: Option<Inbox<Service>>,
        // Batches for remote domains stay here.
        _promise: Inbox<Promise>,
        _mailroom: Inbox<Mailroom>,
    }

    impl Fixture {
        fn with_busy_service() -> Self {
            let meter = |kind, capacity| Meter::new(kind, capacity, None);
            let (service, service_inbox) = mailbox::open(&meter("service", 2), "service");
            let (promise, promise_inbox) = mailbox::open(&meter("promise", 100), "promise");
            let (mailroom, mailroom_inbox) = mailbox::open(&meter("mailroom", 100), "mailroom");
            let router = mailbox::start_on(&Arbiter::current(), &meter("router", 100), "router", move |_| {
                let guard = PanicGuard::new("router", mpsc::channel(1).0);
                Router::new(
                    [domain("a.example")],
                    [],
                    Receivers {
                        promise,
                        mailroom,
                        service,
                        journal: None,
                        seats: None,
                        account: std::sync::Arc::new(Totals::of_all()),
                    },
                    None,
                    RecorderHandle::disabled(),
                    guard,
                )
            });
            Self { router, service: Some(service_inbox), _promise: promise_inbox, _mailroom: mailroom_inbox }
        }

        fn receives(&self, stanza: &str) {
            let batches = vec![Batch::of(read(stanza))];
            self.router.tell(Route { batches, ingress: Ingress::Remote }).unwrap();
        }

        /// The totals after all earlier messages.
        async fn account(&self) -> std::sync::Arc<Totals> {
            let (answer, figures) = oneshot::channel();
            self.router.signal(ShowFigures { busiest: 0, answer }).unwrap();
            let Figures { account, .. } = figures.await.unwrap();
            account
        }

        fn starts_service(&mut self) {
            let (answered, acknowledged) = (self.router.outlet(), self.router.outlet());
            self.service.take().unwrap().start_on(&Arbiter::current(), move || {
                let guard = PanicGuard::new("service", mpsc::channel(1).0);
                let owners = Owners { answered, acknowledged };
                Service::new(Vec::new(), settings::Service::default(), owners, guard)
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
    async fn stanzas_for_the_node_delay_no_others_and_are_refused_when_the_service_is_full() {
        let fixture = Fixture::with_busy_service();
        fixture.receives(PING);
        fixture.receives(PING);
        let account = fixture.account().await;
        assert_eq!((account.waiting().stanzas, account.settled(Outcome::Answered).stanzas), (2, 0));
        fixture.receives(PING);
        fixture.account().await;
        assert_eq!((account.waiting().stanzas, account.settled(Outcome::Answered).stanzas), (2, 1));
        let refused = account.bounces().find(|(condition, _)| *condition == "resource-constraint");
        assert_eq!(refused, Some(("resource-constraint", 1)));
    }

    #[actix::test]
    async fn every_request_is_answered_before_the_router_acknowledges() {
        let mut fixture = Fixture::with_busy_service();
        fixture.receives(PING);
        let (token, passed_on) = mailbox::drain::tokens();
        fixture.router.signal(Acknowledge { token }).unwrap();
        let account = fixture.account().await;
        assert_eq!(account.waiting().stanzas, 1);
        fixture.starts_service();
        assert!(passed_on.within(std::time::Duration::from_secs(60)).await);
        assert_eq!((account.waiting().stanzas, account.settled(Outcome::Answered).stanzas), (0, 1));
    }
}
