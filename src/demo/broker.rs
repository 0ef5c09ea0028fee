//! A nats-server for the demo, on a free port of 127.0.0.1 and with a directory of its own.
//!
//! A shell starts it, and ends it and removes the directory when this program ends, however that happens: it waits for the
//! end of its input, which this program keeps open.

use std::{
    env, fmt, fs,
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{self, Child, ChildStdin, Command, Stdio},
    thread,
    time::Duration,
};

use serde::Deserialize;
use tokio::sync::oneshot;

/// A nats-server that runs.
pub(super) struct Broker {
    shell: Child,
    /// When it is dropped, the shell ends the server.
    input: Option<ChildStdin>,
    directory: PathBuf,
    address: SocketAddr,
}

/// There is no nats-server.
#[derive(Debug)]
pub(super) struct Missing(Option<PathBuf>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(named) => write!(f, "{} is no program; the environment variable NUNCIO_NATS names it", named.display()),
            None => f.write_str(
                "nats-server, which connects the nodes of a cluster, is not installed. On Debian and Ubuntu: apt install \
                 nats-server. Elsewhere: https://nats.io/download/; if it is not in PATH then, set NUNCIO_NATS to its path",
            ),
        }
    }
}

/// The program: that of NUNCIO_NATS, otherwise the first `nats-server` in PATH and [`DIRECTORIES`].
///
/// # Errors
/// There is none.
pub(super) fn program() -> Result<PathBuf, Missing> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> =
        env::split_paths(&path).chain(DIRECTORIES.into_iter().map(PathBuf::from)).collect();
    match env::var_os("NUNCIO_NATS").filter(|named| !named.is_empty()).map(PathBuf::from) {
        Some(named) if named.components().count() > 1 => {
            if is_program(&named) {
                Ok(named)
            } else {
                Err(Missing(Some(named)))
            }
        }
        Some(named) => find(&directories, &named).ok_or(Missing(Some(named))),
        None => find(&directories, Path::new("nats-server")).ok_or(Missing(None)),
    }
}

fn find(directories: &[PathBuf], name: &Path) -> Option<PathBuf> {
    directories.iter().map(|directory| directory.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

impl Broker {
    /// Starts it, and waits until it accepts connections.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn start(program: &Path) -> io::Result<Self> {
        let temporary = Some(env::temp_dir()).filter(|path| path.as_os_str().len() <= LONGEST);
        let temporary = temporary.unwrap_or_else(|| "/tmp".into());
        let directory = temporary.join(format!("nuncio-demo-{}", process::id()));
        // Nobody else may read the password.
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let mut broker = match Self::launch(program, &directory) {
            Ok(broker) => broker,
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                return Err(error);
            }
        };
        let mut ended = broker.watch();
        let found = async {
            loop {
                if let Some(address) = address_in(&broker.directory) {
                    return Ok(address);
                }
                tokio::select! {
                    said = &mut ended => {
                        let said = said.unwrap_or_default();
                        return Err(io::Error::other(format!("{} ended: {said}", program.display())));
                    }
                    () = tokio::time::sleep(LOOKS) => {}
                }
            }
        };
        let limit =
            || io::Error::other(format!("{} did not start within {} s", program.display(), START.as_secs()));
        broker.address = tokio::time::timeout(START, found).await.map_err(|_| limit())??;
        Ok(broker)
    }

    fn launch(program: &Path, directory: &Path) -> io::Result<Self> {
        let mut random = [0; 16];
        openssl::rand::rand_bytes(&mut random)?;
        let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(directory.join(PASSWORD), &password)?;
        let configuration = format!(
            "server_name: demo\nlisten: \"127.0.0.1:-1\"\nports_file_dir: {directory:?}\n\
             jetstream {{ store_dir: {:?} }}\nauthorization {{ user: {USER}, password: {password:?} }}\n",
            directory.join("store")
        );
        fs::write(directory.join("nats.conf"), configuration)?;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .args([directory, program])
            // Ctrl-C ends this program, and the shell goes on until it has cleaned up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = shell.stdin.take();
        Ok(Self { shell, input, directory: directory.to_owned(), address: ([0; 4], 0).into() })
    }

    /// Reads what the server says, until it ends. Then returns the last line.
    fn watch(&mut self) -> oneshot::Receiver<String> {
        let (end, ended) = oneshot::channel();
        if let Some(output) = self.shell.stdout.take() {
            thread::spawn(move || {
                let said = BufReader::new(output).split(b'\n').map_while(Result::ok).last();
                let _ = end
                    .send(said.map(|line| String::from_utf8_lossy(&line).into_owned()).unwrap_or_default());
            });
        }
        ended
    }

    /// The address for nodes.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory, which is removed with the server.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file with the password of [`USER`].
    pub(super) fn password_file(&self) -> PathBuf {
        self.directory.join(PASSWORD)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.input = None;
        // The shell kills the server first.
        let _ = self.shell.wait();
    }
}

/// The address in the file that the server writes when it accepts connections: `nats-server_PID.ports`.
fn address_in(directory: &Path) -> Option<SocketAddr> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let files = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "ports"))?;
    let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports.nats.first()?.strip_prefix("nats://")?.parse().ok()
}

/// The user at the broker.
pub(super) const USER: &str = "demo";

const PASSWORD: &str = "password";

/// `$0` is the directory, and `$1` the program. Only the server keeps the output open, so that its end shows.
const SCRIPT: &str = "trap '' INT TERM HUP
\"$1\" -c \"$0/nats.conf\" 2>&1 </dev/null &
exec >/dev/null
cat
kill -KILL $!
wait $!
rm -rf \"$0\"";

/// Bytes of the path of temporary files: the path of a control socket below it has at most 107.
const LONGEST: usize = 70;

/// Where administrators and packages put servers; users have not all of them in PATH.
const DIRECTORIES: [&str; 3] = ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// Time for the server to start, which takes a tenth of a second on an idle machine.
const START: Duration = Duration::from_secs(15);

/// Time between looks for the file with the port.
const LOOKS: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_can_be_executed_are_programs() {
        let directories = ["/nowhere", "/etc", "/bin", "/usr/bin"].map(PathBuf::from);
        let found = find(&directories, Path::new("sh")).expect("a shell");
        assert_eq!(found, Path::new("/bin/sh"));
        assert_eq!(find(&directories, Path::new("passwd-that-is-not-there")), None);
        assert!(!is_program(Path::new("/etc/passwd")) && !is_program(Path::new("/bin")));
    }

    #[test]
    fn a_missing_program_is_reported_with_the_way_to_get_it() {
        let text = Missing(None).to_string();
        for part in ["apt install nats-server", "https://nats.io/download/", "NUNCIO_NATS"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
