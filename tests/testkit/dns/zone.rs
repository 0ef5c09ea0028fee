//! A DNS server with records that may change while it runs.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME},
    },
};

use super::{
    absolute,
    reply::{self, Reply},
    server::{self, Question, Server, locked},
};

/// A server that answers for every name. A name without records does not exist, unless there is one below it.
pub struct Dns {
    server: Server,
    records: Records,
}

/// The records of a server, and how it behaves. Clones are the same records.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Zone>>);

/// How the server behaves when it is asked for a name.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// It answers SERVFAIL.
    ServerFailure,
    /// It answers REFUSED.
    Refusal,
    /// It validates signatures and finds a wrong one; `explained`: it says so (RFC 8914).
    Bogus {
        /// Whether the answer has an extended error.
        explained: bool,
    },
    /// It does not answer.
    Silence,
    /// It answers, but later.
    Delay(Duration),
    /// It does not answer questions for IPv6 addresses.
    SilenceOnIpv6,
    /// Every name has this IPv4 address, and so many others.
    Addresses {
        /// The address that comes first.
        first: Ipv4Addr,
        /// How many follow, from 192.0.2.0 on.
        others: u32,
    },
}

impl Dns {
    /// Starts the server at `address`; port 0 takes a free port.
    ///
    /// # Errors
    /// The address is not free.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let records = Records::default();
        let answers = records.clone();
        let server = Server::start(address, move |question| locked(&answers.0).answer(question))?;
        Ok(Self { server, records })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Every question so far, as `name type`, in the order of arrival.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        self.server.questions()
    }
}

impl Deref for Dns {
    type Target = Records;

    fn deref(&self) -> &Records {
        &self.records
    }
}

impl Records {
    /// The answer to a message, and how long to hold it back. `None`: it gets none.
    #[must_use]
    pub fn answer(&self, message: &[u8]) -> Option<(Vec<u8>, Duration)> {
        server::answer(message, |question| locked(&self.0).answer(question))
    }

    /// Adds a service record (RFC 2782); the target `.` says that there is no such service.
    pub fn srv(&self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        self.add(name, reply::srv(priority, weight, port, target));
    }

    /// Adds an IPv4 address.
    pub fn a(&self, name: &str, address: Ipv4Addr) {
        self.add(name, RData::A(A(address)));
    }

    /// Adds an IPv6 address.
    pub fn aaaa(&self, name: &str, address: Ipv6Addr) {
        self.add(name, RData::AAAA(AAAA(address)));
    }

    /// Makes `name` an alias.
    pub fn cname(&self, name: &str, target: &str) {
        self.add(name, reply::cname(target));
    }

    /// Sets how many seconds answers for `name` and everything below it may be cached.
    pub fn lives(&self, name: &str, ttl: u32) {
        locked(&self.0).lives.insert(absolute(name), ttl);
    }

    /// Sets the behaviour for `name` and everything below it.
    pub fn behaves(&self, name: &str, behaviour: Behaviour) {
        locked(&self.0).behaviours.insert(absolute(name), behaviour);
    }

    /// Removes the records and the behaviour of `name` and everything below it.
    pub fn clear(&self, name: &str) {
        let name = absolute(name);
        let mut zone = locked(&self.0);
        zone.records.retain(|owner, _| !name.zone_of(owner));
        zone.known = zone.records.keys().flat_map(upwards).collect();
        zone.behaviours.retain(|owner, _| !name.zone_of(owner));
    }

    fn add(&self, name: &str, data: RData) {
        let mut zone = locked(&self.0);
        let name = absolute(name);
        zone.known.extend(upwards(&name));
        zone.records.entry(name).or_default().push(data);
    }
}

#[derive(Default)]
struct Zone {
    records: HashMap<Name, Vec<RData>>,
    /// Every name with records, and every name above one.
    known: HashSet<Name>,
    behaviours: HashMap<Name, Behaviour>,
    lives: HashMap<Name, u32>,
}

impl Zone {
    fn answer(&self, question: &Question) -> Reply {
        let name = absolute(&question.name);
        match self.behaviour(&name) {
            Some(Behaviour::Silence) => Reply::Silence,
            Some(Behaviour::ServerFailure) => Reply::Code(ResponseCode::ServFail),
            Some(Behaviour::Refusal) => Reply::Code(ResponseCode::Refused),
            Some(Behaviour::Bogus { explained }) if !question.checking_disabled => match explained {
                true => Reply::Bogus("no signature fits"),
                false => Reply::Code(ResponseCode::ServFail),
            },
            Some(Behaviour::SilenceOnIpv6) if question.kind == RecordType::AAAA => Reply::Silence,
            Some(Behaviour::Delay(delay)) => Reply::Late(delay, Box::new(self.look_up(&name, question.kind))),
            Some(Behaviour::Addresses { first, others }) if question.kind == RecordType::A => {
                let others = (0..others).map(|number| Ipv4Addr::from(0xc000_0200 + number));
                Reply::Addresses([first].into_iter().chain(others).collect(), self.ttl(&name))
            }
            Some(Behaviour::SilenceOnIpv6 | Behaviour::Bogus { .. } | Behaviour::Addresses { .. }) | None => {
                self.look_up(&name, question.kind)
            }
        }
    }

    fn look_up(&self, name: &Name, kind: RecordType) -> Reply {
        let mut records = self.resolve(name, kind);
        let ttl = self.ttl(name);
        records.iter_mut().for_each(|record| record.ttl = ttl);
        match records.is_empty() {
            false => Reply::Records(records),
            true if self.known.contains(name) => Reply::NoData,
            true => Reply::NoName,
        }
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

    fn ttl(&self, name: &Name) -> u32 {
        self.lives.iter().find(|(owner, _)| owner.zone_of(name)).map_or(TTL, |(_, ttl)| *ttl)
    }

    fn behaviour(&self, name: &Name) -> Option<Behaviour> {
        let found = self.behaviours.iter().find(|(owner, _)| owner.zone_of(name));
        found.map(|(_, behaviour)| *behaviour)
    }
}

/// The name and all above it.
fn upwards(name: &Name) -> impl Iterator<Item = Name> + use<> {
    let above = |name: &Name| (!name.is_root()).then(|| name.base_name());
    std::iter::successors(Some(name.clone()), above)
}

/// Seconds. Short, so that caches soon see a change.
const TTL: u32 = 1;

/// Ends loops.
const MOST_ALIASES: usize = 8;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_proto::op::{Message, MessageType, OpCode, Query};

    use super::*;

    fn dns() -> Dns {
        let dns = Dns::start(([127, 0, 0, 1], 0).into()).unwrap();
        dns.srv("_xmpp-server._tcp.a.example", 0, 0, 5269, "xmpp.a.example");
        dns.a("xmpp.a.example", Ipv4Addr::LOCALHOST);
        dns
    }

    fn ask(dns: &Dns, name: &str, kind: RecordType) -> Message {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&send(dns, &query.to_vec().unwrap())).unwrap()
    }

    fn send(dns: &Dns, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(packet, dns.address()).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    #[test]
    fn a_domain_leads_to_its_port() {
        let dns = dns();
        let service = ask(&dns, "_XMPP-server._tcp.a.example.", RecordType::SRV);
        let [record] = service.answers.as_slice() else { panic!("{service:?}") };
        let RData::SRV(service) = &record.data else { panic!("{record:?}") };
        assert_eq!(service.port, 5269);
        let address = ask(&dns, &service.target.to_ascii(), RecordType::A);
        let [record] = address.answers.as_slice() else { panic!("{address:?}") };
        assert_eq!(record.data, RData::A(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(dns.questions(), ["_xmpp-server._tcp.a.example SRV", "xmpp.a.example A"]);
    }

    #[test]
    fn a_name_without_the_record_exists_and_an_unknown_name_does_not() {
        let dns = dns();
        let code = |name, kind| ask(&dns, name, kind).metadata.response_code;
        assert_eq!(code("xmpp.a.example.", RecordType::AAAA), ResponseCode::NoError);
        assert_eq!(code("a.example.", RecordType::A), ResponseCode::NoError);
        assert_eq!(code("b.example.", RecordType::SRV), ResponseCode::NXDomain);
        dns.clear("a.example");
        assert_eq!(code("a.example.", RecordType::A), ResponseCode::NXDomain);
    }

    #[test]
    fn bytes_that_are_no_question_get_no_answer() {
        let dns = dns();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for packet in [&b""[..], b"12", &[0; 12], &[0xff; 40], b"12345678901\x00\x03abc"] {
            socket.send_to(packet, dns.address()).unwrap();
        }
        // The answer to a question that came later is the first.
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii("a.example.").unwrap(), RecordType::A));
        socket.send_to(&query.to_vec().unwrap(), dns.address()).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(Message::from_vec(&buffer[..length]).unwrap().metadata.id, 7);
    }
}
