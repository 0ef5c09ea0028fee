//! The OpenSSL contexts: certificates, versions, ciphers and extensions.

use std::sync::Arc;

use openssl::{
    error::ErrorStack,
    ssl::{
        AlpnError, NameType, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod, SslOptions,
        SslSessionCacheMode, SslVerifyMode, SslVersion, select_next_proto,
    },
};
use xmpp::{Domain, Served};

use crate::certificate::Identity;

/// Makes the context of outgoing connections, with `identity` or without a certificate.
pub(super) fn outbound(identity: Option<&Identity>) -> Result<SslContext, ErrorStack> {
    Ok(common(identity)?.build().into_context())
}

/// Makes the context of incoming connections for the domain of `identity`. `direct`: TLS from the first byte.
pub(super) fn inbound(identity: &Identity, direct: bool) -> Result<SslContext, ErrorStack> {
    let mut context = common(Some(identity))?;
    // RFC 7301 section 3.2 requires to refuse a client that offers only other protocols. With STARTTLS the
    // protocol is known already, and a refusal has no use.
    let refusal = if direct { AlpnError::ALERT_FATAL } else { AlpnError::NOACK };
    context.set_alpn_select_callback(move |_, offered| select_next_proto(ALPN, offered).ok_or(refusal));
    Ok(context.build().into_context())
}

/// The contexts of one kind of listening socket.
pub(super) struct ServerContexts {
    /// The initial context, without a certificate. It selects the context of a domain by SNI.
    initial: SslContext,
    /// The contexts by domain.
    domains: Arc<Served<SslContext>>,
    /// The context for clients that name no local domain.
    default: SslContext,
}

impl ServerContexts {
    /// Makes the contexts. `default` is for clients that name no local domain.
    pub(super) fn new(domains: Served<SslContext>, default: SslContext) -> Result<Self, ErrorStack> {
        let domains = Arc::new(domains);
        let mut initial = common(None)?;
        let named = Arc::clone(&domains);
        initial.set_servername_callback(move |ssl, _| {
            // An unknown name changes nothing. Some servers send the SRV target, and the certificate for the
            // `to` of the stream remains the best answer.
            let name = ssl.servername(NameType::HOST_NAME).and_then(|name| Domain::new(name).ok());
            if let Some(host) = name.and_then(|name| named.get(&name)) {
                // This fails only without memory. Then the certificate chosen before remains.
                let _ = ssl.set_ssl_context(host);
            }
            Ok(())
        });
        Ok(Self { initial: initial.build().into_context(), domains, default })
    }

    /// Prepares an incoming connection for `domain`, unless the client names another local domain by SNI.
    pub(super) fn open(&self, domain: Option<&Domain>) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.initial)?;
        let host = domain.and_then(|domain| self.domains.get(domain)).unwrap_or(&self.default);
        ssl.set_ssl_context(host)?;
        // A certificate is requested, and any or none is accepted. It is verified after the handshake.
        ssl.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        Ok(ssl)
    }
}

/// Makes the part that both roles have in common: TLS 1.2 with forward secrecy and AEAD, TLS 1.3, no
/// compression (RFC 9325).
fn common(identity: Option<&Identity>) -> Result<SslAcceptorBuilder, ErrorStack> {
    // This ready-made context also works for clients. Unlike `SslConnector` it does not load the authorities
    // of the system, which takes 40 ms. Both set the modes without which a repeated write fails ("bad write
    // retry").
    let mut context = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_security_level(SECURITY_LEVEL);
    // RFC 6120 section 5.3.5 forbids renegotiation, RFC 7590 section 3.1 compression.
    context.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION | SslOptions::NO_TICKET);
    // Fewer system calls when the peer sends small records.
    context.set_read_ahead(true);
    // No resumption: links are few and long, and a resumed one would have an old verification. A ticket that
    // is never read turns a close into a reset, which loses the last bytes.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    // Without it a server that requests certificates ends every connection that tries to resume.
    context.set_session_id_context(b"nuncio")?;
    if let Some(identity) = identity {
        let mut chain = identity.chain.iter();
        if let Some(leaf) = chain.next() {
            context.set_certificate(leaf)?;
        }
        for certificate in chain {
            context.add_extra_chain_cert(certificate.clone())?;
        }
        context.set_private_key(&identity.key)?;
        context.check_private_key()?;
    }
    Ok(context)
}

/// The application protocols in wire format: each name with a length prefix (RFC 7301 section 3.1).
pub(super) const ALPN: &[u8] = b"\x0bxmpp-server";

/// OpenSSL security level 2, 112 bits: RSA from 2048 bits, no SHA-1 (RFC 9325 section 4).
const SECURITY_LEVEL: u32 = 2;
