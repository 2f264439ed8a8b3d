//! Encrypted records in databases. That encryption itself works is tested with files.

use std::error::Error;

use dropbox_sign_oauth_store::{
    Cipher, Outcome, RecordTextError, Sealed, Store,
    database::{DatabaseError, DatabaseProblem},
};
use dropbox_sign_oauth_testkit::store::record;

/// Hides nothing from anyone, and is bound to key and version as an AEAD is.
#[derive(Clone, Copy)]
pub(crate) struct Rotated(pub(crate) u8);

type BoxError = Box<dyn Error + Send + Sync>;

impl Cipher for Rotated {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Result<Sealed, BoxError> {
        let rotated = text.iter().map(|byte| byte.wrapping_add(self.0));
        Ok(Sealed {
            key_id: self.0.to_string(),
            bytes: associated.iter().copied().chain(rotated).collect(),
        })
    }

    fn open(&self, sealed: &Sealed, associated: &[u8]) -> Result<Vec<u8>, BoxError> {
        if sealed.key_id != self.0.to_string() {
            return Err("unknown key".into());
        }
        let rotated = sealed.bytes.strip_prefix(associated).ok_or("forged")?;
        let text = rotated.iter().map(|byte| byte.wrapping_sub(self.0));
        Ok(text.collect())
    }
}

/// Checks a store with the cipher `Rotated(1)` beside one with another key, one without a cipher,
/// and a way to copy what is stored under `a` to `b`.
pub(crate) fn check(
    store: &impl Store<Error = DatabaseError>,
    other_key: &impl Store<Error = DatabaseError>,
    plain: &impl Store<Error = DatabaseError>,
    mut copy: impl FnMut(),
) {
    let unreadable = |outcome: Result<_, DatabaseError>| match outcome.map_err(|error| {
        assert!(matches!(error.problem(), DatabaseProblem::Decode(_)), "{error:?}");
        error.source().map(ToString::to_string)
    }) {
        Err(source) => source.unwrap(),
        Ok(loaded) => panic!("{loaded:?} was loaded"),
    };
    store.compare_and_swap("a", None, &record(1)).unwrap();
    store.compare_and_swap("b", None, &record(1)).unwrap();
    assert_eq!(store.load("a").unwrap(), Some(record(1)));
    let text = unreadable(plain.load("a"));
    assert_eq!(text, "the record is encrypted with the key \"1\", and the store has no cipher");
    let text = unreadable(other_key.load("a"));
    assert_eq!(text, "decrypting the record with the key \"1\" failed");
    copy();
    assert!(unreadable(store.load("b")).starts_with("decrypting"));
    assert_eq!(store.load("a").unwrap(), Some(record(1)));
    let swapped = store.compare_and_swap("a", Some(1), &record(2)).unwrap();
    assert_eq!(swapped, Outcome::Stored);
    plain.compare_and_swap("c", None, &record(1)).unwrap();
    let text = unreadable(store.load("c"));
    assert_eq!(text, RecordTextError::NotEncrypted.to_string());
}
