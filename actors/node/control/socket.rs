//! Where the control socket is: one path, one node, one owner.

use std::{
    fmt, fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener as Listener, UnixStream},
    },
    path::{Path, PathBuf},
    process,
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// A socket's file, for as long as the node runs; removed at its end.
#[derive(Debug)]
pub struct Seat {
    path: PathBuf,
    file: Identity,
}

/// By which another node's file at the same path is told apart: device, number, and, since numbers are used again, when
/// it was made ours.
#[derive(Debug, PartialEq, Eq)]
struct Identity([i128; 4]);

/// Why there is no control socket.
#[derive(Debug)]
pub enum Error {
    /// The system takes no path of that length.
    TooLong,
    /// Another node answers there.
    Taken,
    /// A file that is no socket is there.
    NotASocket,
    /// What the system said.
    Io(io::Error),
}

/// Binds the socket at `path`, for its owner alone. What a dead node left there is replaced.
///
/// # Errors
/// Says why there can be no socket; another node's is left alone.
pub fn bind(path: &Path) -> Result<(UnixListener, Seat), Error> {
    if path.as_os_str().len() > LONGEST {
        return Err(Error::TooLong);
    }
    clear(path)?;
    // A socket that is bound refuses connections until it listens, like one that a dead node left behind: another node
    // that starts at this moment would remove it. So it gets its name when it listens. And between `bind` and `listen`
    // nobody can connect: so nobody but its owner ever can.
    let (socket, beside) = bind_beside(path)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(OWNER_ONLY))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let named = name(&beside, path);
    if beside != path {
        // One that stays is in nobody's way.
        let _ = fs::remove_file(&beside);
    }
    named?;
    let seat = Seat { path: path.to_owned(), file: Identity::of(&fs::symlink_metadata(path)?) };
    Ok((UnixListener::from_std(Listener::from(socket))?, seat))
}

/// Binds a socket in the directory of `path`, under another name unless that would be too long.
fn bind_beside(path: &Path) -> Result<(Socket, PathBuf), Error> {
    let beside = |number: u32| path.with_file_name(format!(".{:x}.{number}", process::id()));
    let mut names = (0..TEMPORARY_NAMES).map(beside).filter(|name| fits(name)).peekable();
    while let Some(name) = names.next() {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match socket.bind(&SockAddr::unix(&name)?) {
            Ok(()) => return Ok((socket, name)),
            // Left there by a process of the same number.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && names.peek().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok((socket, path.to_owned()))
}

/// Gives a socket its name, unless another node has taken it meanwhile.
fn name(beside: &Path, path: &Path) -> Result<(), Error> {
    if beside == path {
        return Ok(());
    }
    match fs::hard_link(beside, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Taken),
        // There are file systems without links.
        Err(_) => Ok(fs::rename(beside, path)?),
    }
}

/// Whether a path is short enough for a socket.
pub fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST
}

/// Whether a socket could be at `path`, as far as files tell; what is there is left alone, and nobody is asked whether he
/// answers.
///
/// # Errors
/// Says why there could be none.
pub fn try_out(path: &Path) -> Result<(), Error> {
    if !fits(path) {
        return Err(Error::TooLong);
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(Error::NotASocket),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Beside it: a node that starts at this moment must not find the path taken.
    let beside = path.with_file_name(format!(".{:x}", process::id()));
    if fits(&beside) {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&beside)?)?;
        fs::remove_file(&beside)?;
    }
    Ok(())
}

/// Removes the socket of a node that is no more.
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
    // Another node may have put its own socket there since: what is removed is looked at once more, out of its reach.
    let aside = path.with_file_name(format!(".{:x}.old", process::id()));
    fs::rename(path, &aside)?;
    if fits(&aside) && answers(&aside)? {
        // Should a third one be there by now, that one answers.
        let _ = fs::hard_link(&aside, path);
        let _ = fs::remove_file(&aside);
        return Err(Error::Taken);
    }
    Ok(fs::remove_file(&aside)?)
}

/// Whether a node accepts connections at `path`.
fn answers(path: &Path) -> Result<bool, Error> {
    match UnixStream::connect(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Seat {
    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Identity {
    fn of(file: &fs::Metadata) -> Self {
        Self([file.dev().into(), file.ino().into(), file.ctime().into(), file.ctime_nsec().into()])
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| Identity::of(&metadata) == self.file) {
            // One that stays is replaced by the next node.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "its path is longer than {LONGEST} bytes, the most that a socket can have")
            }
            Self::Taken => f.write_str("another node answers there"),
            Self::NotASocket => f.write_str("a file that is not a socket exists there"),
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

/// Read and write, which is what connecting takes.
const OWNER_ONLY: u32 = 0o600;

/// Bytes of a path: `sun_path` has 108, and a zero at its end.
pub const LONGEST: usize = 107;

/// Names that are tried for a socket before it gets its own.
const TEMPORARY_NAMES: u32 = 16;

/// Commands that may wait in the kernel for us to accept them.
const BACKLOG: i32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

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

    #[actix::test]
    async fn the_socket_is_its_owners_alone_and_goes_with_the_node() {
        let directory = Directory::new("owner");
        let path = directory.0.join("nuncio.sock");
        let (listener, seat) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        drop((listener, seat));
        assert!(!path.exists());
    }

    #[actix::test]
    async fn a_live_socket_is_refused_and_left_alone() {
        let directory = Directory::new("live");
        let path = directory.0.join("nuncio.sock");
        let _first = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(Error::Taken)));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[actix::test]
    async fn what_a_dead_node_left_is_replaced() {
        let directory = Directory::new("stale");
        let path = directory.0.join("nuncio.sock");
        drop(Listener::bind(&path).unwrap());
        assert!(path.exists());
        let _second = bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[actix::test]
    async fn another_nodes_socket_at_the_same_path_stays() {
        let directory = Directory::new("other");
        let path = directory.0.join("nuncio.sock");
        let (listener, seat) = bind(&path).unwrap();
        drop(listener);
        let _second = bind(&path).unwrap();
        drop(seat);
        assert!(path.exists());
    }

    #[actix::test]
    async fn a_socket_has_its_name_only_while_it_listens() {
        let directory = Directory::new("race");
        let path = directory.0.join("nuncio.sock");
        // Many nodes start at the same time: whenever one has the name, a connection is accepted.
        let starting: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async { bind(&path).ok() })
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

    #[actix::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = Directory::new("file");
        let path = directory.0.join("nuncio.sock");
        fs::write(&path, "important").unwrap();
        assert!(matches!(bind(&path), Err(Error::NotASocket)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "important");
    }

    #[test]
    fn a_place_is_tried_out_without_a_trace() {
        let directory = Directory::new("trial");
        let path = directory.0.join("nuncio.sock");
        assert!(try_out(&path).is_ok());
        assert!(matches!(try_out(&directory.0.join("nowhere/nuncio.sock")), Err(Error::Io(_))));
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
        fs::write(&path, "important").unwrap();
        assert!(matches!(try_out(&path), Err(Error::NotASocket)));
    }

    #[actix::test]
    async fn a_path_that_is_too_long_is_refused_with_the_rule() {
        let error = bind(Path::new(&format!("/tmp/{}", "x".repeat(LONGEST)))).unwrap_err();
        assert!(error.to_string().contains("107 bytes"), "{error}");
    }
}
