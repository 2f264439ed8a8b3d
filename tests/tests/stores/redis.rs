//! The stores in Redis, against a server of their own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use dropbox_sign_oauth_store::{Outcome, Record, RedisStore, Store};
use dropbox_sign_oauth_testkit::store::{
    self, Proxy, faults, record,
    server::{self, Kind, Server},
};
use r2d2::Pool;
use redis::{Client, Connection, aio::ConnectionManagerConfig};

use crate::{
    BlockOn, chain,
    encrypted::{self, Rotated},
    hyper, paused, runtime,
};

const TIMEOUT: Duration = Duration::from_secs(2);

fn blocking(url: &str) -> RedisStore<Client> {
    let client = Client::open(url).unwrap();
    let pool = Pool::builder()
        .max_size(4)
        .min_idle(Some(1))
        .test_on_check_out(false)
        .build_unchecked(client);
    RedisStore::new(pool).timeout(TIMEOUT)
}

async fn managed(url: &str) -> hyper::RedisStore {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(TIMEOUT));
    let client = Client::open(url).unwrap();
    let manager = client.get_connection_manager_with_config(config).await;
    hyper::RedisStore::new(manager.unwrap()).timeout(TIMEOUT)
}

fn connection(server: &Server) -> Connection {
    Client::open(server.url()).unwrap().get_connection().unwrap()
}

#[test]
fn redis_keeps_every_promise() {
    let Some(server) = server::start(Kind::Redis, &[]) else {
        return;
    };
    let store = blocking(&server.url());
    store.check().unwrap();
    store::check(&store);
    let runtime = runtime();
    let store = runtime.block_on(managed(&server.url()));
    runtime.block_on(store.check()).unwrap();
    store::check(&BlockOn(store, runtime.handle().clone()));
    let left: u64 = redis::cmd("DBSIZE").query(&mut connection(&server)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn redis_blocking_survives_faults() {
    let Some(mut server) = server::start(Kind::Redis, &[]) else {
        return;
    };
    let proxy = Proxy::start(server.address()).unwrap();
    let store = blocking(&server.url_at(proxy.address()));
    faults::check(&store, &proxy, &mut server, TIMEOUT);
}

#[test]
fn redis_async_survives_faults() {
    let Some(mut server) = server::start(Kind::Redis, &[]) else {
        return;
    };
    let proxy = Proxy::start(server.address()).unwrap();
    let runtime = runtime();
    let store = runtime.block_on(managed(&server.url_at(proxy.address())));
    let store = BlockOn(store, runtime.handle().clone());
    faults::check(&store, &proxy, &mut server, TIMEOUT);
}

#[test]
fn redis_names_what_failed() {
    let Some(server) = server::start(Kind::Redis, &[]) else {
        return;
    };
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

#[test]
fn redis_encrypts_records() {
    let Some(server) = server::start(Kind::Redis, &[]) else {
        return;
    };
    let url = server.url();
    let mut connection = connection(&server);
    let mut copy = || {
        let [from, to] = ["dropbox-sign:session:a", "dropbox-sign:session:b"];
        let mut command = redis::cmd("COPY");
        command.arg(from).arg(to).arg("REPLACE");
        command.exec(&mut connection).unwrap();
    };
    let store = |key| blocking(&url).cipher(Rotated(key));
    encrypted::check(&store(1), &store(2), &blocking(&url), &mut copy);
    for key in ["a", "b", "c"] {
        blocking(&url).remove(key).unwrap();
    }
    let runtime = runtime();
    let handle = runtime.handle();
    let managed = || runtime.block_on(managed(&url));
    let store = |key| BlockOn(managed().cipher(Rotated(key)), handle.clone());
    let plain = BlockOn(managed(), handle.clone());
    encrypted::check(&store(1), &store(2), &plain, &mut copy);
    // What one adapter has stored, the other one reads.
    assert_eq!(blocking(&url).cipher(Rotated(1)).load("a").unwrap(), Some(record(2)));
}

#[test]
fn redis_paused_serves_valid_tokens() {
    let Some(server) = server::start(Kind::Redis, &[]) else {
        return;
    };
    let runtime = runtime();
    let async_store = runtime.block_on(managed(&server.url()));
    paused::serves_valid_tokens(&server, &runtime, blocking(&server.url()), async_store);
}

/// Reports an outcome where it is not known.
struct Liar<S>(S, Lie);

#[derive(Clone, Copy)]
enum Lie {
    Stored,
    Conflict,
    SwapsAgain,
}

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
        let outcome = self.0.compare_and_swap(key, expected, new);
        match (outcome, self.1) {
            (Ok(outcome), _) => Ok(outcome),
            (Err(_), Lie::Stored) => Ok(Outcome::Stored),
            (Err(_), Lie::Conflict) => Ok(Outcome::Conflict),
            (Err(_), Lie::SwapsAgain) => self.0.compare_and_swap(key, expected, new),
        }
    }

    fn remove(&self, key: &str) -> Result<(), S::Error> {
        self.0.remove(key)
    }
}

#[test]
fn redis_faults_find_stores_that_lie() {
    let Some(mut server) = server::start(Kind::Redis, &[]) else {
        return;
    };
    for (lie, found) in [
        (Lie::Stored, "requests lost: reported a record as stored"),
        (Lie::Conflict, "responses lost: reported a conflict"),
        (Lie::SwapsAgain, "one response lost: reported a conflict"),
    ] {
        let proxy = Proxy::start(server.address()).unwrap();
        let store = Liar(blocking(&server.url_at(proxy.address())), lie);
        let run = AssertUnwindSafe(|| faults::check(&store, &proxy, &mut server, TIMEOUT));
        let panic = catch_unwind(run).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert_eq!(message, found);
    }
}
