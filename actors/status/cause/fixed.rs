//! Remedies and advice for a remote domain whose address is in the configuration: no DNS record leads to its server.

/// The remedy and the advice of a cause, by its id. In the texts `{address}` stands for the configured address.
pub(super) fn of(id: &str) -> Option<(&'static str, &'static str)> {
    TEXTS.iter().find(|(own, ..)| *own == id).map(|(_, remedy, advice)| (*remedy, *advice))
}

/// The causes whose other texts are about DNS records that are not used.
pub(super) const TEXTS: &[(&str, &str, &str)] = &[
    // The name of a host in `address` is looked up.
    (
        "no-such-domain",
        "correct `address` ({address}) in the [[remote]] for {remote}, or ask the operator of {remote} for the right one",
        "The host in `address` ({address}) of the [[remote]] for {remote} does not exist: correct it, or remove `address` to use the DNS.",
    ),
    (
        "srv-target-without-address",
        "correct `address` ({address}) in the [[remote]] for {remote}, or ask the operator of {remote} for the right one",
        "The host in `address` ({address}) of the [[remote]] for {remote} has no IP address: correct the name, or set an IP address.",
    ),
    (
        "dns-server-failure",
        "the operator of {remote} must repair the name servers of its host; or set an IP address in place of {address} in the [[remote]] here",
        "The name servers of the host in `address` ({address}) do not answer correctly: set an IP address in the [[remote]] for {remote}, or have them repaired.",
    ),
    (
        "dns-bogus",
        "the operator of {remote} must correct the DNSSEC signatures of its host; or set an IP address in place of {address} in the [[remote]] here",
        "The DNSSEC signatures of the host in `address` ({address}) are not valid: set an IP address in the [[remote]] for {remote}, or have them corrected.",
    ),
    (
        "dns-silent",
        "check that the name servers of dns.nameservers answer this node, or set an IP address in place of {address} in the [[remote]] for {remote}",
        "Check that the name servers of dns.nameservers answer, or set an IP address in place of {address} in the [[remote]] for {remote}.",
    ),
    (
        "dns-timeout",
        "the operator of {remote} must repair the name servers of its host; or set an IP address in place of {address} in the [[remote]] here",
        "The name servers of the host in `address` ({address}) do not answer: set an IP address in the [[remote]] for {remote}, or have them repaired.",
    ),
    (
        "leads-to-ourselves",
        "correct `address` ({address}) in the [[remote]] for {remote}: it is that of this node",
        "The `address` ({address}) in the [[remote]] for {remote} is a listener of this node: correct it, or add a [[domain]] or [[component]] for {remote}.",
    ),
    // TCP.
    (
        "connection-refused",
        "correct `address` ({address}) in the [[remote]] for {remote}, or the operator of {remote} must start the server there",
        "Nothing listens at {address}, the `address` in the [[remote]] for {remote}: correct it, or ask the operator of {remote} to start the server there.",
    ),
    (
        "no-answer",
        "check `address` ({address}) in the [[remote]] for {remote}, and that no firewall on either side drops the connection",
        "Check {address}, the `address` in the [[remote]] for {remote}: there is no such host, it is down, or a firewall drops the connection.",
    ),
    (
        "unreachable",
        "check the routing of this machine, and `address` ({address}) in the [[remote]] for {remote}",
        "There is no route to {address}: check the routing of this machine, and `address` in the [[remote]] for {remote}.",
    ),
    (
        "connection-failed",
        "check the network of this machine, then `address` ({address}) in the [[remote]] for {remote}",
        "Check the network of this machine, then {address}, the `address` in the [[remote]] for {remote}; the error of the operating system is above.",
    ),
    (
        "no-ipv6-here",
        "give this machine IPv6, or set an IPv4 address in place of {address} in the [[remote]] for {remote}",
        "This machine has no IPv6: set an IPv4 address in place of {address} in the [[remote]] for {remote}.",
    ),
    // The service at the address.
    (
        "http-host",
        "a web server answers: correct `address` ({address}) in the [[remote]] for {remote}, or ask the operator of {remote} for the right one",
        "A web server answers at {address}: correct `address` in the [[remote]] for {remote}, most often its port.",
    ),
    (
        "not-xmpp",
        "correct `address` ({address}) in the [[remote]] for {remote}, or ask the operator of {remote} for the right one",
        "The service at {address} is not XMPP: correct `address` in the [[remote]] for {remote}, most often its port.",
    ),
    (
        "wrong-namespace",
        "set the port for servers (5269) in `address` ({address}) of the [[remote]] for {remote}, or ask the operator of {remote} for it",
        "The stream is not for servers; most often {address} is the port for clients (5222): set the port for servers (5269) in the [[remote]] for {remote}.",
    ),
    (
        "not-tls",
        "correct `direct_tls` or `address` ({address}) in the [[remote]] for {remote}, or ask the operator of {remote} for the port for direct TLS",
        "The service at {address} does not use TLS from the first byte: remove `direct_tls` from the [[remote]] for {remote}, or correct its `address`.",
    ),
    (
        "tls-name-unknown",
        "the operator of {remote} must give the server a certificate for {remote}; or correct `address` ({address}) in the [[remote]] here",
        "The server at {address} has no certificate for {remote}: its operator must add the domain, or correct `address` in the [[remote]] here.",
    ),
    // Streams.
    (
        "host-unknown",
        "correct `address` ({address}) in the [[remote]] for {remote}, or the operator of {remote} must add {remote} to the server there",
        "The server at {address} does not serve {remote}: correct `address` in the [[remote]], or ask its operator to add the domain.",
    ),
    (
        "wrong-from",
        "",
        "The server at {address} answers with another domain: correct `address` in the [[remote]] for {remote}, or ask its operator to add {remote}.",
    ),
];
