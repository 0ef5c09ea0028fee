//! Stream ids: unpredictable and unique (RFC 6120 section 4.7.3).

/// Returns a generator of ids with 128 random bits, as 32 hexadecimal digits.
///
/// The generator panics if OpenSSL has no random bits, which ends the one stream.
pub fn source() -> Box<dyn FnMut() -> String + Send> {
    Box::new(|| {
        let mut bits = [0; 16];
        if let Err(error) = openssl::rand::rand_bytes(&mut bits) {
            log::error!(target: "nuncio::tls", error:% = error; "OpenSSL has no random bits: cannot make a stream id");
            #[expect(
                clippy::panic,
                reason = "with a predictable stream id, others could forge dialback keys"
            )]
            {
                panic!("no random bits");
            }
        }
        bits.iter().map(|byte| format!("{byte:02x}")).collect()
    })
}
