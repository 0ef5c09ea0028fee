//! The targets of a domain, in the order in which they are tried, with the redirects that were followed.

use std::collections::VecDeque;

use super::redirect::{REDIRECTS, redirect};
use crate::dial::error::AttemptError;
use net::dns::Target;

/// The targets that are left to try.
#[derive(Debug)]
pub(super) struct Targets {
    left: VecDeque<Target>,
    /// There was more than one target, or a redirect.
    several: bool,
    redirects: usize,
}

impl Targets {
    /// Targets in the order in which to try them.
    pub(super) fn new(targets: Vec<Target>) -> Self {
        Self { several: targets.len() > 1, left: targets.into(), redirects: 0 }
    }

    /// Takes the next target.
    pub(super) fn take_next(&mut self) -> Option<Target> {
        self.left.pop_front()
    }

    /// The targets that are left.
    pub(super) fn left(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.left.iter()
    }

    /// Removes the targets that are left.
    pub(super) fn clear(&mut self) {
        self.left.clear();
    }

    /// Whether there was more than one target, counting those of redirects.
    pub(super) fn are_several(&self) -> bool {
        self.several
    }

    /// Follows a redirect of `target` (RFC 6120 section 4.9.3.19): the new target is the next one. Only the
    /// address changes, the pair and its policy stay. `None`: `error` is no redirect, or [`REDIRECTS`] were
    /// followed already.
    pub(super) fn follow(&mut self, error: &AttemptError, target: &Target) -> Option<&Target> {
        let other = redirect(error, target).filter(|_| self.redirects < REDIRECTS)?;
        self.redirects += 1;
        self.several = true;
        self.left.push_front(other);
        self.left.front()
    }
}

/// The targets for the log: `host:port(tls),…`.
pub(super) fn list<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let names: Vec<String> = targets
        .into_iter()
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
    use crate::dial::error::At;

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

    fn redirected_to(host: &str) -> AttemptError {
        let cause = Cause::Redirected { host: host.to_owned(), secured: true };
        let failure = initiating::Failure { remote: Domain::new("b.example").unwrap(), cause };
        let at = At { address: ([192, 0, 2, 7], 5269).into(), stage: Stage::Header, distrusted: None };
        AttemptError::Stream { at, failure }
    }

    #[test]
    fn a_redirect_comes_before_the_other_targets_and_the_number_of_redirects_is_limited() {
        let mut targets = Targets::new(vec![target("one.example"), target("two.example")]);
        let first = targets.take_next().unwrap();
        for nth in 0..REDIRECTS {
            let host = format!("other{nth}.example");
            let followed = targets.follow(&redirected_to(&host), &first);
            assert_eq!(followed.map(|other| other.host.clone()), Some(host.clone()));
            assert_eq!(targets.take_next().map(|other| other.host), Some(host));
        }
        assert!(targets.follow(&redirected_to("more.example"), &first).is_none());
        assert_eq!((targets.left().len(), targets.are_several()), (1, true));
    }

    #[test]
    fn an_error_that_is_no_redirect_is_not_followed() {
        let mut targets = Targets::new(vec![target("one.example")]);
        let first = targets.take_next().unwrap();
        assert!(targets.follow(&AttemptError::Late, &first).is_none());
        assert_eq!((targets.left().len(), targets.are_several()), (0, false));
    }
}
