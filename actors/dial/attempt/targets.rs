//! The targets of a domain in the order in which they are tried, for the node and for `nuncio probe` alike.

use std::collections::VecDeque;

use super::redirect::{REDIRECTS, elsewhere};
use crate::dial::failure::Failure;
use net::dns::Target;

/// The targets that are left to try, and the redirects that were followed.
#[derive(Debug)]
pub struct Targets {
    left: VecDeque<Target>,
    /// The domain has more than one target, or a server redirected the attempt.
    several: bool,
    redirects: usize,
}

impl Targets {
    /// Targets in the order in which they are to be tried.
    pub fn new(targets: Vec<Target>) -> Self {
        Self { several: targets.len() > 1, left: targets.into(), redirects: 0 }
    }

    /// Takes the next target to try.
    pub fn take_next(&mut self) -> Option<Target> {
        self.left.pop_front()
    }

    /// Number of targets that are left.
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// Whether there is more than one target, counting those of redirects.
    pub fn are_several(&self) -> bool {
        self.several
    }

    /// Follows a redirect (RFC 6120 section 4.9.3.19): its target is the next to be tried. Only the address changes; the
    /// policy for the domain stays the same.
    ///
    /// Returns the target; `None` if `failure` is not a redirect that may be followed, or after [`REDIRECTS`] redirects.
    pub fn follow(&mut self, failure: &Failure, target: &Target) -> Option<&Target> {
        let other = elsewhere(failure, target).filter(|_| self.redirects < REDIRECTS)?;
        self.redirects += 1;
        self.several = true;
        self.left.push_front(other);
        self.left.front()
    }
}

/// The targets as a log value: `host:port(tls),…`.
pub(super) fn list(targets: &[Target]) -> String {
    let names: Vec<String> = targets
        .iter()
        .map(|target| if target.direct_tls { format!("{target}(tls)") } else { target.to_string() })
        .collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use xmpp::{
        Domain,
        stream::{
            Stage,
            initiating::{self, Cause},
        },
    };

    use super::*;

    fn target(host: &str) -> Target {
        Target {
            host: host.to_owned(),
            port: 5269,
            direct_tls: false,
            priority: 0,
            weight: 0,
            from_srv: true,
        }
    }

    fn redirect(host: &str) -> Failure {
        let cause = Cause::Redirected { host: host.to_owned(), secured: true };
        let failure = initiating::Failure { remote: Domain::new("b.example").unwrap(), cause };
        Failure::Stream {
            address: ([192, 0, 2, 7], 5269).into(),
            stage: Stage::Header,
            failure,
            distrusted: None,
        }
    }

    #[test]
    fn a_redirect_comes_before_the_other_targets_and_only_some_are_followed() {
        let mut targets = Targets::new(vec![target("one.example"), target("two.example")]);
        let first = targets.take_next().unwrap();
        for nth in 0..REDIRECTS {
            let host = format!("other{nth}.example");
            assert_eq!(targets.follow(&redirect(&host), &first).map(|other| other.host.clone()), Some(host));
            assert!(targets.take_next().is_some_and(|other| other.host.starts_with("other")));
        }
        assert!(targets.follow(&redirect("more.example"), &first).is_none());
        assert_eq!((targets.left(), targets.are_several()), (1, true));
    }

    #[test]
    fn another_failure_is_not_followed() {
        let mut targets = Targets::new(vec![target("one.example")]);
        let first = targets.take_next().unwrap();
        assert!(targets.follow(&Failure::Late, &first).is_none());
        assert_eq!((targets.left(), targets.are_several()), (0, false));
    }
}
