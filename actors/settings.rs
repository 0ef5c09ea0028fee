//! What a node is started with: the configuration, read and checked, as plain values.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use xmpp::{
    Domain,
    policy::{Bounds, Pattern, Policy},
};

pub use net::{
    certificate::{Identity, Trust},
    dns::Settings as Dns,
};

/// Everything a node needs to know at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that run sessions; at least 1.
    pub workers: usize,
    /// How long a drain may take.
    pub shutdown_timeout: Duration,
    /// How often the mailboxes are logged; `None` is only when asked.
    pub log_mailboxes: Option<Duration>,
    /// Where the node listens.
    pub listen: Listen,
    /// The domains it is authoritative for.
    pub domains: Vec<LocalDomain>,
    /// The components that may connect.
    pub components: Vec<Component>,
    /// The trust stores that `Policy::trust` counts.
    pub trust: Vec<Trust>,
    /// The terms for every remote domain.
    pub remote: Remote,
    /// What differs for some: the first exact match wins, then the longest `Below`.
    pub overrides: Vec<(Pattern, Remote)>,
    /// Who may federate.
    pub allow: Vec<Pattern>,
    /// Who may not; wins over `allow`.
    pub deny: Vec<Pattern>,
    /// Connections accepted from one address that are served without authentication; more of them wait. Each authenticated
    /// connection of the address lets one more be served, up to four times as many.
    pub max_connections_per_address: usize,
    /// What any peer can make the node hold or do.
    pub limits: Limits,
    /// Bounds of what waits for a link.
    pub promise: Promise,
    /// Name servers.
    pub dns: Dns,
    /// The node's own services.
    pub service: Service,
}

/// What any peer can make the node hold or do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Accepted streams of other servers, in all. One address can have three quarters of them.
    pub max_connections: usize,
    /// Those of them that are served without authentication; as many more may wait.
    pub max_connections_unauthenticated: usize,
    /// Connections of one address that may end without authentication in a minute; an IPv6 /64 is one address.
    pub max_attempts_per_address: usize,
    /// Bytes that a client may say before TLS is made; a server may say twice as many.
    pub max_handshake: usize,
    /// Connections of programs.
    pub components: ComponentLimits,
    /// What one stream may cost.
    pub stream: Bounds,
    /// Dialback call-backs.
    pub verifications: Verifications,
    /// Connections that the node makes for links of its own.
    pub dials: Dials,
    /// What is remembered of remote domains.
    pub recording: Recording,
}

/// How many connections of programs there may be.
#[derive(Clone, Copy, Debug)]
pub struct ComponentLimits {
    /// In all.
    pub connections: usize,
    /// Those from one address that have not shown the secret of a name; an IPv6 /64 is one address.
    pub unproved_per_address: usize,
}

/// How much the node dials for its own links.
#[derive(Clone, Copy, Debug)]
pub struct Dials {
    /// Attempts under way at once.
    pub at_once: usize,
    /// Attempts beyond those that hang and have left their turn to others.
    pub hanging: usize,
    /// Connections to one address at first; an IPv6 /64 is one address. Where they come about, up to eight times as many.
    pub per_address: usize,
    /// Connections of one attempt.
    pub per_attempt: usize,
}

/// How much the flight recorder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Remote domains; 0: nothing is remembered.
    pub domains: usize,
    /// The last events of each.
    pub events: usize,
}

/// How much the node dials for others.
#[derive(Clone, Copy, Debug)]
pub struct Verifications {
    /// Call-backs under way at once.
    pub at_once: usize,
    /// Those for the peers of one address, under way or not confirmed a while ago; an IPv6 /64 is one address.
    pub per_address: usize,
    /// Those that wait for their turn, in all.
    pub waiting: usize,
}

/// Listening sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Servers, with STARTTLS.
    pub s2s: Vec<SocketAddr>,
    /// Servers, TLS from the first byte (XEP-0368).
    pub s2s_tls: Vec<SocketAddr>,
    /// Components (XEP-0114).
    pub component: Vec<SocketAddr>,
    /// Metrics over HTTP.
    pub metrics: Vec<SocketAddr>,
    /// Where the operator's commands reach the node; `None`: nowhere.
    pub control: Option<ControlSocket>,
}

/// The socket of the operator's commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSocket {
    /// A path in the file system.
    pub path: PathBuf,
    /// Without it the node does not start. Else the node goes without, and says so.
    pub required: bool,
}

/// A domain this node is authoritative for.
#[derive(Clone, Debug)]
pub struct LocalDomain {
    /// Its name.
    pub name: Domain,
    /// What it shows to others; none: no TLS offered.
    pub identity: Option<Identity>,
}

/// An external component.
#[derive(Clone, Debug)]
pub struct Component {
    /// The domain it serves.
    pub name: Domain,
    /// Shared with the program (XEP-0114 section 3).
    pub secret: String,
    /// Its own, or that of the local domain it is below.
    pub identity: Option<Identity>,
    /// Bytes of one of its stanzas, if they are limited otherwise than those of remote domains.
    pub max_stanza: Option<usize>,
    /// When a second connection shows the secret of the name.
    pub conflict: Conflict,
}

/// Which connection serves a component's name when a second one shows its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// The first, as long as it answers; the second gets `conflict`.
    #[default]
    Refuse,
    /// The second; the first gets `conflict`.
    Replace,
}

/// The terms for one remote domain.
#[derive(Clone, Debug)]
pub struct Remote {
    /// What the streams have to be.
    pub policy: Policy,
    /// One TCP attempt.
    pub connect_timeout: Duration,
    /// TCP to authenticated; a dialback call-back in all.
    pub handshake_timeout: Duration,
    /// All targets and addresses of one attempt.
    pub attempt_timeout: Duration,
    /// A link without a stanza for this long is closed.
    pub idle_timeout: Duration,
    /// Silence after which the link is checked.
    pub keepalive: Duration,
    /// How long one element may take to arrive.
    pub element_timeout: Duration,
    /// A peer that takes not one chunk in this time reads nothing.
    pub write_timeout: Duration,
    /// Bytes a second that are read from one stream; `None`: as many as come.
    pub max_rate: Option<usize>,
    /// Skips DNS.
    pub address: Option<HostPort>,
    /// That address speaks TLS from the first byte.
    pub direct_tls: bool,
}

/// An address of the configuration: a name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or IP literal (without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Bounds of what waits for a link.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Stanzas of one domain pair.
    pub max_stanzas: usize,
    /// Bytes of one domain pair.
    pub max_bytes: usize,
    /// Bytes of all pairs.
    pub total_bytes: usize,
    /// How long a message waits before it is answered with an error.
    pub message: Duration,
    /// How long a presence waits.
    pub presence: Duration,
    /// How long an IQ waits while an attempt is being made.
    pub iq: Duration,
    /// First pause after a failed attempt.
    pub backoff_first: Duration,
    /// Longest pause.
    pub backoff_longest: Duration,
}

/// What the node says of itself.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Contact addresses (XEP-0157): form field (`abuse-addresses` …) and its URIs.
    pub contact: Vec<(String, Vec<String>)>,
}
