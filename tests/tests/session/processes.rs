//! Tests processes that share a folder.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use dropbox_sign_oauth::session::RefreshState;
use dropbox_sign_oauth_ureq::{FileStore, Store};

use crate::{
    ADAPTERS, KEY, LONG_LEASE, Sessions, expired, options,
    service::{Service, app_at},
    store::access_token,
};

/// A lease that is short enough to wait for.
const SHORT_LEASE: Duration = Duration::from_secs(5);

const CHILD_ADAPTER: &str = "SESSION_TEST_ADAPTER";
const CHILD_SERVICE: &str = "SESSION_TEST_SERVICE";
const CHILD_STORE: &str = "SESSION_TEST_STORE";
const CHILD_LEASE: &str = "SESSION_TEST_LEASE";

#[test]
#[ignore = "the tests below run it as a child process"]
fn child_process() {
    let variable = |name| env::var(name).expect("only the tests below should run this");
    let app = app_at(&variable(CHILD_SERVICE));
    let store = FileStore::open(variable(CHILD_STORE)).unwrap();
    let lease = Duration::from_secs(variable(CHILD_LEASE).parse().unwrap());
    let adapter = variable(CHILD_ADAPTER);
    let sessions = Sessions::with_options(&adapter, &app, store, options(lease));
    println!("<{}>", sessions.get(KEY).access_token().unwrap().expose());
    sessions.flush().unwrap();
}

fn start_process(adapter: &str, service: &Service, folder: &Path, lease: Duration) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "processes::child_process", "--ignored", "--nocapture"])
        .env(CHILD_ADAPTER, adapter)
        .env(CHILD_SERVICE, service.base())
        .env(CHILD_STORE, folder)
        .env(CHILD_LEASE, lease.as_secs().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Returns the access token that a process printed.
fn token_of(process: Child) -> String {
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let (_, token) = output.split_once('<').expect(&output);
    token.split_once('>').unwrap().0.to_owned()
}

fn folder_with(record: &str) -> (tempfile::TempDir, FileStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    fs::write(folder.path().join(format!("session-{KEY}.json")), record).unwrap();
    (folder, store)
}

#[test]
fn four_processes_send_one_refresh() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let (folder, store) = folder_with(&expired());
        let processes = [0; 4].map(|_| start_process(adapter, &service, folder.path(), LONG_LEASE));
        service.next_request().respond_with_tokens("r0", 1);
        for process in processes {
            assert_eq!(token_of(process), "a1", "{adapter}");
        }
        assert_eq!(access_token(&store), "a1");
        service.assert_no_more_requests();
    }
}

#[test]
fn refreshes_after_the_claim_of_a_killed_process_has_expired() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let (folder, store) = folder_with(&expired());
        let mut killed = start_process(adapter, &service, folder.path(), SHORT_LEASE);
        let request = service.next_request();
        killed.kill().unwrap();
        killed.wait().unwrap();
        drop(request);
        let stored = store.load(KEY).unwrap().unwrap();
        assert!(matches!(stored.refresh(), RefreshState::InProgress { .. }));

        let next = start_process(adapter, &service, folder.path(), SHORT_LEASE);
        service.next_request().respond_with_tokens("r0", 1);
        assert_eq!(token_of(next), "a1", "{adapter}");
        assert_eq!(access_token(&store), "a1");
        service.assert_no_more_requests();
    }
}
