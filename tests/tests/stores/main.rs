//! All shipped stores keep what the trait promises; broken ones are found.

mod broken;
mod encrypted;
mod paused;
mod postgres;
mod redis;

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_store::{FileStore, MemoryStore, Outcome, Record, Store};
use dropbox_sign_oauth_testkit::store;

#[test]
fn memory_keeps_every_promise() {
    store::check(&MemoryStore::default());
}

#[test]
fn file_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    store::check(&FileStore::open(folder.path()).unwrap());
}

/// An async store as a blocking one.
struct BlockOn<S>(S, tokio::runtime::Handle);

impl<S: hyper::Store> Store for BlockOn<S> {
    type Error = S::Error;

    fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        self.1.block_on(self.0.load(key))
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        self.1.block_on(self.0.compare_and_swap(key, expected, new))
    }

    fn remove(&self, key: &str) -> Result<(), S::Error> {
        self.1.block_on(self.0.remove(key))
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// The texts of an error and its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}
