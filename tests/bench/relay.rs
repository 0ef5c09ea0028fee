//! TCP relay that adds latency before a server, to simulate a distant server.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::support::Network;

/// Starts a relay to the server-to-server port of `target`. A request with its response takes `round_trip`
/// longer, and so does the set-up of a connection. Returns the address of the relay. The target sees all
/// connections come from one address.
pub(crate) fn start(network: &Network, target: Ipv4Addr, round_trip: Duration) -> Ipv4Addr {
    let address = network.address();
    let listener = std::net::TcpListener::bind((address, PORT)).expect("a free address");
    listener.set_nonblocking(true).expect("a socket that does not block");
    // The thread runs until this process ends.
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a socket of this runtime");
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, SocketAddr::from((target, PORT)), round_trip));
            }
        });
    });
    address
}

async fn relay(near: TcpStream, target: SocketAddr, round_trip: Duration) {
    sleep(round_trip).await;
    // If the target refuses the connection, the near end is closed too.
    let Ok(far) = TcpStream::connect(target).await else { return };
    for socket in [&near, &far] {
        let _ = socket.set_nodelay(true);
    }
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::spawn(carry(from_near, to_far, round_trip / 2));
    tokio::spawn(carry(from_far, to_near, round_trip / 2));
}

/// Copies bytes in one direction with a delay. The end of the source closes the destination.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    tokio::spawn(async move {
        while let Some((at, bytes)) = receiver.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut room = vec![0; READ];
    while let Ok(length @ 1..) = from.read(&mut room).await {
        let Some(bytes) = room.get(..length) else { return };
        if sender.send((Instant::now() + delay, bytes.to_vec())).await.is_err() {
            return;
        }
    }
}

const PORT: u16 = 5269;

/// Maximum number of delayed chunks per direction of a connection.
const IN_FLIGHT: usize = 64;

const READ: usize = 16 * 1024;
