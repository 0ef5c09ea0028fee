//! Stream ids (RFC 6120 4.7.3): unpredictable, and never one twice.

/// A source of ids of 128 random bits.
pub fn source() -> Box<dyn FnMut() -> String + Send> {
    Box::new(|| {
        let mut bits = [0; 16];
        if let Err(error) = openssl::rand::rand_bytes(&mut bits) {
            // Without randomness no id is safe to give; a panic here costs the one stream.
            log::error!(target: "nuncio::tls", error:% = error; "no random bits to be had");
            #[expect(clippy::panic, reason = "a predictable stream id would let others forge dialback keys")]
            {
                panic!("no random bits");
            }
        }
        bits.iter().map(|byte| format!("{byte:02x}")).collect()
    })
}
