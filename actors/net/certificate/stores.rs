//! Verifies chains against the trust stores of the configuration.

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

use super::{begins_soon, date, name_constraints, readable, revocation, system};
use crate::certificate::Trust;

/// The role of the peer in the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// This node opened the connection.
    Server,
    /// The peer opened the connection.
    Client,
}

/// The loaded trust stores, in the order of the settings.
pub(crate) struct Stores(Vec<Store>);

impl Stores {
    /// Loads all trust stores.
    ///
    /// # Errors
    ///
    /// OpenSSL has no memory, or rejects one of the authorities.
    pub(crate) fn load(trust: &[Trust]) -> Result<Self, ErrorStack> {
        trust.iter().map(Store::load).collect::<Result<_, _>>().map(Self)
    }

    /// Verifies a certificate of `peer` against each store.
    pub(super) fn verify(
        &self,
        peer: Peer,
        leaf: &X509Ref,
        chain: &StackRef<X509>,
        staple: Option<&[u8]>,
    ) -> Vec<Verification> {
        self.0.iter().map(|store| store.verify(peer, leaf, chain, staple)).collect()
    }
}

/// The result of a verification against one trust store.
pub(super) struct Verification {
    /// The problem; `None` if the chain is valid.
    pub(super) problem: Option<Problem>,
    /// The name constraints of the authorities in a valid chain.
    pub(super) constraints: Option<NameConstraints>,
}

/// One trust store. OpenSSL binds the purpose to a store, so there are three with the same authorities.
struct Store {
    /// For the purpose serverAuth.
    server: X509Store,
    /// For the purpose clientAuth.
    client: X509Store,
    /// For the signers of OCSP responses.
    responder: X509Store,
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
            server: store(Some(X509PurposeId::SSL_SERVER))?,
            client: store(Some(X509PurposeId::SSL_CLIENT))?,
            responder: store(None)?,
        })
    }

    fn verify(
        &self,
        peer: Peer,
        leaf: &X509Ref,
        chain: &StackRef<X509>,
        staple: Option<&[u8]>,
    ) -> Verification {
        let verification = verify_chain(&self.server, leaf, chain, |chain| {
            revocation::revoked_on(staple?, chain, &self.responder)
        });
        // A server that opens a stream is a TLS client, but public authorities no longer issue certificates
        // with the purpose clientAuth. So serverAuth is accepted from clients too (CONFORMANCE D21).
        if peer == Peer::Client && verification.problem == Some(Problem::WrongPurpose) {
            // A client cannot staple an OCSP response.
            return verify_chain(&self.client, leaf, chain, |_| None);
        }
        verification
    }
}

fn rules(purpose: Option<X509PurposeId>) -> Result<X509VerifyParam, ErrorStack> {
    let mut rules = X509VerifyParam::new()?;
    // An operator can trust an intermediate authority, or a single certificate, by adding it to the store.
    rules.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::TRUSTED_FIRST)?;
    if let Some(purpose) = purpose {
        rules.set_purpose(purpose)?;
    }
    rules.set_auth_level(SECURITY_LEVEL);
    rules.set_depth(MAX_DEPTH);
    Ok(rules)
}

/// Verifies a chain. `revoked` returns the day on which the leaf of a valid chain was revoked.
fn verify_chain(
    store: &X509Store,
    leaf: &X509Ref,
    chain: &StackRef<X509>,
    revoked: impl FnOnce(&StackRef<X509>) -> Option<String>,
) -> Verification {
    let verification = X509StoreContext::new().and_then(|mut context| {
        context.init(store, leaf, chain, |context| {
            let problem = match context.verify_cert()? {
                true => context.chain().and_then(revoked).map(|on| Problem::Revoked { on }),
                false => Some(problem(context)),
            };
            // The peer chooses the certificates of an invalid chain, so their constraints mean nothing.
            let constraints =
                if problem.is_none() { context.chain().and_then(name_constraints::of) } else { None };
            Ok(Verification { problem, constraints })
        })
    });
    verification.unwrap_or_else(|errors| Verification {
        problem: Some(Problem::Other(errors.to_string())),
        constraints: None,
    })
}

/// Translates the first error of OpenSSL.
fn problem(context: &X509StoreContextRef) -> Problem {
    let culprit = context.current_cert();
    // Above the leaf the error is in the certificate of an authority.
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

/// OpenSSL security level 2: 112 bits, so RSA from 2048 bits and no SHA-1. Public authorities require the
/// same.
const SECURITY_LEVEL: i32 = 2;

/// The maximum number of authorities in a chain. Public chains have three certificates, cross-signed ones up
/// to five.
const MAX_DEPTH: i32 = 8;

// X509_V_ERR_…: part of the ABI of OpenSSL. The `openssl` crate has no names for them.
const UNABLE_TO_GET_ISSUER_CERT: i32 = 2;
const CERT_NOT_YET_VALID: i32 = 9;
const CERT_HAS_EXPIRED: i32 = 10;
const DEPTH_ZERO_SELF_SIGNED_CERT: i32 = 18;
const SELF_SIGNED_CERT_IN_CHAIN: i32 = 19;
const UNABLE_TO_GET_ISSUER_CERT_LOCALLY: i32 = 20;
const UNABLE_TO_VERIFY_LEAF_SIGNATURE: i32 = 21;
const INVALID_PURPOSE: i32 = 26;
