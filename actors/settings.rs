//! The settings of a node: the configuration, read and checked, as plain values.

mod served;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use xmpp::{
    Domain, Stanza,
    policy::{Bounds, Pattern, Policy},
    stanza::Kind,
};

pub use self::served::{Access, Rate};
pub use net::{
    certificate::{Identity, Trust},
    dns::Settings as Dns,
    subnet::Subnet,
    unix_socket::Permissions,
};
pub use status::address::{Address, UNIX};

/// All settings of a node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that run streams; at least 1.
    pub workers: usize,
    /// The time limit of an orderly stop.
    pub shutdown_timeout: Duration,
    /// The interval between mailbox lines in the log; `None`: only on SIGUSR1.
    pub log_mailboxes: Option<Duration>,
    /// The listening sockets.
    pub listen: Listen,
    /// The domains that the node serves without a component.
    pub domains: Vec<LocalDomain>,
    /// The components that may connect.
    pub components: Vec<Component>,
    /// The trust stores; `Policy::trust` is an index into them.
    pub trust: Vec<Trust>,
    /// The policy for every remote domain.
    pub remote: Remote,
    /// Policies for some remote domains. The exact match applies, otherwise the longest `Below`.
    pub overrides: Vec<(Pattern, Remote)>,
    /// Remote domains that may federate.
    pub allow: Vec<Pattern>,
    /// Remote domains that may not; takes precedence over `allow`.
    pub deny: Vec<Pattern>,
    /// Unauthenticated connections from one address that are served at once; more of them wait. Each authenticated
    /// connection of the address adds one, up to four times this number.
    pub max_connections_per_address: usize,
    /// Limits on what a peer can cost.
    pub limits: Limits,
    /// Bounds and times of the queues.
    pub promise: Promise,
    /// The journal; `None`: what waits is lost in a crash.
    pub journal: Option<Journal>,
    /// Bytes in the queues of all components.
    pub absence_bytes: usize,
    /// Name resolution.
    pub dns: Dns,
    /// The service discovery of the node.
    pub service: Service,
}

/// Limits on what a peer can cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Accepted server connections in total. One address can have three quarters of them.
    pub max_connections: usize,
    /// Unauthenticated connections that are served at once; as many more may wait.
    pub max_connections_unauthenticated: usize,
    /// Connections from one address that may end without authentication in a minute. An IPv6 /64 counts as one address.
    pub max_attempts_per_address: usize,
    /// Bytes that a TLS client may send in a handshake; a TLS server may send twice as many.
    pub max_handshake: usize,
    /// Connections of components.
    pub components: ComponentLimits,
    /// Limits of one stream.
    pub stream: Bounds,
    /// Dialback verifications.
    pub verifications: Verifications,
    /// Connection attempts for outgoing links.
    pub dials: Dials,
    /// Lost streams of remote servers whose state is kept, so that they can be resumed; 0: none.
    pub resumable: usize,
    /// The history that `nuncio explain` shows.
    pub recording: Recording,
}

/// Limits on connections of components.
#[derive(Clone, Copy, Debug)]
pub struct ComponentLimits {
    /// In total.
    pub connections: usize,
    /// From one address without a correct secret. An IPv6 /64 counts as one address.
    pub unproved_per_address: usize,
}

/// Limits on connection attempts for outgoing links.
#[derive(Clone, Copy, Debug)]
pub struct Dials {
    /// Attempts at once.
    pub at_once: usize,
    /// Further attempts, for those that hang and have given up their slot.
    pub hanging: usize,
    /// Connection attempts to one address at once, up to eight times as many after successes. An IPv6 /64 counts as one
    /// address.
    pub per_address: usize,
    /// TCP connections of one attempt.
    pub per_attempt: usize,
}

/// Bounds of the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Remote domains; 0: nothing is recorded.
    pub domains: usize,
    /// Events of each domain.
    pub events: usize,
}

/// Limits on dialback verifications.
#[derive(Clone, Copy, Debug)]
pub struct Verifications {
    /// Verifications at once.
    pub at_once: usize,
    /// Verifications for the peers of one address, under way or lately failed. An IPv6 /64 counts as one address.
    pub per_address: usize,
    /// Verifications that wait, in total.
    pub waiting: usize,
}

/// Listening sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// For servers, with STARTTLS.
    pub s2s: Vec<SocketAddr>,
    /// For servers, TLS from the first byte (XEP-0368).
    pub s2s_tls: Vec<SocketAddr>,
    /// For components (XEP-0114), in clear text: TCP and Unix sockets.
    pub component: Vec<Address>,
    /// For components, TLS from the first byte.
    pub component_tls: Vec<SocketAddr>,
    /// The users that can connect to the Unix sockets for components.
    pub component_permissions: Permissions,
    /// The addresses from which components may connect over TCP, besides loopback; `None`: all.
    pub component_allow: Option<Arc<[Subnet]>>,
    /// For metrics over HTTP.
    pub metrics: Vec<SocketAddr>,
    /// The control socket; `None`: none.
    pub control: Option<ControlSocket>,
}

/// The control socket, for commands of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSocket {
    /// The path of the socket.
    pub path: PathBuf,
    /// The node does not start without the socket. Otherwise it logs a warning and runs without it.
    pub required: bool,
}

/// A domain that the node serves without a component.
#[derive(Clone, Debug)]
pub struct LocalDomain {
    /// The name.
    pub name: Domain,
    /// Its certificate and key; `None`: TLS is not offered.
    pub identity: Option<Identity>,
}

/// An external component.
#[derive(Clone, Debug)]
pub struct Component {
    /// The first of its names, under which it is known to the operator.
    pub name: Domain,
    /// The domains and wildcards that it serves. Not empty.
    pub names: Vec<Domain>,
    /// The secret that it shares with the node (XEP-0114 section 3).
    pub secret: String,
    /// Its own certificate and key; `None`: those of the local domain with its name or above it.
    pub identity: Option<Identity>,
    /// The size limit of its stanzas in bytes; `None`: that of remote domains.
    pub max_stanza: Option<usize>,
    /// The rate at which its stanzas are read; `None`: no limit.
    pub max_rate: Option<Rate>,
    /// The remote addresses that may exchange stanzas with it; `None`: all.
    pub access: Option<Access>,
    /// Service discovery of the node does not list it.
    pub hidden: bool,
    /// Its name for people in service discovery.
    pub title: Option<String>,
    /// The rule for a second connection with the secret of the name.
    pub conflict: Conflict,
    /// The rules for stanzas that wait for it.
    pub absence: Absence,
}

/// The connection that serves the name of a component when a second one has its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// The first one, if it answers a ping; the second gets `conflict`.
    #[default]
    Refuse,
    /// The second one; the first gets `conflict`.
    Replace,
}

/// The rules for stanzas to a component that is not connected, or that reads more slowly than they arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The time a message waits. It is answered at once when the component has been absent for longer; zero: always.
    pub message: Duration,
    /// The same for a presence.
    pub presence: Duration,
    /// The same for an IQ.
    pub iq: Duration,
    /// Stanzas in the queue.
    pub max_stanzas: usize,
    /// Bytes in the queue.
    pub max_bytes: usize,
    /// The time a message waits that a server would store for a user who is offline; `None`: as any message.
    pub keep: Option<Duration>,
    /// Stanzas that were written lately when the connection was lost are sent again.
    pub redeliver: bool,
}

impl Absence {
    /// The rules without `[absence]`. The sender of an IQ request waits for its answer, so a request waits for a shorter
    /// time than one for a link.
    pub const DEFAULT: Self = Self {
        message: Duration::from_secs(5 * 60),
        presence: Duration::from_secs(60),
        iq: Duration::from_secs(10),
        max_stanzas: 10_000,
        max_bytes: 16 << 20,
        keep: None,
        redeliver: false,
    };

    /// The longest [`keep`](Self::keep) without a journal. Messages that have to be kept for longer must survive a restart.
    pub const LONGEST_IN_MEMORY: Duration = Duration::from_secs(3600);

    /// Lowers [`keep`](Self::keep) to the longest time without a journal. Tells whether it was longer.
    pub(crate) fn bound_keep(&mut self) -> bool {
        let longest = Self::LONGEST_IN_MEMORY.max(self.message);
        let is_longer = self.keep.is_some_and(|keep| keep > longest);
        if is_longer {
            self.keep = Some(longest);
        }
        is_longer
    }

    /// The time that a stanza waits for an absent component.
    pub fn time_of(&self, stanza: &Stanza) -> Duration {
        match stanza.kind() {
            Kind::Message => match self.keep {
                Some(keep) if is_storable(stanza) => keep,
                _ => self.message,
            },
            Kind::Presence => self.presence,
            Kind::Iq => self.iq,
        }
    }
}

/// Whether a server would store the message for a user who is offline (RFC 6121 section 8.5.2.2, XEP-0334).
pub(crate) fn is_storable(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Message
        && matches!(stanza.type_(), None | Some("chat" | "normal"))
        && !stanza.forbids_storing()
}

/// The policy for one remote domain.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Requirements on streams.
    pub policy: Policy,
    /// The time limit of one TCP connection.
    pub connect_timeout: Duration,
    /// The time limit from TCP to authentication, and of a whole dialback verification.
    pub handshake_timeout: Duration,
    /// The time limit for all targets and addresses of one attempt.
    pub attempt_timeout: Duration,
    /// A link without a stanza for this time is closed.
    pub idle_timeout: Duration,
    /// The time without data after which the link is checked.
    pub keepalive: Duration,
    /// The time limit for one element to arrive.
    pub element_timeout: Duration,
    /// The time limit for the peer to read one chunk.
    pub write_timeout: Duration,
    /// Bytes per second that are read from one stream; `None`: no limit.
    pub max_rate: Option<usize>,
    /// Whether streams are acknowledged (XEP-0198), in both roles, if the peer takes part.
    pub acks: bool,
    /// The time for which the state of a lost stream is kept and asked for (XEP-0198 section 5); zero: no stream can be
    /// resumed.
    pub resume_timeout: Duration,
    /// The time limit for the answer to a request for acknowledgement. Then the stream ends.
    pub ack_timeout: Duration,
    /// The rule for stanzas of a lost stream that may have arrived.
    pub repeat: Repeat,
    /// The address to connect to, without DNS.
    pub address: Option<HostPort>,
    /// That address expects TLS from the first byte (XEP-0368).
    pub direct_tls: bool,
}

/// The rule for stanzas that a lost stream carried, that the peer did not acknowledge, and whose arrival no later stream
/// tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Messages, presence, and answers to IQ requests are sent again and may arrive twice. IQ requests are answered with
    /// an error.
    #[default]
    Messages,
    /// All are answered with an error.
    Never,
}

/// An address of the configuration: a name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or IP literal (without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Bounds and times of the queues of stanzas that wait for a link.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Stanzas in the queue of one domain pair.
    pub max_stanzas: usize,
    /// Bytes in the queue of one domain pair.
    pub max_bytes: usize,
    /// Bytes in all queues.
    pub total_bytes: usize,
    /// The time a message waits before it is answered with an error.
    pub message: Duration,
    /// The time a presence waits.
    pub presence: Duration,
    /// The time an IQ waits while an attempt is under way.
    pub iq: Duration,
    /// The pause after the first failed attempt.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_longest: Duration,
}

/// The journal: stanzas that wait are written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The file.
    pub path: PathBuf,
    /// Stanzas that wait longer are written.
    pub after: Duration,
    /// Bytes of records in the file.
    pub max_bytes: u64,
    /// The time that a message has at least after a restart.
    pub grace: Duration,
    /// The file with the key, if the records are encrypted.
    pub key_file: Option<PathBuf>,
}

/// Service discovery information of the node.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Contact addresses (XEP-0157): form field (`abuse-addresses` …) and its URIs.
    pub contact: Vec<(String, Vec<String>)>,
}

#[cfg(test)]
mod tests {
    use xmpp::xml::Element;

    use super::*;

    const KEEP: Duration = Duration::from_secs(3600);

    fn rules() -> Absence {
        Absence { iq: Duration::ZERO, keep: Some(KEEP), ..Absence::DEFAULT }
    }

    fn stanza(name: &str, type_: Option<&str>, hint: Option<&str>) -> Stanza {
        let mut element =
            Element::new(name, "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
        if let Some(type_) = type_ {
            element = element.with("type", type_);
        }
        if let Some(hint) = hint {
            element = element.with_child(Element::new(hint, "urn:xmpp:hints"));
        }
        Stanza::from_element(&element).unwrap()
    }

    #[test]
    fn without_a_journal_nothing_is_kept_for_more_than_an_hour() {
        let longest = Absence::LONGEST_IN_MEMORY;
        for (keep, bounded) in [
            (None, None),
            (Some(longest / 2), Some(longest / 2)),
            (Some(longest), Some(longest)),
            (Some(longest * 168), Some(longest)),
        ] {
            let mut rules = Absence { keep, ..rules() };
            assert_eq!((rules.bound_keep(), rules.keep), (keep != bounded, bounded));
        }
        let mut rules = Absence { keep: Some(longest * 3), message: longest * 2, ..rules() };
        assert!(rules.bound_keep());
        assert_eq!(rules.keep, Some(longest * 2), "as long as any message");
    }

    #[test]
    fn only_messages_that_servers_store_are_kept() {
        for type_ in [None, Some("chat"), Some("normal")] {
            assert_eq!(rules().time_of(&stanza("message", type_, None)), KEEP);
            assert_eq!(rules().time_of(&stanza("message", type_, Some("no-copy"))), KEEP);
            for hint in ["no-store", "no-permanent-store"] {
                assert_eq!(rules().time_of(&stanza("message", type_, Some(hint))), rules().message);
            }
        }
        for type_ in ["groupchat", "headline", "error"] {
            assert_eq!(rules().time_of(&stanza("message", Some(type_), None)), rules().message);
        }
        assert_eq!(rules().time_of(&stanza("presence", None, None)), rules().presence);
        assert_eq!(rules().time_of(&stanza("iq", Some("get"), None)), Duration::ZERO);
    }
}
