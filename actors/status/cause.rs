//! Every cause for which an attempt can fail: its id, whose side has to act, the rule it rests on and what to do.
//!
//! This is the one place for that: `nuncio probe`, `nuncio explain` and what else tells of a failure read it here. Ids are
//! kept as they are, since programs read them. In the texts `{local}` and `{remote}` stand for the two domains.

use xmpp::DomainPair;

use crate::report::Side;

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// For machines.
    pub id: &'static str,
    /// Whose side has to act.
    pub side: Side,
    /// Where it is written.
    pub rule: &'static str,
    remedy: &'static str,
    advice: &'static str,
}

impl Cause {
    /// A cause that no attempt of a node ends with, told by somebody who looks closer.
    #[must_use]
    pub const fn of_probe(id: &'static str, side: Side, rule: &'static str, advice: &'static str) -> Self {
        Self { id, side, rule, remedy: "", advice }
    }

    /// What to do as part of a sentence, with who has to do it.
    #[must_use]
    pub fn remedy(&self, pair: &DomainPair) -> String {
        filled(self.remedy, pair)
    }

    /// What to do, in a sentence to whom a rule and the words of the other side were told as well.
    #[must_use]
    pub fn advice(&self, pair: &DomainPair) -> String {
        filled(self.advice, pair)
    }
}

fn filled(text: &str, pair: &DomainPair) -> String {
    text.replace("{local}", pair.local.as_str()).replace("{remote}", pair.remote.as_str())
}

macro_rules! causes {
    ($($name:ident = $id:literal, $side:ident, $rule:literal, $remedy:literal, $advice:literal;)*) => {
        $(#[doc = $id] pub static $name: Cause =
            Cause { id: $id, side: Side::$side, rule: $rule, remedy: $remedy, advice: $advice };)*

        /// All of them.
        pub static ALL: &[&Cause] = &[$(&$name),*];
    };
}

causes! {
    // Before anything is asked, and beside the way.
    DENIED = "denied-by-our-policy", Local, "s2s.allow and s2s.deny of the configuration",
        "change s2s.allow or s2s.deny here if {remote} is to be reached",
        "Take {remote} out of s2s.deny, or add it to s2s.allow, if the two are to talk.";
    STOPPING = "node-stopping", Nobody, "none",
        "start this node again",
        "Start this node again.";
    LATE = "no-link-in-time", Nobody, "the section promise of the configuration",
        "wait for the attempt that is under way",
        "Wait for the attempt that is under way.";
    SHORT_LIVED = "links-end-at-once", Remote, "RFC 6120 section 4.4",
        "{remote}'s administrator has to look into the log there, which says why the links are ended",
        "The server of {remote} closes every connection immediately; its log says why.";
    OVERLOADED = "node-overloaded", Local, "none",
        "this node is overloaded: the log says of what",
        "This node has too much to do; its log says of what.";
    CROWDED = "address-crowded", Either, "limits.max_dials_per_address of the configuration",
        "see why the links to that address are made so slowly, or raise limits.max_dials_per_address here",
        "Links to that address are made too slowly; see why, or raise limits.max_dials_per_address.";
    INTERNAL = "internal-error", Local, "none",
        "report what the log of this node shows",
        "This is a fault of Nuncio: please report it with the output of this probe.";

    // The name service.
    NO_SUCH_DOMAIN = "no-such-domain", Remote, "RFC 6120 section 3.2.1, RFC 1035 section 4.1.1 (NXDOMAIN)",
        "see that {remote} is spelled right; if it is, its administrator has to register it in the DNS",
        "Check the spelling of {remote}; if it is right, its operator has to register it and publish records.";
    NO_RECORD = "no-record", Remote, "RFC 6120 section 3.2.1 and 3.2.2",
        "{remote}'s administrator has to publish where its XMPP service is",
        "Publish an SRV record _xmpp-server._tcp.{remote}, or an A or AAAA record for {remote} itself.";
    NOT_OFFERED = "service-not-offered", Remote, "RFC 2782 (target \".\")",
        "{remote}'s administrator has to take away the record that says that there is no XMPP service, if there is one",
        "Nothing can be done from here: {remote} says on purpose that it has no XMPP service; if it has, that record must go.";
    TARGET_WITHOUT_ADDRESS = "srv-target-without-address", Remote, "RFC 2782 (the target must have an address record)",
        "{remote}'s administrator has to correct its SRV records",
        "Give the target of the SRV record an A or AAAA record, or correct the name in the SRV record.";
    SERVER_FAILURE = "dns-server-failure", Remote, "RFC 1035 section 4.1.1 (SERVFAIL)",
        "{remote}'s administrator has to repair its name servers",
        "The name servers of {remote} do not answer as they should; its operator has to look at its zone and its delegation.";
    BOGUS = "dns-bogus", Remote, "RFC 4035 section 5.5, RFC 8914",
        "{remote}'s administrator has to correct its DNSSEC signatures",
        "The DNSSEC signatures of {remote} are not valid; its operator has to sign the zone again or correct the DS record.";
    DNS_SILENT = "dns-silent", Either, "RFC 1035 section 4.2.1",
        "see that the name servers of dns.nameservers answer here, then those of {remote}",
        "See that the name servers of dns.nameservers answer, then those of {remote}.";
    DNS_TIMEOUT = "dns-timeout", Remote, "RFC 1035 section 4.2.1",
        "{remote}'s administrator has to repair its name servers",
        "The name servers of {remote} are silent (yours answer other questions): its operator has to look at them.";
    DNS_DEAD = "dns-no-answer", Local, "dns.nameservers of the configuration",
        "correct dns.nameservers here, or the network path to them",
        "Your name servers do not answer: correct dns.nameservers, or the network path to them.";
    DNS_REFUSED = "dns-refused", Local, "RFC 1035 section 4.1.1 (REFUSED)",
        "set dns.nameservers here to one that answers this machine",
        "Your name server does not want to answer this machine: set dns.nameservers to one that does.";
    DNS_UNUSABLE = "dns-unusable", Local, "dns.nameservers of the configuration",
        "correct dns.nameservers here, or the system's resolv.conf",
        "Your name server cannot be used: correct dns.nameservers or the system's resolv.conf.";
    LOOP = "leads-to-ourselves", Local, "RFC 6120 section 3.2",
        "add {remote} to this node as a [[domain]] or [[component]], or have its DNS records corrected",
        "The records of {remote} lead to a listener of this node: add a [[domain]] or [[component]] for it, or correct them.";

    // TCP.
    REFUSED = "connection-refused", Remote, "RFC 6120 section 3.3, RFC 9293 section 3.5.2",
        "{remote}'s administrator has to start the server, or let it listen where its DNS records lead",
        "Nothing listens at that port: its operator has to start the server, open the port or correct the SRV record.";
    NO_ANSWER = "no-answer", Either, "RFC 6120 section 3.3",
        "see that no firewall on either side keeps the connection from its port",
        "The host is down or a firewall drops the connection: let TCP out to that port here, and in at the side of {remote}.";
    UNREACHABLE = "unreachable", Either, "RFC 1122 section 3.2.2.1",
        "check the routing of this machine and the DNS records of {remote}",
        "No way leads to that address: check the routing of this machine and the record of {remote}.";
    CONNECT_FAILED = "connection-failed", Either, "RFC 6120 section 3.3",
        "look at the network of this machine, then at the DNS records of {remote}",
        "Look at the network of this machine first; the system's own words say what failed.";
    NO_IPV6_HERE = "no-ipv6-here", Local, "RFC 8305 section 4",
        "give this machine IPv6, or have {remote} publish an IPv4 address too",
        "This machine has no IPv6: nothing is lost where {remote} can be reached over IPv4 too, else it has to be given some.";

    // What answers.
    SILENT = "silent-host", Remote, "RFC 6120 section 4.2",
        "{remote}'s administrator has to see what listens there: it never says anything",
        "The port takes connections and never says anything: its operator has to look what listens there.";
    CLOSED_AT_ONCE = "closed-at-once", Remote, "RFC 6120 section 4.4",
        "{remote}'s administrator has to see what closes the connection there: a firewall, a limit, a block list",
        "The server closes before it says a word: a firewall, a limit for each address or a block list of {remote} may be why.";
    HTTP = "http-host", Remote, "RFC 6120 section 4.2",
        "{remote}'s administrator has to let its DNS records lead to its XMPP server: a web server answers",
        "A web server answers at that port: its operator has to correct the port in the SRV record or what listens there.";
    NOT_XMPP = "not-xmpp", Remote, "RFC 6120 section 4.2",
        "{remote}'s administrator has to let its DNS records lead to its XMPP server",
        "What answers does not speak XMPP: its operator has to correct the port in the SRV record or what listens there.";
    WRONG_NAMESPACE = "wrong-namespace", Remote, "RFC 6120 section 4.8.2",
        "{remote}'s administrator has to let its DNS records lead to the port for servers (5269), not to that for clients",
        "The stream is not one for servers; most often the record leads to the port for clients (5222): it has to lead to 5269.";
    BREACH = "protocol-breach", Remote, "RFC 6120 section 4.9.1",
        "{remote}'s administrator has to update the server there: it broke the protocol",
        "Report it to the makers of the server, with the words above; a proxy in between may be at fault too.";
    CLOSED = "closed-without-reason", Remote, "RFC 6120 section 4.9.1.1",
        "{remote}'s administrator has to look into the log there, which says why the stream was ended",
        "The log of {remote} shows why it closed the stream; ask its operator.";
    BROKEN = "connection-broke", Either, "RFC 6120 section 4.4",
        "see whether a firewall or proxy in between breaks the connection; the next attempt may pass",
        "Try again; if it breaks each time at this point, a firewall or proxy in between is the likely cause.";
    TOO_SLOW = "no-answer-in-time", Remote, "s2s.handshake_timeout of the configuration",
        "{remote}'s administrator has to see why the server does not go on with {local}",
        "The server of {remote} stopped answering in the middle; its operator has to look at its log, or it is overloaded.";

    // TLS.
    NO_STARTTLS = "starttls-not-offered", Remote, "RFC 6120 section 5.3.1, RFC 7590 section 3.1",
        "{remote}'s administrator has to switch TLS on, with a certificate",
        "{remote} has to offer TLS (it needs a certificate for that); to talk to it without, set tls = \"optional\" in a [[remote]].";
    STARTTLS_REFUSED = "starttls-refused", Remote, "RFC 6120 section 5.4.2.2",
        "{remote}'s administrator has to see that the server can read its certificate and key",
        "{remote} offers TLS and then cannot do it: its certificate or key is most likely unreadable to its server.";
    TLS_FORBIDDEN = "tls-forbidden-by-our-policy", Local, "s2s.tls of the configuration",
        "set s2s.tls to \"required\" or \"optional\" here",
        "{remote} demands TLS and your configuration has tls = \"disabled\": set it to \"required\" or \"optional\".";
    TLS_TOO_OLD = "tls-too-old", Remote, "RFC 8996, RFC 9325 section 3.1.1",
        "{remote}'s administrator has to allow TLS 1.2 or 1.3",
        "{remote} has to enable TLS 1.2 or 1.3; the versions before are broken and not spoken any more.";
    TLS_TOO_LONG = "tls-handshake-too-long", Either, "limits.max_handshake of the configuration",
        "raise limits.max_handshake here, or have {remote} send a shorter certificate chain",
        "{remote} sends more in its TLS handshake than we take: raise limits.max_handshake, or let it leave out certificates nobody needs.";
    NO_COMMON_CIPHER = "no-common-cipher", Remote, "RFC 9325 section 4.2",
        "{remote}'s administrator has to allow a cipher of today",
        "{remote} has to enable ciphers with forward secrecy and AEAD, such as ECDHE with AES-GCM.";
    NOT_TLS = "not-tls", Remote, "XEP-0368 section 3, RFC 6120 section 5.4.3",
        "{remote}'s administrator has to let TLS listen where its DNS records promise it",
        "What answers does not speak TLS where it should: the SRV record or the listener of {remote} has to be corrected.";
    OTHER_ALPN = "alpn-refused", Remote, "RFC 7301 section 3.2, XEP-0368 section 3",
        "{remote}'s administrator has to let the port speak xmpp-server",
        "The port does not take the protocol xmpp-server: it is likely a web server, or the proxy before {remote} needs a rule for it.";
    OUR_CERTIFICATE_REFUSED = "our-certificate-refused", Local, "RFC 8446 section 6.2, RFC 6120 section 13.7",
        "see whether {local}'s certificate is good for others: it was refused",
        "{remote} ends TLS because of the certificate of {local}: see what is said of it below and in its log.";
    TLS_NAME_UNKNOWN = "tls-name-unknown", Remote, "RFC 6066 section 3",
        "{remote}'s administrator has to give the server there a certificate for {remote}",
        "The server has no certificate for {remote}: its operator has to add the domain or correct the record.";
    CLOSED_IN_TLS = "closed-during-tls", Remote, "RFC 8446 section 6.1",
        "{remote}'s administrator has to look into the log there, which says why TLS was ended",
        "The server hangs up in the middle of TLS; its log says why, most often it has no usable certificate.";
    TLS_FAILED = "tls-failed", Either, "RFC 8446 section 6.2",
        "compare the TLS settings of both servers, whose logs say more",
        "Compare the TLS settings of both servers; OpenSSL's own words are above.";

    // Certificates: the remote's, and ours where without it nothing goes on.
    EXPIRED = "certificate-expired", Remote, "RFC 5280 section 4.1.2.5, RFC 6120 section 13.7.1.2",
        "{remote}'s administrator has to renew it",
        "{remote} has to renew its certificate and have its server load the new one.";
    NOT_YET_VALID = "certificate-not-yet-valid", Remote, "RFC 5280 section 4.1.2.5, RFC 6120 section 13.7.1.2",
        "{remote}'s administrator has to use one whose time has begun",
        "{remote} has to use a certificate whose time has begun; check the clock of this machine as well.";
    CLOCK_SKEW = "clock-skew", Local, "RFC 5280 section 4.1.2.5",
        "set the clock of this machine: a certificate made for now seems to be of the future",
        "A certificate made for now seems to be of the future: set the clock of this machine, with NTP.";
    AUTHORITY_EXPIRED = "certificate-authority-expired", Remote, "RFC 5280 section 6.1.3, RFC 8446 section 4.4.2",
        "{remote}'s administrator has to send the authority's current certificate: the chain there is out of date",
        "{remote} has to send its authority's current certificate: the file with the chain there is out of date, or trust here is.";
    REVOKED = "certificate-revoked", Remote, "RFC 6120 section 13.7.2, RFC 6960 section 2.2",
        "{remote}'s administrator has to replace it, and its key",
        "{remote} needs a new certificate with a new key: its authority took this one back, as a key that leaked may be why.";
    SELF_SIGNED = "certificate-self-signed", Remote, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "{remote}'s administrator has to get one from an authority that others trust",
        "{remote} needs a certificate from an authority; or put this one into the file that trust in a [[remote]] names.";
    UNKNOWN_AUTHORITY = "certificate-unknown-authority", Remote, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "{remote}'s administrator has to send the whole chain, of an authority that others trust, unless s2s.trust here is to name it",
        "{remote} needs a certificate from an authority that you trust; or add its authority to trust in a [[remote]].";
    INCOMPLETE_CHAIN = "certificate-incomplete-chain", Remote, "RFC 8446 section 4.4.2, RFC 5246 section 7.4.2",
        "{remote}'s administrator has to send the intermediate certificates too",
        "{remote} has to send the intermediate certificates too: its server should load the file with the full chain.";
    WRONG_NAME = "certificate-wrong-name", Remote, "RFC 6120 section 13.7.1.2.1, RFC 9525 section 6",
        "{remote}'s administrator has to get one that names {remote}",
        "{remote} needs a certificate with the name of the domain itself in it, not only that of the machine.";
    WRONG_PURPOSE = "certificate-wrong-purpose", Remote, "RFC 5280 section 4.2.1.12",
        "{remote}'s administrator has to get one that is meant for servers",
        "{remote} needs a certificate that servers may use (purpose serverAuth).";
    CERTIFICATE_BAD = "certificate-bad", Remote, "RFC 5280 section 6.1, RFC 9325 section 4.5",
        "{remote}'s administrator has to replace it",
        "{remote} needs a certificate that follows today's rules; OpenSSL's own words are above.";
    OWN_MISSING = "own-certificate-missing", Local, "RFC 6120 section 13.7.1.2, XEP-0178",
        "give {local} a certificate here",
        "Give {local} a certificate and key: without, others get no TLS with it and only dialback is left.";
    OWN_BAD = "own-certificate-bad", Local, "RFC 5280 section 6.1",
        "correct certificate and key of {local} here",
        "Get another certificate for {local}; OpenSSL's own words are above.";

    // Authentication.
    EXTERNAL_NOT_OFFERED = "external-not-offered", Either, "RFC 6120 section 6.3, XEP-0178 section 3",
        "see whether {local}'s certificate is good for others, or have {remote} accept certificates",
        "{remote} does not take certificates, or not that of {local}: check yours below; else its operator has to turn EXTERNAL on.";
    EXTERNAL_REFUSED = "external-refused", Either, "RFC 6120 section 6.5.10, XEP-0178 section 3",
        "see whether {local}'s certificate is good for others, or have {remote} accept it",
        "{remote} does not accept the certificate of {local}: check it below; if it is good, the authorities that {remote} trusts lack yours.";
    NOTHING_IN_COMMON = "no-common-authentication", Either, "s2s.auth of the configuration, XEP-0178, XEP-0220",
        "see s2s.auth here; {remote} has to offer EXTERNAL to {local} or allow dialback",
        "{remote} offers nothing that s2s.auth allows on this link: widen s2s.auth in a [[remote]], or {remote} enables what you have.";
    DIALBACK_REFUSED = "dialback-refused", Local, "XEP-0220 section 2.2.1 (type invalid)",
        "let the DNS records of {local} lead to this node, or to nodes with the same dialback_secret",
        "The server that {remote} found for {local} in the DNS answers `invalid` for the key: correct your records, or set one dialback_secret on all your nodes.";
    AUTHORITY_UNREACHABLE = "authoritative-server-unreachable", Local, "XEP-0220 section 2.2.2 and 2.5",
        "see that this node can be reached at what the DNS says of {local}; {remote} could not ask it",
        "{remote} could not reach the server of {local}: let TCP in at the port that your SRV record names, and see our own side below.";
    AUTHORITY_NOT_FOUND = "authoritative-server-not-found", Local, "XEP-0220 section 2.5, RFC 6120 section 3.2",
        "publish where the DNS finds {local}; {remote} could not ask it",
        "{remote} found no server for {local} in the DNS: publish an SRV record for {local}, and see our own side below.";
    DIALBACK_FORBIDDEN = "dialback-not-allowed", Remote, "XEP-0220 section 2.5",
        "{remote}'s administrator has to allow {local} to connect by dialback: its server refuses",
        "{remote} does not take dialback from {local}: it requires a certificate, or its policy rejects {local}; ask its operator.";
    DIALBACK_ERROR = "dialback-error", Remote, "XEP-0220 section 2.5",
        "{remote}'s administrator has to look into the log there, which says why the key could not be checked",
        "{remote} could not check the key, for a reason of its own; its log has more.";

    // Stream errors.
    HOST_UNKNOWN = "host-unknown", Remote, "RFC 6120 section 4.9.3.6",
        "{remote}'s administrator has to let the server there serve it, or its DNS records lead elsewhere",
        "The server does not serve {remote}: its operator has to add the domain or correct the record.";
    POLICY_VIOLATION = "policy-violation", Remote, "RFC 6120 section 4.9.3.14",
        "{remote}'s administrator has to allow {local} to connect: its server refuses",
        "The policy of {remote} rejects {local} or requires something else; ask its operator.";
    NOT_AUTHORIZED = "not-authorized", Either, "RFC 6120 section 4.9.3.12",
        "check certificate and DNS records of {local} here, then ask {remote}'s administrator",
        "{remote} does not accept that we are {local}: check our own certificate and records below, then ask its operator.";
    BUSY = "remote-in-trouble", Remote, "RFC 6120 section 4.9.3",
        "wait until {remote}'s server takes connections again, or ask its administrator",
        "The server of {remote} says that it cannot serve now; try later.";
    NAME_REFUSED = "our-name-refused", Either, "RFC 6120 section 4.9.3.7 and 4.9.3.9",
        "look into the log of {remote}, which says why {local} may not speak on the stream",
        "{remote} does not take {local} for an address that may speak on this stream; its log says why.";
    REDIRECTED = "redirect-not-followed", Remote, "RFC 6120 section 4.9.3.19",
        "{remote}'s administrator has to redirect over TLS, to a host that there is, and not in circles",
        "{remote} sends us elsewhere in a way that must not be followed: in clear text, in circles or to nowhere.";
    STREAM_ERROR = "stream-error", Remote, "RFC 6120 section 4.9.3",
        "{remote}'s administrator has to look into the log there, which says why the stream was ended",
        "The server of {remote} ended the stream with the words above; ask its operator.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use xmpp::Domain;

    use super::*;

    #[test]
    fn ids_are_stable_words_and_stand_for_one_cause_each() {
        let ids: HashSet<_> = ALL.iter().map(|cause| cause.id).collect();
        assert_eq!(ids.len(), ALL.len());
        let is_kebab = |id: &str| {
            id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(ids.into_iter().all(is_kebab));
    }

    #[test]
    fn every_advice_is_one_sentence_and_every_remedy_part_of_one_with_both_names_filled_in() {
        let domain = |name| Domain::new(name).unwrap();
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        for cause in ALL {
            let (advice, remedy) = (cause.advice(&pair), cause.remedy(&pair));
            assert!(advice.ends_with('.') && !advice.contains(". ") && !advice.contains('{'), "{advice}");
            assert!(!remedy.is_empty() && !remedy.ends_with('.') && !remedy.contains('{'), "{remedy}");
            assert!(remedy.starts_with(char::is_lowercase), "{remedy}");
            assert!(!cause.rule.is_empty());
        }
    }

    #[test]
    fn who_has_to_act_is_named_in_the_remedy() {
        let domain = |name| Domain::new(name).unwrap();
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        for cause in ALL.iter().filter(|cause| cause.side == Side::Remote) {
            let remedy = cause.remedy(&pair);
            assert!(remedy.contains("administrator"), "{}: {remedy}", cause.id);
        }
    }
}
