//! A TCP proxy between two servers whose connections can be reset.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Forwards bytes in both directions.
pub struct Proxy {
    address: Ipv4Addr,
    links: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Listens at the server port of `address`, and forwards to that of `server`.
    pub fn start(address: Ipv4Addr, server: Ipv4Addr) -> Self {
        let listener = TcpListener::bind(SocketAddrV4::new(address, 5269)).unwrap();
        let links: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = Arc::clone(&links);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(SocketAddrV4::new(server, 5269)) else { return };
                kept.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                passes_on(near.try_clone().unwrap(), far.try_clone().unwrap());
                passes_on(far, near);
            }
        });
        Self { address, links }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Resets every connection.
    pub fn cuts(&self) {
        for link in self.links.lock().unwrap().drain(..) {
            let _ = socket2::SockRef::from(&link).set_linger(Some(Duration::ZERO));
            let _ = link.shutdown(Shutdown::Both);
        }
    }
}

fn passes_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
