//! What every store does, and what only a file has to.

use std::{fs, path::Path, thread};

use dropbox_sign_oauth_store::{FileStore, MemoryStore, Record, Store, Swapped};
use tempfile::tempdir;

/// A record of this version, whose access token has the version in it.
fn record(version: u64) -> Record {
    let text = format!(
        r#"{{"format":1,"version":{version},"grant":5,"refresh":"on_refusal","at":null,"failures":0,"tokens":{{"format":1,"access_token":"acc{version}","refresh_token":"ref","expires_at":null}}}}"#
    );
    Record::from_json(&text).unwrap()
}

fn compares_and_swaps(store: &impl Store) {
    assert_eq!(store.load().unwrap(), None);
    for (expected, new, swapped, stored) in [
        (Some(1), 2, Swapped::No, None),
        (None, 1, Swapped::Yes, Some(1)),
        (None, 2, Swapped::No, Some(1)),
        (Some(0), 2, Swapped::No, Some(1)),
        (Some(1), 2, Swapped::Yes, Some(2)),
        (Some(1), 2, Swapped::No, Some(2)),
        (Some(2), 9, Swapped::Yes, Some(9)),
    ] {
        let outcome = store.compare_and_swap(expected, &record(new)).unwrap();
        assert_eq!(outcome, swapped, "{expected:?} by {new}");
        assert_eq!(store.load().unwrap(), stored.map(record));
    }
}

/// Of all who race for a version, one gets it.
fn has_one_winner(store: &impl Store) {
    const THREADS: u64 = 8;
    const SWAPS: u64 = 20;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut swaps = 0;
                while swaps < SWAPS {
                    let there = store.load().unwrap().map(|record| record.version());
                    let next = record(there.unwrap_or(0) + 1);
                    if store.compare_and_swap(there, &next).unwrap() == Swapped::Yes {
                        swaps += 1;
                    }
                }
            });
        }
    });
    assert_eq!(store.load().unwrap(), Some(record(THREADS * SWAPS)));
}

#[test]
fn every_store_compares_and_swaps() {
    let folder = tempdir().unwrap();
    compares_and_swaps(&MemoryStore::default());
    compares_and_swaps(&FileStore::new(folder.path().join("session")).unwrap());
}

#[test]
fn every_race_has_one_winner() {
    let folder = tempdir().unwrap();
    has_one_winner(&MemoryStore::default());
    has_one_winner(&FileStore::new(folder.path().join("session")).unwrap());
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_for_its_owner_and_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("session.json");
    let store = FileStore::new(&path).unwrap();
    assert_eq!(store.path(), path);
    assert_eq!(names(folder.path()), ["session.json.lock"]);
    store.compare_and_swap(None, &record(1)).unwrap();
    // What a process that died has left is not in the way, nor kept.
    fs::write(folder.path().join("session.json.tmp"), "half a reco").unwrap();
    store.compare_and_swap(Some(1), &record(2)).unwrap();
    assert_eq!(names(folder.path()), ["session.json", "session.json.lock"]);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        record(2).to_exposed_json() + "\n"
    );
    #[cfg(unix)]
    for name in names(folder.path()) {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(folder.path().join(&name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_left_as_it_is() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("session.json");
    let store = FileStore::new(&path).unwrap();
    let whole = record(1).to_exposed_json();
    for (text, message) in [
        (
            whole[..40].to_owned(),
            "the stored record is damaged: it is not JSON (after 40 bytes); it is left as it \
             is, so mend it, or remove it and let the user authorize again",
        ),
        (
            String::new(),
            "the stored record is damaged: it is not JSON (after 0 bytes); it is left as it \
             is, so mend it, or remove it and let the user authorize again",
        ),
        (
            whole.replacen(":1", ":2", 1),
            "the stored record has format 2, and this library reads format 1; use a version of \
             the library that reads it",
        ),
    ] {
        fs::write(&path, &text).unwrap();
        let message = format!("in {}, {message}", path.display());
        assert_eq!(store.load().unwrap_err().to_string(), message);
        for expected in [None, Some(1)] {
            let error = store.compare_and_swap(expected, &record(2)).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_place_that_cannot_be_is_refused_at_once() {
    let folder = tempdir().unwrap();
    let refused = |path: &Path| FileStore::new(path).unwrap_err().to_string();
    for (path, problem) in [
        (folder.path().to_owned(), "what is there is no plain file"),
        (folder.path().join("session/"), "the path names a folder"),
        (folder.path().join(".."), "the path names no file"),
    ] {
        assert_eq!(
            refused(&path),
            format!(
                "no session can be stored in {}: {problem}; choose another place",
                path.display()
            )
        );
    }
    let missing = refused(&folder.path().join("missing/session"));
    assert!(missing.ends_with("; choose another place"), "{missing}");
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("elsewhere", &link).unwrap();
        assert!(refused(&link).contains("what is there is no plain file"));
    }
}
