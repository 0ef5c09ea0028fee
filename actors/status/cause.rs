//! The causes of failed attempts: id, responsible side, rule, and remedy.
//!
//! `nuncio probe`, `nuncio explain` and the error stanzas read them here. The ids are part of the JSON format
//! and do not change. In the texts `{local}` and `{remote}` stand for the two domains.

mod fixed;
#[cfg(test)]
mod tests;

use xmpp::DomainPair;

use crate::report::Side;

/// The cause of a failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// The id in JSON, in kebab case.
    pub id: &'static str,
    /// The side that has to act.
    pub side: Side,
    /// The rule that is violated or applied: RFC and section, XEP, or configuration key.
    pub rule: &'static str,
    remedy: &'static str,
    advice: &'static str,
}

impl Cause {
    /// Makes a cause that only `nuncio probe` finds. It has no remedy, only advice.
    #[must_use]
    pub const fn of_probe(id: &'static str, side: Side, rule: &'static str, advice: &'static str) -> Self {
        Self { id, side, rule, remedy: "", advice }
    }

    /// The remedy, with the side that has to act: a clause in lower case without a full stop. `address` is that of the
    /// remote domain in the configuration, if it has one.
    #[must_use]
    pub fn remedy(&self, pair: &DomainPair, address: Option<&str>) -> String {
        let fixed = address.and_then(|_| fixed::of(self.id));
        filled(fixed.map_or(self.remedy, |(remedy, _)| remedy), pair, address)
    }

    /// The advice of `nuncio probe`: a sentence that follows the error, the responsible side and the rule. `address` is that
    /// of the remote domain in the configuration, if it has one.
    #[must_use]
    pub fn advice(&self, pair: &DomainPair, address: Option<&str>) -> String {
        let fixed = address.and_then(|_| fixed::of(self.id));
        filled(fixed.map_or(self.advice, |(_, advice)| advice), pair, address)
    }
}

fn filled(text: &str, pair: &DomainPair, address: Option<&str>) -> String {
    let text = text.replace("{local}", pair.local.as_str()).replace("{remote}", pair.remote.as_str());
    address.map_or_else(|| text.clone(), |address| text.replace("{address}", address))
}

macro_rules! causes {
    ($($name:ident = $id:literal, $side:ident, $rule:literal, $remedy:literal, $advice:literal;)*) => {
        $(#[doc = $id] pub static $name: Cause =
            Cause { id: $id, side: Side::$side, rule: $rule, remedy: $remedy, advice: $advice };)*

        /// All causes of failed attempts.
        pub static ALL: &[&Cause] = &[$(&$name),*];
    };
}

causes! {
    // Before the DNS lookup, and limits of this node.
    DENIED = "denied-by-our-policy", Local, "s2s.allow and s2s.deny of the configuration",
        "change s2s.allow or s2s.deny of this node to permit {remote}",
        "Remove {remote} from s2s.deny, or add it to s2s.allow, to permit federation with it.";
    STOPPING = "node-stopping", Nobody, "none",
        "start this node again",
        "Start this node again.";
    LATE = "no-link-in-time", Nobody, "the section promise of the configuration",
        "wait for the running connection attempt",
        "Wait for the running connection attempt.";
    SHORT_LIVED = "links-end-at-once", Remote, "RFC 6120 section 4.4",
        "the operator of {remote} must read the log there: it has the reason why every link is closed",
        "The server of {remote} closes every connection immediately; its log has the reason.";
    OVERLOADED = "node-overloaded", Local, "none",
        "see refused= in the mailbox lines of the log of this node, or raise limits.max_dials_hanging",
        "This node is overloaded: see refused= in the mailbox lines of its log, or raise limits.max_dials_hanging.";
    CROWDED = "address-crowded", Either, "limits.max_dials_per_address of the configuration",
        "find out why connections to that address are slow, or raise limits.max_dials_per_address of this node",
        "Connections to that address are opened too slowly; find out why, or raise limits.max_dials_per_address.";
    INTERNAL = "internal-error", Local, "none",
        "report the error in the log of this node to the developers of Nuncio",
        "This is an error in Nuncio: please report it with the output of this probe.";

    // DNS.
    NO_SUCH_DOMAIN = "no-such-domain", Remote, "RFC 6120 section 3.2.1, RFC 1035 section 4.1.1 (NXDOMAIN)",
        "check the spelling of {remote}; if it is right, the operator of {remote} must register it in the DNS",
        "Check the spelling of {remote}; if it is right, its operator must register it and publish records.";
    NO_RECORD = "no-record", Remote, "RFC 6120 section 3.2.1 and 3.2.2",
        "the operator of {remote} must publish an SRV record or an address for it",
        "Publish an SRV record _xmpp-server._tcp.{remote}, or an A or AAAA record for {remote} itself.";
    NOT_OFFERED = "service-not-offered", Remote, "RFC 2782 (target \".\")",
        "if there is an XMPP service, the operator of {remote} must remove the SRV record with the target \".\"",
        "{remote} declares that it has no XMPP service; if it has one, its operator must remove that SRV record.";
    TARGET_WITHOUT_ADDRESS = "srv-target-without-address", Remote, "RFC 2782 (the target must have an address record)",
        "the operator of {remote} must correct its SRV records",
        "Give the target of the SRV record an A or AAAA record, or correct the name in the SRV record.";
    SERVER_FAILURE = "dns-server-failure", Remote, "RFC 1035 section 4.1.1 (SERVFAIL)",
        "the operator of {remote} must repair its name servers",
        "The name servers of {remote} do not answer correctly; its operator must check the zone and the delegation.";
    BOGUS = "dns-bogus", Remote, "RFC 4035 section 5.5, RFC 8914",
        "the operator of {remote} must correct its DNSSEC signatures",
        "The DNSSEC signatures of {remote} are not valid; its operator must sign the zone again or correct the DS record.";
    DNS_SILENT = "dns-silent", Either, "RFC 1035 section 4.2.1",
        "check that the name servers of dns.nameservers answer this node, then those of {remote}",
        "Check that the name servers of dns.nameservers answer, then those of {remote}.";
    DNS_TIMEOUT = "dns-timeout", Remote, "RFC 1035 section 4.2.1",
        "the operator of {remote} must repair its name servers",
        "The name servers of {remote} do not answer (yours answer other questions): its operator must repair them.";
    DNS_DEAD = "dns-no-answer", Local, "dns.nameservers of the configuration",
        "correct dns.nameservers of this node, or the network path to them",
        "Your name servers do not answer: correct dns.nameservers, or the network path to them.";
    DNS_REFUSED = "dns-refused", Local, "RFC 1035 section 4.1.1 (REFUSED)",
        "set dns.nameservers of this node to a server that answers this machine",
        "Your name server refuses to answer this machine: set dns.nameservers to another one.";
    DNS_UNUSABLE = "dns-unusable", Local, "dns.nameservers of the configuration",
        "correct dns.nameservers of this node, or the system's resolv.conf",
        "Your name server cannot be used: correct dns.nameservers or the system's resolv.conf.";
    LOOP = "leads-to-ourselves", Local, "RFC 6120 section 3.2",
        "add {remote} to this node as a [[domain]] or [[component]], or correct its DNS records",
        "The records of {remote} point to a listener of this node: add a [[domain]] or [[component]] for it, or correct them.";

    // TCP.
    REFUSED = "connection-refused", Remote, "RFC 6120 section 3.3, RFC 9293 section 3.5.2",
        "the operator of {remote} must start the server, or correct its address or port in the DNS",
        "Nothing listens at that port: its operator must start the server, open the port or correct the SRV record.";
    NO_ANSWER = "no-answer", Either, "RFC 6120 section 3.3",
        "check that no firewall on either side drops the connection",
        "The host is down or a firewall drops the connection: let TCP out to that port here, and in at {remote}.";
    UNREACHABLE = "unreachable", Either, "RFC 1122 section 3.2.2.1",
        "check the routing of this machine and the DNS records of {remote}",
        "There is no route to that address: check the routing of this machine and the DNS record of {remote}.";
    CONNECT_FAILED = "connection-failed", Either, "RFC 6120 section 3.3",
        "check the network of this machine, then the DNS records of {remote}",
        "Check the network of this machine first; the error of the operating system is above.";
    NO_IPV6_HERE = "no-ipv6-here", Local, "RFC 8305 section 4",
        "give this machine IPv6, or ask the operator of {remote} to publish an IPv4 address too",
        "This machine has no IPv6: it needs IPv6 only if {remote} cannot be reached over IPv4.";

    // The first bytes of the peer.
    SILENT = "silent-host", Remote, "RFC 6120 section 4.2",
        "the operator of {remote} must check the service on that port: it accepts connections and sends nothing",
        "The port accepts connections and sends nothing: its operator must check which service listens there.";
    CLOSED_AT_ONCE = "closed-at-once", Remote, "RFC 6120 section 4.4",
        "the operator of {remote} must find out what closes the connection: a firewall, a limit or a block list",
        "The server closes the connection before it sends anything: a firewall, a limit for each address or a block list of {remote} may be the reason.";
    HTTP = "http-host", Remote, "RFC 6120 section 4.2",
        "a web server answers: the operator of {remote} must point its DNS records to its XMPP server",
        "A web server answers at that port: its operator must correct the port in the SRV record or the service that listens there.";
    NOT_XMPP = "not-xmpp", Remote, "RFC 6120 section 4.2",
        "the operator of {remote} must point its DNS records to its XMPP server",
        "The service at that port is not XMPP: its operator must correct the port in the SRV record or the service that listens there.";
    WRONG_NAMESPACE = "wrong-namespace", Remote, "RFC 6120 section 4.8.2",
        "the operator of {remote} must point its DNS records to the port for servers (5269), not to the port for clients",
        "The stream is not for servers; most often the SRV record names the port for clients (5222): it must name the port for servers (5269).";
    BREACH = "protocol-breach", Remote, "RFC 6120 section 4.9.1",
        "the operator of {remote} must update the server: it violates the protocol",
        "Report it to the developers of that server, with the error above; a proxy in between may be the reason too.";
    CLOSED = "closed-without-reason", Remote, "RFC 6120 section 4.9.1.1",
        "the operator of {remote} must read the log there: it has the reason why the stream was closed",
        "The log of {remote} has the reason why it closed the stream; ask its operator.";
    BROKEN = "connection-broke", Either, "RFC 6120 section 4.4",
        "check whether a firewall or proxy in between breaks the connection; the next attempt may succeed",
        "Try again; if it breaks each time at this point, a firewall or proxy in between is the likely cause.";
    TOO_SLOW = "no-answer-in-time", Remote, "s2s.handshake_timeout of the configuration",
        "the operator of {remote} must find out why the server stops answering {local}",
        "The server of {remote} stopped answering during the handshake; its operator must read its log, or it is overloaded.";

    // TLS.
    NO_STARTTLS = "starttls-not-offered", Remote, "RFC 6120 section 5.3.1, RFC 7590 section 3.1",
        "the operator of {remote} must enable TLS, with a certificate",
        "{remote} must offer TLS, for which it needs a certificate; to connect without TLS, set tls = \"optional\" in a [[remote]].";
    STARTTLS_REFUSED = "starttls-refused", Remote, "RFC 6120 section 5.4.2.2",
        "the operator of {remote} must check that the server can read its certificate and key",
        "{remote} offers TLS and then refuses it: most likely its server cannot read its certificate or key.";
    TLS_FORBIDDEN = "tls-forbidden-by-our-policy", Local, "s2s.tls of the configuration",
        "set s2s.tls of this node to \"required\" or \"optional\"",
        "{remote} requires TLS and your configuration has tls = \"disabled\": set it to \"required\" or \"optional\".";
    TLS_TOO_OLD = "tls-too-old", Remote, "RFC 8996, RFC 9325 section 3.1.1",
        "the operator of {remote} must enable TLS 1.2 or 1.3",
        "{remote} must enable TLS 1.2 or 1.3; older versions are insecure and not supported.";
    TLS_TOO_LONG = "tls-handshake-too-long", Either, "limits.max_handshake of the configuration",
        "raise limits.max_handshake of this node, or ask the operator of {remote} to send a shorter certificate chain",
        "The TLS handshake of {remote} is longer than the limit: raise limits.max_handshake, or have {remote} send fewer certificates.";
    NO_COMMON_CIPHER = "no-common-cipher", Remote, "RFC 9325 section 4.2",
        "the operator of {remote} must enable current ciphers",
        "{remote} must enable ciphers with forward secrecy and AEAD, such as ECDHE with AES-GCM.";
    NOT_TLS = "not-tls", Remote, "XEP-0368 section 3, RFC 6120 section 5.4.3",
        "the operator of {remote} must enable TLS on the port for which its DNS records announce it",
        "The service at that port does not use TLS although it should: the SRV record or the listener of {remote} must be corrected.";
    OTHER_ALPN = "alpn-refused", Remote, "RFC 7301 section 3.2, XEP-0368 section 3",
        "the operator of {remote} must enable the ALPN protocol xmpp-server on that port",
        "The port does not accept the ALPN protocol xmpp-server: it is likely a web server, or the proxy before {remote} needs a rule for it.";
    OUR_CERTIFICATE_REFUSED = "our-certificate-refused", Local, "RFC 8446 section 6.2, RFC 6120 section 13.7",
        "check the certificate of {local}: the remote server refused it",
        "{remote} ends TLS because of the certificate of {local}: see the check of it below and the log of {remote}.";
    TLS_NAME_UNKNOWN = "tls-name-unknown", Remote, "RFC 6066 section 3",
        "the operator of {remote} must give the server a certificate for {remote}",
        "The server has no certificate for {remote}: its operator must add the domain or correct the DNS record.";
    CLOSED_IN_TLS = "closed-during-tls", Remote, "RFC 8446 section 6.1",
        "the operator of {remote} must read the log there: it has the reason why TLS was ended",
        "The server closes the connection during the TLS handshake; its log has the reason, most often a missing or unusable certificate.";
    TLS_FAILED = "tls-failed", Either, "RFC 8446 section 6.2",
        "compare the TLS settings of both servers; their logs have details",
        "Compare the TLS settings of both servers; the error of OpenSSL is above.";

    // The certificate of the remote server, and that of this node where the link depends on it.
    EXPIRED = "certificate-expired", Remote, "RFC 5280 section 4.1.2.5, RFC 6120 section 13.7.1.2",
        "the operator of {remote} must renew it",
        "{remote} must renew its certificate and reload the server.";
    NOT_YET_VALID = "certificate-not-yet-valid", Remote, "RFC 5280 section 4.1.2.5, RFC 6120 section 13.7.1.2",
        "the operator of {remote} must use a certificate that is valid now",
        "{remote} must use a certificate that is valid now; check the clock of this machine as well.";
    CLOCK_SKEW = "clock-skew", Local, "RFC 5280 section 4.1.2.5",
        "set the clock of this machine: a new certificate is not valid yet by that clock",
        "A new certificate is not valid yet by the clock of this machine: set the clock, with NTP.";
    AUTHORITY_EXPIRED = "certificate-authority-expired", Remote, "RFC 5280 section 6.1.3, RFC 8446 section 4.4.2",
        "the operator of {remote} must install the authority's current certificate: the chain there is outdated",
        "{remote} must send its authority's current certificate: its chain file is outdated, or your trust store is.";
    REVOKED = "certificate-revoked", Remote, "RFC 6120 section 13.7.2, RFC 6960 section 2.2",
        "the operator of {remote} must replace it, and its key",
        "{remote} needs a new certificate with a new key: its authority revoked this one, possibly because the key leaked.";
    SELF_SIGNED = "certificate-self-signed", Remote, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "the operator of {remote} must get one from a public authority",
        "{remote} needs a certificate from an authority; or add this one to the file of trust in a [[remote]].";
    UNKNOWN_AUTHORITY = "certificate-unknown-authority", Remote, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "the operator of {remote} must send the full chain of a public authority, or s2s.trust of this node must include that authority",
        "{remote} needs a certificate from an authority that you trust; or add its authority to trust in a [[remote]].";
    INCOMPLETE_CHAIN = "certificate-incomplete-chain", Remote, "RFC 8446 section 4.4.2, RFC 5246 section 7.4.2",
        "the operator of {remote} must send the intermediate certificates too",
        "{remote} must send the intermediate certificates too: its server should load the file with the full chain.";
    WRONG_NAME = "certificate-wrong-name", Remote, "RFC 6120 section 13.7.1.2.1, RFC 9525 section 6",
        "the operator of {remote} must get one that contains the name {remote}",
        "{remote} needs a certificate that contains the name of the domain itself, not only the name of the host.";
    WRONG_PURPOSE = "certificate-wrong-purpose", Remote, "RFC 5280 section 4.2.1.12",
        "the operator of {remote} must get one for servers (extended key usage serverAuth)",
        "{remote} needs a certificate for servers (extended key usage serverAuth).";
    CERTIFICATE_BAD = "certificate-bad", Remote, "RFC 5280 section 6.1, RFC 9325 section 4.5",
        "the operator of {remote} must replace it",
        "{remote} needs a certificate that conforms to current rules; the error of OpenSSL is above.";
    OWN_MISSING = "own-certificate-missing", Local, "RFC 6120 section 13.7.1.2, XEP-0178",
        "configure a certificate for {local} on this node",
        "Configure certificate and key of {local}: without them this node cannot accept TLS, and only dialback is left.";
    OWN_BAD = "own-certificate-bad", Local, "RFC 5280 section 6.1",
        "correct certificate and key of {local} on this node",
        "Get another certificate for {local}; the error of OpenSSL is above.";

    // Authentication.
    EXTERNAL_NOT_OFFERED = "external-not-offered", Either, "RFC 6120 section 6.3, XEP-0178 section 3",
        "check whether the certificate of {local} is valid for others, or ask the operator of {remote} to enable EXTERNAL",
        "{remote} does not accept certificates, or not that of {local}: check yours below; if it is valid, ask its operator to enable EXTERNAL.";
    EXTERNAL_REFUSED = "external-refused", Either, "RFC 6120 section 6.5.10, XEP-0178 section 3",
        "check whether the certificate of {local} is valid for others, or ask the operator of {remote} to accept it",
        "{remote} does not accept the certificate of {local}: check it below; if it is valid, {remote} does not trust your authority.";
    NOTHING_IN_COMMON = "no-common-authentication", Either, "s2s.auth of the configuration, XEP-0178, XEP-0220",
        "check s2s.auth of this node; {remote} must offer EXTERNAL to {local} or allow dialback",
        "{remote} offers nothing that s2s.auth allows on this link: extend s2s.auth in a [[remote]], or {remote} must enable one of yours.";
    DIALBACK_REFUSED = "dialback-refused", Local, "XEP-0220 section 2.2.1 (type invalid)",
        "point the DNS records of {local} to this node, or to nodes with the same dialback_secret",
        "The server that {remote} found for {local} in the DNS answers `invalid` for the key: correct your records, or set one dialback_secret on all your nodes.";
    AUTHORITY_UNREACHABLE = "authoritative-server-unreachable", Local, "XEP-0220 section 2.2.2 and 2.5",
        "check that this node can be reached at the address in the DNS records of {local}; {remote} could not connect to it",
        "{remote} could not reach the server of {local}: let TCP in at the port that your SRV record names, and see our own side below.";
    AUTHORITY_NOT_FOUND = "authoritative-server-not-found", Local, "XEP-0220 section 2.5, RFC 6120 section 3.2",
        "publish DNS records for {local}; {remote} found no server to verify the dialback key",
        "{remote} found no server for {local} in the DNS: publish an SRV record for {local}, and see our own side below.";
    DIALBACK_FORBIDDEN = "dialback-not-allowed", Remote, "XEP-0220 section 2.5",
        "the operator of {remote} must allow {local} to authenticate by dialback",
        "{remote} does not accept dialback from {local}: it requires a certificate, or its policy rejects {local}; ask its operator.";
    DIALBACK_ERROR = "dialback-error", Remote, "XEP-0220 section 2.5",
        "the operator of {remote} must read the log there: it has the reason why the dialback key was not verified",
        "{remote} could not verify the dialback key; its log has the reason.";

    // Stream errors.
    HOST_UNKNOWN = "host-unknown", Remote, "RFC 6120 section 4.9.3.6",
        "the operator of {remote} must add {remote} to the server, or correct its DNS records",
        "The server does not serve {remote}: its operator must add the domain or correct the DNS record.";
    POLICY_VIOLATION = "policy-violation", Remote, "RFC 6120 section 4.9.3.14",
        "the operator of {remote} must allow {local}: the policy of the server rejects it",
        "The policy of {remote} rejects {local} or requires something else; ask its operator.";
    NOT_AUTHORIZED = "not-authorized", Either, "RFC 6120 section 4.9.3.12",
        "check certificate and DNS records of {local}, then ask the operator of {remote}",
        "{remote} does not accept the authentication of {local}: check our own certificate and records below, then ask its operator.";
    BUSY = "remote-in-trouble", Remote, "RFC 6120 section 4.9.3",
        "wait until the server of {remote} accepts connections again, or ask the operator of {remote}",
        "The server of {remote} reports that it cannot serve now; try again later.";
    NAME_REFUSED = "our-name-refused", Either, "RFC 6120 section 4.9.3.7 and 4.9.3.9",
        "read the log of {remote}: it has the reason why {local} is not accepted as a sender on the stream",
        "{remote} does not accept {local} as a sender on this stream; its log has the reason.";
    REDIRECTED = "redirect-not-followed", Remote, "RFC 6120 section 4.9.3.19",
        "the operator of {remote} must redirect over TLS, to an existing host, and not in a loop",
        "{remote} sends a redirect that must not be followed: in clear text, in a loop or to a host that does not exist.";
    STREAM_ERROR = "stream-error", Remote, "RFC 6120 section 4.9.3",
        "the operator of {remote} must read the log there: it has the reason why the stream was closed",
        "The server of {remote} closed the stream with the error above; ask its operator.";
}
