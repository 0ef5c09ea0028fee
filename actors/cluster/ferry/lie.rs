//! What a node cannot truthfully say. It ends the session.

/// The other node says what cannot be: its program is wrong, or another one writes to its subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// A parcel has a number that no parcel can have.
    #[error("a parcel has the number {0}, which no parcel has")]
    ImpossibleNumber(u64),
    /// It has received a parcel that was not sent.
    #[error("it has received parcel {received}, and the last one that was sent is {sent}")]
    ReceivedUnsent {
        /// What it says.
        received: u64,
        /// The highest number that was sent.
        sent: u64,
    },
    /// The numbers in a report contradict each other.
    #[error("it misses parcels that its report excludes: received {received}, highest {highest}")]
    Contradiction {
        /// Received up to this number.
        received: u64,
        /// The highest number received.
        highest: u64,
    },
    /// A parcel is settled or given back that was not received.
    #[error("it has settled or given back parcel {settled}, and has received those up to {received}")]
    SettledUnreceived {
        /// What is said to be settled.
        settled: u64,
        /// The highest number that it has taken.
        received: u64,
    },
    /// It answers a frame that was not sent.
    #[error("it answers frame {answered}, and the last one that was sent is {sent}")]
    AnsweredUnsent {
        /// The frame that is said to have arrived.
        answered: u64,
        /// The last frame.
        sent: u64,
    },
    /// It has seen settlements that were not sent.
    #[error("it has seen settlements up to {seen}, and the last ones that were sent are {sent}")]
    SeenUnsent {
        /// What it says.
        seen: u64,
        /// The last number.
        sent: u64,
    },
}
