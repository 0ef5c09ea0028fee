//! The sockets of a DNS server, each with a thread.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hickory_proto::{op::Message, rr::RecordType};
use socket2::SockRef;

use super::reply::{Reply, end_of_question};

/// A DNS server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A question, such as `b.example SRV` in text.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name in lower case, without the final dot.
    pub name: String,
    /// The type of the records.
    pub kind: RecordType,
    /// Whether answers that do not validate are wanted too (RFC 4035, section 3.2.2).
    pub checking_disabled: bool,
}

struct Shared {
    answers: Mutex<Answers>,
    questions: Mutex<Vec<String>>,
    over: AtomicBool,
}

type Answers = Box<dyn FnMut(&Question) -> Reply + Send>;

impl Server {
    /// Starts a server at `address`; port 0 takes a free port. Each question is answered with what `answers` returns.
    ///
    /// # Errors
    /// The address is not free.
    pub fn start(
        address: SocketAddr,
        answers: impl FnMut(&Question) -> Reply + Send + 'static,
    ) -> io::Result<Self> {
        let (datagrams, streams) = bind(address)?;
        let address = datagrams.local_addr()?;
        // A node that is given a thousand domains asks for all of them at once.
        let _ = SockRef::from(&datagrams).set_recv_buffer_size(RECEIVE_BUFFER);
        let shared = Arc::new(Shared {
            answers: Mutex::new(Box::new(answers)),
            questions: Mutex::default(),
            over: AtomicBool::new(false),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve_datagrams(&Arc::new(datagrams), &shared)
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve_streams(&streams, &shared)
        });
        Ok(Self { address, shared })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every question so far, as `name type`, in the order of arrival.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        locked(&self.shared.questions).clone()
    }

    /// The questions since the last call, sorted.
    pub fn take_questions(&self) -> Vec<String> {
        let mut questions = std::mem::take(&mut *locked(&self.shared.questions));
        questions.sort();
        questions
    }
}

impl Drop for Server {
    /// Ends both threads, which wait for something to come.
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        if let Ok(socket) = UdpSocket::bind((self.address.ip(), 0)) {
            let _ = socket.send_to(&[], self.address);
        }
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

impl Shared {
    /// The answer to a message, and how long to hold it back.
    fn answer(&self, bytes: &[u8]) -> Option<(Vec<u8>, Duration)> {
        answer(bytes, |question| {
            locked(&self.questions).push(question.to_string());
            locked(&self.answers)(question)
        })
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// The answer of `answers` to the question in a message, and how long to hold it back.
pub(super) fn answer(bytes: &[u8], answers: impl FnOnce(&Question) -> Reply) -> Option<(Vec<u8>, Duration)> {
    let message = Message::from_vec(bytes).ok()?;
    let query = message.queries.first()?;
    let question = Question {
        name: query.name().to_lowercase().to_ascii().trim_end_matches('.').to_owned(),
        kind: query.query_type(),
        checking_disabled: message.metadata.checking_disabled,
    };
    answers(&question).pack(&message, bytes)
}

/// Takes the same port for UDP and TCP. A port that the kernel chose for one may be taken for the other.
fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if address.port() == 0 { 100 } else { 1 };
    loop {
        let datagrams = UdpSocket::bind(address)?;
        tries -= 1;
        match TcpListener::bind(datagrams.local_addr()?) {
            Ok(streams) => return Ok((datagrams, streams)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

fn serve_datagrams(socket: &Arc<UdpSocket>, shared: &Shared) {
    let mut buffer = [0; 4096];
    while let Ok((length, asker)) = socket.recv_from(&mut buffer)
        && !shared.is_over()
    {
        match shared.answer(&buffer[..length]) {
            None => {}
            Some((answer, Duration::ZERO)) => {
                let _ = socket.send_to(&datagram(answer), asker);
            }
            Some((answer, delay)) => {
                let socket = Arc::clone(socket);
                thread::spawn(move || {
                    thread::sleep(delay);
                    let _ = socket.send_to(&datagram(answer), asker);
                });
            }
        }
    }
}

/// An answer that fits a datagram: a longer one has to be fetched over TCP.
fn datagram(mut answer: Vec<u8>) -> Vec<u8> {
    if answer.len() > LARGEST_DATAGRAM
        && let Some(end) = end_of_question(&answer)
    {
        answer.truncate(end);
        answer[2] |= TRUNCATED;
        answer[6..12].fill(0);
    }
    answer
}

fn serve_streams(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if shared.is_over() {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || serve_stream(stream, &shared));
    }
}

/// Answers the questions of one TCP connection, until it ends.
fn serve_stream(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question).ok()?;
        if let Some((answer, delay)) = shared.answer(&question) {
            thread::sleep(delay);
            let length = u16::try_from(answer.len()).ok()?;
            stream.write_all(&length.to_be_bytes()).ok()?;
            stream.write_all(&answer).ok()?;
        }
    }
}

/// A lock is poisoned when a function that answers panics; the test fails by itself then.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes; the kernel gives as much as it may.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Bytes (RFC 9715, section 3).
const LARGEST_DATAGRAM: usize = 1232;

/// The flag TC, in the third byte (RFC 1035, section 4.1.1).
const TRUNCATED: u8 = 0x02;
