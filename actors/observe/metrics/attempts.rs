//! The purpose and the result of a connection attempt, as the metrics count them.

/// The purpose of an attempt. Each has limits of its own for lookups and connections, so that verifications, which
/// other servers cause, cannot delay sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A session.
    Session,
    /// The verification of a dialback key.
    Verification,
}

/// The result of an attempt: success, or the stage or the reason of the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttemptResult {
    /// Its owner ended the attempt before it had a result.
    Abandoned,
    /// The peer refused our authentication, or did not authenticate.
    Authentication,
    /// The connection ended during the handshake.
    Broken,
    /// The certificate of the peer is not valid for its domain.
    Certificate,
    /// No TCP connection could be opened.
    Connect,
    /// The attempt failed by a panic.
    Crashed,
    /// The policy of this node forbids federation with the domain.
    Denied,
    /// The DNS did not answer the question.
    Dns,
    /// The goal of the attempt was reached.
    Established,
    /// A time limit ended before any failure.
    Late,
    /// The records of the remote domain point to this node.
    Loop,
    /// The other nodes of the cluster cannot be reached.
    NodesUnreachable,
    /// The domain does not exist, or has no XMPP service.
    NoSuchDomain,
    /// This node has too many attempts or too much load.
    Overloaded,
    /// The peer closes every session immediately.
    ShortLived,
    /// This node is stopping.
    Stopping,
    /// The stream failed.
    Stream,
    /// A step of the handshake took too long.
    Timeout,
    /// TLS failed, or one side does not permit it.
    Tls,
}

impl Purpose {
    /// The label in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Verification => "verification",
        }
    }
}

impl AttemptResult {
    /// The label in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Authentication => "authentication",
            Self::Broken => "broken",
            Self::Certificate => "certificate",
            Self::Connect => "connect",
            Self::Crashed => "crashed",
            Self::Denied => "denied",
            Self::Dns => "dns",
            Self::Established => "established",
            Self::Late => "late",
            Self::Loop => "loop",
            Self::NodesUnreachable => "nodes-unreachable",
            Self::NoSuchDomain => "no-such-domain",
            Self::Overloaded => "overloaded",
            Self::ShortLived => "short-lived",
            Self::Stopping => "stopping",
            Self::Stream => "stream",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
        }
    }
}
