//! How long the machine has been suspended.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The time that the machine has been suspended since it was started. It only grows. What a hypervisor does to a virtual
/// machine is not in it: no clock of that machine shows a pause.
pub fn suspended() -> Duration {
    // Between the two readings of the clocks this thread may lose its processor. So the difference may be measured too small,
    // never too large, and the largest one is the best.
    let measured = measure();
    let known = LARGEST.load(Relaxed);
    let largest = if measured > known { LARGEST.fetch_max(measured, Relaxed).max(measured) } else { known };
    #[cfg(feature = "test-util")]
    let largest = largest + simulated::NANOSECONDS.get();
    Duration::from_nanos(largest)
}

/// Has the machine be suspended for this time, as this thread sees it.
#[cfg(feature = "test-util")]
pub fn suspend(time: Duration) {
    let more = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    simulated::NANOSECONDS.set(simulated::NANOSECONDS.get().saturating_add(more));
}

/// CLOCK_BOOTTIME runs on while the machine is suspended, CLOCK_MONOTONIC does not. In nanoseconds.
#[cfg(target_os = "linux")]
fn measure() -> u64 {
    use rustix::time::{ClockId, Timespec, clock_gettime};
    let nanoseconds = |Timespec { tv_sec, tv_nsec }| {
        let (seconds, rest) = (u64::try_from(tv_sec).unwrap_or(0), u64::try_from(tv_nsec).unwrap_or(0));
        seconds.saturating_mul(1_000_000_000).saturating_add(rest)
    };
    let with_suspension = nanoseconds(clock_gettime(ClockId::Boottime));
    with_suspension.saturating_sub(nanoseconds(clock_gettime(ClockId::Monotonic)))
}

/// Elsewhere it is not known.
#[cfg(not(target_os = "linux"))]
fn measure() -> u64 {
    0
}

/// The largest difference that was measured, in nanoseconds.
static LARGEST: AtomicU64 = AtomicU64::new(0);

#[cfg(feature = "test-util")]
mod simulated {
    thread_local! {
        pub(super) static NANOSECONDS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_with_suspension_does_not_go_back() {
        let mut last = crate::with_suspension();
        for _ in 0..100_000 {
            let next = crate::with_suspension();
            assert!(next >= last, "{next:?} is before {last:?}");
            last = next;
        }
    }

    #[test]
    fn while_the_machine_runs_the_time_of_its_suspension_stays() {
        // The first measurements may be too small by the time for which a thread had no processor.
        let settled = || (0..1000).map(|_| suspended()).max();
        let before = settled();
        std::thread::sleep(Duration::from_millis(50));
        let more = settled().unwrap() - before.unwrap();
        assert!(more < Duration::from_millis(25), "{more:?}");
    }

    #[test]
    fn a_suspension_shows_in_the_one_clock_and_not_in_the_other() {
        let (with, without) = (clock::with_suspension(), clock::now());
        clock::suspend(Duration::from_secs(3600));
        assert!(clock::with_suspension() - with >= Duration::from_secs(3600));
        assert!(clock::since(without) < Duration::from_secs(60));
    }
}
