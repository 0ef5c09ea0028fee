//! Every cause that the probe knows, with whose side has to act, the rule it rests on and what to do: those for which an
//! attempt can fail, and what else it finds on the way and on our own side.

use xmpp::DomainPair;

pub(crate) use status::cause::*;
use status::report::Side;

/// Whose side has to act, for machines.
pub(crate) fn side_id(side: Side) -> &'static str {
    match side {
        Side::Remote => "remote",
        Side::Local => "us",
        Side::Either => "either",
        Side::Nobody => "nobody",
    }
}

/// Whose side has to act, for people.
pub(crate) fn side_in_words(side: Side, pair: &DomainPair) -> String {
    match side {
        Side::Remote => format!("the operator of {}", pair.remote),
        Side::Local => format!("you, who run {}", pair.local),
        Side::Either => "either side: it cannot be determined from here".to_owned(),
        Side::Nobody => "nobody: it resolves itself with time".to_owned(),
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
    /// The file cannot be used.
    CONFIGURATION = "configuration-broken", Local, "the configuration file",
        "Mend what `nuncio check` lists; a node does not start with it either.";
    TARGET_IS_ADDRESS = "srv-target-is-address", Remote, "RFC 2782 (the target is a domain name)",
        "Name a host in the SRV record and give that the address: this node connects to it, others look for a host of that name and find none.";
    PORT_IS_ZERO = "srv-port-is-zero", Remote, "RFC 2782 (the port of the service), RFC 6335 section 6 (0 is reserved)",
        "Correct the SRV record: its third number is the port at which the server listens, such as 5269.";
    TARGET_IS_ALIAS = "srv-target-is-alias", Remote, "RFC 2782 (the target must not be an alias)",
        "Name the host itself in the SRV record and not its alias: this node follows it, others need not.";
    RECORD_BEHIND_ALIAS = "srv-behind-alias", Remote, "RFC 1034 section 3.6.2",
        "Publish the SRV record at its own name without CNAME: this node follows it, some servers stumble.";
    DNS_LATE = "dns-answer-late", Either, "RFC 8305 section 3",
        "The name servers are slow or silent for one kind of address; it costs time and, when the rest fails, the link.";
    DEAD_IPV6 = "ipv6-unreachable", Remote, "RFC 8305 section 5",
        "IPv4 works and IPv6 does not: open the port for IPv6 too, or take the AAAA record away.";
    WRONG_FROM = "wrong-from", Remote, "RFC 6120 section 4.7.1",
        "The server answers under another name: its operator has to add {remote} to it or correct the record.";
    DIALBACK_UNTESTABLE = "dialback-secret-not-set", Local, "XEP-0185, s2s.dialback_secret of the configuration",
        "The running node cannot know the key of this probe: set s2s.dialback_secret, restart the node and probe again.";

    // Our own side.
    OWN_NOT_IN_DNS = "own-name-not-in-dns", Local, "RFC 6120 section 3.2, XEP-0220 section 2.2",
        "Publish an SRV record _xmpp-server._tcp.{local} that leads to this node: others can neither dial back nor answer.";
    OWN_DNS_FAILS = "own-name-servers-fail", Local, "RFC 1035 section 4.1.1, RFC 6120 section 3.2",
        "The name servers of {local} do not answer as they should: look at its zone and its delegation, since others find nothing either.";
    OWN_BOGUS = "own-dns-bogus", Local, "RFC 4035 section 5.5, RFC 8914",
        "The DNSSEC signatures of {local} are not valid: sign the zone again or correct the DS record.";
    OWN_TARGET_IS_ADDRESS = "own-srv-target-is-address", Local, "RFC 2782 (the target is a domain name)",
        "Name a host in the SRV record of {local} and give that the address: servers that look for a host of that name find none.";
    OWN_PORT_IS_ZERO = "own-srv-port-is-zero", Local, "RFC 2782 (the port of the service), RFC 6335 section 6 (0 is reserved)",
        "Correct the SRV record of {local}: its third number is the port at which this node listens, such as 5269.";
    OWN_IS_ALIAS = "own-srv-alias", Local, "RFC 2782 (the target must not be an alias), RFC 1034 section 3.6.2",
        "Publish the SRV record of {local} at its own name and with the host's own name, without CNAME: some servers stumble.";
    OWN_UNREACHABLE = "own-listener-unreachable", Local, "RFC 6120 section 3.2, XEP-0220 section 2.2",
        "Start the node, let TCP in at that port, and have the records of {local} lead to where it listens.";
    OWN_IS_ANOTHER = "own-listener-is-another", Local, "RFC 6120 section 4.9.3.6, XEP-0220 section 2.2",
        "What answers at the address in the DNS does not serve {local}: correct the records, or the configuration of what runs there.";
    OWN_REFUSES = "own-listener-refuses", Local, "RFC 6120 section 4.9.3",
        "The server that answers for {local} ends the stream with the words above: its log says why.";
    OWN_SECRET_DIFFERS = "own-dialback-secret-differs", Local, "XEP-0185 section 3",
        "The server that answers for {local} has another dialback secret: restart it with this configuration, or give all nodes the same.";
    OWN_EXPIRED = "own-certificate-expired", Local, "RFC 5280 section 4.1.2.5",
        "Renew the certificate of {local}, then reload the node.";
    OWN_EXPIRES_SOON = "own-certificate-expires-soon", Local, "RFC 5280 section 4.1.2.5",
        "Renew the certificate of {local} and find out why it was not renewed automatically.";
    OWN_NOT_YET_VALID = "own-certificate-not-yet-valid", Local, "RFC 5280 section 4.1.2.5",
        "Use a certificate for {local} whose time has begun, and check the clock of this machine.";
    OWN_WRONG_NAME = "own-certificate-wrong-name", Local, "RFC 6120 section 13.7.1.2.1, RFC 9525 section 6",
        "Get a certificate that names {local}: the domain, not only the machine.";
    OWN_UNTRUSTED = "own-certificate-untrusted", Local, "RFC 6120 section 13.7.1.2, RFC 5280 section 6.1",
        "Use a certificate of {local} from an authority that others trust, and put its intermediate certificates into the file too.";
    OWN_NOT_LOADED = "own-certificate-not-loaded", Local, "the configuration file",
        "The running server shows another certificate than the configuration names: reload or restart it.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_stable_words_and_stand_for_one_cause_each() {
        let ids: HashSet<_> = ALL.iter().chain(OURS).map(|cause| cause.id).collect();
        assert_eq!(ids.len(), ALL.len() + OURS.len());
        let is_kebab = |id: &str| {
            id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(ids.into_iter().all(is_kebab));
    }

    #[test]
    fn every_advice_is_one_sentence_with_both_names_filled_in() {
        let domain = |name| xmpp::Domain::new(name).unwrap();
        let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
        for cause in OURS {
            let advice = cause.advice(&pair);
            assert!(advice.ends_with('.') && !advice.contains(". ") && !advice.contains('{'), "{advice}");
            assert!(!cause.rule.is_empty());
        }
    }
}
