//! Small random changes to valid stanzas and headers, the same in every run.

use std::{env, iter};

/// Valid elements that use every part of XML and XMPP.
pub(crate) const SEEDS: [&str; 8] = [
    "<message from='juliet@a.example/balcony' to='romeo@b.example' type='chat' id='x&amp;1'>\
     <body>Wherefore &lt;art&gt; thou?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<iq xml:lang='de' to=\"b.example\" from='a.example' type='get' id=\"q'1\"><query xmlns='jabber:iq:roster' ver=''/></iq>",
    "<presence from='a@a.example' to='b@b.example'><show>away</show><c xmlns='urn:caps' hash='sha-1' node='n' ver='v='/></presence>",
    "<db:result from='a.example' to='b.example'>d0e1f2</db:result>",
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
    "<message to='b.example' from='a.example'><p:x xmlns:p='urn:p' xmlns:q='urn:q' p:k='1' q:k='2' k='3'><q:y db:z=''/>\u{e9}\u{20ac}\u{1f916}</p:x></message>",
    "<message to='b.example' from='a.example' xmlns='jabber:server'><forwarded xmlns='urn:xmpp:forward:0'>\
     <message xmlns='jabber:server'><body>\n]]&gt;\t</body></message></forwarded><\u{e9}t\u{e9} \u{f1}\u{b7}='&#xe9;&#233;'/></message>",
    "<s:message xmlns:s='jabber:server' to='b.example' from='a.example'><s:body><![CDATA[<&]]]]><![CDATA[>]]></s:body><z xmlns=''/></s:message>",
];

/// Text that is inserted as damage.
const TOKENS: [&[u8]; 58] = [
    b"<",
    b">",
    b"&",
    b"'",
    b"\"",
    b"=",
    b"/",
    b":",
    b";",
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x01",
    b"\x7f",
    b"-",
    b"1",
    b"]",
    b"?",
    b"!",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"-->",
    b"<?",
    b"<?pi x?>",
    b"<!DOCTYPE a>",
    b"&amp;",
    b"&lt;",
    b"&nbsp;",
    b"&#65;",
    b"&#x41;",
    b"&#0;",
    b"&#xFFFE;",
    b"&#xD800;",
    b"&#x1F916;",
    b"&#X41;",
    b" xmlns='urn:x'",
    b" xmlns=''",
    b" xmlns:p='urn:q'",
    b" xmlns:p=''",
    b" p:k='9'",
    b" xml:lang='en'",
    b" xmlns='jabber:server'",
    b" xmlns:db='urn:db'",
    b" to='c.example'",
    b"<a/>",
    b"<b>",
    b"</b>",
    b"xmlns",
    b"xml:",
    b"\xc3\xa9",
    b"\xc2\xb7",
    b"\xef\xbf\xbe",
    b"\xff",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
];

/// Valid stream headers.
pub(crate) const HEADERS: [&str; 4] = [
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='b.example'>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='yes' ?>\n<s:stream xmlns:s='http://etherx.jabber.org/streams' xml:lang='de'\n>",
    "<stream xmlns='http://etherx.jabber.org/streams' from='a.example' to='b.example'/>",
    "<stream:stream from='a.example' id='&#x41;&lt;' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>",
];

/// The number of texts of a kind in this run.
pub(crate) fn cases() -> usize {
    env::var("NUNCIO_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000)
}

/// The damaged texts of this run.
pub(crate) fn mutants(seeds: &'static [&'static str]) -> impl Iterator<Item = Vec<u8>> {
    damaged(seeds).take(cases())
}

/// Seeds with one to three damages each, without end.
pub(crate) fn damaged(seeds: &[impl AsRef<[u8]>]) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    iter::repeat_with(move || {
        let mut mutant = seeds[random.below(seeds.len())].as_ref().to_vec();
        for _ in 0..=random.below(3) {
            damage(&mut mutant, seeds, &mut random);
        }
        mutant
    })
}

fn damage(bytes: &mut Vec<u8>, seeds: &[impl AsRef<[u8]>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = bytes.len().min(at + random.below(12));
    match random.below(8) {
        // Puts a token in.
        0..=3 => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
        // Replaces a byte or a few by a token.
        4 => drop(bytes.splice(at..end.min(at + 2), TOKENS[random.below(TOKENS.len())].iter().copied())),
        // Takes a piece out.
        5 => drop(bytes.drain(at..end)),
        // Repeats a piece somewhere else.
        6 => {
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            drop(bytes.splice(to..to, piece));
        }
        // Puts a piece of another one in.
        _ => {
            let other = seeds[random.below(seeds.len())].as_ref();
            let from = random.below(other.len().max(1));
            let piece = &other[from..other.len().min(from + random.below(40))];
            drop(bytes.splice(at..at, piece.iter().copied()));
        }
    }
}

/// Numbers that look random (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let spread = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(spread).unwrap() % limit
    }
}
