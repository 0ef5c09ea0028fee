//! The expected result of every combination, written out as a table without computation.

use crate::support::{Auth, Authority, Identity, Network, Tls};

use Auth::{Both, Dialback, External};
use May::{Either, No, Only, Unheard};
use Proof::{Dialback as Db, External as Ex};
use Shown::{
    Clear, Expired, Good, Missing, NotYetValid, SelfSigned, ServerOnly, UnknownAuthority, WrongName,
};
use Tls::{Disabled, Optional, Required};

/// The operator's settings for one remote, and what this remote presents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) way: Way,
    pub(super) tls: Tls,
    pub(super) shown: Shown,
    pub(super) strict: bool,
    pub(super) auth: Auth,
    pub(super) may: May,
}

/// The start of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Clear text; TLS may follow.
    StartTls,
    /// With TLS (XEP-0368).
    Direct,
}

/// The certificate and the mechanisms of a remote server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It has no TLS.
    Clear,
    /// It has TLS and no certificate.
    Missing,
    Expired,
    NotYetValid,
    SelfSigned,
    UnknownAuthority,
    WrongName,
    /// Valid, but not for clients.
    ServerOnly,
    Good,
}

/// A mechanism that authenticates a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    External,
    Dialback,
}

/// The mechanisms that may authenticate the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// None: the link is refused.
    No,
    Only(Proof),
    Either,
    /// Not configurable: EXTERNAL alone without TLS.
    Unheard,
}

const NO: May = No;
const EX: May = Only(Ex);
const DB: May = Only(Db);
const EI: May = Either;
const __: May = Unheard;

#[rustfmt::skip]
const TABLE: [(Tls, Shown, [May; 6]); 27] = [
    // strict_certificates:                  false         true
    // auth: external, dialback, both        ex  db  both  ex  db  both
    (Required, Clear,            [NO, NO, NO,   NO, NO, NO]),
    (Required, Missing,          [NO, DB, DB,   NO, NO, NO]),
    (Required, Expired,          [NO, DB, DB,   NO, NO, NO]),
    (Required, NotYetValid,      [NO, DB, DB,   NO, NO, NO]),
    (Required, SelfSigned,       [NO, DB, DB,   NO, NO, NO]),
    (Required, UnknownAuthority, [NO, DB, DB,   NO, NO, NO]),
    (Required, WrongName,        [NO, DB, DB,   NO, NO, NO]),
    (Required, ServerOnly,       [EX, DB, EI,   EX, DB, EI]),
    (Required, Good,             [EX, DB, EI,   EX, DB, EI]),

    (Optional, Clear,            [NO, DB, DB,   NO, DB, DB]),
    (Optional, Missing,          [NO, DB, DB,   NO, NO, NO]),
    (Optional, Expired,          [NO, DB, DB,   NO, NO, NO]),
    (Optional, NotYetValid,      [NO, DB, DB,   NO, NO, NO]),
    (Optional, SelfSigned,       [NO, DB, DB,   NO, NO, NO]),
    (Optional, UnknownAuthority, [NO, DB, DB,   NO, NO, NO]),
    (Optional, WrongName,        [NO, DB, DB,   NO, NO, NO]),
    (Optional, ServerOnly,       [EX, DB, EI,   EX, DB, EI]),
    (Optional, Good,             [EX, DB, EI,   EX, DB, EI]),

    (Disabled, Clear,            [__, DB, DB,   __, DB, DB]),
    (Disabled, Missing,          [__, DB, DB,   __, DB, DB]),
    (Disabled, Expired,          [__, DB, DB,   __, DB, DB]),
    (Disabled, NotYetValid,      [__, DB, DB,   __, DB, DB]),
    (Disabled, SelfSigned,       [__, DB, DB,   __, DB, DB]),
    (Disabled, UnknownAuthority, [__, DB, DB,   __, DB, DB]),
    (Disabled, WrongName,        [__, DB, DB,   __, DB, DB]),
    (Disabled, ServerOnly,       [__, DB, DB,   __, DB, DB]),
    (Disabled, Good,             [__, DB, DB,   __, DB, DB]),
];

#[rustfmt::skip]
const DIRECT: [(Tls, Shown, [May; 6]); 24] = [
    // strict_certificates:                  false         true
    // auth: external, dialback, both        ex  db  both  ex  db  both
    (Required, Missing,          [NO, DB, DB,   NO, NO, NO]),
    (Required, Expired,          [NO, DB, DB,   NO, NO, NO]),
    (Required, NotYetValid,      [NO, DB, DB,   NO, NO, NO]),
    (Required, SelfSigned,       [NO, DB, DB,   NO, NO, NO]),
    (Required, UnknownAuthority, [NO, DB, DB,   NO, NO, NO]),
    (Required, WrongName,        [NO, DB, DB,   NO, NO, NO]),
    (Required, ServerOnly,       [EX, DB, EI,   EX, DB, EI]),
    (Required, Good,             [EX, DB, EI,   EX, DB, EI]),

    (Optional, Missing,          [NO, DB, DB,   NO, NO, NO]),
    (Optional, Expired,          [NO, DB, DB,   NO, NO, NO]),
    (Optional, NotYetValid,      [NO, DB, DB,   NO, NO, NO]),
    (Optional, SelfSigned,       [NO, DB, DB,   NO, NO, NO]),
    (Optional, UnknownAuthority, [NO, DB, DB,   NO, NO, NO]),
    (Optional, WrongName,        [NO, DB, DB,   NO, NO, NO]),
    (Optional, ServerOnly,       [EX, DB, EI,   EX, DB, EI]),
    (Optional, Good,             [EX, DB, EI,   EX, DB, EI]),

    (Disabled, Missing,          [__, NO, NO,   __, NO, NO]),
    (Disabled, Expired,          [__, NO, NO,   __, NO, NO]),
    (Disabled, NotYetValid,      [__, NO, NO,   __, NO, NO]),
    (Disabled, SelfSigned,       [__, NO, NO,   __, NO, NO]),
    (Disabled, UnknownAuthority, [__, NO, NO,   __, NO, NO]),
    (Disabled, WrongName,        [__, NO, NO,   __, NO, NO]),
    (Disabled, ServerOnly,       [__, NO, NO,   __, NO, NO]),
    (Disabled, Good,             [__, NO, NO,   __, NO, NO]),
];

impl Case {
    /// Every combination, including those that cannot be configured.
    pub(super) fn all() -> Vec<Self> {
        let columns = [false, true]
            .into_iter()
            .flat_map(|strict| [External, Dialback, Both].map(|auth| (strict, auth)));
        let columns: Vec<_> = columns.collect();
        let ways = [(Way::StartTls, &TABLE[..]), (Way::Direct, &DIRECT[..])];
        let rows = ways.into_iter().flat_map(|(way, rows)| rows.iter().map(move |row| (way, row)));
        let cases = rows.flat_map(|(way, (tls, shown, row))| {
            columns.iter().zip(row).map(move |((strict, auth), may)| Self {
                way,
                tls: *tls,
                shown: *shown,
                strict: *strict,
                auth: *auth,
                may: *may,
            })
        });
        cases.collect()
    }

    /// Every combination that can be configured.
    pub(super) fn configurable() -> Vec<Self> {
        Self::all().into_iter().filter(|case| case.may != Unheard).collect()
    }

    /// The first label of the remote's domain; the caller adds `shown`.
    pub(super) fn label(&self) -> String {
        let strict = if self.strict { "strict" } else { "lax" };
        let way = if self.way == Way::Direct { "-direct" } else { "" };
        format!("{:?}-{:?}-{strict}-{:?}{way}", self.tls, self.shown, self.auth).to_lowercase()
    }

    /// The block of the configuration for `domain`; `more` are further lines.
    pub(super) fn block(&self, domain: &str, more: &str) -> String {
        let tls = format!("{:?}", self.tls).to_lowercase();
        let auth = match self.auth {
            External => "[\"external\"]",
            Dialback => "[\"dialback\"]",
            Both => "[\"external\", \"dialback\"]",
        };
        let strict = self.strict;
        format!(
            "[[remote]]\nname = {domain:?}\ntls = {tls:?}\nstrict_certificates = {strict}\nauth = {auth}\n{more}"
        )
    }

    /// Whether the link has TLS, if it is established.
    pub(super) fn is_secured(&self) -> bool {
        self.way == Way::Direct || self.tls != Disabled && self.shown != Clear
    }

    /// Whether that mechanism may authenticate it.
    pub(super) fn admits(&self, proof: Proof) -> bool {
        self.may == Either || self.may == Only(proof)
    }

    /// The mechanism that the node must use with a remote that offers these.
    pub(super) fn best_of(&self, offered: &[Proof]) -> Option<Proof> {
        [Ex, Db].into_iter().find(|proof| self.admits(*proof) && offered.contains(proof))
    }

    /// The text of a refusal, on either side.
    pub(super) fn blame(&self) -> &'static str {
        match (self.is_secured(), self.shown) {
            (true, _) if self.tls == Disabled => "forbids",
            (false, _) if self.tls == Required => "TLS",
            (false, _) => "authentication",
            (true, shown) => shown.fault(),
        }
    }
}

impl Shown {
    /// All of them.
    pub(super) const ALL: [Self; 9] =
        [Clear, Missing, Expired, NotYetValid, SelfSigned, UnknownAuthority, WrongName, ServerOnly, Good];

    /// Makes the certificate for all of `names`.
    pub(super) fn identity(self, network: &Network, names: &[&str]) -> Option<Identity> {
        let request = network.authority.certificate(names);
        match self {
            Clear | Missing => None,
            Expired => Some(request.expired().issue()),
            NotYetValid => Some(request.not_yet_valid().issue()),
            SelfSigned => Some(request.self_signed().issue()),
            UnknownAuthority => Some(Authority::new("stranger").unwrap().issue(names)),
            WrongName => Some(network.authority.issue(&["somebody.example"])),
            ServerOnly => Some(request.purpose(crate::support::Purpose::ServerOnly).issue()),
            Good => Some(request.issue()),
        }
    }

    /// The words for the fault of the certificate.
    fn fault(self) -> &'static str {
        match self {
            Clear => "no TLS",
            Missing => "was not presented",
            Expired => "expired on",
            NotYetValid => "is not valid before",
            SelfSigned => "is self-signed",
            UnknownAuthority => "comes from an unknown authority",
            WrongName => "is for another name",
            ServerOnly | Good => "nothing is wrong with it",
        }
    }
}
