//! Notifies systemd of the state of the node: ready, reloading, stopping, alive (sd_notify(3)).
//!
//! The crate `sd-notify` 0.5 is not used: it sends on a blocking socket, so that a service manager which does
//! not read would block the thread of the router, and it does not support sockets in the abstract namespace.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

/// The connection to the service manager. Without one, no notification is sent.
#[derive(Debug)]
pub(super) struct Notify {
    socket: Option<UnixDatagram>,
    /// The service manager restarts the node if it gets no notification for this time.
    watchdog: Option<Duration>,
}

impl Notify {
    /// Connects as `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say.
    pub(super) fn from_env() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                log::warn!(target: LOG, reason:% = error; "cannot notify systemd: NOTIFY_SOCKET is not usable");
                None
            }
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // A child inherits the variables of its parent, for which the watchdog is then meant.
        let is_for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_for_us).filter(|micros| *micros > 0);
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// The node accepts connections. `systemctl status` shows `status`.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// The node reloads its configuration; [`Notify::ready`] ends the reload.
    pub(super) fn reloading(&self) {
        self.send("RELOADING=1\nSTATUS=reloading the configuration");
    }

    /// The node stops within `timeout`.
    pub(super) fn stopping(&self, timeout: Duration) {
        let limit = (timeout + MARGIN).as_micros();
        self.send(&format!("STOPPING=1\nSTATUS=closing all streams\nEXTEND_TIMEOUT_USEC={limit}"));
    }

    /// The node is alive.
    pub(super) fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// The time between two calls of [`Notify::watchdog`]; `None` if the service manager has no watchdog for
    /// us.
    pub(super) fn watchdog_interval(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog).map(|limit| limit / 2)
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that does not read must not block the node.
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// Connects to a path or, if the name starts with `@`, to a name in the abstract namespace (unix(7)).
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

const LOG: &str = "nuncio::node";

/// Time that the process needs to exit after `shutdown_timeout`.
const MARGIN: Duration = Duration::from_secs(5);
