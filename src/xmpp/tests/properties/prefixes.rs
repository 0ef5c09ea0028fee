//! Valid stanzas in which every name may have a prefix, and every prefix may have another namespace further
//! inside.

use crate::mutants::Random;
use xmpp::xml::ns;

/// Which prefix means what, outermost first.
type Scope<'a> = Vec<(&'static str, &'a str)>;

/// The header of a stream for content in `namespace`, and a stanza on it.
pub(crate) fn stream(namespace: &str, random: &mut Random) -> (String, String) {
    let mut scope = vec![("", namespace), ("stream", ns::STREAM)];
    let mut header = format!("<stream:stream xmlns='{namespace}' xmlns:stream='{}'", ns::STREAM);
    declare(&mut header, &mut scope, &PREFIXES[1..3], random);
    header.push('>');

    let mut tag = String::new();
    if random.below(3) == 0 {
        declare(&mut tag, &mut scope, &PREFIXES, random);
    }
    // The stanza is in the content namespace, by whatever prefix there is for it.
    let own: Scope<'_> = bound(&scope).into_iter().filter(|(_, uri)| *uri == namespace).collect();
    let name = if own.is_empty() {
        tag += &format!(" xmlns:own='{namespace}'");
        scope.push(("own", namespace));
        "own:message".to_owned()
    } else {
        qualified(own[random.below(own.len())].0, "message")
    };
    attributes(&mut tag, &scope, random);
    let mut stanza = format!("<{name} to='b.example'{tag} from='a.example'>");
    children(&mut stanza, &mut scope, 1, random);
    stanza += &format!("</{name}>");
    (header, stanza)
}

fn children(out: &mut String, scope: &mut Scope<'_>, depth: usize, random: &mut Random) {
    for _ in 0..random.below(4) {
        if random.below(4) == 0 {
            out.push_str("t &#x41;");
        }
        let outer = scope.len();
        let mut tag = String::new();
        if random.below(2) == 0 {
            declare(&mut tag, scope, &PREFIXES, random);
        }
        let names = bound(scope);
        let name = qualified(names[random.below(names.len())].0, ["body", "x"][random.below(2)]);
        attributes(&mut tag, scope, random);
        if depth < 5 && random.below(3) > 0 {
            *out += &format!("<{name}{tag}>");
            children(out, scope, depth + 1, random);
            *out += &format!("</{name} >");
        } else {
            *out += &format!("<{name}{tag} />");
        }
        scope.truncate(outer);
    }
}

/// Declares some of the prefixes.
fn declare(tag: &mut String, scope: &mut Scope<'_>, prefixes: &[&'static str], random: &mut Random) {
    for &prefix in prefixes {
        if random.below(3) > 0 {
            continue;
        }
        let possible = NAMESPACES.len() - usize::from(!prefix.is_empty());
        let uri = NAMESPACES[random.below(possible)];
        let (colon, quote) = (if prefix.is_empty() { "" } else { ":" }, ["'", "\""][random.below(2)]);
        *tag += &format!(" xmlns{colon}{prefix}={quote}{uri}{quote}");
        scope.push((prefix, uri));
    }
}

fn attributes(tag: &mut String, scope: &Scope<'_>, random: &mut Random) {
    let prefixes: Scope<'_> = bound(scope).into_iter().filter(|(prefix, _)| !prefix.is_empty()).collect();
    // Sometimes one local name in two namespaces.
    let (first, second) = (random.below(prefixes.len()), random.below(prefixes.len()));
    if random.below(6) == 0 {
        *tag += &format!(" {}='&lt;'", qualified(prefixes[first].0, "k"));
    }
    if random.below(6) == 0 && first != second {
        *tag += &format!(" {}=''", qualified(prefixes[second].0, "k"));
    }
    if random.below(10) == 0 {
        tag.push_str(" xml:lang='fr' k=''");
    }
}

/// The namespace of each prefix in the end.
fn bound<'a>(scope: &Scope<'a>) -> Scope<'a> {
    let mut bound: Scope<'a> = Vec::new();
    for &(prefix, uri) in scope.iter().rev() {
        if bound.iter().all(|(inner, _)| *inner != prefix) {
            bound.push((prefix, uri));
        }
    }
    bound
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
}

const PREFIXES: [&str; 4] = ["", "s", "p", "q"];

/// No prefix can mean the last, which is none.
const NAMESPACES: [&str; 6] = [ns::SERVER, ns::COMPONENT, ns::CLIENT, "urn:x", "urn:y", ""];
