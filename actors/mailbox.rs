//! The metered, bounded mailbox: the only way to address an actor of this node.
//!
//! actix 0.13 does not bound a mailbox in a way one can rely on (`do_send` ignores the capacity, `try_send`
//! admits one more for every clone of the address) and does not tell how much waits in it. So every message
//! travels as [`Queued`], whose ticket counts it in when it is sent and out when it is opened or dropped,
//! and [`Mailbox::tell`] hands the message back once the count has reached the capacity.
//!
//! The counters are relaxed atomics that live in the address, as actix's own are: they measure the queue between
//! actors and hold no state of any actor.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::{
    Actor, Addr, ArbiterHandle, Context, Handler, Message, Recipient,
    dev::{
        SendError,
        channel::{self, AddressReceiver},
    },
};

use crate::pulse;

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

/// What all mailboxes of one actor kind have in common.
pub struct Meter {
    kind: &'static str,
    capacity: usize,
    handled: AtomicU64,
    refused: AtomicU64,
    restarts: AtomicU64,
    waits: [AtomicU32; WAIT_BUCKETS],
    /// Where new gauges are reported; the pulse's own meter has none.
    pulse: Option<Outlet<pulse::Watch>>,
}

impl Meter {
    /// A meter for actors of `kind` whose mailboxes hold at most `capacity` messages each.
    pub fn new(kind: &'static str, capacity: usize, pulse: Option<Outlet<pulse::Watch>>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            capacity,
            handled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            waits: [const { AtomicU32::new(0) }; WAIT_BUCKETS],
            pulse,
        })
    }

    /// The actor kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Messages one mailbox holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Messages handled since the start, by instances that are gone too.
    pub fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// Messages that a full mailbox turned away since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Instances that ended by a panic; whoever needs one again starts another.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Counts an instance that ended by a panic; called while the actor is dropped.
    pub fn count_if_panicking(&self) {
        if std::thread::panicking() {
            self.restarts.fetch_add(1, Relaxed);
        }
    }

    /// The waiting times since the last call.
    pub fn take_waits(&self) -> Waits {
        Waits(std::array::from_fn(|bucket| self.waits.get(bucket).map_or(0, |count| count.swap(0, Relaxed))))
    }

    fn watch(&self, gauge: &Arc<Gauge>) {
        if let Some(pulse) = &self.pulse {
            // A pulse that is gone means that the node is ending: nobody is left to read the gauge.
            let _ = pulse.signal(pulse::Watch { gauge: Arc::downgrade(gauge) });
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Waiting times, from sent to handled, in buckets that double every four.
#[derive(Clone, Debug)]
pub struct Waits([u32; WAIT_BUCKETS]);

impl Default for Waits {
    fn default() -> Self {
        Self([0; WAIT_BUCKETS])
    }
}

impl Waits {
    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count = count.saturating_add(*more));
    }

    /// How many there are of each time, an upper bound within 19 %.
    pub fn times(&self) -> impl Iterator<Item = (Duration, u32)> {
        let counts = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bucket, count)| (Duration::from_nanos(upper_bound(bucket)), *count))
    }

    /// The time within which `percent` of the messages were handled; an upper bound within 19 %.
    pub fn percentile(&self, percent: u64) -> Duration {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = (total * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && *count > 0 {
                return Duration::from_nanos(upper_bound(bucket));
            }
        }
        Duration::ZERO
    }
}

/// What one mailbox holds.
#[derive(Debug)]
pub struct Gauge {
    meter: Arc<Meter>,
    name: String,
    depth: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    fn new(meter: &Arc<Meter>, name: &str) -> Arc<Self> {
        Arc::new(Self {
            meter: Arc::clone(meter),
            name: name.to_owned(),
            depth: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        })
    }

    /// Whose mailbox: a domain pair, an address, or the kind again for actors of which there is one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The meter of the actor kind.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Messages that wait now.
    pub fn depth(&self) -> usize {
        self.depth.load(Relaxed)
    }

    /// The most that waited at once since the last call.
    pub fn take_peak(&self) -> usize {
        self.peak.swap(self.depth(), Relaxed)
    }

    fn admit<M>(this: &Arc<Self>, message: M) -> Result<Queued<M>, Refused<M>> {
        let before = this.depth.fetch_add(1, Relaxed);
        if before >= this.meter.capacity {
            this.depth.fetch_sub(1, Relaxed);
            this.meter.refused.fetch_add(1, Relaxed);
            return Err(Refused::Full(message));
        }
        this.peak.fetch_max(before + 1, Relaxed);
        Ok(Queued { message, ticket: Ticket { gauge: Arc::clone(this), sent: Instant::now() } })
    }

    fn count<M>(this: &Arc<Self>, message: M) -> Queued<M> {
        let before = this.depth.fetch_add(1, Relaxed);
        this.peak.fetch_max(before + 1, Relaxed);
        Queued { message, ticket: Ticket { gauge: Arc::clone(this), sent: Instant::now() } }
    }
}

/// Counts one message out when it is dropped, however that comes about.
#[derive(Debug)]
struct Ticket {
    gauge: Arc<Gauge>,
    sent: Instant,
}

impl Ticket {
    fn handled(&self) {
        let meter = &self.gauge.meter;
        meter.handled.fetch_add(1, Relaxed);
        let nanos = u64::try_from(self.sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = meter.waits.get(bucket_of(nanos)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gauge.depth.fetch_sub(1, Relaxed);
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

/// Four buckets for each doubling.
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(4);
    let exponent = nanos.ilog2();
    let quarter = (nanos >> (exponent - 2)) & 3;
    let bucket = (u64::from(exponent) - 2) * 4 + quarter;
    usize::try_from(bucket).unwrap_or(WAIT_BUCKETS).min(WAIT_BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> u64 {
    let exponent = bucket / 4 + 2;
    let quarter = bucket % 4;
    (4 + quarter as u64 + 1) << (exponent - 2)
}

/// Zero is actix's word for "no bound": the bound is ours.
const UNBOUNDED: usize = 0;

/// Up to 2^38 ns, four and a half minutes; what waits longer is counted there.
const WAIT_BUCKETS: usize = 4 * 36;

#[cfg(test)]
mod tests {
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
        assert_eq!(mailbox.gauge.meter.refused(), 97);
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
        assert_eq!(mailbox.gauge.meter.handled(), 50);
        assert_eq!(mailbox.gauge.take_peak(), 50);
        assert!(mailbox.gauge.meter.take_waits().percentile(99) > Duration::ZERO);
    }

    #[test]
    fn a_bucket_holds_its_own_upper_bound_and_nothing_beyond() {
        for nanos in [4_u64, 5, 7, 8, 100, 1_000, 35_000, 1_200_000, 9_999_999_999] {
            let bound = upper_bound(bucket_of(nanos));
            assert!(nanos < bound && bound <= nanos + nanos / 4 + 1, "{nanos} in a bucket up to {bound}");
        }
    }
}
