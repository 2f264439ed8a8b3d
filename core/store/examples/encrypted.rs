//! Encrypts stored sessions with XChaCha20-Poly1305, and rotates the encryption key.

use std::{collections::HashMap, error::Error};

use chacha20poly1305::{
    AeadCore as _, Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, OsRng, Payload},
};
use dropbox_sign_oauth_store::{Cipher, FileStore, Record, Sealed, Store as _};

/// The length of a nonce, which stands before the encrypted text.
const NONCE_LEN: usize = 24;

/// Encryption keys by name; new records are encrypted with `current`.
struct Keys {
    current: String,
    keys: HashMap<String, XChaCha20Poly1305>,
}

impl Keys {
    /// The last key is the current one.
    fn new<const N: usize>(keys: [(&str, Key); N]) -> Self {
        Self {
            current: keys.last().map(|(id, _)| (*id).to_owned()).unwrap_or_default(),
            keys: keys.map(|(id, key)| (id.to_owned(), XChaCha20Poly1305::new(&key))).into(),
        }
    }

    fn key(&self, id: &str) -> Result<&XChaCha20Poly1305, String> {
        self.keys.get(id).ok_or_else(|| format!("there is no key {id:?}"))
    }
}

impl Cipher for Keys {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Result<Sealed, Box<dyn Error + Send + Sync>> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload { msg: text, aad: associated };
        let mut bytes = nonce.to_vec();
        bytes.extend(self.key(&self.current)?.encrypt(&nonce, payload)?);
        Ok(Sealed { key_id: self.current.clone(), bytes })
    }

    fn open(
        &self,
        sealed: &Sealed,
        associated: &[u8],
    ) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        let (nonce, text) = sealed.bytes.split_at_checked(NONCE_LEN).ok_or("too short")?;
        let payload = Payload { msg: text, aad: associated };
        Ok(self.key(&sealed.key_id)?.decrypt(XNonce::from_slice(nonce), payload)?)
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    // Keep encryption keys in a secret manager, apart from the store and its backups.
    let (old, new) = [(); 2].map(|()| XChaCha20Poly1305::generate_key(&mut OsRng)).into();

    let store = FileStore::open(folder.path())?.cipher(Keys::new([("2026-06", old)]));
    let record = Record::from_json(include_str!("record.json"))?;
    store.compare_and_swap("user-17", None, &record)?;
    println!("{}", std::fs::read_to_string(folder.path().join("session-user-17.json"))?);

    // Rotation: the old key still decrypts, until no record names it any more.
    let both = Keys::new([("2026-06", old), ("2026-11", new)]);
    let store = FileStore::open(folder.path())?.cipher(both);
    if let Some(record) = store.load("user-17")? {
        // Sessions do this at each refresh; for those that are never used, once by hand.
        store.compare_and_swap("user-17", Some(record.version()), &record)?;
    }
    let store = FileStore::open(folder.path())?.cipher(Keys::new([("2026-11", new)]));
    println!("decrypted with the new key alone: {}", store.load("user-17")? == Some(record));
    Ok(())
}
