//! Every cause that the probe knows: its id, whose side has to act, the rule it rests on and what to do.
//!
//! This is the one place for that. Ids are kept as they are: programs read them. In the advice, `{local}` and `{remote}`
//! stand for the two domains.

use xmpp::DomainPair;

/// Why a step failed, or what is odd about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// For machines.
    pub(crate) id: &'static str,
    /// Whose side has to act.
    pub(crate) side: Side,
    /// Where it is written.
    pub(crate) rule: &'static str,
    /// What to do, in a sentence.
    advice: &'static str,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The operator of the remote domain.
    Remote,
    /// Whoever runs this probe.
    Us,
    /// It cannot be told from here.
    Either,
}

impl Cause {
    /// Says what to do.
    pub(crate) fn advice(&self, pair: &DomainPair) -> String {
        self.advice.replace("{local}", pair.local.as_str()).replace("{remote}", pair.remote.as_str())
    }
}

impl Side {
    /// For machines.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Us => "us",
            Self::Either => "either",
        }
    }

    /// For people.
    pub(crate) fn in_words(self, pair: &DomainPair) -> String {
        match self {
            Self::Remote => format!("the operator of {}", pair.remote),
            Self::Us => format!("you, who run {}", pair.local),
            Self::Either => "one of the two; it cannot be told from here".to_owned(),
        }
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $side:ident, $rule:literal, $advice:literal;)*) => {
        $($(#[$doc])* pub(crate) static $name: Cause =
            Cause { id: $id, side: Side::$side, rule: $rule, advice: $advice };)*

        #[cfg(test)]
        static ALL: &[&Cause] = &[$(&$name),*];
    };
}

// Before anything is asked.
causes! {
    /// The file cannot be used.
    CONFIGURATION = "configuration-broken", Us, "the configuration file",
        "Mend what `nuncio check` lists; a node does not start with it either.";
    /// `allow` or `deny` forbids it.
    DENIED = "denied-by-our-policy", Us, "s2s.allow and s2s.deny of the configuration",
        "Take {remote} out of s2s.deny, or add it to s2s.allow, if the two are to talk.";

    // The name service.
    NO_SUCH_DOMAIN = "no-such-domain", Remote, "RFC 6120 section 3.2.1, RFC 1035 section 4.1.1 (NXDOMAIN)",
        "Check the spelling of {remote}; if it is right, its operator has to register it and publish records.";
    NO_RECORD = "no-record", Remote, "RFC 6120 section 3.2.1 and 3.2.2",
        "Publish an SRV record _xmpp-server._tcp.{remote}, or an A or AAAA record for {remote} itself.";
    NOT_OFFERED = "service-not-offered", Remote, "RFC 2782 (target \".\")",
        "Nothing can be done from here: {remote} says on purpose that it has no XMPP service; if it has, that record must go.";
    TARGET_WITHOUT_ADDRESS = "srv-target-without-address", Remote, "RFC 2782 (the target must have an address record)",
        "Give the target of the SRV record an A or AAAA record, or correct the name in the SRV record.";
    TARGET_IS_ALIAS = "srv-target-is-alias", Remote, "RFC 2782 (the target must not be an alias)",
        "Name the host itself in the SRV record and not its alias: this node follows it, others need not.";
    RECORD_BEHIND_ALIAS = "srv-behind-alias", Remote, "RFC 1034 section 3.6.2",
        "Publish the SRV record at its own name without CNAME: this node follows it, some servers stumble.";
    SERVER_FAILURE = "dns-server-failure", Remote, "RFC 1035 section 4.1.1 (SERVFAIL)",
        "The name servers of {remote} do not answer as they should; its operator has to look at its zone and its delegation.";
    BOGUS = "dns-bogus", Remote, "RFC 4035 section 5.5, RFC 8914",
        "The DNSSEC signatures of {remote} do not check out; its operator has to sign the zone anew or correct the DS record.";
    DNS_TIMEOUT = "dns-timeout", Remote, "RFC 1035 section 4.2.1",
        "The name servers of {remote} are silent (yours answer other questions): its operator has to look at them.";
    DNS_DEAD = "dns-no-answer", Us, "dns.nameservers of the configuration",
        "Your name servers answer nothing at all: correct dns.nameservers, or mend the way to them.";
    DNS_REFUSED = "dns-refused", Us, "RFC 1035 section 4.1.1 (REFUSED)",
        "Your name server does not want to answer this machine: set dns.nameservers to one that does.";
    DNS_UNUSABLE = "dns-unusable", Us, "dns.nameservers of the configuration",
        "Your name server cannot be used: correct dns.nameservers or the system's resolv.conf.";
    DNS_LATE = "dns-answer-late", Either, "RFC 8305 section 3",
        "The name servers are slow or silent for one kind of address; it costs time and, when the rest fails, the link.";
    LOOP = "leads-to-ourselves", Us, "RFC 6120 section 3.2",
        "The records of {remote} lead to a listener of this node: add a [[domain]] or [[component]] for it, or correct them.";

    // TCP.
    REFUSED = "connection-refused", Remote, "RFC 6120 section 3.3, RFC 9293 section 3.5.2",
        "Nothing listens at that port: its operator has to start the server, open the port or correct the SRV record.";
    NO_ANSWER = "no-answer", Either, "RFC 6120 section 3.3",
        "The host is down or a firewall drops the connection: let TCP out to that port here, and in at the side of {remote}.";
    UNREACHABLE = "unreachable", Either, "RFC 1122 section 3.2.2.1",
        "No way leads to that address: check the routing of this machine and the record of {remote}.";
    CONNECT_FAILED = "connection-failed", Either, "RFC 6120 section 3.3",
        "Look at the network of this machine first; the system's own words say what failed.";
    DEAD_IPV6 = "ipv6-unreachable", Remote, "RFC 8305 section 5",
        "IPv4 works and IPv6 does not: open the port for IPv6 too, or take the AAAA record away.";
    NO_IPV6_HERE = "no-ipv6-here", Us, "RFC 8305 section 4",
        "This machine has no IPv6; nothing is lost as long as {remote} can be reached over IPv4.";

    // What answers.
    SILENT = "silent-host", Remote, "RFC 6120 section 4.2",
        "The port takes connections and never says anything: its operator has to look what listens there.";
    CLOSED_AT_ONCE = "closed-at-once", Remote, "RFC 6120 section 4.4",
        "The server closes before it says a word: a firewall, a limit for each address or a block list of {remote} may be why.";
    HTTP = "http-host", Remote, "RFC 6120 section 4.2",
        "A web server answers at that port: its operator has to correct the port in the SRV record or what listens there.";
    NOT_XMPP = "not-xmpp", Remote, "RFC 6120 section 4.2",
        "What answers does not speak XMPP: its operator has to correct the port in the SRV record or what listens there.";
    WRONG_NAMESPACE = "wrong-namespace", Remote, "RFC 6120 section 4.8.2",
        "The stream is not one for servers; most often the record leads to the port for clients (5222): it has to lead to 5269.";
    WRONG_FROM = "wrong-from", Remote, "RFC 6120 section 4.7.1",
        "The server answers under another name: its operator has to add {remote} to it or correct the record.";
    BREACH = "protocol-breach", Remote, "RFC 6120 section 4.9.1",
        "Report it to the makers of the server, with the words above; a proxy in between may be at fault too.";
    CLOSED = "closed-without-reason", Remote, "RFC 6120 section 4.9.1.1",
        "The log of {remote} knows why it closed the stream; ask its operator.";
    BROKEN = "connection-broke", Either, "RFC 6120 section 4.4",
        "Try again; if it breaks each time at this point, a firewall or proxy in between is the likely cause.";
    TOO_SLOW = "no-answer-in-time", Remote, "s2s.handshake_timeout of the configuration",
        "The server of {remote} stopped answering in the middle; its operator has to look at its log, or it is overloaded.";

    // TLS.
    NO_STARTTLS = "starttls-not-offered", Remote, "RFC 6120 section 5.3.1, RFC 7590 section 3.1",
        "{remote} has to offer TLS (it needs a certificate for that); to talk to it without, set tls = \"optional\" in a [[remote]].";
    STARTTLS_REFUSED = "starttls-refused", Remote, "RFC 6120 section 5.4.2.2",
        "{remote} offers TLS and then cannot do it: its certificate or key is most likely unreadable to its server.";
    TLS_FORBIDDEN = "tls-forbidden-by-our-policy", Us, "s2s.tls of the configuration",
        "{remote} demands TLS and your configuration has tls = \"disabled\": set it to \"required\" or \"optional\".";
    TLS_TOO_OLD = "tls-too-old", Remote, "RFC 8996, RFC 9325 section 3.1.1",
        "{remote} has to enable TLS 1.2 or 1.3; the versions before are broken and not spoken any more.";
    NO_COMMON_CIPHER = "no-common-cipher", Remote, "RFC 9325 section 4.2",
        "{remote} has to enable ciphers with forward secrecy and AEAD, such as ECDHE with AES-GCM.";
    NOT_TLS = "not-tls", Remote, "XEP-0368 section 3, RFC 6120 section 5.4.3",
        "What answers does not speak TLS where it should: the SRV record or the listener of {remote} has to be corrected.";
    OTHER_ALPN = "alpn-refused", Remote, "RFC 7301 section 3.2, XEP-0368 section 3",
        "The port does not take the protocol xmpp-server: it is likely a web server, or the proxy before {remote} needs a rule for it.";
    OUR_CERTIFICATE_REFUSED = "our-certificate-refused", Us, "RFC 8446 section 6.2, RFC 6120 section 13.7",
        "{remote} ends TLS because of the certificate of {local}: see what is said of it below and in its log.";
    TLS_NAME_UNKNOWN = "tls-name-unknown", Remote, "RFC 6066 section 3",
        "The server has no certificate for {remote}: its operator has to add the domain or correct the record.";
    CLOSED_IN_TLS = "closed-during-tls", Remote, "RFC 8446 section 6.1",
        "The server hangs up in the middle of TLS; its log says why, most often it has no usable certificate.";
    TLS_FAILED = "tls-failed", Either, "RFC 8446 section 6.2",
        "Compare the TLS settings of both servers; OpenSSL's own words are above.";

    // The remote's certificate.
    EXPIRED = "certificate-expired", Remote, "RFC 5280 section 4.1.2.5, RFC 6120 section 13.7.1.2",
        "{remote} has to renew its certificate and have its server load the new one.";
    NOT_YET_VALID = "certificate-not-yet-valid", Remote, "RFC 5280 section 4.1.2.5, RFC 6120 section 13.7.1.2",
        "{remote} has to use a certificate whose time has begun; check the clock of this machine as well.";
    CLOCK_SKEW = "clock-skew", Us, "RFC 5280 section 4.1.2.5",
        "A certificate made for now seems to be of the future: set the clock of this machine, with NTP.";
    SELF_SIGNED = "certificate-self-signed", Remote, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "{remote} needs a certificate from an authority; or put this one into the file that trust in a [[remote]] names.";
    UNKNOWN_AUTHORITY = "certificate-unknown-authority", Remote, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "{remote} needs a certificate from an authority that you trust; or add its authority to trust in a [[remote]].";
    INCOMPLETE_CHAIN = "certificate-incomplete-chain", Remote, "RFC 8446 section 4.4.2, RFC 5246 section 7.4.2",
        "{remote} has to send the intermediate certificates too: its server should load the file with the full chain.";
    WRONG_NAME = "certificate-wrong-name", Remote, "RFC 6120 section 13.7.1.2.1, RFC 9525 section 6",
        "{remote} needs a certificate with the name of the domain itself in it, not only that of the machine.";
    WRONG_PURPOSE = "certificate-wrong-purpose", Remote, "RFC 5280 section 4.2.1.12",
        "{remote} needs a certificate that servers may use (purpose serverAuth).";
    REVOKED = "certificate-revoked", Remote, "RFC 5280 section 6.3",
        "{remote} has to replace its certificate: the authority took it back.";
    CERTIFICATE_MISSING = "certificate-missing", Remote, "RFC 6120 section 5.3.4",
        "The server of {remote} shows no certificate: it has to be given one.";
    CERTIFICATE_BAD = "certificate-bad", Remote, "RFC 5280 section 6.1, RFC 9325 section 4.5",
        "{remote} needs a certificate that follows today's rules; OpenSSL's own words are above.";

    // Authentication.
    EXTERNAL_NOT_OFFERED = "external-not-offered", Either, "RFC 6120 section 6.3, XEP-0178 section 3",
        "{remote} does not take certificates, or not that of {local}: check yours below; else its operator has to turn EXTERNAL on.";
    EXTERNAL_REFUSED = "external-refused", Either, "RFC 6120 section 6.5.10, XEP-0178 section 3",
        "{remote} does not accept the certificate of {local}: check it below; if it is good, the authorities that {remote} trusts lack yours.";
    NOTHING_IN_COMMON = "no-common-authentication", Either, "s2s.auth of the configuration, XEP-0178, XEP-0220",
        "{remote} offers nothing that s2s.auth allows on this link: widen s2s.auth in a [[remote]], or {remote} enables what you have.";
    DIALBACK_REFUSED = "dialback-refused", Us, "XEP-0220 section 2.2.1 (type invalid)",
        "The server that {remote} found for {local} in the DNS disowns the key: correct your records, or set one dialback_secret on all your nodes.";
    DIALBACK_UNTESTABLE = "dialback-secret-not-set", Us, "XEP-0185, s2s.dialback_secret of the configuration",
        "The running node cannot know the key of this probe: set s2s.dialback_secret, restart the node and probe again.";
    AUTHORITY_UNREACHABLE = "authoritative-server-unreachable", Us, "XEP-0220 section 2.2.2 and 2.5",
        "{remote} could not reach the server of {local}: let TCP in at the port that your SRV record names, and see our own side below.";
    AUTHORITY_NOT_FOUND = "authoritative-server-not-found", Us, "XEP-0220 section 2.5, RFC 6120 section 3.2",
        "{remote} found no server for {local} in the DNS: publish an SRV record for {local}, and see our own side below.";
    DIALBACK_FORBIDDEN = "dialback-not-allowed", Remote, "XEP-0220 section 2.5",
        "{remote} does not take dialback from {local}: it wants a certificate, or its policy keeps {local} out; ask its operator.";
    DIALBACK_ERROR = "dialback-error", Remote, "XEP-0220 section 2.5",
        "{remote} could not check the key, for a reason of its own; its log has more.";

    // Stream errors.
    HOST_UNKNOWN = "host-unknown", Remote, "RFC 6120 section 4.9.3.6",
        "The server does not serve {remote}: its operator has to add the domain or correct the record.";
    POLICY_VIOLATION = "policy-violation", Remote, "RFC 6120 section 4.9.3.14",
        "The policy of {remote} keeps {local} out or wants something else of it; ask its operator.";
    NOT_AUTHORIZED = "not-authorized", Either, "RFC 6120 section 4.9.3.12",
        "{remote} does not believe that we are {local}: check our own certificate and records below, then ask its operator.";
    BUSY = "remote-in-trouble", Remote, "RFC 6120 section 4.9.3",
        "The server of {remote} says that it cannot serve now; try later.";
    NAME_REFUSED = "our-name-refused", Either, "RFC 6120 section 4.9.3.7 and 4.9.3.9",
        "{remote} does not take {local} for an address that may speak on this stream; its log says why.";
    REDIRECTED = "redirect-not-followed", Remote, "RFC 6120 section 4.9.3.19",
        "{remote} sends us elsewhere in a way that must not be followed: in clear text, in circles or to nowhere.";
    STREAM_ERROR = "stream-error", Remote, "RFC 6120 section 4.9.3",
        "The server of {remote} ended the stream with the words above; ask its operator.";
    INTERNAL = "internal-error", Us, "none",
        "This is a fault of Nuncio: please report it with the output of this probe.";

    // Our own side.
    OWN_NOT_IN_DNS = "own-name-not-in-dns", Us, "RFC 6120 section 3.2, XEP-0220 section 2.2",
        "Publish an SRV record _xmpp-server._tcp.{local} that leads to this node: others can neither dial back nor answer.";
    OWN_UNREACHABLE = "own-listener-unreachable", Us, "RFC 6120 section 3.2, XEP-0220 section 2.2",
        "Start the node, let TCP in at that port, and have the records of {local} lead to where it listens.";
    OWN_IS_ANOTHER = "own-listener-is-another", Us, "RFC 6120 section 4.9.3.6, XEP-0220 section 2.2",
        "What answers at the address in the DNS does not serve {local}: correct the records, or the configuration of what runs there.";
    OWN_REFUSES = "own-listener-refuses", Us, "RFC 6120 section 4.9.3",
        "The server that answers for {local} ends the stream with the words above: its log says why.";
    OWN_SECRET_DIFFERS = "own-dialback-secret-differs", Us, "XEP-0185 section 3",
        "The server that answers for {local} has another dialback secret: restart it with this configuration, or give all nodes the same.";
    OWN_MISSING = "own-certificate-missing", Us, "RFC 6120 section 13.7.1.2, XEP-0178",
        "Give {local} a certificate and key: without, others get no TLS with it and only dialback is left.";
    OWN_EXPIRED = "own-certificate-expired", Us, "RFC 5280 section 4.1.2.5",
        "Renew the certificate of {local}, then reload the node.";
    OWN_EXPIRES_SOON = "own-certificate-expires-soon", Us, "RFC 5280 section 4.1.2.5",
        "Renew the certificate of {local} and find out why that did not happen by itself.";
    OWN_NOT_YET_VALID = "own-certificate-not-yet-valid", Us, "RFC 5280 section 4.1.2.5",
        "Use a certificate for {local} whose time has begun, and check the clock of this machine.";
    OWN_WRONG_NAME = "own-certificate-wrong-name", Us, "RFC 6120 section 13.7.1.2.1, RFC 9525 section 6",
        "Get a certificate that names {local}: the domain, not only the machine.";
    OWN_UNTRUSTED = "own-certificate-untrusted", Us, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "Use a certificate of {local} from an authority that others trust, and put its intermediate certificates into the file too.";
    OWN_BAD = "own-certificate-bad", Us, "RFC 5280 section 6.1",
        "Get another certificate for {local}; OpenSSL's own words are above.";
    OWN_NOT_LOADED = "own-certificate-not-loaded", Us, "the configuration file",
        "The running server shows another certificate than the configuration names: reload or restart it.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
    fn every_advice_is_one_sentence_with_both_names_filled_in() {
        let domain = |name| xmpp::Domain::new(name).unwrap();
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        for cause in ALL {
            let advice = cause.advice(&pair);
            assert!(advice.ends_with('.') && !advice.contains(". ") && !advice.contains('{'), "{advice}");
            assert!(!cause.rule.is_empty());
        }
    }
}
