//! Whether an open stream may go on under other rules, or with another verdict on the certificate.
use super::{Mechanism, Policy, Refusal, admit};
use crate::{Domain, certificate::Problem};

/// The way in which a remote has proved itself on a stream, or we to the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// SASL EXTERNAL.
    External,
    /// A dialback key that the authoritative server has confirmed.
    Dialback,
    /// A dialback key that no server was asked about, since the certificate proves the remote (XEP-0344).
    Shortcut,
}

impl Proof {
    /// The mechanism that counts for the policy.
    pub fn mechanism(self) -> Mechanism {
        match self {
            Self::External | Self::Shortcut => Mechanism::External,
            Self::Dialback => Mechanism::Dialback,
        }
    }
}

impl From<Mechanism> for Proof {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::External => Self::External,
            Mechanism::Dialback => Self::Dialback,
        }
    }
}

/// The reason why a stream may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// A new connection like this one would be refused.
    Refused(Refusal),
    /// The mechanism that proved the remote is no longer allowed, or not on such a connection.
    Mechanism(Mechanism),
    /// The authoritative server has to confirm dialback keys now.
    Shortcut,
    /// Dialback after a refused EXTERNAL is no longer allowed.
    AfterExternal,
}

impl Withdrawal {
    /// The reason as a sentence, for the operators of both sides.
    pub fn explain(&self, remote: &Domain) -> String {
        match self {
            Self::Refused(refusal) => refusal.explain(remote),
            Self::Mechanism(mechanism) => {
                format!("the policy for {remote} no longer allows its authentication by {mechanism}")
            }
            Self::Shortcut => {
                format!("the policy for {remote} requires its dialback keys to be verified")
            }
            Self::AfterExternal => {
                format!("the policy for {remote} no longer allows dialback after a refused EXTERNAL")
            }
        }
    }
}

/// Decides whether a stream that was admitted with `proof` may go on. `certificate` is as in [`admit`].
///
/// # Errors
/// Gives the reason why it may not.
pub fn readmit(
    policy: &Policy,
    secured: bool,
    certificate: Result<(), Problem>,
    proof: Proof,
) -> Result<(), Withdrawal> {
    let admission = admit(policy, secured, certificate.clone()).map_err(Withdrawal::Refused)?;
    let mechanism = proof.mechanism();
    match (proof, certificate) {
        (Proof::Shortcut, _) if !policy.dialback_shortcut => Err(Withdrawal::Shortcut),
        _ if admission.admits(mechanism) => Ok(()),
        // The mechanism is allowed as before, but the certificate proves nothing now.
        (_, Err(problem)) if mechanism == Mechanism::External && policy.allows(mechanism) => {
            Err(Withdrawal::Refused(Refusal::Certificate(problem)))
        }
        _ => Err(Withdrawal::Mechanism(mechanism)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tls, tests::policy};
    use super::*;

    #[test]
    fn an_admitted_stream_goes_on_and_no_other_does() {
        let good = || Ok(());
        let bad = || Err(Problem::SelfSigned);
        let certificate = Withdrawal::Refused(Refusal::Certificate(Problem::SelfSigned));
        let strict = Policy { strict_certificates: true, ..policy() };
        let optional = Policy { tls: Tls::Optional, ..policy() };
        let disabled = Policy { tls: Tls::Disabled, ..policy() };
        let by = |auth: &[Mechanism]| Policy { auth: auth.to_vec(), ..policy() };
        let (external, dialback) = (by(&[Mechanism::External]), by(&[Mechanism::Dialback]));
        let shortcut = Policy { dialback_shortcut: true, ..policy() };
        for (policy, secured, verdict, proof, expected) in [
            (&policy(), true, good(), Proof::External, Ok(())),
            (&policy(), true, bad(), Proof::Dialback, Ok(())),
            (&policy(), true, bad(), Proof::External, Err(certificate.clone())),
            (&policy(), false, bad(), Proof::Dialback, Err(Withdrawal::Refused(Refusal::TlsRequired))),
            (&optional, false, bad(), Proof::Dialback, Ok(())),
            (&disabled, true, good(), Proof::External, Err(Withdrawal::Refused(Refusal::TlsForbidden))),
            (&strict, true, bad(), Proof::Dialback, Err(certificate.clone())),
            (&strict, true, good(), Proof::Dialback, Ok(())),
            (&external, true, good(), Proof::External, Ok(())),
            (&external, true, good(), Proof::Dialback, Err(Withdrawal::Mechanism(Mechanism::Dialback))),
            (&external, true, bad(), Proof::Dialback, Err(certificate.clone())),
            (&dialback, true, good(), Proof::Dialback, Ok(())),
            (&dialback, true, good(), Proof::External, Err(Withdrawal::Mechanism(Mechanism::External))),
            (&policy(), true, good(), Proof::Shortcut, Err(Withdrawal::Shortcut)),
            (&shortcut, true, good(), Proof::Shortcut, Ok(())),
            (&shortcut, true, bad(), Proof::Shortcut, Err(certificate.clone())),
        ] {
            let case = format!("{:?} {:?} secured={secured} {verdict:?} {proof:?}", policy.tls, policy.auth);
            assert_eq!(readmit(policy, secured, verdict, proof), expected, "{case}");
        }
    }
}
