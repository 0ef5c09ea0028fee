//! The proof behind a stream: its pairs of domains, and how strongly each was proved. It decides who may resume it.

use xmpp::{DomainPair, policy::Mechanism, stream::Secured};

/// The pairs that a stream has proved, and how.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The first [`KEPT`] pairs, each with the mechanism that proved it.
    proved: Vec<(DomainPair, Mechanism)>,
    /// Further pairs are not kept.
    has_more: bool,
    protection: Protection,
}

/// The protection of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Protection {
    ClearText,
    /// TLS; the peer has shown no certificate.
    Tls,
    /// TLS, with a certificate of the peer that has this fingerprint.
    Certificate(Box<str>),
}

/// The right of a peer to the state of an earlier stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// It may go on with the stream.
    Resume,
    /// It may learn the count: it has proved some of the pairs, and others only the earlier stream had.
    Count,
    /// None.
    Nothing,
}

impl Identity {
    /// The identity of a stream that has proved these pairs.
    pub(crate) fn new<'a>(
        proved: impl IntoIterator<Item = (&'a DomainPair, Mechanism)>,
        transport: Option<&Secured>,
    ) -> Self {
        let mut proved = proved.into_iter();
        let kept = proved.by_ref().take(KEPT).map(|(pair, mechanism)| (pair.clone(), mechanism)).collect();
        let protection = match transport {
            None => Protection::ClearText,
            Some(Secured { certificate: None, .. }) => Protection::Tls,
            Some(Secured { certificate: Some(certificate), .. }) => {
                Protection::Certificate(certificate.fingerprint.as_str().into())
            }
        };
        Self { proved: kept, has_more: proved.next().is_some(), protection }
    }

    /// The pairs.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &DomainPair> {
        self.proved.iter().map(|(pair, _)| pair)
    }

    /// The right that a peer with the identity `claimant` has to a stream with this one (XEP-0198 section 5: the same
    /// entity, authenticated as strongly as before).
    pub(crate) fn right_of(&self, claimant: &Self) -> Right {
        let is_proved = |(pair, mechanism): &(DomainPair, Mechanism)| {
            let proof = claimant.proved.iter().find(|(proved, _)| proved == pair);
            proof.is_some_and(|(_, again)| self.is_as_strong(*mechanism, claimant, *again))
        };
        match self.proved.iter().filter(|proof| is_proved(proof)).count() {
            0 => Right::Nothing,
            all if all == self.proved.len() && !self.has_more => Right::Resume,
            _ => Right::Count,
        }
    }

    /// Whether the proof `again` of a claimant is as strong as the one of this stream. A certificate may be renewed
    /// where it proves the domain. Under dialback it is only known to be the same, so it has to stay the same.
    fn is_as_strong(&self, mechanism: Mechanism, claimant: &Self, again: Mechanism) -> bool {
        match (mechanism, again) {
            (_, Mechanism::External) => true,
            (Mechanism::External, Mechanism::Dialback) => false,
            (Mechanism::Dialback, Mechanism::Dialback) => match &self.protection {
                Protection::ClearText => true,
                Protection::Tls => claimant.protection != Protection::ClearText,
                Protection::Certificate(_) => claimant.protection == self.protection,
            },
        }
    }
}

/// Pairs of one stream that are kept. A stream with more of them is not resumed; its peer gets the count. So an entry
/// of the resumer takes less than a kilobyte.
const KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn pair(remote: &str) -> DomainPair {
        DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new(remote).unwrap() }
    }

    fn identity(remotes: &[&str], mechanism: Mechanism, protection: Protection) -> Identity {
        let pairs: Vec<_> = remotes.iter().map(|remote| pair(remote)).collect();
        let proved = pairs.iter().map(|pair| (pair, mechanism));
        Identity { protection, ..Identity::new(proved, None) }
    }

    fn certificate(fingerprint: &str) -> Protection {
        Protection::Certificate(fingerprint.into())
    }

    #[test]
    fn a_proof_that_is_weaker_has_no_right() {
        use Mechanism::{Dialback, External};
        use Protection::{ClearText, Tls};
        for (mechanism, protection, again, protected, right) in [
            (External, certificate("1"), External, certificate("1"), Right::Resume),
            (External, certificate("1"), External, certificate("2"), Right::Resume),
            (External, certificate("1"), Dialback, certificate("1"), Right::Nothing),
            (Dialback, certificate("1"), External, certificate("2"), Right::Resume),
            (Dialback, certificate("1"), Dialback, certificate("1"), Right::Resume),
            (Dialback, certificate("1"), Dialback, certificate("2"), Right::Nothing),
            (Dialback, certificate("1"), Dialback, Tls, Right::Nothing),
            (Dialback, Tls, Dialback, certificate("1"), Right::Resume),
            (Dialback, Tls, Dialback, ClearText, Right::Nothing),
            (Dialback, ClearText, Dialback, ClearText, Right::Resume),
        ] {
            let case = format!("{mechanism} {protection:?}, then {again} {protected:?}");
            let before = identity(&["b.example"], mechanism, protection);
            assert_eq!(before.right_of(&identity(&["b.example"], again, protected)), right, "{case}");
        }
    }

    #[test]
    fn all_pairs_resume_and_some_of_them_learn_the_count() {
        let of = |remotes: &[&str]| identity(remotes, Mechanism::External, certificate("1"));
        let both = of(&["b.example", "c.example"]);
        assert_eq!(both.right_of(&of(&["c.example", "b.example"])), Right::Resume);
        assert_eq!(both.right_of(&of(&["c.example"])), Right::Count);
        assert_eq!(both.right_of(&of(&["d.example"])), Right::Nothing);
        assert_eq!(of(&["b.example"]).right_of(&both), Right::Resume, "it has proved one more");
    }

    #[test]
    fn a_stream_of_many_pairs_is_not_resumed_and_its_peer_learns_the_count() {
        let names: Vec<_> = (0..=KEPT).map(|number| format!("d{number}.example")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let many = identity(&names, Mechanism::External, certificate("1"));
        assert_eq!(many.pairs().count(), KEPT);
        assert_eq!(many.right_of(&many), Right::Count);
        assert_eq!(
            many.right_of(&identity(&names[..1], Mechanism::External, certificate("1"))),
            Right::Count
        );
    }

    #[test]
    fn a_stream_whose_pairs_were_all_withdrawn_belongs_to_nobody() {
        let nobody = identity(&[], Mechanism::External, certificate("1"));
        assert_eq!(nobody.right_of(&nobody), Right::Nothing);
    }
}
