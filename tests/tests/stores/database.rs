//! What is tested in the same way with every database.

use std::{error::Error, sync::Arc};

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_store::{
    Cipher, Outcome, Record, RecordTextError, Sealed, Store,
    database::{DatabaseError, DatabaseProblem},
};
use dropbox_sign_oauth_testkit::store::{
    Proxy, faults, record,
    server::{self, Kind, Server},
};

use crate::{RUNTIME, TIMEOUT};

/// Opens the blocking and the async store of a database, with a cipher if there is one.
pub(crate) type Open = fn(&str, Option<Rotated>) -> [Arc<dyn Store<Error = DatabaseError>>; 2];

/// Runs the stores through the faults of their connections and their server.
pub(crate) fn survives_faults(kind: Kind, open: Open) {
    let Some(mut server) = server::start(kind, &[]) else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    for adapter in 0..2 {
        let stores = open(&server.url_at(proxy.address()), None);
        faults::check(&stores[adapter], &proxy, &mut server, TIMEOUT);
    }
}

/// Checks that records are encrypted. `copy` copies what is stored under `a` to `b`. That encryption
/// itself works is tested with files.
pub(crate) fn encrypts_records(kind: Kind, open: Open, copy: impl Fn(&Server)) {
    let Some(server) = server::start(kind, &[]) else { return };
    let unreadable = |outcome: Result<_, DatabaseError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error.problem(), DatabaseProblem::Decode(_)), "{error:?}");
        error.source().unwrap().to_string()
    };
    let [encrypted, other_key, plain] =
        [Some(Rotated(1)), Some(Rotated(2)), None].map(|cipher| open(&server.url(), cipher));
    for ((store, other_key), plain) in encrypted.iter().zip(other_key).zip(plain) {
        for (key, of) in [("a", store), ("b", store), ("c", &plain)] {
            of.remove(key).unwrap();
            of.compare_and_swap(key, None, &record(1)).unwrap();
        }
        let text = unreadable(plain.load("a"));
        assert_eq!(text, "the record is encrypted with the key \"1\", and the store has no cipher");
        let text = unreadable(other_key.load("a"));
        assert_eq!(text, "decrypting the record with the key \"1\" failed");
        copy(&server);
        assert!(unreadable(store.load("b")).starts_with("decrypting"));
        assert_eq!(unreadable(store.load("c")), RecordTextError::NotEncrypted.to_string());
        let swapped = store.compare_and_swap("a", Some(1), &record(2)).unwrap();
        assert_eq!(swapped, Outcome::Stored);
        // What one adapter has stored, the other one reads.
        for store in &encrypted {
            assert_eq!(store.load("a").unwrap(), Some(record(2)));
        }
    }
}

/// Hides nothing from anyone, and is bound to key and version as an AEAD is.
#[derive(Clone, Copy)]
pub(crate) struct Rotated(u8);

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
        Ok(rotated.iter().map(|byte| byte.wrapping_sub(self.0)).collect())
    }
}

/// An async store as a blocking one.
pub(crate) struct BlockOn<S>(pub(crate) S);

impl<S: hyper::Store> Store for BlockOn<S> {
    type Error = S::Error;

    fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        RUNTIME.block_on(self.0.load(key))
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        RUNTIME.block_on(self.0.compare_and_swap(key, expected, new))
    }

    fn remove(&self, key: &str) -> Result<(), S::Error> {
        RUNTIME.block_on(self.0.remove(key))
    }
}
