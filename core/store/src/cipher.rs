//! Encryption at rest.

use std::{error::Error, fmt, sync::Arc};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Encrypts and decrypts the text of stored records.
///
/// Every store of this crate takes one. The key and the version of a record stay readable; the
/// *associated data* contains both, so that a record that was copied to another key, or put back
/// under another version, cannot be decrypted. The implementation must be an AEAD (such as
/// AES-256-GCM or XChaCha20-Poly1305) with a new nonce for every call, stored in
/// [`Sealed::bytes`].
///
/// # Key rotation
/// [`Sealed::key_id`] names the encryption key and is stored beside the text. To rotate: encrypt
/// with the new key, and keep the old one for [`open`](Self::open) until no record names it any
/// more. A record is encrypted again whenever it changes, which is at the next refresh.
///
/// The example `encrypted` implements this trait with XChaCha20-Poly1305.
pub trait Cipher: Send + Sync {
    /// Encrypts `text`, and authenticates `associated`.
    ///
    /// # Errors
    /// If encryption failed. Nothing is stored then.
    fn seal(&self, text: &[u8], associated: &[u8]) -> Result<Sealed, BoxError>;

    /// Decrypts what [`seal`](Self::seal) returned. The library wipes the returned bytes.
    ///
    /// # Errors
    /// If the encryption key is unknown, or the text or the associated data are not what was
    /// sealed. The stored record is not changed.
    fn open(&self, sealed: &Sealed, associated: &[u8]) -> Result<Vec<u8>, BoxError>;

    /// Returns whether records that are not encrypted are read as well; defaults to `false`.
    ///
    /// Only for the time in which the records of an existing store are being encrypted: someone who
    /// can write to the store could replace an encrypted record by a plain one.
    fn accepts_plain_text(&self) -> bool {
        false
    }
}

impl<C: Cipher + ?Sized> Cipher for Arc<C> {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Result<Sealed, BoxError> {
        (**self).seal(text, associated)
    }

    fn open(&self, sealed: &Sealed, associated: &[u8]) -> Result<Vec<u8>, BoxError> {
        (**self).open(sealed, associated)
    }

    fn accepts_plain_text(&self) -> bool {
        (**self).accepts_plain_text()
    }
}

/// An encrypted text, as a [`Cipher`] returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The name of the encryption key, stored in plain text.
    pub key_id: String,
    /// The nonce, the encrypted text and the tag, in the cipher's own layout.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key_id", &self.key_id)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}
