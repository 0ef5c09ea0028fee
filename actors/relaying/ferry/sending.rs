//! The way to the other node: relays hand over parcels, and hear when they are settled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::cluster::{
    ferry::{Control, Header, Outbound, Over, PARCEL},
    name::{Incarnation, NodeName},
};
use bytes::Bytes;

use super::{
    Run,
    owners::{Custody, Owners, Width},
    pieces::{Piece, split},
};
use crate::{
    flow::ferry::{Carry, Event},
    observe::log_limit::{FEW, LogLimiter},
    relaying::LOG,
};

pub(super) struct Sending {
    own: NodeName,
    node: NodeName,
    window: usize,
    /// The run of the other node, if it is a member.
    peer: Option<Incarnation>,
    /// The number of the last session. Larger than all before, also those with other runs: the other node recognizes by it that this node still runs.
    session: u64,
    outbound: Option<Outbound<Custody>>,
    owners: Owners,
    /// The run is over for which the session is: this is how long the other node may say what it has settled.
    ends_at: Option<Instant>,
    /// Nothing is sent before, since the other node has ended a session of this run.
    paused_until: Option<Instant>,
    /// The last of such pauses.
    pause: Duration,
    sweep_at: Option<Instant>,
    /// When stanzas that are on the way for long are copied.
    detach_at: Option<Instant>,
    /// Of earlier sessions.
    resent: u64,
    round_trip: Option<Duration>,
    log_limits: LogLimits,
}

/// Limits on the lines that another node or a component can cause.
struct LogLimits {
    wrong: Arc<LogLimiter>,
    too_long: Arc<LogLimiter>,
    ended: Arc<LogLimiter>,
}

impl LogLimits {
    fn new(node: &NodeName) -> Self {
        let limit = |summary| LogLimiter::about(LOG, FEW, summary, node.as_str());
        Self {
            wrong: limit("more reports of another node were wrong"),
            too_long: limit("more stanzas were too long for the message broker"),
            ended: limit("more ferries ended"),
        }
    }
}

impl Sending {
    pub(super) fn new(own: NodeName, node: NodeName, window: usize, last_session: u64) -> Self {
        Self {
            log_limits: LogLimits::new(&node),
            own,
            node,
            window,
            peer: None,
            session: last_session,
            outbound: None,
            owners: Owners::default(),
            ends_at: None,
            paused_until: None,
            pause: Duration::ZERO,
            sweep_at: None,
            detach_at: None,
            resent: 0,
            round_trip: None,
        }
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.outbound.as_ref().and_then(Outbound::round_trip).or(self.round_trip)
    }

    pub(super) fn unsettled(&self) -> usize {
        self.outbound.as_ref().map_or(0, Outbound::unsettled_bytes)
    }

    /// The time since the oldest parcel that the other node has not settled came here.
    pub(super) fn oldest(&self, now: Instant) -> Option<Duration> {
        let since = self.outbound.as_ref().and_then(Outbound::oldest)?;
        Some(now.saturating_duration_since(since))
    }

    pub(super) fn resent(&self) -> u64 {
        self.resent + self.outbound.as_ref().map_or(0, Outbound::resent)
    }

    pub(super) fn relays(&self) -> usize {
        self.owners.len()
    }

    /// Whether an answer is to the frames of this session.
    pub(super) fn is_of(&self, answer: &Header) -> bool {
        self.outbound.as_ref().is_some_and(|outbound| *answer == outbound.header().answer(self.node.clone()))
    }

    /// Takes a parcel of a relay. `max_frame`: the longest frame that the message broker permits now.
    pub(super) fn carry(
        &mut self,
        Carry { mut parcel, owner }: Carry,
        run: Option<&Run>,
        max_frame: usize,
        now: Instant,
    ) {
        // It crossed the end of its way: it has been told, and has taken back everything.
        if parcel.number > 1 && !self.owners.has(&owner) {
            return;
        }
        if !self.has_session(run, max_frame, now) {
            let reason = match run {
                Some(_) => format!("node {} is not in the cluster", self.node),
                None => "this node has no lease of the cluster".to_owned(),
            };
            // The relay may have ended.
            let _ = owner.signal(Event::Ended { reason, in_doubt: Vec::new() });
            return;
        }
        let longest = max_frame.saturating_sub(AROUND_A_STANZA);
        let too_long = parcel.take_longer_than(longest);
        if let Some(bytes) = too_long
            && self.log_limits.too_long.count_line()
        {
            log::error!(
                target: LOG, node:% = self.node, bytes = bytes, limit = longest;
                "stanza too long for the message broker: raise its max_payload above s2s.max_stanza and the max_stanza of each component"
            );
        }
        let (number, begins, most) = (parcel.number, !self.owners.has_carried(&owner), PARCEL.min(longest));
        let pieces = match parcel.bytes {
            0 if too_long.is_some() => Vec::new(),
            bytes if bytes <= most => vec![Piece::whole(parcel.batches, begins, bytes, now)],
            _ => split(parcel.batches, begins, most, now),
        };
        let key = match too_long {
            Some(_) => self.owners.enter_part(owner, number, pieces.len(), longest),
            None => self.owners.enter(owner, number, pieces.len()),
        };
        // The relay is in the table from now on, whatever of the parcel is carried.
        self.sweep_at.get_or_insert(now + SWEEP);
        let Some(outbound) = &mut self.outbound else { return };
        for piece in pieces {
            let custody = Custody { owner: key, number, stanzas: piece.stanzas };
            outbound.send(piece.parcel, piece.bytes, custody, now);
        }
        let unsettled = outbound.unsettled_bytes();
        if unsettled >= self.window.saturating_mul(WINDOWS_BEFORE_TIGHT) {
            self.owners.set(Width::Tight);
        } else if unsettled >= self.window && self.owners.width() == Width::Wide {
            self.owners.set(Width::Narrow);
        }
        self.detach_at.get_or_insert(now + DETACH);
    }

    /// The other node reports.
    pub(super) fn reported(&mut self, control: &Control, now: Instant) {
        let Some(outbound) = &mut self.outbound else { return };
        match outbound.handle(control, now) {
            Ok(reported) => {
                let unsettled = outbound.unsettled_bytes();
                self.owners.report(reported);
                if unsettled <= self.window / 2 {
                    self.owners.set(Width::Wide);
                } else if unsettled <= self.window.saturating_mul(WINDOWS_BEFORE_TIGHT) / 2
                    && self.owners.width() == Width::Tight
                {
                    self.owners.set(Width::Narrow);
                }
                self.pause = Duration::ZERO;
            }
            Err(lie) => {
                if self.log_limits.wrong.count_line() {
                    log::error!(target: LOG, node:% = self.node, reason:% = lie; "report of another node is wrong");
                }
                self.end(None, "the other node reports what cannot be");
            }
        }
    }

    /// The other node has ended the session.
    pub(super) fn is_over(&mut self, over: &Over, now: Instant) {
        let is_current =
            self.outbound.as_ref().is_some_and(|outbound| Some(outbound.header().to) == self.peer);
        self.end(Some(over), "the other node takes nothing more");
        if is_current {
            // It has lost its lease, or stops; its record will say so.
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.paused_until = Some(now + self.pause);
        }
    }

    pub(super) fn joined(&mut self, incarnation: Incarnation, now: Instant) {
        if self.peer == Some(incarnation) {
            return;
        }
        if let Some(before) = self.peer.replace(incarnation) {
            self.run_is_over(before, now);
        }
        (self.paused_until, self.pause) = (None, Duration::ZERO);
    }

    pub(super) fn died(&mut self, incarnation: Incarnation, now: Instant) {
        if self.peer == Some(incarnation) {
            self.peer = None;
        }
        self.run_is_over(incarnation, now);
    }

    /// The broker is reachable again, and permits frames of this length.
    pub(super) fn reconnected(&mut self, max_frame: usize, now: Instant) {
        let Some(outbound) = &mut self.outbound else { return };
        if outbound.longest_alone() > max_frame {
            // It would be sent again for ever. The relays that take over hear which stanza it is.
            return self.end(None, "the message broker permits shorter stanzas than before (max_payload)");
        }
        outbound.limit_frames(max_frame);
        outbound.reconnected(now);
    }

    /// The next frame, if one is due.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Bytes> {
        if self.paused_until.is_some() {
            return None;
        }
        self.outbound.as_mut()?.poll(now)
    }

    /// When a frame may be due.
    pub(super) fn next_frame(&self) -> Option<Instant> {
        self.outbound.as_ref().filter(|_| self.paused_until.is_none())?.next_tick()
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        [self.ends_at, self.sweep_at, self.paused_until, self.detach_at].into_iter().flatten().min()
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        if self.ends_at.is_some_and(|at| at <= now) {
            self.end(None, "the other node is dead");
        }
        if self.detach_at.is_some_and(|at| at <= now) {
            self.detach_at = None;
            if let Some(outbound) = self.outbound.as_mut().filter(|outbound| outbound.unsettled() > 0) {
                outbound.detach(now.checked_sub(DETACH / 2).unwrap_or(now));
                self.detach_at = Some(now + DETACH);
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.owners.forget_the_gone();
            self.sweep_at = (self.owners.len() > 0).then_some(now + SWEEP);
        }
    }

    /// Whether there is a session with the other node. It may begin here.
    fn has_session(&mut self, run: Option<&Run>, max_frame: usize, now: Instant) -> bool {
        if self.outbound.is_none()
            && let (Some(run), Some(to)) = (run, self.peer)
        {
            self.session += 1;
            let (from, incarnation) = (self.own.clone(), run.incarnation);
            let header = Header { from, incarnation, to, session: self.session };
            let mut outbound = Outbound::new(header, self.window, now);
            outbound.limit_frames(max_frame);
            self.outbound = Some(outbound);
        }
        self.outbound.is_some()
    }

    /// A run of the other node is over. If the node still runs, it can say what it has settled.
    fn run_is_over(&mut self, incarnation: Incarnation, now: Instant) {
        if let Some(outbound) = self.outbound.as_mut().filter(|outbound| outbound.header().to == incarnation)
        {
            outbound.reconnected(now);
            self.ends_at.get_or_insert(now + LAST_WORD);
        }
    }

    fn end(&mut self, over: Option<&Over>, reason: &str) {
        let Some(outbound) = self.outbound.take() else { return };
        self.ends_at = None;
        self.resent += outbound.resent();
        self.round_trip = outbound.round_trip().or(self.round_trip);
        let ended = outbound.end(over);
        self.owners.report(ended.reported);
        let came_back = ended.unsettled.len();
        for unsettled in ended.unsettled {
            self.owners.came_back(unsettled.custody, unsettled.in_doubt);
        }
        if self.log_limits.ended.count_line() {
            log::info!(
                target: LOG, node:% = self.node, reason = reason, relays = self.owners.len(), parcels = came_back;
                "ferry ended"
            );
        }
        self.owners.end(reason);
        self.sweep_at = None;
    }
}

/// From so many windows on, relays may have only a little on the way. The other node takes twice as much, if its window is the
/// same: several thousand pairs have a place then.
const WINDOWS_BEFORE_TIGHT: usize = 4;

/// What the other node needs to say what it has settled, when its run is over and it still runs.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Before another session with a run that has ended one. The time doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How often stanzas are copied that are on the way for half as long or longer: most are received within milliseconds.
const DETACH: Duration = Duration::from_secs(1);

/// How often relays that have ended are forgotten.
const SWEEP: Duration = Duration::from_secs(10);

/// The bytes of a frame with one stanza, without it: header, two domains and a few numbers.
pub(crate) const AROUND_A_STANZA: usize = 8 * 1024;
