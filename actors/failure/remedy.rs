//! Who can do something about a failed attempt, and what.

use xmpp::{
    DomainPair,
    certificate::Problem,
    stream::{
        Condition,
        initiating::{self, Cause},
    },
};

use super::Failure;
use crate::{
    connect, dns,
    report::{Side, Trouble, bounded},
    tls,
};

impl Failure {
    /// The failure as a person is told of it: what happened, whose side has to act, what to do.
    pub fn trouble(&self, pair: &DomainPair) -> Trouble {
        let (side, remedy) = self.remedy(pair);
        Trouble {
            reason: bounded(self.sentence(&pair.remote)),
            definitive: self.is_definitive(),
            side,
            remedy: bounded(remedy),
        }
    }

    /// Whose side has to act, and what to do.
    fn remedy(&self, pair: &DomainPair) -> (Side, String) {
        let DomainPair { local, remote } = pair;
        let they = |what: &str| (Side::Remote, format!("{remote}'s administrator has to {what}"));
        match self {
            Self::Denied => {
                (Side::Local, format!("change s2s.allow or s2s.deny here if {remote} is to be reached"))
            }
            Self::Stopping => (Side::Nobody, "start this node again".to_owned()),
            Self::Late => (Side::Nobody, "wait for the attempt that is under way".to_owned()),
            Self::ShortLived => they("look into the log there, which says why the links are ended"),
            Self::Overloaded => {
                (Side::Local, "this node has too much to do: the log says of what".to_owned())
            }
            Self::Crowded(address) => (
                Side::Either,
                format!(
                    "see why the links to {address} are made so slowly, or raise limits.max_dials_per_address here"
                ),
            ),
            Self::Crashed => (Side::Local, "report the panic that the log of this node shows".to_owned()),
            Self::Loop(_) => (
                Side::Local,
                format!("add {remote} to this node as a [[domain]], or have its DNS records corrected"),
            ),
            Self::Dns(failure) => of_the_dns(failure, remote.as_str()),
            Self::Connect(failures) => {
                let refused = |failure: &connect::Failure| *failure == connect::Failure::Refused;
                if failures.iter().all(|(_, failure)| refused(failure)) {
                    they("start the server, or let it listen where its DNS records lead")
                } else {
                    let firewalls = "see that no firewall on either side keeps the connection from its port";
                    (Side::Either, firewalls.to_owned())
                }
            }
            Self::Tls { error, .. } => of_tls(error, pair),
            Self::Stream { failure: initiating::Failure { cause, .. }, .. } => of_a_stream(cause, pair),
            Self::Broken { .. } => they("look into the log there, which says why the connection was ended"),
            Self::TimedOut { .. } => they(&format!("see why the server does not go on with {local}")),
        }
    }
}

fn of_the_dns(failure: &dns::Failure, remote: &str) -> (Side, String) {
    use dns::Failure::{Bogus, NoAddress, NoService, NoSuchDomain, NotOffered, Refused, Silent, Unusable};
    match failure {
        NoSuchDomain { .. } => {
            (Side::Either, format!("correct the address, or register {remote} in the DNS"))
        }
        NotOffered { .. } | NoService { .. } => {
            (Side::Remote, format!("{remote}'s administrator has to publish where its XMPP service is"))
        }
        NoAddress { .. } => {
            (Side::Remote, format!("{remote}'s administrator has to correct its SRV records"))
        }
        Bogus { .. } => (Side::Remote, format!("{remote}'s administrator has to mend its DNSSEC signatures")),
        Refused { .. } => {
            (Side::Either, format!("ask another name server: if it fails too, {remote}'s have to be mended"))
        }
        Silent { .. } | Unusable { .. } => (
            Side::Either,
            format!("see that the name servers of dns.nameservers answer here, then those of {remote}"),
        ),
    }
}

fn of_tls(error: &tls::Error, pair: &DomainPair) -> (Side, String) {
    let DomainPair { local, remote } = pair;
    let they = |what: &str| (Side::Remote, format!("{remote}'s administrator has to {what}"));
    match error {
        tls::Error::Identity { domain, .. } => {
            (Side::Local, format!("correct certificate and key of {domain} here"))
        }
        tls::Error::NoIdentity => (Side::Local, format!("give {local} a certificate here")),
        tls::Error::Setup(_) => (Side::Local, "report what the log of this node shows".to_owned()),
        tls::Error::TooLong => {
            (Side::Local, format!("raise limits.max_handshake here, if {remote} needs it"))
        }
        tls::Error::NotTls => they("let TLS listen where its DNS records promise it"),
        tls::Error::NoCommonVersion => they("allow TLS 1.2 or 1.3"),
        tls::Error::NoCommonCipher => they("allow a cipher of today"),
        tls::Error::OtherProtocol => they("let the port speak xmpp-server"),
        error if error.blames_our_certificate() => {
            (Side::Local, format!("see whether {local}'s certificate is good for others: it was refused"))
        }
        tls::Error::Alert(_) | tls::Error::Closed | tls::Error::Broken(_) | tls::Error::Failed(_) => {
            they("look into the log there, which says why TLS was ended")
        }
    }
}

fn of_a_stream(cause: &Cause, pair: &DomainPair) -> (Side, String) {
    let DomainPair { local, remote } = pair;
    let they = |what: &str| (Side::Remote, format!("{remote}'s administrator has to {what}"));
    match cause {
        Cause::NotXmpp => they("let its DNS records lead to its XMPP server"),
        Cause::TlsUnavailable | Cause::TlsRefused => they("switch TLS on, with a certificate"),
        Cause::TlsForbidden => (Side::Local, "set s2s.tls to \"required\" or \"optional\" here".to_owned()),
        Cause::Certificate(problem) => of_a_certificate(problem, pair),
        Cause::NoMechanism => (
            Side::Either,
            format!("see s2s.auth here; {remote} has to offer EXTERNAL to {local} or allow dialback"),
        ),
        Cause::ExternalRefused(_) => (
            Side::Either,
            format!("see whether {local}'s certificate is good for others, or have {remote} accept it"),
        ),
        Cause::DialbackInvalid => (
            Side::Local,
            format!(
                "let the DNS records of {local} lead to this node, or to nodes with the same dialback_secret"
            ),
        ),
        Cause::DialbackError(_) => (
            Side::Either,
            format!(
                "see that this node can be reached at what the DNS says of {local}; {remote} could not ask it"
            ),
        ),
        Cause::Stream(error) => match error.condition {
            Condition::HostUnknown | Condition::HostGone => {
                they("let the server there serve it, or its DNS records lead elsewhere")
            }
            Condition::NotAuthorized | Condition::PolicyViolation => {
                they(&format!("allow {local} to connect: its server refuses"))
            }
            Condition::SystemShutdown | Condition::Reset | Condition::ResourceConstraint => {
                (Side::Nobody, format!("wait until {remote}'s server takes connections again"))
            }
            _ => they("look into the log there, which says why the stream was ended"),
        },
        Cause::Closed => they("look into the log there, which says why the stream was ended"),
        Cause::Redirected { secured: false, .. } => {
            they("redirect over TLS only: in the clear nobody follows")
        }
        Cause::Redirected { .. } => they("end the chain of redirects"),
        Cause::Misbehaved(_) => they("update the server there: it broke the protocol"),
    }
}

fn of_a_certificate(problem: &Problem, pair: &DomainPair) -> (Side, String) {
    let remote = &pair.remote;
    let they = |what: &str| (Side::Remote, format!("{remote}'s administrator has to {what}"));
    match problem {
        Problem::Expired { .. } => they("renew it"),
        Problem::NotYetValid { .. } => {
            (Side::Either, format!("compare the clocks here and there: {remote}'s certificate is new"))
        }
        Problem::Missing => they("show one"),
        Problem::SelfSigned => they("get one from an authority that others trust"),
        Problem::UnknownAuthority { .. } => (
            Side::Either,
            format!("{remote} has to send the whole chain, or s2s.trust here has to name its authority"),
        ),
        Problem::WrongPurpose => they("get one that is meant for servers"),
        Problem::Revoked => they("get a new one"),
        Problem::WrongName { .. } => they(&format!("get one that names {remote}")),
        Problem::Other(_) => they("replace it"),
    }
}

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn pair() -> DomainPair {
        DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new("b.example").unwrap() }
    }

    fn of_cause(cause: Cause) -> Trouble {
        let failure = initiating::Failure { remote: pair().remote, cause };
        Failure::Stream { address: ([127, 0, 0, 1], 5269).into(), failure }.trouble(&pair())
    }

    #[test]
    fn an_expired_certificate_is_its_owners_to_renew() {
        let trouble = of_cause(Cause::Certificate(Problem::Expired { on: "2026-11-01".to_owned() }));
        assert_eq!(trouble.reason, "certificate of b.example expired on 2026-11-01");
        assert_eq!(trouble.remedy, "b.example's administrator has to renew it");
        assert_eq!((trouble.side, trouble.definitive), (Side::Remote, true));
    }

    #[test]
    fn a_denied_domain_is_this_nodes_own_decision() {
        let trouble = Failure::Denied.trouble(&pair());
        assert_eq!(trouble.side, Side::Local);
        assert!(trouble.remedy.contains("s2s.deny"), "{}", trouble.remedy);
    }

    #[test]
    fn our_own_dns_is_ours_to_mend_when_a_key_is_called_invalid() {
        let trouble = of_cause(Cause::DialbackInvalid);
        assert_eq!(trouble.side, Side::Local);
        assert!(trouble.remedy.contains("DNS records of a.example"), "{}", trouble.remedy);
    }

    #[test]
    fn a_connection_that_nobody_answers_may_be_either_sides_firewall() {
        let address = ([192, 0, 2, 7], 5269).into();
        let connect = |failure| Failure::Connect(vec![(address, failure)]).trouble(&pair()).side;
        assert_eq!(connect(connect::Failure::Silent(std::time::Duration::from_secs(10))), Side::Either);
        assert_eq!(connect(connect::Failure::Refused), Side::Remote);
    }
}
