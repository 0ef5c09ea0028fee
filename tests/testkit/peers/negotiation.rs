//! The negotiation of a scripted server in each role: STARTTLS and EXTERNAL.

use std::net::Ipv4Addr;

use super::{Element, Peer};
use crate::Identity;

impl Peer {
    /// Connects to a server and authenticates by certificate.
    #[track_caller]
    pub fn authenticates(address: Ipv4Addr, from: &str, to: &str, identity: &Identity) -> Self {
        let mut peer = Self::dials(address);
        peer.authenticates_here(from, to, identity);
        peer
    }

    /// As client: authenticates by certificate on a new connection. Returns the last features.
    #[track_caller]
    pub fn authenticates_here(&mut self, from: &str, to: &str, identity: &Identity) -> Element {
        self.starts_tls(from, to, Some(identity));
        self.proves_by_external(from, to, "")
    }

    /// As client, after TLS and both headers: authenticates by EXTERNAL and opens the stream again; `more` are further
    /// attributes of that header. Returns the features of the last stream.
    #[track_caller]
    pub fn proves_by_external(&mut self, from: &str, to: &str, more: &str) -> Element {
        let features = self.expects("features");
        assert!(offers_external(&features), "no EXTERNAL in {features}");
        self.sends_external();
        self.sends_header(from, to, more);
        self.expects_header();
        self.expects("features")
    }

    /// As client: is authenticated by EXTERNAL. A new header comes next.
    #[track_caller]
    pub fn sends_external(&mut self) {
        self.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        self.expects("success");
        self.restarts();
    }

    /// As client: opens a stream, negotiates STARTTLS and opens the stream again, up to its features.
    #[track_caller]
    pub fn starts_tls(&mut self, from: &str, to: &str, identity: Option<&Identity>) -> Element {
        self.opens_for_tls(from, to);
        self.secures_as_client(identity, to);
        self.sends_header(from, to, "");
        self.expects_header()
    }

    /// As client: opens a stream in clear text, and negotiates STARTTLS up to the TLS handshake.
    #[track_caller]
    pub fn opens_for_tls(&mut self, from: &str, to: &str) {
        self.sends_header(from, to, "");
        self.expects_header();
        self.expects("features").expect("starttls");
        self.asks_for_tls();
    }

    /// As client: sends `<starttls/>`, and expects that the TLS handshake may begin.
    #[track_caller]
    pub fn asks_for_tls(&mut self) {
        self.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.expects("proceed");
    }

    /// As server: answers the header, negotiates STARTTLS and answers the next header; the features are left to the script.
    #[track_caller]
    pub fn answers_to_tls(&mut self, domain: &str, identity: &Identity) {
        let header = self.expects_header();
        self.sends_header(domain, header.attribute("from"), "id='before-tls'");
        self.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
        self.expects("starttls");
        self.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.secures_as_server(identity);
        let header = self.expects_header();
        self.sends_header(domain, header.attribute("from"), "id='after-tls'");
    }

    /// As server: accepts the other side's EXTERNAL with any certificate. Returns the last header of the other side.
    #[track_caller]
    pub fn answers_to_external(&mut self, domain: &str, identity: &Identity) -> Element {
        self.answers_to_tls(domain, identity);
        self.accepts_external(domain)
    }

    /// As server, after TLS and both headers: offers and accepts EXTERNAL, up to the features of the next stream. Returns the
    /// other side's header of that stream.
    #[track_caller]
    pub fn accepts_external(&mut self, domain: &str) -> Element {
        self.accepts_external_offering(domain, "")
    }

    /// The same with these features of the next stream.
    #[track_caller]
    pub fn accepts_external_offering(&mut self, domain: &str, features: &str) -> Element {
        self.sends_features(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>EXTERNAL</mechanism></mechanisms>",
        );
        self.expects("auth");
        self.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        self.restarts();
        let header = self.expects_header();
        self.sends_header(domain, header.attribute("from"), "id='after-sasl'");
        self.sends_features(features);
        header
    }
}

/// Whether stream features offer SASL EXTERNAL.
pub fn offers_external(features: &Element) -> bool {
    let mechanisms = features.children().filter(|feature| feature.name == "mechanisms");
    mechanisms.flat_map(Element::children).any(|mechanism| mechanism.text() == "EXTERNAL")
}
