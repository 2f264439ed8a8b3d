//! The stores in PostgreSQL, against a server of their own.

use std::time::Duration;

use dropbox_sign_oauth_store::{
    PostgresManager, PostgresStore, Store,
    database::{DatabaseError, DatabaseProblem},
};
use dropbox_sign_oauth_testkit::store::{
    self, Proxy, faults, large_record, record,
    server::{self, Kind, Server},
};
use postgres::{Client, NoTls};
use r2d2::Pool;

use crate::{
    BlockOn, chain,
    encrypted::{self, Rotated},
    hyper, paused, runtime,
};

const TIMEOUT: Duration = Duration::from_secs(2);

type Blocking = PostgresStore<PostgresManager<NoTls>>;

fn blocking(url: &str) -> Blocking {
    let manager = PostgresManager::new(url.parse().unwrap(), NoTls);
    let pool = Pool::builder()
        .max_size(4)
        .min_idle(Some(1))
        .test_on_check_out(false)
        .build_unchecked(manager);
    PostgresStore::new(pool).timeout(TIMEOUT)
}

fn pooled(url: &str) -> hyper::PostgresStore {
    let manager = deadpool_postgres::Manager::new(url.parse().unwrap(), NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(4);
    hyper::PostgresStore::new(pool.build().unwrap()).timeout(TIMEOUT)
}

fn client(server: &Server) -> Client {
    Client::connect(&server.url(), NoTls).unwrap()
}

#[test]
fn postgres_keeps_every_promise_at_every_isolation_level() {
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let setting = format!("default_transaction_isolation={isolation}");
        let Some(server) = server::start(Kind::Postgres, &[&setting]) else {
            return;
        };
        let store = blocking(&server.url()).timeout(Duration::from_secs(20));
        store.create_table().unwrap();
        store::check(&store);
        let runtime = runtime();
        let store = pooled(&server.url()).timeout(Duration::from_secs(20));
        runtime.block_on(store.create_table()).unwrap();
        store::check(&BlockOn(store, runtime.handle().clone()));
        let left = client(&server).query("SELECT key FROM dropbox_sign_sessions", &[]);
        assert_eq!(left.unwrap().len(), 0);
        let refused = server.log().contains("could not serialize access");
        assert_eq!(refused, isolation != "read committed");
    }
}

#[test]
fn postgres_blocking_survives_faults() {
    let Some(mut server) = server::start(Kind::Postgres, &[]) else {
        return;
    };
    let proxy = Proxy::start(server.address()).unwrap();
    let store = blocking(&server.url_at(proxy.address()));
    store.create_table().unwrap();
    faults::check(&store, &proxy, &mut server, TIMEOUT);
}

#[test]
fn postgres_async_survives_faults() {
    let Some(mut server) = server::start(Kind::Postgres, &[]) else {
        return;
    };
    let proxy = Proxy::start(server.address()).unwrap();
    let runtime = runtime();
    let store = pooled(&server.url_at(proxy.address()));
    runtime.block_on(store.create_table()).unwrap();
    let store = BlockOn(store, runtime.handle().clone());
    faults::check(&store, &proxy, &mut server, TIMEOUT);
}

#[test]
fn postgres_creates_its_table_once_in_several_processes() {
    let Some(server) = server::start(Kind::Postgres, &[]) else {
        return;
    };
    let url = server.url();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| blocking(&url).create_table().unwrap());
        }
    });
}

#[test]
fn postgres_names_what_failed() {
    let Some(server) = server::start(Kind::Postgres, &[]) else {
        return;
    };
    let load = |store: Blocking| store.load("key").unwrap_err();
    let wrong = server.url().replace(server::PASSWORD, "wrong");
    let store = || blocking(&server.url());
    let table = store().table("missing").unwrap();
    let error = load(blocking(&wrong).timeout(Duration::from_secs(5)));
    assert_eq!(error.to_string(), "connecting to PostgreSQL failed");
    let cause = "password authentication failed for user \"app\"";
    assert!(chain(&error).contains(cause), "{}", chain(&error));

    assert_eq!(load(table).to_string(), "the PostgreSQL table \"missing\" does not exist");

    let runtime = runtime();
    let error = runtime.block_on(hyper::Store::load(&pooled(&wrong), "key")).unwrap_err();
    assert_eq!(error.to_string(), "connecting to PostgreSQL failed");
    assert!(chain(&error).contains(cause), "{}", chain(&error));
    let error = runtime.block_on(hyper::Store::load(&pooled(&server.url()), "key"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "the PostgreSQL table \"dropbox_sign_sessions\" does not exist"
    );

    let store = store();
    store.create_table().unwrap();
    assert_eq!(
        store.load("a\0").unwrap_err().to_string(),
        "PostgreSQL cannot store a key that contains NUL"
    );
    let huge = large_record(1, 2 * 1024 * 1024);
    assert_eq!(
        chain(&store.compare_and_swap("key", None, &huge).unwrap_err()),
        "a record cannot be stored in PostgreSQL: the record is larger than 1048576 bytes"
    );

    let mut client = client(&server);
    store.compare_and_swap("key", None, &record(1)).unwrap();
    for (statement, message) in [
        ("version = 2", "the record has version 1, and is stored as version 2"),
        ("version = -1", "the stored record is damaged"),
        ("record = ''", "the stored record is damaged"),
        ("record = 'x'", "the stored record is damaged"),
    ] {
        let table = "dropbox_sign_sessions";
        client.execute(&format!("UPDATE {table} SET {statement}"), &[]).unwrap();
        let error = chain(&store.load("key").unwrap_err());
        let expected = format!("a record in PostgreSQL cannot be read: {message}");
        assert!(error.starts_with(&expected), "{error}");
        let reset = format!("UPDATE {table} SET version = 1, record = $1");
        client.execute(&reset, &[&record(1).to_exposed_json()]).unwrap();
    }
    assert_eq!(store.load("key").unwrap(), Some(record(1)));

    client.batch_execute("ALTER ROLE app SET default_transaction_read_only = on").unwrap();
    let store = blocking(&server.url());
    let error: DatabaseError = store.compare_and_swap("key", Some(1), &record(2)).unwrap_err();
    assert_eq!(error.to_string(), "PostgreSQL is read-only");
    assert!(matches!(error.problem(), DatabaseProblem::ReadOnly));
    assert_eq!(store.load("key").unwrap(), Some(record(1)));
}

#[test]
fn postgres_encrypts_records() {
    let Some(server) = server::start(Kind::Postgres, &[]) else {
        return;
    };
    let url = server.url();
    blocking(&url).create_table().unwrap();
    let mut client = client(&server);
    let mut copy = || {
        let statement = "UPDATE dropbox_sign_sessions SET record =
             (SELECT record FROM dropbox_sign_sessions WHERE key = 'a') WHERE key = 'b'";
        assert_eq!(client.execute(statement, &[]).unwrap(), 1);
    };
    let store = |key| blocking(&url).cipher(Rotated(key));
    encrypted::check(&store(1), &store(2), &blocking(&url), &mut copy);
    for key in ["a", "b", "c"] {
        blocking(&url).remove(key).unwrap();
    }
    let runtime = runtime();
    let handle = runtime.handle();
    let store = |key| BlockOn(pooled(&url).cipher(Rotated(key)), handle.clone());
    let plain = BlockOn(pooled(&url), handle.clone());
    encrypted::check(&store(1), &store(2), &plain, &mut copy);
    // What one adapter has stored, the other one reads.
    assert_eq!(blocking(&url).cipher(Rotated(1)).load("a").unwrap(), Some(record(2)));
}

#[test]
fn postgres_paused_serves_valid_tokens() {
    let Some(server) = server::start(Kind::Postgres, &[]) else {
        return;
    };
    let store = blocking(&server.url());
    store.create_table().unwrap();
    paused::serves_valid_tokens(&server, &runtime(), store, pooled(&server.url()));
}
