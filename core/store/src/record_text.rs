//! Records as the texts that stores keep, encrypted or not.

use std::{borrow::Cow, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dropbox_sign_oauth::{InvalidRecord, session::Record};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Cipher, Sealed, cipher::BoxError};

/// The largest stored text, in bytes: far more than a record with the longest tokens that a
/// response can contain.
pub const MAX_TEXT: usize = 1024 * 1024;

/// How every encrypted text begins, and no plain one.
const SEALED_PREFIX: &str = r#"{"sealed":"#;

/// The format of an encrypted text.
const SEALED_FORMAT: u64 = 1;

/// Converts records to the texts that stores keep and back, with a [`Cipher`] or without.
///
/// A plain text is [`Record::to_exposed_json`]. An encrypted one is a JSON object in one line:
/// `{"sealed":1,"version":1700000000,"key_id":"2026-11","text":"…"}`, where `text` is
/// [`Sealed::bytes`] in base64.
///
/// Every store of this crate uses it; a store over another client can as well.
#[derive(Clone, Default)]
pub struct RecordText {
    cipher: Option<Arc<dyn Cipher>>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    sealed: u64,
    version: u64,
    #[serde(borrow)]
    key_id: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

impl RecordText {
    /// Encrypts with `cipher`.
    pub fn encrypted(cipher: impl Cipher + 'static) -> Self {
        Self { cipher: Some(Arc::new(cipher)) }
    }

    /// Returns the text of the record stored under `key`.
    ///
    /// # Errors
    /// [`RecordTextError`] if the cipher fails, the text would be larger than [`MAX_TEXT`], or the
    /// version is one that databases cannot store.
    pub fn encode(&self, key: &str, record: &Record) -> Result<Zeroizing<String>, RecordTextError> {
        let version = record.version();
        if i64::try_from(version).is_err() {
            return Err(RecordTextError::VersionTooLarge);
        }
        let plain = Zeroizing::new(record.to_exposed_json());
        let text = match &self.cipher {
            None => plain,
            Some(cipher) => {
                let sealed = cipher
                    .seal(plain.as_bytes(), &associated(key, version))
                    .map_err(RecordTextError::Seal)?;
                let envelope = Envelope {
                    sealed: SEALED_FORMAT,
                    version,
                    key_id: sealed.key_id.into(),
                    text: STANDARD.encode(&sealed.bytes).into(),
                };
                // Strings and numbers can always be written.
                Zeroizing::new(serde_json::to_string(&envelope).unwrap_or_default())
            }
        };
        if text.len() > MAX_TEXT {
            return Err(RecordTextError::TooLarge);
        }
        Ok(text)
    }

    /// Reads the text stored under `key`.
    ///
    /// # Errors
    /// [`RecordTextError`] if it cannot be decrypted, is damaged, or is not encrypted and should
    /// be. A store leaves what it has stored as it is then.
    pub fn decode(&self, key: &str, text: &str) -> Result<Record, RecordTextError> {
        if text.len() > MAX_TEXT {
            return Err(RecordTextError::TooLarge);
        }
        if !text.starts_with(SEALED_PREFIX) {
            return match &self.cipher {
                Some(cipher) if !cipher.accepts_plain_text() => Err(RecordTextError::NotEncrypted),
                _ => Ok(Record::from_json(text)?),
            };
        }
        // What serde_json says of an error is not passed on: it quotes the text.
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|_| RecordTextError::Damaged)?;
        if envelope.sealed != SEALED_FORMAT {
            return Err(RecordTextError::OtherFormat(envelope.sealed));
        }
        let key_id = envelope.key_id.into_owned();
        let Some(cipher) = &self.cipher else {
            return Err(RecordTextError::NoCipher(key_id));
        };
        let bytes = STANDARD.decode(&*envelope.text).map_err(|_| RecordTextError::Damaged)?;
        let sealed = Sealed { key_id, bytes };
        let opened = cipher.open(&sealed, &associated(key, envelope.version));
        let plain = opened
            .map(Zeroizing::new)
            .map_err(|error| RecordTextError::Open(sealed.key_id, error))?;
        // A record is ASCII: what is not UTF-8 makes it invalid.
        let plain = std::str::from_utf8(&plain).map_err(|_| RecordTextError::Damaged)?;
        let record = Record::from_json(plain)?;
        check_version(&record, envelope.version)?;
        Ok(record)
    }

    /// Reads the text stored under `key` in a store that keeps the version beside it.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and if the record has another version.
    pub fn decode_version(
        &self,
        key: &str,
        version: impl TryInto<u64>,
        text: &str,
    ) -> Result<Record, RecordTextError> {
        let version = version.try_into().map_err(|_| RecordTextError::Damaged)?;
        let record = self.decode(key, text)?;
        check_version(&record, version)?;
        Ok(record)
    }
}

fn check_version(record: &Record, stored: u64) -> Result<(), RecordTextError> {
    match record.version() {
        actual if actual == stored => Ok(()),
        actual => Err(RecordTextError::OtherVersion { stored, actual }),
    }
}

/// The associated data of a record. The key is last, so that no two pairs have the same.
fn associated(key: &str, version: u64) -> Vec<u8> {
    let mut associated = b"dropbox-sign-oauth record 1\0".to_vec();
    associated.extend(version.to_be_bytes());
    associated.extend(key.as_bytes());
    associated
}

impl fmt::Debug for RecordText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordText").field("encrypted", &self.cipher.is_some()).finish()
    }
}

/// Why a record could not be converted to its stored text or back. No text is kept in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordTextError {
    /// The text is larger than [`MAX_TEXT`].
    #[error("the record is larger than {MAX_TEXT} bytes")]
    TooLarge,
    /// The record's version is larger than the largest `i64`.
    #[error("the version of the record exceeds 63 bits")]
    VersionTooLarge,
    /// The cipher failed to encrypt.
    #[error("encrypting the record failed")]
    Seal(#[source] BoxError),
    /// The cipher failed to decrypt with the encryption key of this name.
    #[error("decrypting the record with the key {0:?} failed")]
    Open(String, #[source] BoxError),
    /// The stored record is encrypted with the key of this name, and the store has no cipher.
    #[error("the record is encrypted with the key {0:?}, and the store has no cipher")]
    NoCipher(String),
    /// The stored record is not encrypted, and the store has a cipher.
    #[error("the record is not encrypted")]
    NotEncrypted,
    /// The encrypted record is of a format that this version does not read.
    #[error("the encrypted record has format {0}, and this library reads {SEALED_FORMAT}")]
    OtherFormat(u64),
    /// What is stored is damaged.
    #[error("the stored record is damaged")]
    Damaged,
    /// The record is stored under another version than its own.
    #[error("the record has version {actual}, and is stored as version {stored}")]
    OtherVersion {
        /// The version that is stored beside the record.
        stored: u64,
        /// The version in the record.
        actual: u64,
    },
    /// The text is not a record that this version reads.
    #[error(transparent)]
    Invalid(#[from] InvalidRecord),
}
