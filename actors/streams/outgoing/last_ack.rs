//! Whether the last acknowledgement of the peer is its final one.

use xmpp::stream::{
    End,
    initiating::{Acks, Open, open::Output},
};

use super::loss_answers::is_about_content;

/// Where the last acknowledgement of the peer is, when the stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastAck {
    /// Directly before the end.
    AtTheEnd,
    /// Before other elements, or none in the last read.
    Earlier,
}

impl LastAck {
    /// Where it is after one more output of the machine.
    pub(super) fn after(self, output: &Output) -> Self {
        match output {
            Output::Acknowledged { .. } => Self::AtTheEnd,
            Output::Transmit(_) | Output::Ended(_) => self,
            _ => Self::Earlier,
        }
    }

    /// Whether the peer has accepted nothing beyond it. A peer that keeps the counts of lost streams and ends a stream
    /// behind an acknowledgement takes nothing after it: a server that stops has no other way to tell its last count.
    pub(super) fn is_final(self, machine: &Open, end: &End) -> bool {
        let has_closed = match end {
            End::ByPeer(error) => !is_about_content(error.condition),
            End::Closed | End::ByUs(_) => !machine.is_open(),
        };
        let is_resumable = matches!(machine.acks(), Acks::On { resumable: Some(_) });
        self == Self::AtTheEnd && is_resumable && has_closed
    }
}
