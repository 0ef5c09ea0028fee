//! `nuncio check`: addresses and the control socket, with and without a running node.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use super::{Desk, check, text};
use crate::support::{Network, Node, Server, Setup};

#[test]
fn a_missing_directory_of_the_control_socket_and_a_readable_secret_are_reported() {
    let desk = Desk::new();
    let screen = desk.fails(
        "[listen]\ncontrol = \"/nowhere/nuncio.sock\"\n[[domain]]\nname = \"localhost\"\n\
         [[component]]\nname = \"echo.localhost\"\nsecret = \"hush\"\n",
        &["--offline"],
    );
    assert!(screen.contains("error: listen.control: directory /nowhere does not exist"), "{screen}");
    assert!(
        screen.contains("warning: component.secret: n.toml contains a secret, and every user"),
        "{screen}"
    );
}

#[test]
fn a_control_socket_that_prevents_the_start_is_an_error() {
    let desk = Desk::new();
    fs::write(desk.directory.join("file.sock"), "important").unwrap();
    let listener = UnixListener::bind(desk.directory.join("live.sock")).unwrap();
    drop(UnixListener::bind(desk.directory.join("dead.sock")).unwrap());
    let text = |control: &str| {
        format!(
            "[listen]\ns2s = []\ncomponent = []\ncontrol = \"{control}\"\n[[domain]]\nname = \"localhost\"\n"
        )
    };
    let screen = desk.fails(&text("file.sock"), &["--offline"]);
    assert!(
        screen.contains(
            "error: listen.control: cannot create the control socket file.sock: the file exists and is not a socket"
        ),
        "{screen}"
    );
    // Not even root can create files there.
    let screen = desk.ends_somehow(&text("/proc/nuncio.sock"), &["--offline"]);
    assert!(screen.contains(": listen.control: ") && screen.contains("/proc/nuncio.sock"), "{screen}");
    let screen = desk.fails(&text("live.sock"), &[]);
    assert!(
        screen.contains(
            "error: listen.control: cannot create the control socket live.sock: another node uses it (process "
        ),
        "{screen}"
    );
    assert!(!desk.passes(&text("live.sock"), &["--offline"]).contains("listen.control"), "files only");
    drop(listener);
    for dead in ["live.sock", "dead.sock"] {
        let screen = desk.passes(&text(dead), &[]);
        assert!(!screen.contains("listen.control") && screen.contains(dead), "{screen}");
    }
}

#[test]
fn a_component_socket_that_prevents_the_start_is_found() {
    let desk = Desk::new();
    fs::write(desk.directory.join("file.sock"), "important").unwrap();
    let _listener = UnixListener::bind(desk.directory.join("live.sock")).unwrap();
    drop(UnixListener::bind(desk.directory.join("dead.sock")).unwrap());
    let text = |socket: &str| {
        format!(
            "[listen]\ns2s = []\ncomponent = [\"unix:{socket}\"]\ncontrol = \"\"\n[[domain]]\nname = \"localhost\"\n"
        )
    };
    for (socket, expected) in [
        ("/nowhere/c.sock", "error: listen.component: directory /nowhere does not exist\n --> n.toml:3:14\n"),
        (
            "file.sock",
            "error: listen.component: cannot create the socket file.sock: the file exists and is not a socket",
        ),
        ("live.sock", "error: listen.component: live.sock: another node uses it (process "),
    ] {
        let screen = desk.fails(&text(socket), &[]);
        assert!(screen.contains(expected), "{screen}");
    }
    assert!(!desk.passes(&text("live.sock"), &["--offline"]).contains("listen.component"), "files only");
    let screen = desk.passes(&text("dead.sock"), &[]);
    assert!(screen.contains("\n  listener   unix:dead.sock (components)\n"), "{screen}");
    // A unit creates it at the start.
    let screen = desk.passes(&text("/run/nuncio-missing/c.sock"), &[]);
    assert!(
        screen.contains("warning: listen.component: directory /run/nuncio-missing does not exist"),
        "{screen}"
    );
    assert!(screen.contains("help: systemd creates /run/nuncio when the unit starts"), "{screen}");
}

#[test]
fn a_directory_that_keeps_components_from_their_socket_is_a_warning() {
    let desk = Desk::new();
    let closed = desk.directory.join("closed");
    fs::create_dir(&closed).unwrap();
    let text = |mode: &str| {
        format!(
            "[listen]\ns2s = []\ncomponent = [\"unix:closed/c.sock\"]\ncomponent_socket_mode = \"{mode}\"\n\
             control = \"\"\n[[domain]]\nname = \"localhost\"\n"
        )
    };
    let is_warned = |mode: &str, directory: u32| {
        fs::set_permissions(&closed, fs::Permissions::from_mode(directory)).unwrap();
        let screen = desk.passes(&text(mode), &["--offline"]);
        screen.contains(
            "warning: listen.component: all users may use the socket, but the directory closed (mode 0700) lets only",
        )
    };
    assert!(is_warned("0666", 0o700));
    assert!(!is_warned("0666", 0o711) && !is_warned("0660", 0o700));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_default_control_socket_that_cannot_be_created_is_a_warning_and_not_listed() {
    let desk = Desk::new();
    let deep = desk.directory.join("x".repeat(90));
    fs::create_dir(&deep).unwrap();
    let file = deep.join("n.toml");
    fs::write(&file, "[listen]\ns2s = []\ncomponent = []\n[[domain]]\nname = \"localhost\"\n").unwrap();
    let screen = text(&check(&desk.directory, file.to_str().unwrap(), &["--offline"]));
    assert!(
        screen.contains(
            "warning: listen.control: no control socket: nuncio explain and similar commands do not work: "
        ),
        "{screen}"
    );
    assert!(screen.contains("107 bytes") && !screen.contains("(commands)"), "{screen}");
}

#[test]
fn an_address_of_another_machine_or_another_process_is_an_error() {
    let desk = Desk::new();
    let address = desk.network.address();
    let _taken = TcpListener::bind((address, 5269)).unwrap();
    let text = format!(
        "[listen]\ns2s = [\"{address}:5269\"]\ns2s_tls = [\"192.0.2.7:5270\"]\ncomponent = []\n\
         [[domain]]\nname = \"localhost\"\n"
    );
    let screen = desk.fails(&text, &[]);
    // The test binary; the kernel keeps 15 bytes of its name.
    let program = fs::read_to_string("/proc/self/comm").unwrap();
    let taken = format!("error: listen.s2s: {address}:5269 is in use by {}", program.trim());
    assert!(screen.contains(&taken), "{screen}");
    assert!(screen.contains("help: stop that process, or choose another address"), "{screen}");
    assert!(
        screen.contains(
            "error: listen.s2s_tls: 192.0.2.7 is not an address of this machine\n --> n.toml:3:12\n"
        ),
        "{screen}"
    );
    assert!(screen.starts_with("the node cannot start with n.toml: 2 errors, 1 warning\n\n"), "{screen}");
    assert!(!desk.passes(&text, &["--offline"]).contains("listen."), "files only");
}

#[test]
fn the_configuration_of_a_running_node_is_fine() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("listen.control", "\"node.sock\"");
    let node = Node::start(&network, setup);
    let directory = network.directory("nuncio.example");
    let output = check(&directory, "nuncio.toml", &[]);
    let screen = text(&output);
    assert_eq!(output.status.code(), Some(0), "{screen}");
    let process = node.process().id();
    let expected = format!(" in use by a running node (process {process}; expected while it runs)");
    let notes: Vec<&str> = screen.lines().filter(|line| line.contains("in use")).collect();
    assert!(notes.len() == 1 && notes[0].starts_with("note: ") && notes[0].contains(&expected), "{screen}");
    assert!(!screen.contains("listen."), "one line is all: {screen}");
    assert!(!screen.contains("DNS"), "the names lead here: {screen}");
}

#[test]
fn an_address_of_another_node_is_an_error() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("listen.control", "\"node.sock\"");
    let node = Node::start(&network, setup);
    let directory = network.directory("nuncio.example");
    let other = fs::read_to_string(directory.join("nuncio.toml")).unwrap().replace("node.sock", "other.sock");
    fs::write(directory.join("other.toml"), other).unwrap();
    let output = check(&directory, "other.toml", &[]);
    let screen = text(&output);
    assert_eq!(output.status.code(), Some(1), "{screen}");
    let expected = format!(":5269 is in use by another nuncio (process {})", node.process().id());
    assert!(screen.contains(&expected), "{screen}");
    assert!(screen.contains("the node cannot start with other.toml: "), "{screen}");
}
