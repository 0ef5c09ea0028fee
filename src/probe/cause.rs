//! The causes that only the probe finds: notes about the remote domain, and problems of our own side.
//!
//! Each has an id, the side that has to act, the rule of a standard, and advice. The causes of failures are
//! in [`status::cause`].

pub(crate) use status::cause::*;
use status::report::Side;
use xmpp::DomainPair;

/// The side that has to act, in JSON.
pub(crate) fn side_id(side: Side) -> &'static str {
    match side {
        Side::Remote => "remote",
        Side::Local => "us",
        Side::Either => "either",
        Side::Nobody => "nobody",
    }
}

/// The side that has to act, as text.
pub(crate) fn side_in_words(side: Side, pair: &DomainPair) -> String {
    match side {
        Side::Remote => format!("the operator of {}", pair.remote),
        Side::Local => format!("you, the operator of {}", pair.local),
        Side::Either => "the operator of either side: the probe cannot determine which".to_owned(),
        Side::Nobody => "nobody: the problem is temporary".to_owned(),
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $side:ident, $rule:literal, $advice:literal;)*) => {
        $($(#[$doc])* pub(crate) static $name: Cause = Cause::of_probe($id, Side::$side, $rule, $advice);)*

        #[cfg(test)]
        static OURS: &[&Cause] = &[$(&$name),*];
    };
}

causes! {
    /// The configuration has problems.
    CONFIGURATION = "configuration-broken", Local, "the configuration file",
        "Fix the problems that `nuncio check` lists: a node does not start with this configuration either.";
    TARGET_IS_ADDRESS = "srv-target-is-address", Remote, "RFC 2782 (the target is a domain name)",
        "Use a host name in the SRV record, with an A or AAAA record of its own: this node accepts an address there, but other servers look it up as a name and find nothing.";
    PORT_IS_ZERO = "srv-port-is-zero", Remote, "RFC 2782 (the port of the service), RFC 6335 section 6 (0 is reserved)",
        "Set the port in the SRV record, its third number, to that of the server, usually 5269.";
    TARGET_IS_ALIAS = "srv-target-is-alias", Remote, "RFC 2782 (the target must not be an alias)",
        "Use the canonical name of the host in the SRV record instead of an alias: this node follows the alias, but other servers need not.";
    RECORD_BEHIND_ALIAS = "srv-behind-alias", Remote, "RFC 1034 section 3.6.2",
        "Publish the SRV record directly instead of a CNAME record: this node follows the CNAME, but some servers do not.";
    DNS_LATE = "dns-answer-late", Either, "RFC 8305 section 3",
        "Check the name servers: they are slow or do not answer for one type of address, which delays connections or makes them fail.";
    DEAD_IPV6 = "ipv6-unreachable", Remote, "RFC 8305 section 5",
        "Open the port for IPv6 too, or remove the AAAA record: IPv4 works and IPv6 does not.";
    WRONG_FROM = "wrong-from", Remote, "RFC 6120 section 4.7.1",
        "The operator has to add {remote} to the server, which answers with another domain, or correct the DNS record.";
    DIALBACK_UNTESTABLE = "dialback-secret-not-set", Local, "XEP-0185, s2s.dialback_secret of the configuration",
        "Set s2s.dialback_secret, restart the node and probe again: without it, the running node cannot confirm a key of this probe.";

    // Our own side.
    OWN_NOT_IN_DNS = "own-name-not-in-dns", Local, "RFC 6120 section 3.2, XEP-0220 section 2.2",
        "Publish an SRV record _xmpp-server._tcp.{local} that points to this node: without it, other servers can neither verify dialback keys nor answer stanzas.";
    OWN_DNS_FAILS = "own-name-servers-fail", Local, "RFC 1035 section 4.1.1, RFC 6120 section 3.2",
        "Check the zone of {local} and its delegation: its name servers fail, so other servers cannot look it up either.";
    OWN_BOGUS = "own-dns-bogus", Local, "RFC 4035 section 5.5, RFC 8914",
        "Sign the zone of {local} again, or correct its DS record: its DNSSEC signatures are invalid.";
    OWN_TARGET_IS_ADDRESS = "own-srv-target-is-address", Local, "RFC 2782 (the target is a domain name)",
        "Use a host name in the SRV record of {local}, with an A or AAAA record of its own: servers that look up the address as a name find nothing.";
    OWN_PORT_IS_ZERO = "own-srv-port-is-zero", Local, "RFC 2782 (the port of the service), RFC 6335 section 6 (0 is reserved)",
        "Set the port in the SRV record of {local}, its third number, to that of this node, usually 5269.";
    OWN_IS_ALIAS = "own-srv-alias", Local, "RFC 2782 (the target must not be an alias), RFC 1034 section 3.6.2",
        "Publish the SRV record of {local} directly and with the canonical name of the host, without CNAME records: some servers do not follow them.";
    OWN_UNREACHABLE = "own-listener-unreachable", Local, "RFC 6120 section 3.2, XEP-0220 section 2.2",
        "Start the node, allow TCP connections to that port in the firewall, and point the DNS records of {local} to the address on which it listens.";
    OWN_IS_ANOTHER = "own-listener-is-another", Local, "RFC 6120 section 4.9.3.6, XEP-0220 section 2.2",
        "Correct the DNS records of {local}, or the configuration of the server at that address: it does not serve {local}.";
    OWN_REFUSES = "own-listener-refuses", Local, "RFC 6120 section 4.9.3",
        "Read the log of the server that answers for {local}: it closes the stream with the error above.";
    OWN_SECRET_DIFFERS = "own-dialback-secret-differs", Local, "XEP-0185 section 3",
        "Restart the server that answers for {local} with this configuration, or set the same s2s.dialback_secret on all nodes: it has a different one.";
    OWN_EXPIRED = "own-certificate-expired", Local, "RFC 5280 section 4.1.2.5",
        "Renew the certificate of {local}, then reload the node.";
    OWN_EXPIRES_SOON = "own-certificate-expires-soon", Local, "RFC 5280 section 4.1.2.5",
        "Renew the certificate of {local}, and find out why it was not renewed automatically.";
    OWN_NOT_YET_VALID = "own-certificate-not-yet-valid", Local, "RFC 5280 section 4.1.2.5",
        "Use a certificate for {local} that is valid already, and check the clock of this machine.";
    OWN_WRONG_NAME = "own-certificate-wrong-name", Local, "RFC 6120 section 13.7.1.2.1, RFC 9525 section 6",
        "Get a certificate for {local}, the domain, and not only for the host name of the machine.";
    OWN_UNTRUSTED = "own-certificate-untrusted", Local, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "Use a certificate for {local} from a trusted authority, and put its intermediate certificates into the same file.";
    OWN_NOT_LOADED = "own-certificate-not-loaded", Local, "the configuration file",
        "Reload or restart the server: it presents a certificate that is not the one in the configuration.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let ids: HashSet<_> = ALL.iter().chain(OURS).map(|cause| cause.id).collect();
        assert_eq!(ids.len(), ALL.len() + OURS.len());
        let is_kebab = |id: &str| {
            id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(ids.into_iter().all(is_kebab));
    }

    #[test]
    fn advice_is_one_sentence_without_placeholders() {
        let domain = |name| xmpp::Domain::new(name).unwrap();
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        for cause in OURS {
            let advice = cause.advice(&pair, None);
            assert!(advice.ends_with('.') && !advice.contains(". ") && !advice.contains('{'), "{advice}");
            assert!(!cause.rule.is_empty());
        }
    }
}
