//! The OpenSSL contexts: how we show ourselves and what we agree to.

use std::{collections::HashMap, sync::Arc};

use openssl::{
    error::ErrorStack,
    ssl::{
        AlpnError, NameType, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod, SslOptions,
        SslSessionCacheMode, SslVerifyMode, SslVersion, select_next_proto,
    },
};
use xmpp::Domain;

use crate::certificate::Identity;

/// Makes the context of connections that we open, as `identity` or as nobody.
pub(super) fn outbound(identity: Option<&Identity>) -> Result<SslContext, ErrorStack> {
    Ok(common(identity)?.build().into_context())
}

/// Makes the context of connections that are opened to us, once it is known whom they look for.
pub(super) fn inbound(identity: &Identity, direct: bool) -> Result<SslContext, ErrorStack> {
    let mut context = common(Some(identity))?;
    // RFC 7301 section 3.2 wants a client refused that offers only other protocols. With STARTTLS the protocol is
    // settled before, and nothing is gained by it.
    let refusal = if direct { AlpnError::ALERT_FATAL } else { AlpnError::NOACK };
    context.set_alpn_select_callback(move |_, offered| select_next_proto(ALPN, offered).ok_or(refusal));
    Ok(context.build().into_context())
}

/// The contexts of one kind of listening socket.
pub(super) struct Entrance {
    /// Knows no certificate, only who has one.
    door: SslContext,
    hosts: Arc<HashMap<Domain, SslContext>>,
    /// For a client that says not whom it wants, or that wants somebody unknown.
    otherwise: SslContext,
}

impl Entrance {
    /// Makes the entrance to `hosts`.
    pub(super) fn new(hosts: HashMap<Domain, SslContext>, otherwise: SslContext) -> Result<Self, ErrorStack> {
        let hosts = Arc::new(hosts);
        let mut door = common(None)?;
        let named = Arc::clone(&hosts);
        door.set_servername_callback(move |ssl, _| {
            // A name that is not ours changes nothing: some put the SRV target there, and the certificate that the
            // stream's `to` asks for is still the best answer.
            let name = ssl.servername(NameType::HOST_NAME).and_then(|name| Domain::new(name).ok());
            if let Some(host) = name.and_then(|name| named.get(&name)) {
                // It fails only without memory; then the certificate chosen before stands.
                let _ = ssl.set_ssl_context(host);
            }
            Ok(())
        });
        Ok(Self { door: door.build().into_context(), hosts, otherwise })
    }

    /// Prepares to take in one connection, for `domain` unless the client names another of ours.
    pub(super) fn open(&self, domain: Option<&Domain>) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.door)?;
        let host = domain.and_then(|domain| self.hosts.get(domain)).unwrap_or(&self.otherwise);
        ssl.set_ssl_context(host)?;
        // Asks for a certificate, is content with any or none, and is judged when the handshake is over.
        ssl.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        Ok(ssl)
    }
}

/// What both roles have in common: TLS 1.2 with forward secrecy and AEAD, TLS 1.3, no compression (RFC 9325).
fn common(identity: Option<&Identity>) -> Result<SslAcceptorBuilder, ErrorStack> {
    // Of the two ready-made contexts this one does not load the system's authorities, 40 ms each time. Both set the
    // modes without which a write that is polled again fails ("bad write retry"). It does for clients too.
    let mut context = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_security_level(LEAST_STRENGTH);
    // RFC 6120 section 5.3.5 forbids renegotiation, RFC 7590 section 3.1 compression.
    context.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION | SslOptions::NO_TICKET);
    // Fewer system calls when the peer sends small records.
    context.set_read_ahead(true);
    // No resumption: links are few and long, a resumed one would come with the verdict of an old day, and a ticket
    // that is never read turns a close into a reset, in which the last bytes are lost.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    // Without it a server that asks for certificates ends every connection that tries to resume.
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

/// What `select_next_proto` and `set_alpn_protos` take: each name with its length before it (RFC 7301 section 3.1).
pub(super) const ALPN: &[u8] = b"\x0bxmpp-server";

/// 112 bits of security: RSA from 2048 bits, no SHA-1 (RFC 9325 section 4).
const LEAST_STRENGTH: u32 = 2;
