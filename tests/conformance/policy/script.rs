//! The scripted remotes of every case behind one address: each presents its certificate and accepts any proof.

use std::collections::HashMap;
use std::sync::Mutex;

use super::table::{Case, Proof, Shown};
use crate::support::{Event, Identity, Network, Peer, SOON, Tls, eventually};

/// All remotes, and their observations.
pub(super) struct Remotes {
    cases: HashMap<String, Case>,
    identities: Vec<(Shown, Option<Identity>)>,
    /// The certificate of remotes without one for callbacks: a TLS server needs one.
    makeshift: Identity,
    /// The node only calls back.
    called_back: bool,
    seen: Mutex<Vec<Seen>>,
}

/// An action of the node at a remote: it tried to authenticate, or it sent a stanza.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) label: String,
    local: String,
    stanza: bool,
    pub(super) secured: bool,
    /// How it tried to authenticate. None: it did not.
    pub(super) proof: Option<Proof>,
}

/// How remotes treat one of the node's domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Offers everything.
    Open,
    /// Does not support dialback.
    ExternalOnly,
    /// Does not support EXTERNAL.
    DialbackOnly,
    /// Requires TLS, if it has any.
    TlsRequired,
}

impl Manner {
    pub(super) const ALL: [Self; 4] = [Self::Open, Self::ExternalOnly, Self::DialbackOnly, Self::TlsRequired];

    /// The domain of the node that gets this treatment.
    pub(super) fn local(self) -> &'static str {
        match self {
            Self::Open => "open.nuncio.example",
            Self::ExternalOnly => "external.nuncio.example",
            Self::DialbackOnly => "dialback.nuncio.example",
            Self::TlsRequired => "tls.nuncio.example",
        }
    }

    fn of(local: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|manner| manner.local() == local)
    }

    fn offers(self) -> &'static [Proof] {
        match self {
            Self::Open | Self::TlsRequired => &[Proof::External, Proof::Dialback],
            Self::ExternalOnly => &[Proof::External],
            Self::DialbackOnly => &[Proof::Dialback],
        }
    }

    /// How the node must authenticate. None: it must give up.
    pub(super) fn expected(self, case: &Case) -> Option<Proof> {
        match case.shown {
            // A TLS server needs a certificate, so there is no TLS here.
            Shown::Missing if case.is_secured() => None,
            Shown::Clear => case.best_of(self.offers()),
            _ if self == Self::TlsRequired && case.tls == Tls::Disabled => None,
            _ => case.best_of(self.offers()),
        }
    }

    /// The text of the error when the node gives up.
    pub(super) fn blame(self, case: &Case) -> &'static str {
        match case.shown {
            _ if case.is_secured() && case.tls == Tls::Disabled => case.blame(),
            Shown::Missing if case.is_secured() => "TLS",
            shown if self == Self::TlsRequired && case.tls == Tls::Disabled && shown != Shown::Clear => {
                "requires TLS"
            }
            _ if case.admits(Proof::External) || case.admits(Proof::Dialback) => "",
            _ => case.blame(),
        }
    }
}

impl Remotes {
    /// Makes their certificates.
    pub(super) fn new(network: &Network, called_back: bool) -> Self {
        let cases = Case::configurable().into_iter();
        let cases: HashMap<_, _> = cases.map(|case| (case.label(), case)).collect();
        let identities = Shown::ALL.map(|shown| {
            let names: Vec<_> = cases
                .values()
                .filter(|case| case.shown == shown)
                .map(|case| format!("{}.example", case.label()))
                .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            (shown, shown.identity(network, &names))
        });
        let makeshift = network.authority.certificate(&["nobody.example"]).self_signed().issue();
        Self { cases, identities: identities.into(), makeshift, called_back, seen: Mutex::default() }
    }

    /// The name of a remote.
    pub(super) fn domain(&self, case: &Case) -> String {
        format!("{}.example", case.label())
    }

    /// The row of the remote with that label.
    pub(super) fn case(&self, label: &str) -> Case {
        self.cases[label]
    }

    /// The certificate of remotes of that kind.
    pub(super) fn identity(&self, shown: Shown) -> Option<&Identity> {
        self.identities.iter().find(|(kind, _)| *kind == shown).and_then(|(_, identity)| identity.as_ref())
    }

    /// All observations so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for a stanza from the domain with that treatment.
    #[track_caller]
    pub(super) fn eventually_saw_a_stanza(&self, case: &Case, manner: Manner) -> Seen {
        eventually(&format!("a stanza for {manner:?} {}", case.label()), || {
            let seen = self.seen.lock().unwrap();
            let theirs = |seen: &&Seen| seen.label == case.label() && seen.local == manner.local();
            seen.iter().filter(theirs).find(|seen| seen.stanza).cloned()
        })
    }

    /// Plays a remote with that certificate on a direct TLS connection.
    pub(super) fn is_dialed_directly(&self, mut peer: Peer, shown: Shown) {
        let identity = self.identity(shown).or_else(|| self.called_back.then_some(&self.makeshift));
        if peer.tries_to_secure_as_server(identity).is_ok() {
            self.is_dialed(peer);
        }
    }

    /// Plays the requested remote to the end.
    pub(super) fn is_dialed(&self, mut peer: Peer) {
        let Some((case, local)) = self.opens(&mut peer) else { return };
        let manner = Manner::of(&local);
        let domain = self.domain(&case);
        let mut proof = None;
        self.offers(&mut peer, &case, manner, false);
        while let Ok(event) = peer.next(SOON) {
            let element = match event {
                Event::Element(element) => element,
                Event::Opened(_) => {
                    sends_header(&mut peer, &domain, &local, manner);
                    self.offers(&mut peer, &case, manner, proof.is_some());
                    continue;
                }
                Event::Closed => return peer.sends("</stream:stream>"),
            };
            let saw = |stanza, secured, proof| {
                let (label, local) = (case.label(), local.clone());
                self.seen.lock().unwrap().push(Seen { label, local, stanza, secured, proof });
            };
            match element.name.as_str() {
                "starttls" if case.shown == Shown::Clear => {
                    return peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
                }
                "starttls" => {
                    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                    let makeshift = manner.is_none().then_some(&self.makeshift);
                    let identity = self.identity(case.shown).or(makeshift);
                    if peer.tries_to_secure_as_server(identity).is_err() {
                        return;
                    }
                }
                "auth" => {
                    proof = Some(Proof::External);
                    saw(false, peer.is_secured(), proof);
                    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
                    peer.restarts();
                }
                "result" => {
                    peer.sends(&format!("<db:result from='{domain}' to='{local}' type='valid'/>"));
                    proof = Some(Proof::Dialback);
                    saw(false, peer.is_secured(), proof);
                }
                "verify" => peer.sends(&format!(
                    "<db:verify from='{domain}' to='{local}' id='{}' type='valid'/>",
                    element.attribute("id")
                )),
                "error" => {}
                _ => saw(true, peer.is_secured(), proof),
            }
        }
    }

    fn opens(&self, peer: &mut Peer) -> Option<(Case, String)> {
        let Ok(Event::Opened(header)) = peer.next(SOON) else { return None };
        let case = *self.cases.get(header.attribute("to").strip_suffix(".example")?)?;
        let local = header.attribute("from").to_owned();
        sends_header(peer, &self.domain(&case), &local, Manner::of(&local));
        Some((case, local))
    }

    /// Sends all features of the manner, even where they do not belong.
    fn offers(&self, peer: &mut Peer, case: &Case, manner: Option<Manner>, authenticated: bool) {
        let mut features = String::new();
        if !peer.is_secured() && case.shown != Shown::Clear {
            features += match manner {
                Some(Manner::TlsRequired) => {
                    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
                }
                _ => "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            };
        }
        let offered = manner.map_or(&[][..], Manner::offers);
        if offered.contains(&Proof::External) && !authenticated {
            features += "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                         <mechanism>EXTERNAL</mechanism></mechanisms>";
        }
        if offered.contains(&Proof::Dialback) && !authenticated {
            features += "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
        }
        peer.sends_features(&features);
    }
}

fn sends_header(peer: &mut Peer, domain: &str, local: &str, manner: Option<Manner>) {
    let dialback = match manner {
        Some(Manner::ExternalOnly) => "",
        _ => "xmlns:db='jabber:server:dialback'",
    };
    let id = if peer.is_secured() { "secured" } else { "clear" };
    peer.sends(&format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' {dialback} \
         version='1.0' from='{domain}' to='{local}' id='{id}'>"
    ));
}
