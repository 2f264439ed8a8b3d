//! Records are encrypted, bound to their key and version, and left alone if they cannot be read.

use std::{
    error::Error,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use dropbox_sign_oauth_store::{
    Cipher, FileStore, Outcome, Record, RecordText, RecordTextError, Sealed, Store as _,
};

/// A key, by its name and every byte of it.
#[derive(Clone, Copy)]
struct Key(&'static str, u8, bool);

static NONCE: AtomicU64 = AtomicU64::new(1);

impl Cipher for Key {
    fn seal(&self, text: &[u8], aad: &[u8]) -> Result<Sealed, Box<dyn Error + Send + Sync>> {
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&NONCE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let cipher = XChaCha20Poly1305::new(&[self.1; 32].into());
        let mut bytes = nonce.to_vec();
        bytes.extend(cipher.encrypt(&nonce.into(), Payload { msg: text, aad })?);
        let key_id = self.0.to_owned();
        Ok(Sealed { key_id, bytes })
    }

    fn open(&self, sealed: &Sealed, aad: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        if sealed.key_id != self.0 {
            return Err("unknown key".into());
        }
        let (nonce, msg) = sealed.bytes.split_at_checked(24).ok_or("too short")?;
        let cipher = XChaCha20Poly1305::new(&[self.1; 32].into());
        Ok(cipher.decrypt(nonce.into(), Payload { msg, aad })?)
    }

    fn accepts_plain_text(&self) -> bool {
        self.2
    }
}

const KEY: Key = Key("k1", 7, false);

fn record(version: u64) -> Record {
    let json = include_str!("../examples/record.json");
    Record::from_json(&json.replace("1700000000", &version.to_string())).unwrap()
}

#[test]
fn encrypts_the_text_and_leaves_the_version_readable() {
    let text = RecordText::encrypted(KEY).encode("user-17", &record(5)).unwrap();
    let start = r#"{"sealed":1,"version":5,"key_id":"k1","text":""#;
    assert!(text.starts_with(start), "{}", *text);
    for secret in ["NWNi", "hNTI", "access_token"] {
        assert!(!text.contains(secret));
    }
    let again = RecordText::encrypted(KEY).encode("user-17", &record(5)).unwrap();
    assert_ne!(text, again, "the nonce is new");
    for text in [text, again] {
        let decoded = RecordText::encrypted(KEY).decode("user-17", &text).unwrap();
        assert_eq!(decoded, record(5));
    }
}

#[test]
fn says_why_a_record_cannot_be_read() {
    let plain = RecordText::default();
    let encrypted = RecordText::encrypted(KEY);
    let text = encrypted.encode("user-17", &record(5)).unwrap();
    let exposed = record(5).to_exposed_json();
    let changed = text.replace("\"text\":\"AA", "\"text\":\"AB");
    let failed = "decrypting the record with the key \"k1\" failed";
    for (format, key, text, message) in [
        (&encrypted, "user-18", &**text, failed),
        (&encrypted, "user-17", &text.replace("n\":5", "n\":4"), failed),
        (&encrypted, "user-17", &changed, failed),
        (
            &encrypted,
            "user-17",
            &text.replace("\"k1\"", "\"k2\""),
            "decrypting the record with the key \"k2\" failed",
        ),
        (&RecordText::encrypted(Key("k1", 8, false)), "user-17", &text, failed),
        (&encrypted, "user-17", &text[..text.len() - 1], "the stored record is damaged"),
        (
            &encrypted,
            "user-17",
            &text.replace("xt\":\"", "xt\":\"?"),
            "the stored record is damaged",
        ),
        (
            &encrypted,
            "user-17",
            &text.replace("d\":1", "d\":2"),
            "the encrypted record has format 2, and this library reads 1",
        ),
        (&encrypted, "user-17", &exposed, "the record is not encrypted"),
        (
            &plain,
            "user-17",
            &text,
            "the record is encrypted with the key \"k1\", and the store has no cipher",
        ),
    ] {
        let error = format.decode(key, text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!format!("{error:?}").contains("NWNi"));
    }
    // For the time of a migration.
    let migrating = RecordText::encrypted(Key("k1", 7, true));
    assert_eq!(migrating.decode("user-17", &exposed).unwrap(), record(5));
    assert_eq!(migrating.decode("user-17", &text).unwrap(), record(5));
}

#[test]
fn refuses_records_that_are_too_large_once_encrypted() {
    let token = "a".repeat(900 * 1024);
    let json = record(5).to_exposed_json().replace("NWNi", &token);
    let large = Record::from_json(&json).unwrap();
    assert!(RecordText::default().encode("user-17", &large).is_ok());
    let error = RecordText::encrypted(KEY).encode("user-17", &large).unwrap_err();
    assert!(matches!(error, RecordTextError::TooLarge));
}

#[test]
fn files_that_cannot_be_decrypted_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let open = |key| FileStore::open(folder.path()).unwrap().cipher(key);
    let store = open(KEY);
    store.compare_and_swap("a", None, &record(1)).unwrap();
    store.compare_and_swap("b", None, &record(1)).unwrap();
    assert_eq!(store.load("a").unwrap(), Some(record(1)));
    let path = |name: &str| -> PathBuf { folder.path().join(format!("session-{name}.json")) };
    let stored = fs::read_to_string(path("a")).unwrap();

    let others = open(Key("k1", 8, false));
    let error = others.load("a").unwrap_err();
    let text = format!("{} is not a valid record", path("a").display());
    assert_eq!(error.to_string(), text);
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "decrypting the record with the key \"k1\" failed");
    assert!(others.compare_and_swap("a", Some(1), &record(2)).is_err());
    assert_eq!(fs::read_to_string(path("a")).unwrap(), stored);

    // A record of another user is rejected.
    fs::copy(path("a"), path("b")).unwrap();
    assert!(store.load("b").is_err());
    // Nor is an old version, with its number changed.
    store.compare_and_swap("a", Some(1), &record(2)).unwrap();
    fs::write(path("a"), stored.replace("n\":1", "n\":2")).unwrap();
    assert!(store.load("a").is_err());
}

#[test]
fn rotates_keys_by_storing_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = |key| FileStore::open(folder.path()).unwrap().cipher(key);
    let plain = FileStore::open(folder.path()).unwrap();
    plain.compare_and_swap("a", None, &record(1)).unwrap();
    assert!(open(KEY).load("a").is_err());
    let migrating = open(Key("k1", 7, true));
    let there = migrating.load("a").unwrap().unwrap();
    let swapped = migrating.compare_and_swap("a", Some(1), &there).unwrap();
    assert_eq!(swapped, Outcome::Stored);
    assert_eq!(open(KEY).load("a").unwrap(), Some(record(1)));
    assert!(plain.load("a").is_err());
}
