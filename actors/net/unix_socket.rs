//! Creates a listening Unix socket: one path for one node, with the given permissions.

use std::{
    fmt, fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
        net::UnixListener as Listener,
    },
    path::{Path, PathBuf},
    process,
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// The file of a socket. It is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    file: Identity,
}

/// Identifies the file, so that the file of another node at the same path is not removed: device, inode and, since inodes
/// are reused, the time of its last change.
#[derive(Debug, PartialEq, Eq)]
struct Identity([i128; 4]);

/// The users that can connect to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The permissions of the file. A connection needs the permission to write.
    pub mode: u32,
    /// The id of the group of the file; `None`: that of the process.
    pub group: Option<u32>,
}

/// The reason why a socket could not be created.
#[derive(Debug)]
pub enum Error {
    /// The path is longer than the system allows.
    TooLong,
    /// Another node answers on it.
    Taken,
    /// The path is a file that is not a socket.
    NotASocket,
    /// The system does not let this process give the file to the group.
    Group {
        /// The id of the group.
        group: u32,
        /// The error of the system.
        error: io::Error,
    },
    /// An error of the system.
    Io(io::Error),
}

impl Default for Permissions {
    /// For the user and the group of the process.
    fn default() -> Self {
        Self { mode: 0o660, group: None }
    }
}

impl Permissions {
    /// For the owner only.
    pub const OWNER_ONLY: Self = Self { mode: 0o600, group: None };

    /// Gives the file these permissions.
    fn apply(self, file: &Path) -> Result<(), Error> {
        // A sandbox may forbid the call, also for the group that the file has.
        if let Some(group) =
            self.group.filter(|group| fs::metadata(file).map_or(true, |file| file.gid() != *group))
        {
            chown(file, None, Some(group)).map_err(|error| Error::Group { group, error })?;
        }
        Ok(fs::set_permissions(file, fs::Permissions::from_mode(self.mode))?)
    }
}

/// Binds a socket at `path`. It replaces the socket of a node that has ended.
///
/// # Errors
///
/// The socket could not be created. The socket of a running node is not touched.
pub fn bind(path: &Path, permissions: Permissions) -> Result<(UnixListener, SocketFile), Error> {
    if path.as_os_str().len() > LONGEST {
        return Err(Error::TooLong);
    }
    clear(path)?;
    // A bound socket refuses connections until it listens, like the socket of a node that has ended: a node that starts
    // at this moment would remove it. So the socket gets its path after it listens. Its permissions are set before it
    // listens, so no other user can ever connect.
    let (socket, beside) = bind_beside(path)?;
    let listen = || {
        permissions.apply(&beside)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        name(&beside, path)
    };
    let named = listen();
    if beside != path || named.is_err() {
        // A file that stays does no harm.
        let _ = fs::remove_file(&beside);
    }
    named?;
    let file = SocketFile { path: path.to_owned(), file: Identity::of(&fs::symlink_metadata(path)?) };
    Ok((UnixListener::from_std(Listener::from(socket))?, file))
}

/// Binds a socket in the directory of `path` with a temporary name, unless that would be too long.
fn bind_beside(path: &Path) -> Result<(Socket, PathBuf), Error> {
    let beside = |number: u32| path.with_file_name(format!(".{:x}.{number}", process::id()));
    let mut names = (0..TEMPORARY_NAMES).map(beside).filter(|name| fits(name)).peekable();
    while let Some(name) = names.next() {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match socket.bind(&SockAddr::unix(&name)?) {
            Ok(()) => return Ok((socket, name)),
            // A process with the same id left it.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && names.peek().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok((socket, path.to_owned()))
}

/// Gives a socket its path, unless another node has taken the path meanwhile.
fn name(beside: &Path, path: &Path) -> Result<(), Error> {
    if beside == path {
        return Ok(());
    }
    match fs::hard_link(beside, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Taken),
        // Some file systems have no links.
        Err(_) => Ok(fs::rename(beside, path)?),
    }
}

/// Returns whether a path is short enough for a socket.
pub fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}

/// Checks whether a socket can be created at `path` with these permissions. It changes nothing there and does not connect.
///
/// # Errors
///
/// The reason why the socket could not be created.
pub fn try_out(path: &Path, permissions: Permissions) -> Result<(), Error> {
    if !fits(path) {
        return Err(Error::TooLong);
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(Error::NotASocket),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // A temporary name: a node that starts at this moment must not find the path taken.
    let beside = path.with_file_name(format!(".{:x}", process::id()));
    if fits(&beside) {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&beside)?)?;
        let applied = permissions.apply(&beside);
        fs::remove_file(&beside)?;
        applied?;
    }
    Ok(())
}

/// Removes the socket of a node that has ended.
fn clear(path: &Path) -> Result<(), Error> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !metadata.file_type().is_socket() {
        return Err(Error::NotASocket);
    }
    if answers(path)? {
        return Err(Error::Taken);
    }
    // Another node may have created its socket there meanwhile. So the file is moved away first and checked again.
    let aside = path.with_file_name(format!(".{:x}.old", process::id()));
    fs::rename(path, &aside)?;
    if fits(&aside) && answers(&aside)? {
        // If a third node has taken the path by now, its socket stays.
        let _ = fs::hard_link(&aside, path);
        let _ = fs::remove_file(&aside);
        return Err(Error::Taken);
    }
    Ok(fs::remove_file(&aside)?)
}

/// Returns whether a node accepts connections at `path`.
fn answers(path: &Path) -> Result<bool, Error> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A node that hangs accepts nothing: with a full queue the call would wait for ever.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl SocketFile {
    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Identity {
    fn of(file: &fs::Metadata) -> Self {
        Self([file.dev().into(), file.ino().into(), file.ctime().into(), file.ctime_nsec().into()])
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| Identity::of(&metadata) == self.file) {
            // The next node replaces a file that stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the path is longer than {LONGEST} bytes, the limit for a socket")
            }
            Self::Taken => f.write_str("another node uses it"),
            Self::NotASocket => f.write_str("the file exists and is not a socket"),
            Self::Group { group, error } => write!(
                f,
                "the file cannot be given to the group {group}: {error}; the user of the node must be a member of the \
                 group, and a systemd unit must permit it (docs/operation.md)"
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The longest path in bytes: `sun_path` has 108, with a zero at its end.
pub const LONGEST: usize = 107;

/// Temporary names that are tried.
const TEMPORARY_NAMES: u32 = 16;

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const OWNER_ONLY: Permissions = Permissions::OWNER_ONLY;

    /// A directory that is removed when the test ends.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nuncio-socket-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn the_socket_is_accessible_to_its_owner_only_and_removed_with_the_node() {
        let directory = Directory::new("owner");
        let path = directory.0.join("nuncio.sock");
        let (listener, file) = bind(&path, OWNER_ONLY).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_has_the_wanted_mode_and_group() {
        let directory = Directory::new("mode");
        let path = directory.0.join("component.sock");
        // The group of the process, which may always be set; as root also another one.
        let own = fs::metadata(&directory.0).unwrap();
        let group = if own.uid() == 0 { 4711 } else { own.gid() };
        for mode in [0o660, 0o666, 0o600] {
            let _bound = bind(&path, Permissions { mode, group: Some(group) }).unwrap();
            let file = fs::metadata(&path).unwrap();
            assert_eq!((file.permissions().mode() & 0o777, file.gid()), (mode, group));
        }
        assert!(try_out(&path, Permissions { mode: 0o660, group: Some(group) }).is_ok());
    }

    #[tokio::test]
    async fn a_group_that_cannot_be_set_leaves_no_file() {
        let directory = Directory::new("group");
        let path = directory.0.join("component.sock");
        if fs::metadata(&directory.0).unwrap().uid() == 0 {
            // No id is forbidden for root but this one, which means "unchanged": the mode alone is applied.
            assert!(bind(&path, Permissions { mode: 0o660, group: Some(u32::MAX) }).is_ok());
        } else {
            let permissions = Permissions { mode: 0o660, group: Some(0) };
            for result in [bind(&path, permissions).err(), try_out(&path, permissions).err()] {
                assert!(matches!(result, Some(Error::Group { group: 0, .. })), "{result:?}");
            }
        }
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn refuses_the_socket_of_a_node_that_accepts_nothing_now() {
        let directory = Directory::new("hung");
        let path = directory.0.join("component.sock");
        let address = SockAddr::unix(&path).unwrap();
        let hung = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        hung.bind(&address).unwrap();
        hung.listen(1).unwrap();
        let mut waiting = Vec::new();
        loop {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            match client.connect(&address) {
                Ok(()) => waiting.push(client),
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(matches!(bind(&path, OWNER_ONLY), Err(Error::Taken)));
    }

    #[tokio::test]
    async fn refuses_the_socket_of_a_running_node() {
        let directory = Directory::new("live");
        let path = directory.0.join("nuncio.sock");
        let _first = bind(&path, OWNER_ONLY).unwrap();
        assert!(matches!(bind(&path, OWNER_ONLY), Err(Error::Taken)));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn replaces_the_socket_of_a_node_that_has_ended() {
        let directory = Directory::new("stale");
        let path = directory.0.join("nuncio.sock");
        drop(Listener::bind(&path).unwrap());
        assert!(path.exists());
        let _second = bind(&path, OWNER_ONLY).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn does_not_remove_the_socket_of_another_node() {
        let directory = Directory::new("other");
        let path = directory.0.join("nuncio.sock");
        let (listener, file) = bind(&path, OWNER_ONLY).unwrap();
        drop(listener);
        let _second = bind(&path, OWNER_ONLY).unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_socket_has_its_path_only_while_it_listens() {
        let directory = Directory::new("race");
        let path = directory.0.join("nuncio.sock");
        // Many nodes start at the same time: whenever one has the name, a connection is accepted.
        let starting: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async { bind(&path, OWNER_ONLY).ok() })
                })
            })
            .collect();
        while !path.exists() {
            std::thread::yield_now();
        }
        assert!(UnixStream::connect(&path).is_ok());
        let nodes: Vec<_> = starting.into_iter().filter_map(|node| node.join().unwrap()).collect();
        assert_eq!(nodes.len(), 1, "one node has the socket");
        assert!(UnixStream::connect(&path).is_ok());
        drop(nodes);
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn does_not_replace_a_file_that_is_not_a_socket() {
        let directory = Directory::new("file");
        let path = directory.0.join("nuncio.sock");
        fs::write(&path, "important").unwrap();
        assert!(matches!(bind(&path, OWNER_ONLY), Err(Error::NotASocket)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "important");
    }

    #[test]
    fn a_check_of_a_path_leaves_no_file() {
        let directory = Directory::new("trial");
        let path = directory.0.join("nuncio.sock");
        assert!(try_out(&path, OWNER_ONLY).is_ok());
        assert!(matches!(try_out(&directory.0.join("nowhere/nuncio.sock"), OWNER_ONLY), Err(Error::Io(_))));
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
        fs::write(&path, "important").unwrap();
        assert!(matches!(try_out(&path, OWNER_ONLY), Err(Error::NotASocket)));
    }

    #[tokio::test]
    async fn refuses_a_path_that_is_too_long() {
        let error = bind(Path::new(&format!("/tmp/{}", "x".repeat(LONGEST))), OWNER_ONLY).unwrap_err();
        assert!(error.to_string().contains("107 bytes"), "{error}");
    }
}
