//! Tests processes that share a folder.

use std::{
    env, fs,
    process::{Command, Stdio},
};

use dropbox_sign_oauth_testkit::samples::app_at;
use dropbox_sign_oauth_ureq::{FileStore, Store as _};

use crate::{ADAPTERS, EXPIRED, KEY, LONG_LEASE, Sessions, options, record, service::Service};

/// The adapter, the service and the folder of a child process.
const ARGUMENTS: [&str; 3] =
    ["SESSION_TEST_ADAPTER", "SESSION_TEST_SERVICE", "SESSION_TEST_FOLDER"];

#[test]
#[ignore = "the test below runs it as a child process"]
fn child_process() {
    let [adapter, service, folder] =
        ARGUMENTS.map(|name| env::var(name).expect("only the test below should run this"));
    let store = FileStore::open(folder).unwrap();
    let sessions = Sessions::new(&adapter, &app_at(&service), store, options(LONG_LEASE));
    println!("<{}>", sessions.get(KEY).token());
    sessions.flush().unwrap();
}

#[test]
fn four_processes_send_one_refresh() {
    for adapter in ADAPTERS {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path()).unwrap();
        fs::write(folder.path().join(format!("session-{KEY}.json")), record(EXPIRED)).unwrap();
        let service = Service::start();
        let arguments = [adapter, &service.base, folder.path().to_str().unwrap()];
        let processes = [(); 4].map(|()| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "processes::child_process", "--ignored", "--nocapture"])
                .envs(ARGUMENTS.into_iter().zip(arguments))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        });
        service.next_request().respond_with_tokens(1);
        for process in processes {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success());
            let output = String::from_utf8(output.stdout).unwrap();
            assert!(output.contains("<a1>"), "{output}");
        }
        let stored = store.load(KEY).unwrap().unwrap();
        assert_eq!(stored.tokens().access_token.expose(), "a1");
        service.assert_no_more_requests();
    }
}
