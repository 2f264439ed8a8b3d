//! The stores in PostgreSQL, against a server of their own.

use std::{sync::Arc, thread, time::Duration};

use dropbox_sign_oauth_store::{
    PostgresManager, PostgresStore, Store,
    database::{DatabaseError, DatabaseProblem},
};
use dropbox_sign_oauth_testkit::{
    samples::chain,
    store::{
        self, large_record, record,
        server::{self, Kind, Server},
    },
};
use postgres::{Client, NoTls};
use r2d2::Pool;

use crate::{
    RUNTIME, TIMEOUT,
    database::{self, BlockOn, Rotated},
};

fn blocking(url: &str) -> PostgresStore<Pool<PostgresManager<NoTls>>> {
    let manager = PostgresManager::new(url.parse().unwrap(), NoTls);
    let pool = Pool::builder().max_size(4).min_idle(Some(1)).test_on_check_out(false);
    PostgresStore::new(pool.build_unchecked(manager)).timeout(TIMEOUT)
}

fn pooled(url: &str) -> PostgresStore<deadpool_postgres::Pool> {
    let manager = deadpool_postgres::Manager::new(url.parse().unwrap(), NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(4);
    PostgresStore::new(pool.build().unwrap()).timeout(TIMEOUT)
}

fn open(url: &str, cipher: Option<Rotated>) -> [Arc<dyn Store<Error = DatabaseError>>; 2] {
    let (mut blocking, mut pooled) = (blocking(url), pooled(url));
    blocking.create_table().unwrap();
    RUNTIME.block_on(pooled.create_table()).unwrap();
    if let Some(cipher) = cipher {
        (blocking, pooled) = (blocking.cipher(cipher), pooled.cipher(cipher));
    }
    [Arc::new(blocking), Arc::new(BlockOn(pooled))]
}

fn client(server: &Server) -> Client {
    Client::connect(&server.url(), NoTls).unwrap()
}

#[test]
fn postgres_keeps_every_promise_at_every_isolation_level() {
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let setting = format!("default_transaction_isolation={isolation}");
        let Some(server) = server::start(Kind::Postgres, &[&setting]) else { return };
        let (blocking, pooled) = (blocking(&server.url()), pooled(&server.url()));
        let limit = Duration::from_secs(20);
        blocking.create_table().unwrap();
        store::check(&blocking.timeout(limit));
        store::check(&BlockOn(pooled.timeout(limit)));
        let left = client(&server).query("SELECT key FROM dropbox_sign_sessions", &[]);
        assert_eq!(left.unwrap().len(), 0);
        let refused = server.log().contains("could not serialize access");
        assert_eq!(refused, isolation != "read committed");
    }
}

#[test]
fn postgres_survives_faults() {
    database::survives_faults(Kind::Postgres, open);
}

#[test]
fn postgres_encrypts_records() {
    database::encrypts_records(Kind::Postgres, open, |server| {
        let statement = "UPDATE dropbox_sign_sessions SET record =
             (SELECT record FROM dropbox_sign_sessions WHERE key = 'a') WHERE key = 'b'";
        assert_eq!(client(server).execute(statement, &[]).unwrap(), 1);
    });
}

#[test]
fn postgres_creates_its_table_once_in_several_processes() {
    let Some(server) = server::start(Kind::Postgres, &[]) else { return };
    let url = server.url();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| blocking(&url).timeout(Duration::from_secs(60)).create_table().unwrap());
        }
    });
}

#[test]
fn postgres_names_what_failed() {
    let Some(server) = server::start(Kind::Postgres, &[]) else { return };
    let wrong = server.url().replace(server::PASSWORD, "wrong");
    for (url, text, cause) in [
        (wrong, "connecting to PostgreSQL failed", "authentication failed for user \"app\""),
        (server.url(), "the PostgreSQL table \"dropbox_sign_sessions\" does not exist", ""),
    ] {
        let by_blocking = blocking(&url).timeout(Duration::from_secs(5)).load("key");
        for error in [by_blocking.unwrap_err(), BlockOn(pooled(&url)).load("key").unwrap_err()] {
            assert_eq!(error.to_string(), text);
            assert!(chain(&error).contains(cause), "{}", chain(&error));
        }
    }
    let store = blocking(&server.url());
    let error = blocking(&server.url()).table("missing").unwrap().load("key").unwrap_err();
    assert_eq!(error.to_string(), "the PostgreSQL table \"missing\" does not exist");
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
fn states_once_why_postgres_cannot_be_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://app@{}/app", listener.local_addr().unwrap());
    drop(listener);
    let error = chain(&BlockOn(pooled(&url)).load("key").unwrap_err());
    let expected =
        "connecting to PostgreSQL failed: error connecting to server: Connection refused";
    assert!(error.starts_with(expected), "{error}");
}
