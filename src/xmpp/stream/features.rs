//! Stream features (RFC 6120 section 4.3.2).
