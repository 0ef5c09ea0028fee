//! A TCP proxy between two servers. It resets its connections on one side or on both, holds bytes back, and refuses
//! connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Forwards bytes in both directions.
pub struct Proxy {
    address: Ipv4Addr,
    shared: Arc<Shared>,
}

/// The sides that see a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Both servers.
    Both,
    /// Only the server that opened the connection. For the other server the connection stays open and silent.
    Initiator,
    /// Only the server that accepted the connection. For the other server the connection stays open and silent.
    Receiver,
}

#[derive(Default)]
struct Shared {
    links: Mutex<Vec<Link>>,
    /// Sockets of connections of which only the other side was reset. They stay open until the test process ends.
    silent: Mutex<Vec<Arc<TcpStream>>>,
    /// Bytes of the servers that opened connections are held back.
    holds: AtomicBool,
    /// New connections are reset at once.
    refuses: AtomicBool,
}

/// One forwarded connection.
struct Link {
    near: Arc<TcpStream>,
    far: Arc<TcpStream>,
    /// Both threads end, and the sockets are left as they are.
    ended: Arc<AtomicBool>,
    threads: [JoinHandle<()>; 2],
}

impl Proxy {
    /// Listens at the server port of `address`, and forwards to that of `server`.
    pub fn start(address: Ipv4Addr, server: Ipv4Addr) -> Self {
        Self::at_port(5269, address, server)
    }

    /// Listens at this port of `address`, and forwards to that of `server`.
    pub fn at_port(port: u16, address: Ipv4Addr, server: Ipv4Addr) -> Self {
        let listener = TcpListener::bind(SocketAddrV4::new(address, port)).unwrap();
        let shared = Arc::<Shared>::default();
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if kept.refuses.load(Ordering::SeqCst) {
                    resets_on_close(&near);
                    continue;
                }
                // The server may be away for the moment.
                match TcpStream::connect(SocketAddrV4::new(server, port)) {
                    Ok(far) => kept.links.lock().unwrap().push(Link::between(near, far, &kept)),
                    Err(_) => resets_on_close(&near),
                }
            }
        });
        Self { address, shared }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The number of connections that were made since the last reset.
    pub fn connections(&self) -> usize {
        self.shared.links.lock().unwrap().len()
    }

    /// Resets every connection.
    pub fn cuts(&self) {
        self.resets(Reset::Both);
    }

    /// Resets every connection, as seen from that side. No byte is forwarded on them afterwards.
    pub fn resets(&self, seen_by: Reset) {
        let links: Vec<Link> = self.shared.links.lock().unwrap().drain(..).collect();
        for link in &links {
            link.ended.store(true, Ordering::SeqCst);
        }
        for Link { near, far, threads, .. } in links {
            // A socket is reset when its last owner drops it.
            for thread in threads {
                let _ = thread.join();
            }
            let mut silent = self.shared.silent.lock().unwrap();
            match seen_by {
                Reset::Both => [&near, &far].into_iter().for_each(|socket| resets_on_close(socket)),
                Reset::Initiator => {
                    resets_on_close(&near);
                    silent.push(far);
                }
                Reset::Receiver => {
                    resets_on_close(&far);
                    silent.push(near);
                }
            }
        }
    }

    /// Holds back what the servers that opened connections send, from the next read on.
    pub fn holds(&self) {
        self.shared.holds.store(true, Ordering::SeqCst);
    }

    /// Forwards what was held back.
    pub fn releases(&self) {
        self.shared.holds.store(false, Ordering::SeqCst);
    }

    /// Resets every new connection at once.
    pub fn refuses(&self) {
        self.shared.refuses.store(true, Ordering::SeqCst);
    }

    /// Accepts connections again.
    pub fn accepts(&self) {
        self.shared.refuses.store(false, Ordering::SeqCst);
    }
}

impl Link {
    fn between(near: TcpStream, far: TcpStream, shared: &Arc<Shared>) -> Self {
        let (near, far, ended) = (Arc::new(near), Arc::new(far), Arc::<AtomicBool>::default());
        let from_near = Passage {
            from: Arc::clone(&near),
            to: Arc::clone(&far),
            ended: Arc::clone(&ended),
            held_by: Some(Arc::clone(shared)),
        };
        let from_far = Passage {
            from: Arc::clone(&far),
            to: Arc::clone(&near),
            ended: Arc::clone(&ended),
            held_by: None,
        };
        let threads = [from_near, from_far].map(|passage| thread::spawn(move || passage.forwards()));
        Self { near, far, ended, threads }
    }
}

/// One direction of a connection.
struct Passage {
    from: Arc<TcpStream>,
    to: Arc<TcpStream>,
    ended: Arc<AtomicBool>,
    held_by: Option<Arc<Shared>>,
}

impl Passage {
    fn forwards(&self) {
        let _ = self.from.set_read_timeout(Some(GLANCE));
        let _ = self.to.set_write_timeout(Some(GLANCE));
        let mut bytes = [0; 16 * 1024];
        while !self.has_ended() {
            match (&*self.from).read(&mut bytes) {
                Ok(0) => {
                    // The other direction may go on.
                    let _ = self.to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(length) => {
                    while self.is_held() && !self.has_ended() {
                        thread::sleep(GLANCE);
                    }
                    if !self.writes(&bytes[..length]) {
                        return;
                    }
                }
                Err(error) if is_late(error.kind()) => {}
                Err(_) => return self.breaks(),
            }
        }
    }

    /// Writes all, unless the connection ends.
    fn writes(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.has_ended() {
                return false;
            }
            match (&*self.to).write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if is_late(error.kind()) => {}
                Err(_) => {
                    self.breaks();
                    return false;
                }
            }
        }
        true
    }

    /// Passes on that the connection was reset by a server.
    fn breaks(&self) {
        if !self.has_ended() {
            [&self.from, &self.to].into_iter().for_each(|socket| resets_on_close(socket));
            let _ = self.from.shutdown(Shutdown::Both);
            let _ = self.to.shutdown(Shutdown::Both);
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn is_held(&self) -> bool {
        self.held_by.as_ref().is_some_and(|shared| shared.holds.load(Ordering::SeqCst))
    }
}

/// Makes the end of the last owner a reset instead of an orderly close.
fn resets_on_close(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

fn is_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The interval at which a thread looks whether its connection has ended.
const GLANCE: Duration = Duration::from_millis(10);
