//! The metered, bounded mailbox: the only way to address an actor of this node.
//!
//! actix 0.13 does not bound a mailbox in a way one can rely on (`do_send` ignores the capacity, `try_send`
//! admits one more for every clone of the address) and does not tell how much waits in it. So every message
//! travels as [`Queued`], whose ticket counts it in when it is sent and out when it is opened or dropped,
//! and [`Mailbox::tell`] hands the message back once the count has reached the capacity.
//!
//! The counters are relaxed atomics that live in the address, as actix's own are: they measure the queue between
//! actors and hold no state of any actor.

pub mod drain;
mod meter;
pub mod monitor;
pub mod panic_guard;
pub mod workers;

use std::{fmt, sync::Arc};

use actix::{
    Actor, Addr, ArbiterHandle, Context, Handler, Message, Recipient,
    dev::{
        SendError,
        channel::{self, AddressReceiver},
    },
};

use self::meter::Ticket;
pub use self::meter::{Gauge, Meter, Waits, Watch};

/// Makes a mailbox before its actor: actors that know each other need both mailboxes before either starts.
///
/// The channel is made here because `Actor::start_in_arbiter` begins life with room for 16 messages.
pub fn open<A: Actor<Context = Context<A>>>(meter: &Arc<Meter>, name: &str) -> (Mailbox<A>, Inbox<A>) {
    let (sender, receiver) = channel::channel(UNBOUNDED);
    let mailbox = Mailbox { addr: Addr::new(sender), gauge: Gauge::new(meter, name) };
    meter.watch(&mailbox.gauge);
    (mailbox, Inbox { receiver })
}

/// The end of a mailbox that its actor takes.
pub struct Inbox<A: Actor> {
    receiver: AddressReceiver<A>,
}

impl<A: Actor<Context = Context<A>>> Inbox<A> {
    /// Starts the actor on an arbiter; it is built there, for it need not be able to move between threads.
    pub fn start_on<F>(self, arbiter: &ArbiterHandle, build: F)
    where
        F: FnOnce() -> A + Send + 'static,
    {
        arbiter.spawn_fn(move || {
            actix_rt::spawn(Context::with_receiver(self.receiver).into_future(build()));
        });
    }
}

/// Starts `build`'s actor on an arbiter and gives the mailbox to it and to the caller.
pub fn start_on<A, F>(arbiter: &ArbiterHandle, meter: &Arc<Meter>, name: &str, build: F) -> Mailbox<A>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce(Mailbox<A>) -> A + Send + 'static,
{
    let (mailbox, inbox) = open(meter, name);
    let own = mailbox.clone();
    inbox.start_on(arbiter, move || build(own));
    mailbox
}

/// The address of an actor.
pub struct Mailbox<A: Actor> {
    addr: Addr<A>,
    gauge: Arc<Gauge>,
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    /// Offers a message; a full or dead mailbox hands it back.
    pub fn tell<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        let queued = Gauge::admit(&self.gauge, message)?;
        self.addr.hand(queued)
    }

    /// Tells the actor something about a life cycle: counted like every message, never refused for want of room.
    pub fn signal<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        self.addr.hand(Gauge::count(&self.gauge, message))
    }

    /// The same address, narrowed to one message.
    pub fn outlet<M>(&self) -> Outlet<M>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        Outlet { to: self.addr.clone().recipient(), gauge: Arc::clone(&self.gauge) }
    }

    /// Whether both lead to the same actor.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.gauge, &other.gauge)
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { addr: self.addr.clone(), gauge: Arc::clone(&self.gauge) }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.gauge).finish()
    }
}

/// An address that takes one kind of message: its holder need not know whose it is.
pub struct Outlet<M: Send + 'static> {
    to: Recipient<Queued<M>>,
    gauge: Arc<Gauge>,
}

impl<M: Send + 'static> Outlet<M> {
    /// Offers a message; a full or dead mailbox hands it back.
    pub fn tell(&self, message: M) -> Result<(), Refused<M>> {
        let queued = Gauge::admit(&self.gauge, message)?;
        self.to.hand(queued)
    }

    /// Reports an event: counted, never refused for want of room.
    pub fn signal(&self, message: M) -> Result<(), Refused<M>> {
        self.to.hand(Gauge::count(&self.gauge, message))
    }
}

impl<M: Send + 'static> Clone for Outlet<M> {
    fn clone(&self) -> Self {
        Self { to: self.to.clone(), gauge: Arc::clone(&self.gauge) }
    }
}

impl<M: Send + 'static> fmt::Debug for Outlet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outlet").field(&self.gauge).finish()
    }
}

/// A message on its way, with the ticket that counts it.
#[derive(Debug)]
pub struct Queued<M> {
    message: M,
    ticket: Ticket,
}

impl<M> Queued<M> {
    /// Takes the message out: from here on it is handled, no longer waiting.
    pub fn open(self) -> M {
        self.ticket.handled();
        self.message
    }
}

impl<M: Send + 'static> Message for Queued<M> {
    type Result = ();
}

/// A message that was not taken; it always comes back.
#[derive(Debug)]
pub enum Refused<M> {
    /// The mailbox holds as many as it may.
    Full(M),
    /// The actor is no more.
    Gone(M),
}

impl<M> Refused<M> {
    /// The message.
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Gone(message) => message,
        }
    }
}

/// Puts a counted message into the actix mailbox; here alone actix's own senders are used.
trait Hand<M> {
    fn hand(&self, queued: Queued<M>) -> Result<(), Refused<M>>;
}

#[expect(clippy::disallowed_methods, reason = "this is the metered mailbox")]
impl<A: Actor<Context = Context<A>> + Handler<Queued<M>>, M: Send + 'static> Hand<M> for Addr<A> {
    fn hand(&self, queued: Queued<M>) -> Result<(), Refused<M>> {
        self.try_send(queued).map_err(take_back)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the metered mailbox")]
impl<M: Send + 'static> Hand<M> for Recipient<Queued<M>> {
    fn hand(&self, queued: Queued<M>) -> Result<(), Refused<M>> {
        self.try_send(queued).map_err(take_back)
    }
}

/// An actix mailbox without a bound of its own refuses only when its actor is gone.
fn take_back<M>(refusal: SendError<Queued<M>>) -> Refused<M> {
    Refused::Gone(refusal.into_inner().message)
}

/// Zero is actix's word for "no bound": the bound is ours.
const UNBOUNDED: usize = 0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Idle;
    impl Actor for Idle {
        type Context = Context<Self>;
    }
    impl Handler<Queued<u32>> for Idle {
        type Result = ();
        fn handle(&mut self, number: Queued<u32>, _: &mut Context<Self>) {
            number.open();
        }
    }

    fn idle(capacity: usize) -> Mailbox<Idle> {
        let meter = Meter::new("idle", capacity, None);
        start_on(&actix_rt::Arbiter::current(), &meter, "idle", |_| Idle)
    }

    #[actix::test]
    async fn a_full_mailbox_hands_the_message_back_whatever_the_number_of_clones() {
        let mailbox = idle(4);
        let taken = (0..100).filter(|number| mailbox.clone().tell(*number).is_ok()).count();
        assert_eq!(taken, 4);
        assert!(matches!(mailbox.tell(7), Err(Refused::Full(7))));
        assert_eq!(mailbox.gauge.meter().refused(), 97);
    }

    #[actix::test]
    async fn a_signal_is_counted_and_never_refused_for_want_of_room() {
        let mailbox = idle(1);
        for number in 0..10 {
            assert!(mailbox.signal(number).is_ok());
        }
        assert_eq!(mailbox.gauge.depth(), 10);
    }

    #[actix::test]
    async fn the_depth_is_zero_again_when_all_is_handled() {
        let mailbox = idle(100);
        for number in 0..50 {
            assert!(mailbox.tell(number).is_ok());
        }
        while mailbox.gauge.depth() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(mailbox.gauge.meter().handled(), 50);
        assert_eq!(mailbox.gauge.take_peak(), 50);
        assert!(mailbox.gauge.meter().take_waits().percentile(99) > Duration::ZERO);
    }
}
