//! Unix sockets for components: the file, its permissions, a second node, the stop and the reload; TLS with OpenSSL's client.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use openssl::sha::sha1;
use serde_json::Value;

use crate::{
    control::Place,
    support::{BINARY, Network, Node, SECRET, SOON, Server, Setup, needs},
};

#[test]
fn a_component_at_a_unix_socket_carries_stanzas_and_is_shown() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, with_socket(&place));
    let socket = path(&place);
    let ready = node.eventually_logs(&["ready", "component="]);
    assert!(ready.contains(&format!(" component=unix:{} ", socket.display())), "{ready}");
    assert!(ready.contains(&format!(" component={}:5347 ", node.address())), "{ready}");

    let mut bot = connects(&socket, BOT, SECRET);
    let me = format!("pid={} ", std::process::id());
    node.eventually_logs(&[
        "nuncio::component",
        "is a process of this machine",
        &format!("name={BOT}"),
        &me,
        "uid=",
    ]);
    let mut inbox = node.inbox();
    inbox.sends_message(&format!("someone@{BOT}"), "to the bot", "");
    reads_until(&mut bot, "id='to the bot'", "id=\"to the bot\"");
    let answer = format!("<message from='someone@{BOT}' to='tester@{}' id='answer'/>", inbox.name());
    bot.write_all(answer.as_bytes()).unwrap();
    inbox.receives_id("answer");

    let address = format!("unix:{}", socket.display());
    for (command, list) in [("sessions", "links"), ("components", "components")] {
        let json: Value = serde_json::from_str(&place.tells(&[command, "--json"])).unwrap();
        let shown = json[list].as_array().unwrap().iter().map(ToString::to_string).collect::<String>();
        assert!(shown.contains(&format!("\"address\":\"{address}\"")), "{shown}");
        let table = place.tells(&[command]);
        assert!(table.contains(&address), "{table}");
    }
    assert!(refuses(&socket, BOT, "guess"));
    node.eventually_logs(&["WARN", "component refused", &format!("address={address}"), BOT]);
    let json: Value = serde_json::from_str(&place.tells(&["components", BOT, "--json"])).unwrap();
    let rejected = &json["components"][0]["rejected"];
    assert_eq!((&rejected["count"], &rejected["address"]), (&1.into(), &address.into()), "{json}");
}

#[test]
fn the_file_has_the_wanted_permissions_stays_over_a_reload_and_is_removed_at_the_stop() {
    let (network, place) = (Network::new(), Place::new());
    let own = fs::metadata("/proc/self").unwrap().gid();
    let setup = with_socket(&place)
        .set("listen.component_socket_mode", "\"0620\"")
        .set("listen.component_socket_group", &format!("\"{own}\""));
    let node = Node::start(&network, setup.clone());
    let socket = path(&place);
    let before = fs::metadata(&socket).unwrap();
    assert!(before.file_type().is_socket());
    assert_eq!((before.permissions().mode() & 0o777, before.gid()), (0o620, own));
    let _bot = connects(&socket, BOT, SECRET);

    let other = setup
        .set("listen.component_socket_mode", "\"0666\"")
        .set("listen.component_allow", "[\"192.0.2.0/24\"]");
    node.reconfigures(&network, &other);
    node.eventually_logs(&["WARN", "key=listen", "needs a restart"]);
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    let after = fs::metadata(&socket).unwrap();
    assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()), "the same socket");
    assert!(!node.process().logged(&["disconnected"]), "its component stays");

    assert!(node.terminate(SOON).success());
    assert!(!socket.exists());
}

#[test]
fn a_socket_that_a_killed_node_left_behind_is_replaced() {
    let (network, place) = (Network::new(), Place::new());
    let mut node = Node::start(&network, with_socket(&place));
    let socket = path(&place);
    node.process().signal("KILL");
    node.process().exit_within(SOON);
    assert!(socket.exists());
    node.starts_again();
    drop(connects(&socket, BOT, SECRET));
}

#[test]
fn the_socket_of_another_process_is_refused_with_the_reason() {
    let (network, place) = (Network::new(), Place::new());
    let socket = path(&place);
    let _live = UnixListener::bind(&socket).unwrap();
    let text = format!(
        "[listen]\ns2s = []\ncomponent = [\"unix:{}\"]\ncontrol = \"\"\n[[domain]]\nname = \"localhost\"\n",
        socket.display()
    );
    let file = network.directory("second").join("n.toml");
    fs::write(&file, text).unwrap();
    let output = Command::new(BINARY).args(["run", "--config", file.to_str().unwrap()]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("cannot listen for components on unix:") && told.contains("another node uses it"),
        "{told}"
    );
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn the_configuration_of_a_running_node_with_a_socket_is_fine() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, with_socket(&place));
    let file = node.file().to_str().unwrap().to_owned();
    let output = Command::new(BINARY).args(["check", "--config", &file]).output().unwrap();
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{screen}");
    assert!(!screen.contains("listen.component:"), "{screen}");
    assert!(
        screen.contains(&format!("  listener   unix:{} (components)", path(&place).display())),
        "{screen}"
    );
}

/// The client of OpenSSL, as stunnel and other programs use it: it verifies the chain and the name.
#[test]
fn a_foreign_client_verifies_the_certificate_and_connects_over_tls() {
    needs("openssl version", "openssl");
    let (network, place) = (Network::new(), Place::new());
    let address = network.address();
    let setup = with_socket(&place).set("listen.component_tls", &format!("[\"{address}:5348\"]"));
    let node = Node::start(&network, setup);
    let authority = network.file_of(&network.authority);
    let connect = format!("{address}:5348");
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-connect", &connect, "-servername", BOT])
        .args(["-verify_hostname", "nuncio.example", "-CAfile", authority.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    input.write_all(header(BOT).as_bytes()).unwrap();
    let opened = reads(&mut output, ">", 2);
    input.write_all(handshake(&opened, SECRET).as_bytes()).unwrap();
    reads(&mut output, "<handshake", 1);
    node.eventually_logs(&["nuncio::component", "secured", "protocol=TLSv1.3", &format!("sni={BOT}")]);
    let json: Value = serde_json::from_str(&place.tells(&["components", BOT, "--json"])).unwrap();
    assert_eq!(json["components"][0]["link"]["tls"]["protocol"], "TLSv1.3", "{json}");
    let table = place.tells(&["sessions", BOT]);
    assert!(table.contains("  TLSv1.3 ") && !table.contains("certificate: "), "{table}");
    let table = place.tells(&["components", BOT]);
    assert!(table.contains(", TLSv1.3  "), "{table}");
    drop(input);
    client.kill().unwrap();
    client.wait().unwrap();
}

/// Connects a component, or fails the test.
#[track_caller]
fn connects(socket: &Path, name: &str, secret: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(header(name).as_bytes()).unwrap();
    let opened = reads(&mut stream, ">", 2);
    stream.write_all(handshake(&opened, secret).as_bytes()).unwrap();
    let answer = reads(&mut stream, ">", 1);
    assert!(answer.contains("<handshake"), "{answer}");
    stream
}

/// Whether the node refuses a component with a secret.
fn refuses(socket: &Path, name: &str, secret: &str) -> bool {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(header(name).as_bytes()).unwrap();
    let opened = reads(&mut stream, ">", 2);
    stream.write_all(handshake(&opened, secret).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.contains("not-authorized")
}

fn header(name: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{name}'>"
    )
}

/// The handshake for the stream that a header of the node has opened.
fn handshake(opened: &str, secret: &str) -> String {
    let id = opened.split(" id=").nth(1).unwrap();
    let id = id[1..].split(['\'', '"']).next().unwrap();
    let digest = sha1(format!("{id}{secret}").as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<handshake>{digest}</handshake>")
}

/// Reads until `part` has arrived `times` times; the XML declaration ends with `>` too.
fn reads(stream: &mut impl Read, part: &str, times: usize) -> String {
    let (mut read, mut byte) = (String::new(), [0]);
    while read.matches(part).count() < times {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{read}");
        read.push(byte[0].into());
    }
    read
}

fn reads_until(stream: &mut UnixStream, one: &str, other: &str) {
    let mut read = String::new();
    while !read.contains(one) && !read.contains(other) {
        read.push_str(&reads(stream, ">", 1));
    }
}

fn path(place: &Place) -> PathBuf {
    place.file("component.sock")
}

fn with_socket(place: &Place) -> Setup {
    let addresses = format!("[\"{{ip}}:5347\", \"unix:{}\"]", path(place).display());
    place.setup().component(BOT).set("listen.component", &addresses)
}

const BOT: &str = "bot.nuncio.example";
