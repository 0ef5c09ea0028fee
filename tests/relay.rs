//! Unusual addresses: a sweep through Unicode in localparts and resourceparts, in `from` and `to`, in both directions. No
//! stream ends, and each message arrives or is answered.

use std::collections::BTreeMap;
use std::time::Instant;

use unicode_normalization::UnicodeNormalization;

use crate::support::{
    Certificate, Component, Element, Network, Node, Prosody, Purpose, SOON, Server, Setup, Tenant, in_ascii,
};

// rows: E5
#[test]
fn relays_each_address_that_prosody_relays() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    sweep(&network, &prosody);
}

// rows: E5
#[test]
fn relays_each_address_that_ejabberd_relays() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    sweep(ejabberd.network(), &ejabberd);
}

/// The part of an address that contains the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Local,
    Resource,
}

/// The attribute with the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Attribute {
    From,
    To,
}

/// One message of the sweep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    part: Part,
    attribute: Attribute,
    text: String,
}

/// The outcome of a message of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Delivered,
    /// Answered by the node: the other server relayed it.
    RefusedByNode,
    /// Answered by the other server, which did not relay or accept it.
    RefusedByPeer,
    /// Not answered: an answer cannot be sent to an address that is refused.
    Dropped,
}

fn sweep(network: &Network, peer: &dyn Server) {
    let node = Node::start(network, Setup::of(&format!("nuncio-{}", peer.domain())));
    let (mut here, mut there) = (node.inbox(), peer.inbox());
    here.sends_message(&format!("x@{}", there.name()), "warm-out", "");
    there.receives_id("warm-out");
    there.sends_message(&format!("x@{}", here.name()), "warm-in", "");
    here.receives_id("warm-in");

    let forms: Vec<Form> = forms();
    let into = run(&forms, &mut there, &mut here);
    let out = run(&forms, &mut here, &mut there);
    for (direction, outcomes) in [("to the node", &into), ("from the node", &out)] {
        let count = |wanted| outcomes.values().filter(|outcome| **outcome == wanted).count();
        println!(
            "{} {direction}: {} forms; {} delivered, {} refused by the node, {} refused by the peer, {} dropped",
            peer.domain(),
            forms.len(),
            count(Outcome::Delivered),
            count(Outcome::RefusedByNode),
            count(Outcome::RefusedByPeer),
            count(Outcome::Dropped)
        );
    }
    let refused: Vec<_> = into
        .iter()
        .chain(&out)
        .filter(|(form, outcome)| **outcome == Outcome::RefusedByNode && !is_unsafe(form))
        .collect();
    assert!(
        refused.is_empty(),
        "{} safe forms refused, such as {:?}",
        refused.len(),
        &refused[..refused.len().min(20)]
    );

    // The node dropped only messages with an unsafe sender, which cannot be answered.
    let silent = |(form, outcome): &(&Form, &Outcome)| **outcome == Outcome::Dropped && is_unsafe(form);
    let most = into.iter().filter(silent).count();
    let dropped = node.process().lines().iter().filter(|line| line.contains("answered=false")).count();
    assert!(
        dropped <= most,
        "the node dropped {dropped} messages, of which at most {most} may have no answer"
    );

    // Both links are still the first ones.
    let names = [in_ascii(here.name()), in_ascii(there.name())];
    let pair = |line: &String| names.iter().all(|name| line.contains(name.as_str()));
    let lines = node.process().lines();
    for event in ["closed", "no link", "link lost"] {
        let ends: Vec<_> = lines.iter().filter(|line| pair(line) && line.contains(event)).collect();
        assert!(ends.is_empty(), "a link ended: {ends:?}");
    }
    let authenticated = lines.iter().filter(|line| pair(line) && line.contains("authenticated")).count();
    assert_eq!(authenticated, 2, "one link each way");
}

/// Sends all forms from one component to another in batches. A marker that returns behind a batch shows that the batch
/// is complete. Then only a message with an unusual sender may be without an answer.
fn run(forms: &[Form], from: &mut Component, to: &mut Component) -> BTreeMap<Form, Outcome> {
    let mut outcomes = BTreeMap::new();
    for (number, batch) in forms.chunks(BATCH).enumerate() {
        let mut open: BTreeMap<String, &Form> =
            batch.iter().enumerate().map(|(at, form)| (format!("{number}-{at}"), form)).collect();
        let text: String = open.iter().map(|(id, form)| form.message(id, from.name(), to.name())).collect();
        from.sends(&text);
        let marker = format!("marker-{number}");
        from.sends_message(&format!("x@{}", to.name()), &marker, "");
        let mut is_back = false;
        let deadline = Instant::now() + SOON;
        loop {
            for (component, arrived) in [(&mut *to, true), (&mut *from, false)] {
                while component.has_received() {
                    let stanza = component.next(SOON).expect("a stanza that was received");
                    if stanza.attribute("id") == marker {
                        match arrived {
                            true => component.sends_message(stanza.attribute("from"), &marker, ""),
                            false => is_back = true,
                        }
                    }
                    let Some(form) = open.remove(stanza.attribute("id")) else { continue };
                    if arrived {
                        form.compare(&stanza);
                    }
                    outcomes.insert(form.clone(), outcome(&stanza, arrived));
                }
            }
            if is_back && open.values().all(|form| form.attribute == Attribute::From) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "neither delivered nor answered: {open:?}, marker back: {is_back}"
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        outcomes.extend(open.into_values().map(|form| (form.clone(), Outcome::Dropped)));
    }
    outcomes
}

fn outcome(stanza: &Element, arrived: bool) -> Outcome {
    if arrived {
        assert_ne!(stanza.attribute("type"), "error", "{stanza}");
        return Outcome::Delivered;
    }
    assert_eq!(stanza.attribute("type"), "error", "{stanza}");
    let error = stanza.expect("error");
    match error.child("text") {
        Some(text) if text.text().contains(NODE_SAYS) => Outcome::RefusedByNode,
        _ => Outcome::RefusedByPeer,
    }
}

impl Form {
    fn message(&self, id: &str, from: &str, to: &str) -> String {
        let text: String = self.text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect();
        let address = |domain: &str| match self.part {
            Part::Local => format!("a{text}b@{domain}/r"),
            Part::Resource => format!("a@{domain}/r{text}s"),
        };
        let (from, to) = match self.attribute {
            Attribute::From => (address(from), format!("x@{to}/y")),
            Attribute::To => (format!("x@{from}/y"), address(to)),
        };
        format!("<message from='{from}' to='{to}' id='{id}'><body>{id}</body></message>")
    }

    /// The peer may normalise addresses; the address that arrives has all its parts.
    fn compare(&self, stanza: &Element) {
        let name = match self.attribute {
            Attribute::From => "from",
            Attribute::To => "to",
        };
        let (local, rest) = stanza.attribute(name).split_once('@').expect("a localpart");
        let (domain, resource) = rest.split_once('/').expect("a resourcepart");
        assert!(!local.is_empty() && domain.ends_with(".example") && !resource.is_empty(), "{stanza}");
    }
}

/// Whether a relay refuses the form: control characters, and in a localpart characters that compatibility normalisation
/// turns into a separator or a quote (RFC 7622, section 3.3.1).
fn is_unsafe(form: &Form) -> bool {
    if form.text.chars().any(char::is_control) {
        return true;
    }
    let normal = form.text.nfkc();
    form.part == Part::Local && normal.into_iter().any(|c| "\"&'/:<>@ ".contains(c))
}

/// A sample of Unicode: whole blocks where the tables of stringprep and PRECIS differ most, every 97th character
/// elsewhere, and sequences.
fn forms() -> Vec<Form> {
    let characters = SAMPLE.iter().flat_map(|(first, last, step)| (*first..=*last).step_by(*step));
    let characters = characters.filter_map(char::from_u32).filter(|c| is_xml(*c)).map(String::from);
    let texts: Vec<String> = characters.chain(SEQUENCES.map(str::to_owned)).collect();
    let mut forms = Vec::new();
    for part in [Part::Local, Part::Resource] {
        for attribute in [Attribute::From, Attribute::To] {
            // The separators of an address are another test.
            let separates = |text: &String| match part {
                Part::Local => text.contains(['@', '/']),
                Part::Resource => false,
            };
            let texts = texts.iter().filter(|text| !separates(text));
            forms.extend(texts.map(|text| Form { part, attribute, text: text.clone() }));
        }
    }
    forms
}

/// Extensible Markup Language (XML) 1.0, production 2.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Ranges of code points, first and last, and the distance from one to the next.
const SAMPLE: [(u32, u32, usize); 14] = [
    (0x9, 0x6ff, 1),
    (0x700, 0x1fff, 97),
    (0x2000, 0x23ff, 1),
    (0x2400, 0x259f, 31),
    (0x25a0, 0x26ff, 1),
    (0x2700, 0x2fff, 31),
    (0x3000, 0x303f, 1),
    (0x3040, 0xd7ff, 97),
    (0xe000, 0xfdff, 97),
    (0xfe00, 0xfffd, 1),
    (0x1_0000, 0x1_f2ff, 97),
    (0x1_f300, 0x1_faff, 7),
    (0x1_fb00, 0x10_ffff, 4099),
    (0xe_0001, 0xe_01ef, 13),
];

/// Sequences whose characters depend on each other: emoji, digits of two scripts, both directions of writing, accents that
/// compose, Hangul, context rules.
const SEQUENCES: [&str; 12] = [
    "👩\u{200d}💻",
    "❤\u{fe0f}",
    "١۱",
    "אa1",
    "1א",
    "e\u{301}",
    "\u{1100}\u{1161}",
    "l·l",
    "·",
    "ـ",
    "・",
    "क\u{94d}\u{200d}ष",
];

/// Words that only error texts of the node contain.
const NODE_SAYS: &str = "part";

/// Messages in transit at once: fewer than any queue holds.
const BATCH: usize = 200;
