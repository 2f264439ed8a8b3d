//! Behaviour when system calls fail.

use std::{cell::Cell, error::Error as _};

use tempfile::{TempDir, tempdir};

use super::*;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ENOTSUP: i32 = 95;
const EIO: i32 = 5;

thread_local! {
    /// The step that fails, and the OS error.
    pub(super) static FAULT: Cell<Option<(Step, i32)>> = const { Cell::new(None) };
}

/// Runs `work` while `step` fails with the OS error `error`.
fn with_fault<T>(step: Step, error: i32, work: impl FnOnce() -> T) -> T {
    FAULT.set(Some((step, error)));
    let done = work();
    FAULT.set(None);
    done
}

fn record(version: u64) -> Record {
    let text = include_str!("../../examples/record.json");
    Record::from_json(&text.replace("1700000000", &version.to_string())).unwrap()
}

fn store() -> (FileStore, TempDir) {
    let folder = tempdir().unwrap();
    (FileStore::open(folder.path()).unwrap(), folder)
}

fn names(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
#[cfg(target_os = "linux")]
fn open_rejects_folders_that_cannot_store_records() {
    let folder = tempdir().unwrap();
    for (step, error) in
        [(Step::Rename, EBUSY), (Step::Rename, EPERM), (Step::Write, ENOSPC), (Step::Write, EROFS)]
    {
        let refused = with_fault(step, error, || FileStore::open(folder.path()).unwrap_err());
        assert_eq!(
            refused.to_string(),
            format!("sessions cannot be stored in {}", folder.path().display())
        );
        let source = refused.source().unwrap().downcast_ref::<io::Error>();
        assert_eq!(source.unwrap().raw_os_error(), Some(error));
        assert_eq!(names(&folder), [""; 0]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn stores_records_in_folders_that_cannot_be_synced() {
    let (store, _folder) = store();
    for (version, error) in [(1, EINVAL), (2, ENOTSUP), (3, EACCES)] {
        let expected = Some(version - 1).filter(|expected| *expected > 0);
        let outcome = with_fault(Step::SyncFolder, error, || {
            store.compare_and_swap("key", expected, &record(version))
        });
        assert_eq!(outcome.unwrap(), Outcome::Stored);
        assert_eq!(store.load("key").unwrap(), Some(record(version)));
    }
    with_fault(Step::SyncFolder, EINVAL, || store.remove("key")).unwrap();
    // Any other error is returned: the new name may be lost in a power failure.
    let unknown =
        with_fault(Step::SyncFolder, EIO, || store.compare_and_swap("key", None, &record(1)));
    assert!(matches!(unknown, Err(FileStoreError::Write(..))));
}

#[test]
#[cfg(target_os = "linux")]
fn failed_write_keeps_the_old_record_and_leaves_no_files() {
    let (store, folder) = store();
    store.compare_and_swap("key", None, &record(1)).unwrap();
    for (step, error) in [(Step::Write, ENOSPC), (Step::Write, EROFS), (Step::Rename, EBUSY)] {
        let outcome =
            with_fault(step, error, || store.compare_and_swap("key", Some(1), &record(2)));
        let failed = outcome.unwrap_err();
        let path = folder.path().join("session-key.json");
        assert_eq!(failed.to_string(), format!("writing {} failed", path.display()));
        assert_eq!(store.load("key").unwrap(), Some(record(1)));
        assert_eq!(names(&folder), ["session-key.json"]);
    }
    assert_eq!(store.compare_and_swap("key", Some(1), &record(2)).unwrap(), Outcome::Stored);
}

#[test]
fn failed_first_write_leaves_no_record() {
    let (store, _folder) = store();
    with_fault(Step::Write, ENOSPC, || {
        store.compare_and_swap("key", None, &record(1)).unwrap_err()
    });
    assert_eq!(store.load("key").unwrap(), None);
    assert_eq!(store.compare_and_swap("key", None, &record(1)).unwrap(), Outcome::Stored);
}

#[test]
fn locking_times_out() {
    let (store, _folder) = store();
    let path = store.path("key").unwrap();
    let held = lock(&path, true, Duration::ZERO).unwrap();
    let error = lock(&path, true, Duration::ZERO).unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "another process has held the lock for 0ns");
    drop(held);
    assert!(lock(&path, true, Duration::ZERO).unwrap().is_some());
}

#[test]
fn does_not_replace_a_file_that_was_replaced_after_locking() {
    let (store, _folder) = store();
    let path = store.path("key").unwrap();
    let held = lock(&path, true, Duration::ZERO).unwrap().unwrap();
    // Another program removes the file, and another process stores a record.
    fs::remove_file(&path).unwrap();
    store.compare_and_swap("key", None, &record(7)).unwrap();
    // The holder of the old lock must not replace a record that it has not read.
    let error = store.replace(&path, &held, "text").unwrap_err();
    assert_eq!(
        error.source().unwrap().to_string(),
        "the file was removed or replaced while it was locked"
    );
    assert_eq!(store.load("key").unwrap(), Some(record(7)));
}
