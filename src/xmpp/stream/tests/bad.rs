//! Bad stanzas of `b.example` to `a.example`: one table for both roles.
use crate::stanza::Reason;

/// A bad stanza, and the condition of its answer on a stream that a server opened; "" when it has none.
pub(crate) type Bad = (&'static str, &'static str);

/// Stanzas that are refused for a reason. A reason without any does not compile.
pub(crate) fn examples(reason: Reason) -> &'static [Bad] {
    match reason {
        Reason::NotAStanza => &[
            ("<foo/>", ""),
            ("<foo xmlns='urn:x' from='u@b.example' to='v@a.example' id='1'/>", ""),
            ("<foo xmlns='jabber:client' from='u@c.example'/>", ""),
            ("<message xmlns='urn:x' from='u@b.example' to='v@a.example'/>", ""),
            ("<stream:features/>", ""),
            ("<stream:message from='u@b.example' to='v@a.example'/>", ""),
            ("<db:unknown xmlns:db='jabber:server:dialback' from='b.example' to='a.example'/>", ""),
            ("<r xmlns='urn:xmpp:sm:2'/>", ""),
        ],
        Reason::Namespace => &[
            ("<message xmlns='jabber:client' from='u@b.example' to='v@a.example'/>", "bad-request"),
            ("<c:iq xmlns:c='jabber:client' type='get' from='u@b.example' to='v@a.example'/>", "bad-request"),
            (
                "<iq xmlns='jabber:component:accept' type='set' from='u@b.example' to='v@a.example'/>",
                "bad-request",
            ),
            ("<iq xmlns='jabber:client' type='result' from='u@b.example' to='v@a.example'/>", ""),
        ],
        Reason::NoTo => &[
            ("<message from='u@b.example'/>", "bad-request"),
            ("<presence from='u@b.example'/>", "bad-request"),
            ("<iq type='get' from='u@b.example'><q xmlns='urn:q'/></iq>", "bad-request"),
            ("<iq type='result' from='u@b.example'/>", ""),
            ("<presence type='error' from='u@b.example'/>", ""),
            ("<message/>", ""),
        ],
        Reason::NoFrom => &[("<message to='v@a.example'/>", ""), ("<iq type='get' to='v@a.example'/>", "")],
        Reason::BadTo => &[
            ("<message from='u@b.example' to=''/>", "jid-malformed"),
            ("<message from='u@b.example' to='@a.example'/>", "jid-malformed"),
            ("<presence from='u@b.example' to='a b@a.example'/>", "jid-malformed"),
            ("<iq type='get' from='u@b.example' to='x@y@z'/>", "jid-malformed"),
            ("<message from='u@b.example' to='v@a.example/'/>", "jid-malformed"),
            ("<message from='u@b.example' to='a..example'/>", "jid-malformed"),
            ("<message from='u@b.example' to='v\u{ff20}w@a.example'/>", "jid-malformed"),
            ("<message from='u@b.example/r' to='v@a.example/\u{85}'/>", "jid-malformed"),
            ("<message type='error' from='u@b.example' to='@a.example'/>", ""),
            ("<iq type='result' from='u@b.example' to='@a.example'/>", ""),
            ("<message from='@b.example' to='@a.example'/>", ""),
        ],
        Reason::BadFrom => &[
            ("<message from='@b.example' to='v@a.example'/>", ""),
            ("<message from='a b@b.example' to='v@a.example'/>", ""),
            ("<iq type='get' from='x@y@z' to='v@a.example'/>", ""),
            ("<presence from='' to='v@a.example'/>", ""),
        ],
        Reason::NotProved => &[
            ("<message from='u@b.example' to='v@also.example'/>", "not-authorized"),
            ("<message type='error' from='u@b.example' to='v@also.example'/>", ""),
        ],
        Reason::NotServed => &[
            ("<presence from='u@b.example' to='v@third.example'/>", "item-not-found"),
            ("<iq type='result' from='u@b.example' to='v@third.example'/>", ""),
        ],
        Reason::Displaced => &[(DISPLACED, "policy-violation")],
        // A component's alone: a server's stream ends for the first, and has a limit without room for the
        // second.
        Reason::ForeignFrom | Reason::TooLarge => &[],
        // The rules of a component: `denied` in the tests of stanzas.
        Reason::Denied => &[],
        // Never seen; `from_element` alone makes one.
        Reason::Unreadable => &[],
    }
}

/// The text of an example.
pub(crate) fn written(example: &str) -> String {
    match example {
        DISPLACED => format!(
            "<s:message xmlns:s='jabber:server' xmlns='urn:{}' from='u@b.example' to='v@a.example'>{}</s:message>",
            "x".repeat(700),
            "<a/>".repeat(100)
        ),
        short => short.to_owned(),
    }
}

/// Stands for a stanza that is long: see [`written`].
const DISPLACED: &str = "displaced";
