//! Tells systemd how the node is (sd_notify(3)): ready, reloading, stopping, and alive.

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

/// The way to the service manager; without one, nothing is told.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: Option<UnixDatagram>,
    /// How often the manager wants to hear that the node lives.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(crate) fn of_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                log::warn!(target: "nuncio::node", reason:% = error; "cannot notify systemd: NOTIFY_SOCKET is not usable");
                None
            }
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // The variable may have been meant for a parent of ours.
        let meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| meant).filter(|micros| *micros > 0);
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// The node serves; `status` is for people.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The node reads its configuration anew; [`Notify::ready`] ends that.
    pub(crate) fn reloading(&self) {
        self.tell("RELOADING=1\nSTATUS=reloading the configuration");
    }

    /// The node stops, and has that long for it.
    pub(crate) fn stopping(&self, within: Duration) {
        let limit = (within + MARGIN).as_micros();
        self.tell(&format!("STOPPING=1\nSTATUS=closing all streams\nEXTEND_TIMEOUT_USEC={limit}"));
    }

    /// The node lives.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// How long to wait between two signs of life; `None` if nobody waits for them.
    pub(crate) fn rhythm(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog).map(|limit| limit / 2)
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not listen must not hold up the node.
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// A path, or with `@` in front a name that is in no file system.
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

/// What the process needs beyond `shutdown_timeout` to be gone.
const MARGIN: Duration = Duration::from_secs(5);
