//! Bounded and metered mailboxes for actix actors.
//!
//! All messages between the actors of a node go through these mailboxes. actix 0.13 has no reliable bound:
//! `do_send` ignores the capacity, and `try_send` admits one more message for each clone of the address. It
//! does not report the length of the queue either. So each message travels as [`Queued`]: its ticket counts
//! it in when it is sent, and out when it is opened or dropped. [`Mailbox::tell`] returns the message if the
//! queue is full.
//!
//! The counters are relaxed atomics in the address, as in actix. They measure the queue between actors and
//! hold no state of an actor.
//!
//! ```
//! use actix::{Actor, Context, Handler};
//! use mailbox::{Meter, Queued, Refused};
//!
//! struct Adder {
//!     sum: u32,
//! }
//!
//! impl Actor for Adder {
//!     type Context = Context<Self>;
//! }
//!
//! impl Handler<Queued<u32>> for Adder {
//!     type Result = ();
//!
//!     fn handle(&mut self, number: Queued<u32>, _: &mut Context<Self>) {
//!         self.sum += number.into_message();
//!     }
//! }
//!
//! actix_rt::System::new().block_on(async {
//!     let meter = Meter::new("adder", 2, None);
//!     let arbiter = actix_rt::Arbiter::current();
//!     let adder = mailbox::start_on(&arbiter, &meter, "adder", |_| Adder { sum: 0 });
//!     assert!(adder.tell(1).is_ok());
//!     assert!(adder.tell(2).is_ok());
//!     // The mailbox holds two messages, and the third comes back.
//!     assert!(matches!(adder.tell(3), Err(Refused::Full(3))));
//! });
//! ```

pub mod drain;
mod figures;
mod kind;
mod meter;
pub mod monitor;
pub mod panic_guard;
mod running;
pub mod threads;
pub mod workers;

use std::{fmt, sync::Arc};

use actix::{
    Actor, Addr, ArbiterHandle, Context, Handler, Message,
    dev::{
        SendError,
        channel::{self, AddressReceiver},
    },
};

pub use self::meter::{Gauge, Meter, Register, WaitTimes};
use self::{
    meter::{Purpose, Ticket},
    running::Running,
};

/// Opens a mailbox without its actor. Two actors that address each other need both mailboxes before either
/// starts.
///
/// `name` identifies the mailbox in the log. The channel is made here because `Actor::start_in_arbiter` makes
/// one with a capacity of 16 messages.
pub fn open<A: Actor<Context = Context<A>>>(meter: &Arc<Meter>, name: &str) -> (Mailbox<A>, Inbox<A>) {
    let (sender, receiver) = channel::channel(UNBOUNDED);
    let mailbox = Mailbox { addr: Arc::new(Addr::new(sender)), gauge: Gauge::new(meter, name) };
    meter.watch(&mailbox.gauge);
    (mailbox, Inbox { receiver, meter: Arc::clone(meter) })
}

/// The receiving end of a mailbox, for its actor.
pub struct Inbox<A: Actor> {
    receiver: AddressReceiver<A>,
    meter: Arc<Meter>,
}

impl<A: Actor<Context = Context<A>>> Inbox<A> {
    /// Starts the actor on an arbiter. `build` runs there, so the actor need not be [`Send`]. If the actor panics, its
    /// meter counts that.
    pub fn start_on<F>(self, arbiter: &ArbiterHandle, build: F)
    where
        F: FnOnce() -> A + Send + 'static,
    {
        arbiter.spawn_fn(move || {
            let actor = Context::with_receiver(self.receiver).into_future(build());
            actix_rt::spawn(Running::new(actor, self.meter));
        });
    }
}

/// Starts an actor on an arbiter. `build` gets the mailbox of the actor, and so does the caller.
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

/// The address of an actor. Clones address the same actor, and cost a reference count: a clone of the address of actix
/// makes two allocations.
pub struct Mailbox<A: Actor> {
    addr: Arc<Addr<A>>,
    gauge: Arc<Gauge>,
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// Returns the message if the mailbox is full or the actor has stopped.
    pub fn tell<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        let queued = Gauge::admit(&self.gauge, message)?;
        self.addr.enqueue(queued)
    }

    /// Sends a life-cycle message. It is counted and accepted even if the mailbox is full.
    ///
    /// # Errors
    ///
    /// Returns the message if the actor has stopped.
    pub fn signal<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        self.addr.enqueue(Gauge::count(&self.gauge, message, Purpose::Work))
    }

    /// Sends a message that an idle node sends too: a question of the watchdog, of a scrape or of a command, or whitespace
    /// of an idle stream. It is counted and accepted like a [signal](Self::signal), but causes no mailbox line, unless it
    /// keeps waiting.
    ///
    /// # Errors
    ///
    /// Returns the message if the actor has stopped.
    pub fn signal_quietly<M>(&self, message: M) -> Result<(), Refused<M>>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        self.addr.enqueue(Gauge::count(&self.gauge, message, Purpose::Quiet))
    }

    /// Narrows the address to one type of message.
    pub fn outlet<M>(&self) -> Outlet<M>
    where
        M: Send + 'static,
        A: Handler<Queued<M>>,
    {
        Outlet { to: Arc::clone(&self.addr) as Arc<dyn Enqueue<M>>, gauge: Arc::clone(&self.gauge) }
    }

    /// Returns whether both address the same actor.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.gauge, &other.gauge)
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { addr: Arc::clone(&self.addr), gauge: Arc::clone(&self.gauge) }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.gauge).finish()
    }
}

/// The address of an actor for one type of message. It hides the type of the actor. A clone costs a reference count.
pub struct Outlet<M: Send + 'static> {
    to: Arc<dyn Enqueue<M>>,
    gauge: Arc<Gauge>,
}

impl<M: Send + 'static> Outlet<M> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// Returns the message if the mailbox is full or the actor has stopped.
    pub fn tell(&self, message: M) -> Result<(), Refused<M>> {
        let queued = Gauge::admit(&self.gauge, message)?;
        self.to.enqueue(queued)
    }

    /// Sends a life-cycle message. It is counted and accepted even if the mailbox is full.
    ///
    /// # Errors
    ///
    /// Returns the message if the actor has stopped.
    pub fn signal(&self, message: M) -> Result<(), Refused<M>> {
        self.to.enqueue(Gauge::count(&self.gauge, message, Purpose::Work))
    }

    /// Sends a message that an idle node sends too: a question of the watchdog, of a scrape or of a command, or whitespace
    /// of an idle stream. It is counted and accepted like a [signal](Self::signal), but causes no mailbox line, unless it
    /// keeps waiting.
    ///
    /// # Errors
    ///
    /// Returns the message if the actor has stopped.
    pub fn signal_quietly(&self, message: M) -> Result<(), Refused<M>> {
        self.to.enqueue(Gauge::count(&self.gauge, message, Purpose::Quiet))
    }
}

impl<M: Send + 'static> Outlet<M> {
    /// Identifies the actor in a table, as long as the table has an outlet to it. All outlets to one actor have the same.
    pub fn key(&self) -> usize {
        Arc::as_ptr(&self.gauge).addr()
    }

    /// Whether the actor has stopped.
    pub fn is_gone(&self) -> bool {
        self.to.is_gone()
    }
}

impl<M: Send + 'static> Clone for Outlet<M> {
    fn clone(&self) -> Self {
        Self { to: Arc::clone(&self.to), gauge: Arc::clone(&self.gauge) }
    }
}

impl<M: Send + 'static> fmt::Debug for Outlet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outlet").field(&self.gauge).finish()
    }
}

/// A message in a mailbox, with the ticket that counts it.
#[derive(Debug)]
pub struct Queued<M> {
    message: M,
    ticket: Ticket,
}

impl<M> Queued<M> {
    /// Takes the message out. It counts as handled from here on.
    pub fn into_message(self) -> M {
        self.ticket.handled();
        self.message
    }
}

impl<M: Send + 'static> Message for Queued<M> {
    type Result = ();
}

/// A message that was not accepted.
#[derive(Debug)]
pub enum Refused<M> {
    /// The mailbox has reached its capacity.
    Full(M),
    /// The actor has stopped.
    Gone(M),
}

impl<M> Refused<M> {
    /// Returns the message.
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Gone(message) => message,
        }
    }
}

/// Puts a counted message into the mailbox of actix. Only this implementation uses the senders of actix.
trait Enqueue<M>: Send + Sync {
    fn enqueue(&self, queued: Queued<M>) -> Result<(), Refused<M>>;

    /// Whether the actor has stopped.
    fn is_gone(&self) -> bool;
}

#[expect(clippy::disallowed_methods, reason = "this is the metered mailbox")]
impl<A: Actor<Context = Context<A>> + Handler<Queued<M>>, M: Send + 'static> Enqueue<M> for Addr<A> {
    fn enqueue(&self, queued: Queued<M>) -> Result<(), Refused<M>> {
        self.try_send(queued).map_err(take_back)
    }

    fn is_gone(&self) -> bool {
        !self.connected()
    }
}

/// An unbounded mailbox of actix refuses a message only if its actor has stopped.
fn take_back<M>(refusal: SendError<Queued<M>>) -> Refused<M> {
    Refused::Gone(refusal.into_inner().message)
}

/// actix reads a capacity of 0 as "no bound". The bound is in [`Gauge`].
const UNBOUNDED: usize = 0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::ActorContext;

    use super::*;

    struct Idle;
    impl Actor for Idle {
        type Context = Context<Self>;
    }
    impl Handler<Queued<u32>> for Idle {
        type Result = ();
        fn handle(&mut self, number: Queued<u32>, _: &mut Context<Self>) {
            number.into_message();
        }
    }

    fn idle(capacity: usize) -> Mailbox<Idle> {
        let meter = Meter::new("idle", capacity, None);
        start_on(&actix_rt::Arbiter::current(), &meter, "idle", |_| Idle)
    }

    #[actix::test]
    async fn a_full_mailbox_returns_the_message_for_any_number_of_clones() {
        let mailbox = idle(4);
        let taken = (0..100).filter(|number| mailbox.clone().tell(*number).is_ok()).count();
        assert_eq!(taken, 4);
        assert!(matches!(mailbox.tell(7), Err(Refused::Full(7))));
        assert_eq!(mailbox.gauge.meter().refused(), 97);
    }

    #[actix::test]
    async fn a_signal_is_counted_and_accepted_by_a_full_mailbox() {
        let mailbox = idle(1);
        for number in 0..10 {
            assert!(mailbox.signal(number).is_ok());
        }
        assert_eq!(mailbox.gauge.depth(), 10);
    }

    /// Stops on 0, and panics on any other number.
    struct Ending;
    impl Actor for Ending {
        type Context = Context<Self>;
    }
    impl Handler<Queued<u32>> for Ending {
        type Result = ();
        fn handle(&mut self, number: Queued<u32>, context: &mut Context<Self>) {
            match number.into_message() {
                0 => context.stop(),
                number => panic!("the panic of a test: {number}"),
            }
        }
    }

    #[actix::test]
    async fn an_actor_that_panics_is_counted_and_one_that_stops_is_not() {
        let meter = Meter::new("ending", 1, None);
        let restarts = [0, 1, 0, 2].map(async |number| {
            let ending = start_on(&actix_rt::Arbiter::current(), &meter, "ending", |_| Ending);
            while ending.signal(number).is_ok() {
                tokio::task::yield_now().await;
            }
            meter.restarts()
        });
        for (restarts, expected) in restarts.into_iter().zip([0, 1, 1, 2]) {
            assert_eq!(restarts.await, expected);
        }
    }

    #[actix::test]
    async fn the_depth_is_zero_after_all_messages_are_handled() {
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
