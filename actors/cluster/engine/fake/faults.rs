//! How the broker in memory misbehaves, and the random numbers for it.

use std::time::Duration;

/// How the broker misbehaves. All chances are in a thousand.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The shortest and the longest way of a request, an answer or a report.
    pub delay: (Duration, Duration),
    /// After this time an open request has no answer.
    pub timeout: Duration,
    /// The request is executed, and its answer is lost.
    pub answer_lost: u64,
    /// The request is not executed, and has no answer.
    pub request_lost: u64,
    /// The request has no answer, and is executed after that.
    pub late: u64,
    /// How long after that at the latest.
    pub late_by: Duration,
    /// A report of a change is lost.
    pub report_lost: u64,
    /// A report or a frame comes twice.
    pub twice: u64,
    /// A frame is lost.
    pub frame_lost: u64,
    /// How long a client takes at most to connect again.
    pub reconnect: Duration,
}

impl Faults {
    /// A broker that works.
    pub fn none() -> Self {
        Self {
            delay: (Duration::from_micros(100), Duration::from_micros(100)),
            timeout: Duration::from_secs(2),
            answer_lost: 0,
            request_lost: 0,
            late: 0,
            late_by: Duration::ZERO,
            report_lost: 0,
            twice: 0,
            frame_lost: 0,
            reconnect: Duration::from_millis(200),
        }
    }

    /// A broker where each kind of fault is frequent.
    pub fn many() -> Self {
        Self {
            delay: (Duration::from_micros(100), Duration::from_millis(300)),
            answer_lost: 50,
            request_lost: 50,
            late: 50,
            late_by: Duration::from_secs(8),
            report_lost: 100,
            twice: 100,
            frame_lost: 50,
            reconnect: Duration::from_secs(2),
            ..Self::none()
        }
    }
}

/// The next number after a seed (SplitMix64).
pub fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
