//! The stores in Redis, against a server of their own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use dropbox_sign_oauth_store::{Outcome, Record, RedisStore, Store, database::DatabaseError};
use dropbox_sign_oauth_testkit::{
    samples::chain,
    store::{
        self, Proxy, faults, record,
        server::{self, Kind, Server},
    },
};
use r2d2::Pool;
use redis::{
    Client, Connection,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::{
    RUNTIME, TIMEOUT,
    database::{self, BlockOn, Rotated},
};

fn blocking(url: &str) -> RedisStore<Pool<Client>> {
    let pool = Pool::builder().max_size(4).min_idle(Some(1)).test_on_check_out(false);
    RedisStore::new(pool.build_unchecked(Client::open(url).unwrap())).timeout(TIMEOUT)
}

fn managed(url: &str) -> RedisStore<ConnectionManager> {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(TIMEOUT));
    let client = Client::open(url).unwrap();
    let manager = RUNTIME.block_on(client.get_connection_manager_with_config(config));
    RedisStore::new(manager.unwrap()).timeout(TIMEOUT)
}

fn open(url: &str, cipher: Option<Rotated>) -> [Arc<dyn Store<Error = DatabaseError>>; 2] {
    let (mut blocking, mut managed) = (blocking(url), managed(url));
    if let Some(cipher) = cipher {
        (blocking, managed) = (blocking.cipher(cipher), managed.cipher(cipher));
    }
    [Arc::new(blocking), Arc::new(BlockOn(managed))]
}

fn connection(server: &Server) -> Connection {
    Client::open(server.url()).unwrap().get_connection().unwrap()
}

#[test]
fn redis_keeps_every_promise() {
    let Some(server) = server::start(Kind::Redis, &[]) else { return };
    let store = blocking(&server.url());
    store.check().unwrap();
    store::check(&store);
    let store = managed(&server.url());
    RUNTIME.block_on(store.check_async()).unwrap();
    store::check(&BlockOn(store));
    let left: u64 = redis::cmd("DBSIZE").query(&mut connection(&server)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn redis_survives_faults() {
    database::survives_faults(Kind::Redis, open);
}

#[test]
fn redis_encrypts_records() {
    database::encrypts_records(Kind::Redis, open, |server| {
        let mut copy = redis::cmd("COPY");
        copy.arg("dropbox-sign:session:a").arg("dropbox-sign:session:b").arg("REPLACE");
        copy.exec(&mut connection(server)).unwrap();
    });
}

#[test]
fn redis_names_what_failed() {
    let Some(server) = server::start(Kind::Redis, &[]) else { return };
    let mut connection = connection(&server);
    let mut run = |command: &[&str]| {
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).exec(&mut connection).unwrap();
    };
    let wrong = server.url().replace(server::PASSWORD, "wrong");
    let error = blocking(&wrong).load("key").unwrap_err();
    assert_eq!(error.to_string(), "connecting to Redis failed");
    assert!(chain(&error).contains("assword"), "{}", chain(&error));

    let store = blocking(&server.url());
    store.compare_and_swap("key", None, &record(1)).unwrap();
    let key = "dropbox-sign:session:key";
    run(&["EXPIRE", key, "3600"]);
    let expiry = "a record in Redis had an expiry, which has been removed";
    assert_eq!(store.load("key").unwrap_err().to_string(), expiry);
    assert_eq!(store.load("key").unwrap(), Some(record(1)));
    run(&["EXPIRE", key, "3600"]);
    store.compare_and_swap("key", Some(1), &record(2)).unwrap();
    assert_eq!(store.load("key").unwrap(), Some(record(2)));

    for (field, value, message) in [
        ("version", "3", "the record has version 2, and is stored as version 3"),
        ("record", "", "the stored record is damaged"),
    ] {
        run(&["HSET", key, field, value]);
        let error = chain(&store.load("key").unwrap_err());
        let expected = format!("a record in Redis cannot be read: {message}");
        assert!(error.starts_with(&expected), "{error}");
        run(&["HSET", key, "version", "2", "record", &record(2).to_exposed_json()]);
    }
    run(&["HDEL", key, "version"]);
    assert!(store.load("key").is_err());
    run(&["HSET", key, "version", "2"]);

    run(&["SET", "dropbox-sign:session:text", "x"]);
    let error = chain(&store.load("text").unwrap_err());
    assert!(error.starts_with("a request to Redis failed: "), "{error}");
    assert!(error.contains("WRONGTYPE"), "{error}");

    run(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(
        store.check().unwrap_err().to_string(),
        "Redis may evict records: its maxmemory-policy is allkeys-lru"
    );
    run(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "appendonly", "no"]);
    assert_eq!(
        store.check().unwrap_err().to_string(),
        "Redis loses records when it stops: its append-only file is off"
    );
    run(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = chain(&store.compare_and_swap("key", Some(2), &record(3)).unwrap_err());
    assert!(error.contains("OOM"), "{error}");
    assert_eq!(store.load("key").unwrap(), Some(record(2)));
    run(&["CONFIG", "SET", "maxmemory", "0"]);

    run(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = store.compare_and_swap("key", Some(2), &record(3)).unwrap_err();
    assert_eq!(error.to_string(), "Redis is read-only");
    assert_eq!(store.check().unwrap_err().to_string(), "Redis is read-only");
    assert_eq!(store.load("key").unwrap(), Some(record(2)));
}

/// Returns this outcome where a swap failed, or swaps again.
struct Liar<S>(S, Option<Outcome>);

impl<S: Store> Store for Liar<S> {
    type Error = S::Error;

    fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        self.0.load(key)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        let swap = || self.0.compare_and_swap(key, expected, new);
        swap().or_else(|_| self.1.map_or_else(swap, Ok))
    }

    fn remove(&self, key: &str) -> Result<(), S::Error> {
        self.0.remove(key)
    }
}

#[test]
fn redis_faults_find_stores_that_lie() {
    let Some(mut server) = server::start(Kind::Redis, &[]) else { return };
    for (lie, found) in [
        (Some(Outcome::Stored), "requests lost: reported a record as stored"),
        (Some(Outcome::Conflict), "responses lost: reported a conflict"),
        (None, "one response lost: reported a conflict"),
    ] {
        let proxy = Proxy::start(server.address()).unwrap();
        let store = Liar(blocking(&server.url_at(proxy.address())), lie);
        let run = AssertUnwindSafe(|| faults::check(&store, &proxy, &mut server, TIMEOUT));
        let panic = catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), found);
    }
}
