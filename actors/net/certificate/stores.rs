//! What the trust stores of the configuration think of a chain.

use openssl::{
    error::ErrorStack,
    stack::StackRef,
    x509::{
        X509, X509PurposeId, X509Ref, X509StoreContext, X509StoreContextRef,
        store::{X509Store, X509StoreBuilder},
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};
use xmpp::certificate::{NameConstraints, Problem};

use super::{begins_soon, date, limits, readable, revocation, system};
use crate::certificate::Trust;

/// Which end of the connection the certificate came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// We opened the connection.
    Server,
    /// The connection was opened to us.
    Client,
}

/// The trust stores, loaded; in the order of the settings.
pub(crate) struct Stores(Vec<Store>);

impl Stores {
    /// Loads them all.
    ///
    /// # Errors
    ///
    /// OpenSSL has no memory, or does not take one of the authorities.
    pub(crate) fn load(trust: &[Trust]) -> Result<Self, ErrorStack> {
        trust.iter().map(Store::load).collect::<Result<_, _>>().map(Self)
    }

    /// Gives what each of them thinks of a certificate of `peer`.
    pub(super) fn verdicts(
        &self,
        peer: Peer,
        leaf: &X509Ref,
        chain: &StackRef<X509>,
        staple: Option<&[u8]>,
    ) -> Vec<Verdict> {
        self.0.iter().map(|store| store.verdict(peer, leaf, chain, staple)).collect()
    }
}

/// What a trust store thinks of a certificate.
pub(super) struct Verdict {
    /// What it has against it.
    pub(super) problem: Option<Problem>,
    /// What its authorities may not vouch for.
    pub(super) limit: Option<NameConstraints>,
}

/// One trust store. OpenSSL ties the purpose to the store, hence three with the same authorities in them.
struct Store {
    /// For certificates that may be a server's.
    serving: X509Store,
    /// For certificates that may be a client's.
    calling: X509Store,
    /// For those who speak for an authority on what it revoked.
    vouching: X509Store,
}

impl Store {
    fn load(trust: &Trust) -> Result<Self, ErrorStack> {
        let authorities = match trust {
            Trust::System => &system::authorities(),
            Trust::Authorities(authorities) => authorities,
        };
        let store = |purpose: Option<X509PurposeId>| -> Result<X509Store, ErrorStack> {
            let mut store = X509StoreBuilder::new()?;
            for authority in authorities {
                store.add_cert(authority.clone())?;
            }
            store.set_param(rules(purpose)?.as_ref())?;
            Ok(store.build())
        };
        Ok(Self {
            serving: store(Some(X509PurposeId::SSL_SERVER))?,
            calling: store(Some(X509PurposeId::SSL_CLIENT))?,
            vouching: store(None)?,
        })
    }

    fn verdict(&self, peer: Peer, leaf: &X509Ref, chain: &StackRef<X509>, staple: Option<&[u8]>) -> Verdict {
        let verdict =
            verify(&self.serving, leaf, chain, |chain| revocation::day(staple?, chain, &self.vouching));
        // A server that opens a stream is a client to TLS, but public authorities no longer issue certificates with
        // the purpose clientAuth. What proves a domain when it is called proves it when it calls (CONFORMANCE D21).
        if peer == Peer::Client && verdict.problem == Some(Problem::WrongPurpose) {
            // A client has nothing to staple to.
            return verify(&self.calling, leaf, chain, |_| None);
        }
        verdict
    }
}

fn rules(purpose: Option<X509PurposeId>) -> Result<X509VerifyParam, ErrorStack> {
    let mut rules = X509VerifyParam::new()?;
    // An operator may trust an intermediate authority, or one single certificate, by naming it.
    rules.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::TRUSTED_FIRST)?;
    if let Some(purpose) = purpose {
        rules.set_purpose(purpose)?;
    }
    rules.set_auth_level(LEAST_STRENGTH);
    rules.set_depth(LONGEST_CHAIN);
    Ok(rules)
}

/// Follows the chain to one of the store's authorities, and asks `revoked` on which day the leaf of a good one was revoked.
fn verify(
    store: &X509Store,
    leaf: &X509Ref,
    chain: &StackRef<X509>,
    revoked: impl FnOnce(&StackRef<X509>) -> Option<String>,
) -> Verdict {
    let verdict = X509StoreContext::new().and_then(|mut context| {
        context.init(store, leaf, chain, |context| {
            let problem = match context.verify_cert()? {
                true => context.chain().and_then(revoked).map(|on| Problem::Revoked { on }),
                false => Some(problem(context)),
            };
            // A chain that is refused ends at certificates of the peer's own choice.
            let limit = if problem.is_none() { context.chain().and_then(limits::of) } else { None };
            Ok(Verdict { problem, limit })
        })
    });
    verdict
        .unwrap_or_else(|errors| Verdict { problem: Some(Problem::Other(errors.to_string())), limit: None })
}

/// Puts the first objection of OpenSSL into our words.
fn problem(context: &X509StoreContextRef) -> Problem {
    let culprit = context.current_cert();
    // Above the leaf it is an authority's certificate, with which the peer's own may be in order.
    let authority =
        culprit.filter(|_| context.error_depth() > 0).map(|culprit| readable(culprit.subject_name()));
    match context.error().as_raw() {
        CERT_HAS_EXPIRED => {
            let on = culprit.map(|c| date(c.not_after())).unwrap_or_default();
            match authority {
                Some(authority) => Problem::AuthorityExpired { authority, on },
                None => Problem::Expired { on },
            }
        }
        CERT_NOT_YET_VALID => {
            let until = culprit.map(|c| date(c.not_before())).unwrap_or_default();
            let soon = culprit.is_some_and(begins_soon);
            match authority {
                Some(authority) => Problem::AuthorityNotYetValid { authority, until, soon },
                None => Problem::NotYetValid { until, soon },
            }
        }
        DEPTH_ZERO_SELF_SIGNED_CERT => Problem::SelfSigned,
        UNABLE_TO_GET_ISSUER_CERT
        | UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | SELF_SIGNED_CERT_IN_CHAIN
        | UNABLE_TO_VERIFY_LEAF_SIGNATURE => Problem::UnknownAuthority {
            issuer: culprit.map(|c| readable(c.issuer_name())).unwrap_or_default(),
        },
        INVALID_PURPOSE => Problem::WrongPurpose,
        _ => Problem::Other(context.error().error_string().to_owned()),
    }
}

/// OpenSSL's security level 2: 112 bits, so RSA from 2048 bits and no SHA-1. Every public authority asks for that.
const LEAST_STRENGTH: i32 = 2;

/// Public chains have three certificates, cross-signed ones four or five.
const LONGEST_CHAIN: i32 = 8;

// X509_V_ERR_…: part of OpenSSL's ABI, and not named by the `openssl` crate.
const UNABLE_TO_GET_ISSUER_CERT: i32 = 2;
const CERT_NOT_YET_VALID: i32 = 9;
const CERT_HAS_EXPIRED: i32 = 10;
const DEPTH_ZERO_SELF_SIGNED_CERT: i32 = 18;
const SELF_SIGNED_CERT_IN_CHAIN: i32 = 19;
const UNABLE_TO_GET_ISSUER_CERT_LOCALLY: i32 = 20;
const UNABLE_TO_VERIFY_LEAF_SIGNATURE: i32 = 21;
const INVALID_PURPOSE: i32 = 26;
