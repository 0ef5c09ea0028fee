//! The encryption of records: AES-256 in Galois/Counter Mode (NIST SP 800-38D) with a key from a file.
//!
//! Each record has a random nonce of 96 bits. One key is good for 2^32 records (section 8.3 of that document): with 100
//! records a second, for more than a year. Who writes more changes the key file from time to time; the journal has to be
//! empty then.

use std::{fmt, fs, io, path::Path};

use openssl::{
    error::ErrorStack,
    rand,
    sha::Sha256,
    symm::{self, decrypt_aead, encrypt_aead},
};

/// Encrypts and decrypts records.
#[derive(Clone)]
pub struct Cipher {
    key: [u8; KEY],
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has another length.
    #[error("the key has {0} bytes; it needs {KEY} random bytes: `openssl rand -out FILE {KEY}` makes them")]
    Length(u64),
}

impl Cipher {
    /// Bytes that an encrypted body is longer.
    pub(crate) const OVERHEAD: usize = NONCE + TAG;

    /// A cipher with this key.
    pub fn new(key: &[u8; KEY]) -> Self {
        Self { key: *key }
    }

    /// A cipher with the key in `file`, which has exactly 32 bytes.
    ///
    /// # Errors
    /// The file cannot be read, or has another length.
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        let length = fs::metadata(file)?.len();
        // A large file is not read.
        if length > KEY as u64 {
            return Err(KeyError::Length(length));
        }
        let bytes = fs::read(file)?;
        let key = <[u8; KEY]>::try_from(&*bytes).map_err(|_| KeyError::Length(bytes.len() as u64))?;
        Ok(Self { key })
    }

    /// A value by which a store knows its key. It tells nothing about a random key.
    pub(crate) fn fingerprint(&self) -> [u8; FINGERPRINT] {
        let mut hash = Sha256::new();
        hash.update(b"nuncio journal key\0");
        hash.update(&self.key);
        hash.finish().first_chunk().copied().unwrap_or_default()
    }

    /// Encrypts a body; `head` is authenticated with it.
    pub(crate) fn seal(&self, head: &[u8], body: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let (mut nonce, mut tag) = ([0; NONCE], [0; TAG]);
        rand::rand_bytes(&mut nonce)?;
        let cipher = symm::Cipher::aes_256_gcm();
        let text = encrypt_aead(cipher, &self.key, Some(&nonce), head, body, &mut tag)?;
        Ok([&nonce, &*text, &tag].concat())
    }

    /// Decrypts a body; `None` if the key is another one, or the bytes were changed.
    pub(crate) fn open(&self, head: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (text, tag) = rest.split_last_chunk::<TAG>()?;
        decrypt_aead(symm::Cipher::aes_256_gcm(), &self.key, Some(nonce), head, text, tag).ok()
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

/// Bytes of a key of AES-256.
const KEY: usize = 32;

/// Bytes of a nonce: the length for which GCM needs no further computation.
const NONCE: usize = 12;

/// Bytes of an authentication tag: the full length.
const TAG: usize = 16;

/// Bytes of a fingerprint.
const FINGERPRINT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Directory;

    #[test]
    fn a_body_is_opened_with_its_key_and_its_head_only() {
        let (cipher, other) = (Cipher::new(&[1; KEY]), Cipher::new(&[2; KEY]));
        for body in [&b""[..], b"<message/>"] {
            let sealed = cipher.seal(b"head", body).unwrap();
            assert_eq!(sealed.len(), body.len() + Cipher::OVERHEAD);
            assert_eq!(cipher.open(b"head", &sealed).as_deref(), Some(body));
            assert_eq!(cipher.open(b"HEAD", &sealed), None);
            assert_eq!(other.open(b"head", &sealed), None);
            assert_eq!(cipher.open(b"head", &sealed[1..]), None);
            assert_eq!(cipher.open(b"head", &sealed[..10]), None);
        }
        assert_ne!(cipher.fingerprint(), other.fingerprint());
    }

    #[test]
    fn the_same_body_is_never_encrypted_twice_to_the_same_bytes() {
        let cipher = Cipher::new(&[1; KEY]);
        assert_ne!(cipher.seal(b"", b"same").unwrap(), cipher.seal(b"", b"same").unwrap());
    }

    #[test]
    fn a_key_file_has_exactly_32_bytes() {
        let directory = Directory::new();
        let file = directory.file("key");
        for (length, is_valid) in [(0, false), (31, false), (32, true), (33, false), (64, false)] {
            fs::write(&file, vec![5; length]).unwrap();
            assert_eq!(Cipher::read(&file).is_ok(), is_valid, "{length} bytes");
        }
        assert!(matches!(Cipher::read(&directory.file("none")), Err(KeyError::Io(_))));
    }
}
