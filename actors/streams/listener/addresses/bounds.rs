//! The bounds of one address: whether its next connection is served, waits or is refused.

/// The limits of addresses.
#[derive(Clone, Copy, Debug)]
pub(in crate::streams::listener) struct Bounds {
    /// Connections of one address that are served without authentication.
    pub(in crate::streams::listener) per_address: usize,
    /// The factor by which that bound grows for an address with authenticated connections.
    pub(in crate::streams::listener) growth: usize,
    /// Connections of all addresses that are served without authentication; as many more may wait.
    pub(in crate::streams::listener) unauthenticated: usize,
    /// Connections of one address per minute that end without authentication, including those that are
    /// served.
    pub(in crate::streams::listener) attempts: usize,
    /// All connections of one address.
    pub(in crate::streams::listener) share: usize,
}

/// The standing of a connection, by which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::streams::listener) enum Standing {
    /// It waits until another connection of its address is done.
    Waiting,
    /// It is served, and has not authenticated.
    Served,
    /// It has authenticated.
    Proved,
}

/// The limit for which a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::streams::listener) enum Excess {
    /// Too many connections of the address ended without authentication in the last minute.
    Attempts,
    /// Too many connections of the address wait already.
    Address,
    /// There is no room for any address, or the address has its share of all connections.
    All,
}

/// The connections of one address, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) waiting: usize,
    pub(super) served: usize,
    pub(super) proved: usize,
    /// Ended without authentication in the current minute.
    pub(super) failed: usize,
}

impl Count {
    pub(super) fn total(&self) -> usize {
        self.waiting + self.served + self.proved
    }

    fn count(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Waiting => &mut self.waiting,
            Standing::Served => &mut self.served,
            Standing::Proved => &mut self.proved,
        }
    }

    pub(super) fn change(&mut self, from: Option<Standing>, to: Option<Standing>) {
        if let Some(from) = from {
            let count = self.count(from);
            *count = count.saturating_sub(1);
        }
        if let Some(to) = to {
            *self.count(to) += 1;
        }
    }
}

impl Bounds {
    /// The number of connections without authentication that may be served, when `count` are there. Each
    /// authenticated connection allows one more: a hoster of many domains needs that on a slow path, and
    /// unknown peers have none.
    pub(super) fn served(&self, count: &Count, times: usize) -> usize {
        let least = self.per_address.saturating_mul(times);
        least.saturating_add(count.proved.min(least.saturating_mul(self.growth.saturating_sub(1))))
    }

    /// The standing of the next connection, when `count` are there and the bounds are `times` as large.
    pub(super) fn standing(&self, count: &Count, times: usize) -> Result<Standing, Excess> {
        let most = |bound: usize| bound.saturating_mul(times);
        if count.total() >= self.share {
            Err(Excess::All)
        } else if count.failed + count.served >= most(self.attempts) {
            Err(Excess::Attempts)
        } else if count.served < self.served(count, times) {
            Ok(Standing::Served)
        } else if count.waiting < most(self.per_address.saturating_mul(QUEUE)) {
            Ok(Standing::Waiting)
        } else {
            Err(Excess::Address)
        }
    }
}

/// Connections that may wait for each one that is served: with a limit of 64, a hoster that opens 1,000 at
/// once gets no refusal. A waiting connection takes a file descriptor and about 1 KiB.
pub(super) const QUEUE: usize = 16;
