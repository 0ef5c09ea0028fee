//! Gateways: biboumi with an IRC network, and the Perl library AnyEvent::XMPP. No user input ends the component's
//! connection.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{
    Component, Network, Node, Process, Prosody, SECRET, SOON, Server, Setup, eventually, needs,
};

#[test]
fn names_typed_by_irc_users_do_not_disconnect_biboumi() {
    let irc = Irc::start();
    let mut user = irc.prosody.inbox();
    let mut stranger = irc.client("stranger");

    irc.joins(&mut user, "#room", "guest");
    stranger.sends("JOIN #room");
    for (number, name) in HOSTILE_CHANNELS.iter().enumerate() {
        stranger.sends_bytes(name, |name| [b"INVITE guest ".as_slice(), name, b"\r\n"].concat());
        stranger.sends_bytes(name, |name| [b"JOIN ".as_slice(), name, b"\r\n"].concat());
        stranger.sends_bytes(name, |name| [b"INVITE guest ".as_slice(), name, b"\r\n"].concat());
        stranger.sends_bytes(name, |name| [b"TOPIC #room :".as_slice(), name, b"\r\n"].concat());
        stranger.sends_bytes(name, |name| [b"PRIVMSG guest :".as_slice(), name, b"\r\n"].concat());
        // The stanza behind it arrives.
        let marker = format!("marker {number}");
        stranger.sends(&format!("PRIVMSG #room :{marker}"));
        user.receives(&marker, |stanza| stanza.child("body").is_some_and(|body| body.text() == marker));
    }
    for (number, nick) in HOSTILE_NICKNAMES.iter().enumerate() {
        stranger.sends(&format!("NICK {nick}"));
        let marker = format!("nickname {number}");
        stranger.sends(&format!("PRIVMSG #room :{marker}"));
        user.receives(&marker, |stanza| stanza.child("body").is_some_and(|body| body.text() == marker));
    }
    irc.is_still_the_first_connection();
}

#[test]
fn names_typed_by_xmpp_users_do_not_disconnect_biboumi() {
    let irc = Irc::start();
    let mut user = irc.prosody.inbox();
    let mut stranger = irc.client("stranger");
    stranger.sends("JOIN #room");
    irc.joins(&mut user, "#room", "guest");
    for (number, (local, resource)) in TYPED.iter().enumerate() {
        let to = format!("{local}%{}@{GATEWAY}/{resource}", irc.address);
        let from = user.name().to_owned();
        user.sends(&format!(
            "<presence from='tester@{from}/r' to='{to}' id='p{number}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>\
             <message from='tester@{from}/r' to='{to}' id='m{number}' type='chat'><body>x</body></message>\
             <iq from='tester@{from}/r' to='{to}' id='i{number}' type='get'>\
             <query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
        ));
        // An IQ request is answered, whatever its address became.
        user.receives_id(&format!("i{number}"));
        let marker = format!("marker {number}");
        stranger.sends(&format!("PRIVMSG #room :{marker}"));
        user.receives(&marker, |stanza| stanza.child("body").is_some_and(|body| body.text() == marker));
    }
    irc.is_still_the_first_connection();
}

#[test]
fn a_component_of_anyevent_xmpp_converses() {
    needs("perl -MAnyEvent::XMPP::Component -e 1", "libanyevent-xmpp-perl");
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, Setup::of("nuncio.example").component("echo.nuncio.example"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/echo.pl");
    let address = node.address().to_string();
    let arguments = [script, "echo.nuncio.example", SECRET, &address, "5347"];
    let echo = Process::start("anyevent", &network.directory("anyevent"), "/usr/bin/perl", &arguments, &[]);
    echo.eventually_logs(&["connected"]);

    let mut asker = prosody.inbox();
    for number in 0..20 {
        let text = format!("Grüße {number}");
        asker.sends_message("anyone@echo.nuncio.example", &format!("asked-{number}"), &text);
        let answer = asker.receives("an echo", |stanza| stanza.name == "message");
        assert_eq!(answer.attribute("from"), "anyone@echo.nuncio.example");
        assert_eq!(answer.expect("body").text(), format!("you said: {text}"));
    }
    assert!(!echo.logged(&["disconnected"]), "{:?}", echo.lines());
}

/// biboumi as a component of a node, an IRC server, and a Prosody with users.
struct Irc {
    address: Ipv4Addr,
    prosody: Prosody,
    node: Node,
    _biboumi: Process,
    _server: Process,
    _network: Network,
}

impl Irc {
    #[track_caller]
    fn start() -> Self {
        needs("command -v biboumi", "biboumi");
        needs("command -v ngircd", "ngircd");
        let network = Network::new();
        let address = network.address();
        let directory = network.directory("ngircd");
        fs::write(
            directory.join("ngircd.conf"),
            format!(
                "[Global]\nName = irc.example.net\nInfo = test\nListen = {address}\nPorts = 6667\n\
                 [Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxNickLength = 31\nPingTimeout = 600\nMaxPenaltyTime = 0\n\
                 [Options]\nDNS = no\nIdent = no\nPAM = no\n"
            ),
        )
        .unwrap();
        let server = Process::start("ngircd", &directory, "ngircd", &["-n", "-f", "ngircd.conf"], &[]);
        let prosody = Prosody::start(&network, Setup::of("prosody.example"));
        let node = Node::start(&network, Setup::of("nuncio.example").component(GATEWAY));
        eventually("ngircd listens", || TcpStream::connect((address, 6667)).ok());

        let directory = network.directory("biboumi");
        fs::write(
            directory.join("biboumi.cfg"),
            format!(
                "hostname={GATEWAY}\npassword={SECRET}\nxmpp_server_ip={}\nport=5347\n\
                 db_name={}\noutgoing_bind={address}\nlog_level=0\n",
                node.address(),
                directory.join("biboumi.sqlite").display(),
            ),
        )
        .unwrap();
        let biboumi = Process::start("biboumi", &directory, "biboumi", &["biboumi.cfg"], &[]);
        node.eventually_logs(&["nuncio::component", GATEWAY]);
        Self { address, prosody, node, _biboumi: biboumi, _server: server, _network: network }
    }

    /// Makes a user of Prosody join a channel, and waits until the gateway confirms it.
    #[track_caller]
    fn joins(&self, user: &mut Component, channel: &str, nick: &str) {
        let from = user.name().to_owned();
        user.sends(&format!(
            "<presence from='tester@{from}/r' to='{channel}%{}@{GATEWAY}/{nick}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>",
            self.address
        ));
        user.receives("a subject, which ends the entry into a room", |stanza| {
            stanza.is("message", "groupchat") && stanza.child("subject").is_some()
        });
    }

    /// Connects to the IRC server as a user without an XMPP account.
    #[track_caller]
    fn client(&self, nick: &str) -> Client {
        let stream = TcpStream::connect((self.address, 6667)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).split(b'\n').map_while(Result::ok);
        let mut client = Client { stream };
        client.sends(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}"));
        let deadline = Instant::now() + SOON;
        let welcome = lines.find(|line| String::from_utf8_lossy(line).contains(" 001 "));
        assert!(welcome.is_some() && Instant::now() < deadline, "ngircd does not welcome {nick}");
        // Later data is read and ignored, so that the server can write.
        std::thread::spawn(move || lines.count());
        client
    }

    /// Checks that the component never reconnected.
    #[track_caller]
    fn is_still_the_first_connection(&self) {
        let lines = self.node.process().lines();
        let of_gateway = |line: &&String| line.contains("nuncio::component") && line.contains(GATEWAY);
        let (ended, connected): (Vec<_>, Vec<_>) = lines
            .iter()
            .filter(of_gateway)
            .filter(|line| line.contains("connected"))
            .partition(|line| line.contains("disconnected"));
        assert_eq!(connected.len(), 1, "{connected:?}");
        assert!(ended.is_empty(), "{ended:?}");
    }
}

/// An IRC user.
struct Client {
    stream: TcpStream,
}

impl Client {
    #[track_caller]
    fn sends(&mut self, line: &str) {
        self.sends_bytes(line.as_bytes(), |line| [line, b"\r\n"].concat());
    }

    #[track_caller]
    fn sends_bytes(&mut self, name: &[u8], line: impl Fn(&[u8]) -> Vec<u8>) {
        self.stream.write_all(&line(name)).expect("the IRC server is connected");
        // An IRC server slows down clients that write fast.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Channel names that IRC permits: symbols, quotes, separators of addresses, invisible and control characters, both
/// writing directions, bytes that are not UTF-8, lookalikes of separators.
const HOSTILE_CHANNELS: [&[u8]; 18] = [
    "#a♥b".as_bytes(),
    b"#a\"b",
    b"#a&b",
    b"#a'b",
    b"#<b>",
    b"#a@b",
    b"#a/b",
    b"#a%b",
    b"#a\\20b",
    "#a＠b".as_bytes(),
    "#a／b".as_bytes(),
    "#a\u{200b}b".as_bytes(),
    "#a\u{202e}b".as_bytes(),
    "#א1a".as_bytes(),
    b"#a\x02b",
    b"#a\x1fb\x7f",
    b"#\xe4\xf6\xfc",
    b"#\xff\xfe",
];

/// Unusual nicknames that IRC permits.
const HOSTILE_NICKNAMES: [&str; 5] = ["[a]", "a`b^c", "{|}", "_\\_", "a|b-c"];

/// Unusual rooms and resources of XMPP users.
const TYPED: [(&str, &str); 12] = [
    ("#a♥b", "x"),
    ("#foo", "foo·bar"),
    ("#foo", "ـ"),
    ("#foo", "a\u{200b}b"),
    ("#foo", "🫠"),
    ("#foo", "a b"),
    ("#foo", "a@b/c"),
    ("#a@b", "x"),
    ("#ａ", "ａ"),
    ("♥", "♥"),
    ("%", "%"),
    ("#a%b%c", "x"),
];

const GATEWAY: &str = "irc.nuncio.example";
