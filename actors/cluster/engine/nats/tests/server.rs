//! A nats-server for one test, on loopback, with its own directory.

use std::{
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

pub(super) struct Server {
    pub(super) port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts a server that asks nobody for a login.
    pub(super) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a server with a configuration, in which `{directory}` stands for its own.
    pub(super) async fn configured(configuration: &str) -> Self {
        let mut server = Self::new();
        let directory = server.directory.display().to_string();
        let file = server.directory.join("nats.conf");
        std::fs::write(&file, configuration.replace("{directory}", &directory)).unwrap();
        server.arguments = vec!["-c".to_owned(), file.display().to_string()];
        server.starts().await;
        server
    }

    /// Starts a server with further arguments.
    pub(super) async fn with(arguments: &[String]) -> Self {
        let mut server = Self::new();
        server.arguments = ["-js", "-sd"].map(str::to_owned).into();
        server.arguments.push(server.directory.display().to_string());
        server.arguments.extend_from_slice(arguments);
        server.starts().await;
        server
    }

    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nuncio-nats-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Self { port: free_port(), directory, arguments: Vec::new(), child: None }
    }

    pub(super) fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts the process, and waits until it accepts connections.
    pub(super) async fn starts(&mut self) {
        let program = std::env::var("NUNCIO_NATS").unwrap_or_else(|_| "nats-server".to_owned());
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let log =
            std::fs::File::options().create(true).append(true).open(self.directory.join("log")).unwrap();
        // The server dies with the thread of the test.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", &program, "-a", "127.0.0.1", "-p", &self.port.to_string()])
            .args(&self.arguments)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("setpriv (package util-linux) starts");
        self.child = Some(child);
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            let exit = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(exit.is_none(), "nats-server (package nats-server) ends with {exit:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nats-server accepts no connection: {}", self.log());
    }

    /// Kills the process, as a power failure of the process would.
    pub(super) fn dies(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Deletes all data. The server must not run.
    pub(super) fn loses_data(&self) {
        assert!(self.child.is_none());
        std::fs::remove_dir_all(self.directory.join("jetstream")).unwrap();
    }

    /// Stops the process without ending it, or lets it go on.
    pub(super) fn hangs(&self, hangs: bool) {
        let signal = if hangs { "-STOP" } else { "-CONT" };
        let process = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
        // The signal stops one thread after another.
        while hangs && !is_stopped(&process) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where nobody reads it, it is lost.
            let _ = writeln!(std::io::stderr(), "log of nats-server on port {}:\n{}", self.port, self.log());
        }
        self.dies();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether all threads of a process are stopped.
fn is_stopped(process: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process is there");
    threads.flatten().all(|thread| {
        // The state follows the name, which is in parentheses.
        let state = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        state.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
    })
}

/// A port that nobody uses at this moment.
pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
