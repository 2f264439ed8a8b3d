//! All shipped stores keep what the trait promises; broken ones are found.

mod broken;
mod database;
mod postgres;
mod redis;

use std::{sync::LazyLock, time::Duration};

use dropbox_sign_oauth_store::{FileStore, MemoryStore};
use dropbox_sign_oauth_testkit::store;
use tokio::runtime::Runtime;

/// The time limit of a call to a database.
const TIMEOUT: Duration = Duration::from_secs(2);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

#[test]
fn memory_keeps_every_promise() {
    store::check(&MemoryStore::default());
}

#[test]
fn file_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    store::check(&FileStore::open(folder.path()).unwrap());
}
