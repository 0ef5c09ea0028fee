//! A DNS server that answers for every name, with what the test tells it.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use socket2::SockRef;

/// The server. Listens on UDP and TCP. A name without records does not exist, unless
/// there is one below it. All of it may change while it runs.
pub(crate) struct Dns {
    address: SocketAddrV4,
    zone: Arc<Mutex<Zone>>,
}

impl Dns {
    /// Starts the server at `address`.
    pub(crate) fn start(address: Ipv4Addr) -> Self {
        let zone = Arc::<Mutex<Zone>>::default();
        let address = SocketAddrV4::new(address, PORT);
        let datagrams = UdpSocket::bind(address).expect("an address of its own");
        // A node that is given a thousand domains asks for all of them at once.
        let _ = SockRef::from(&datagrams).set_recv_buffer_size(RECEIVE_BUFFER);
        let streams = TcpListener::bind(address).expect("an address of its own");
        thread::spawn({
            let zone = Arc::clone(&zone);
            move || serve_datagrams(&Arc::new(datagrams), &zone)
        });
        thread::spawn({
            let zone = Arc::clone(&zone);
            move || serve_streams(&streams, &zone)
        });
        Self { address, zone }
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Adds a service record; the target `.` says that there is no such service.
    pub(crate) fn srv(&self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        self.add(name, RData::SRV(SRV::new(priority, weight, port, absolute(target))));
    }

    /// Adds an IPv4 address.
    pub(crate) fn a(&self, name: &str, address: Ipv4Addr) {
        self.add(name, RData::A(A(address)));
    }

    /// Adds an IPv6 address.
    pub(crate) fn aaaa(&self, name: &str, address: Ipv6Addr) {
        self.add(name, RData::AAAA(AAAA(address)));
    }

    /// Makes `name` an alias.
    pub(crate) fn cname(&self, name: &str, target: &str) {
        self.add(name, RData::CNAME(CNAME(absolute(target))));
    }

    /// Lets the answers for `name` and everything below it be kept for so many seconds.
    pub(crate) fn lives(&self, name: &str, ttl: u32) {
        self.zone.lock().unwrap().lives.insert(absolute(name), ttl);
    }

    /// Makes the server behave so for `name` and everything below it.
    pub(crate) fn behaves(&self, name: &str, behaviour: Behaviour) {
        self.zone.lock().unwrap().behaviours.insert(absolute(name), behaviour);
    }

    /// Forgets the records and the behaviour of `name` and everything below it.
    pub(crate) fn clear(&self, name: &str) {
        let name = absolute(name);
        let mut zone = self.zone.lock().unwrap();
        zone.records.retain(|owner, _| !name.zone_of(owner));
        zone.known = zone.records.keys().flat_map(upwards).collect();
        zone.behaviours.retain(|owner, _| !name.zone_of(owner));
    }

    /// Every question so far, as `name type`, without the final dot.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.zone.lock().unwrap().questions.clone()
    }

    fn add(&self, name: &str, data: RData) {
        let mut zone = self.zone.lock().unwrap();
        let name = absolute(name);
        zone.known.extend(upwards(&name));
        zone.records.entry(name).or_default().push(data);
    }
}

/// What the server does when it is asked for a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// It fails.
    ServerFailure,
    /// It does not want to answer.
    Refusal,
    /// It validates and finds a wrong signature; `explained`: it says so (RFC 8914).
    Bogus { explained: bool },
    /// It does not answer.
    Silence,
    /// It answers, but late.
    Delay(Duration),
    /// It does not answer when it is asked for IPv6 addresses.
    SilenceOnIpv6,
    /// Every name has this IPv4 address, and so many others.
    Addresses { first: Ipv4Addr, others: u32 },
}

#[derive(Default)]
struct Zone {
    records: HashMap<Name, Vec<RData>>,
    /// Every name with records, and every name above one.
    known: HashSet<Name>,
    behaviours: HashMap<Name, Behaviour>,
    lives: HashMap<Name, u32>,
    questions: Vec<String>,
}

impl Zone {
    /// Answers a question: the answer, and how long to hold it back.
    fn answer(&mut self, bytes: &[u8]) -> Option<(Vec<u8>, Duration)> {
        let question = Message::from_vec(bytes).ok()?;
        let query = question.queries.first()?.clone();
        let name = query.name().to_lowercase();
        let shown = name.to_ascii();
        self.questions.push(format!("{} {}", shown.trim_end_matches('.'), query.query_type()));

        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let delay = match self.behaviour(&name) {
            Some(Behaviour::Silence) => return None,
            Some(Behaviour::ServerFailure) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                return Some((answer.to_vec().ok()?, Duration::ZERO));
            }
            Some(Behaviour::Refusal) => {
                answer.metadata.response_code = ResponseCode::Refused;
                return Some((answer.to_vec().ok()?, Duration::ZERO));
            }
            Some(Behaviour::Bogus { explained }) if !question.metadata.checking_disabled => {
                answer.metadata.response_code = ResponseCode::ServFail;
                if explained {
                    let mut edns = Edns::new();
                    edns.options_mut().insert(EdnsOption::Unknown(15, b"\0\x06no signature fits".to_vec()));
                    answer.set_edns(edns);
                }
                return Some((answer.to_vec().ok()?, Duration::ZERO));
            }
            Some(Behaviour::SilenceOnIpv6) if query.query_type() == RecordType::AAAA => return None,
            Some(Behaviour::Delay(delay)) => delay,
            Some(Behaviour::Addresses { first, others }) if query.query_type() == RecordType::A => {
                let others = (0..others).map(|number| Ipv4Addr::from(0xc000_0200 + number));
                let addresses: Vec<_> = [first].into_iter().chain(others).collect();
                return Some((many_addresses(bytes, &addresses, self.ttl(&name))?, Duration::ZERO));
            }
            Some(Behaviour::SilenceOnIpv6 | Behaviour::Bogus { .. } | Behaviour::Addresses { .. }) | None => {
                Duration::ZERO
            }
        };
        for mut record in self.resolve(&name, query.query_type()) {
            record.ttl = self.ttl(&name);
            answer.add_answer(record);
        }
        if answer.answers.is_empty() {
            answer.add_authority(start_of_authority());
            if !self.exists(&name) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        Some((answer.to_vec().ok()?, delay))
    }

    /// The records of a name, through aliases, as a recursive server gives them.
    fn resolve(&self, name: &Name, kind: RecordType) -> Vec<Record> {
        let mut found = Vec::new();
        let mut name = name.clone();
        for _ in 0..MOST_ALIASES {
            let data = self.records.get(&name).map(Vec::as_slice).unwrap_or_default();
            let matching = data.iter().filter(|data| data.record_type() == kind);
            found.extend(matching.map(|data| Record::from_rdata(name.clone(), TTL, data.clone())));
            let alias = data.iter().find_map(|data| match data {
                RData::CNAME(CNAME(target)) if kind != RecordType::CNAME => Some(target.clone()),
                _ => None,
            });
            let Some(target) = alias else { break };
            found.push(Record::from_rdata(name, TTL, RData::CNAME(CNAME(target.clone()))));
            name = target;
        }
        found
    }

    fn exists(&self, name: &Name) -> bool {
        self.known.contains(name)
    }

    fn ttl(&self, name: &Name) -> u32 {
        self.lives.iter().find(|(owner, _)| owner.zone_of(name)).map_or(TTL, |(_, ttl)| *ttl)
    }

    fn behaviour(&self, name: &Name) -> Option<Behaviour> {
        let found = self.behaviours.iter().find(|(owner, _)| owner.zone_of(name));
        found.map(|(_, behaviour)| *behaviour)
    }
}

fn serve_datagrams(socket: &Arc<UdpSocket>, zone: &Mutex<Zone>) {
    let mut buffer = [0; 4096];
    while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
        let answer = zone.lock().unwrap().answer(&buffer[..length]);
        match answer {
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

/// What does not fit a datagram has to be fetched over TCP.
fn datagram(mut answer: Vec<u8>) -> Vec<u8> {
    if answer.len() > LARGEST_DATAGRAM
        && let Some(end) = end_of_question(&answer)
    {
        answer.truncate(end);
        answer[2] |= 0x02;
        answer[6..12].fill(0);
    }
    answer
}

/// Answers a question with addresses. Written by hand, as the library takes long for so many.
fn many_addresses(question: &[u8], addresses: &[Ipv4Addr], ttl: u32) -> Option<Vec<u8>> {
    let mut answer = question.get(..end_of_question(question)?)?.to_vec();
    answer[2..4].copy_from_slice(&[0x85, 0x80]);
    answer[6..8].copy_from_slice(&u16::try_from(addresses.len()).ok()?.to_be_bytes());
    answer[8..12].fill(0);
    for address in addresses {
        // The name of the question, A, IN.
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// Where the header and the only question of a message end (RFC 1035 section 4.1).
fn end_of_question(message: &[u8]) -> Option<usize> {
    let mut place = 12;
    loop {
        match message.get(place)? {
            0 => return Some(place + 5),
            length => place += usize::from(*length) + 1,
        }
    }
}

fn serve_streams(listener: &TcpListener, zone: &Arc<Mutex<Zone>>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let zone = Arc::clone(zone);
        thread::spawn(move || serve_stream(stream, &zone));
    }
}

/// Answers the questions of one TCP connection, until it ends.
fn serve_stream(mut stream: TcpStream, zone: &Mutex<Zone>) -> Option<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question).ok()?;
        let answer = zone.lock().unwrap().answer(&question);
        if let Some((answer, delay)) = answer {
            thread::sleep(delay);
            let length = u16::try_from(answer.len()).ok()?;
            stream.write_all(&length.to_be_bytes()).ok()?;
            stream.write_all(&answer).ok()?;
        }
    }
}

/// Lets negative answers be cached, as real ones are.
fn start_of_authority() -> Record {
    let soa = SOA::new(absolute("ns.example"), absolute("hostmaster.example"), 1, 60, 60, 60, 1);
    Record::from_rdata(absolute("example"), TTL, RData::SOA(soa))
}

/// The name and all above it.
fn upwards(name: &Name) -> impl Iterator<Item = Name> + use<> {
    let above = |name: &Name| (!name.is_root()).then(|| name.base_name());
    std::iter::successors(Some(name.clone()), above)
}

/// The A-label form of a domain.
pub(crate) fn in_ascii(domain: &str) -> String {
    Name::from_utf8(domain).expect("a domain name").to_ascii()
}

fn absolute(name: &str) -> Name {
    let dotted = format!("{}.", name.trim_end_matches('.'));
    Name::from_str(&dotted).expect("a domain name").to_lowercase()
}

/// Seconds. Short, so that a change is soon seen by caches.
const TTL: u32 = 1;

/// A port that needs no privilege: port 53 would make the tests need root.
const PORT: u16 = 5353;

/// Ends loops.
const MOST_ALIASES: usize = 8;

/// Bytes; the kernel gives what it may.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Bytes (RFC 9715 section 3).
const LARGEST_DATAGRAM: usize = 1232;
