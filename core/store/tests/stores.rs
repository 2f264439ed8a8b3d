//! What only the file store does. The testkit checks the promises of all stores.

use std::{error::Error as _, fs, path::Path};

use dropbox_sign_oauth_store::{FileStore, FileStoreError, Outcome, Record, Store};
use tempfile::tempdir;

/// Returns a record whose access token contains its version.
fn record(version: u64) -> Record {
    let text = include_str!("../examples/record.json").replace("1700000000", &version.to_string());
    Record::from_json(&text.replace("NWNi", &format!("acc{version}"))).unwrap()
}

/// Returns the sorted file names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_are_private_and_no_temporary_files_remain() {
    let temporary = tempdir().unwrap();
    let folder = temporary.path().join("deep/sessions");
    let store = FileStore::open(&folder).unwrap();
    assert_eq!(names(&folder), [""; 0]);
    store.compare_and_swap("key", None, &record(1)).unwrap();
    // A process that was killed during a write leaves its temporary file.
    fs::write(folder.join("session-key.tmp"), "half a reco").unwrap();
    let outcome = store.compare_and_swap("key", Some(1), &record(2));
    assert_eq!(outcome.unwrap(), Outcome::Stored);
    assert_eq!(names(&folder), ["session-key.json"]);
    let path = folder.join("session-key.json");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, record(2).to_exposed_json() + "\n");
    #[cfg(unix)]
    for (path, mode) in [(&path, 0o600), (&folder, 0o700)] {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
    }
    store.remove("key").unwrap();
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
#[cfg(unix)]
fn stores_records_in_a_folder_that_cannot_be_listed() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o300)).unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    store.compare_and_swap("key", None, &record(1)).unwrap();
    assert_eq!(store.load("key").unwrap(), Some(record(1)));
}

#[test]
fn accepts_any_key_and_stores_it_inside_the_folder() {
    let temporary = tempdir().unwrap();
    let folder = temporary.path().join("sessions");
    let store = FileStore::open(&folder).unwrap();
    let keys =
        ["", ".", "..", "../up", "/etc/passwd", "a\0b", "a/b", "a\\b", "A", "a", "%41", "日"];
    for (version, key) in (1..).zip(keys) {
        let outcome = store.compare_and_swap(key, None, &record(version));
        assert_eq!(outcome.unwrap(), Outcome::Stored, "{key:?}");
    }
    for (version, key) in (1..).zip(keys) {
        assert_eq!(store.load(key).unwrap(), Some(record(version)), "{key:?}");
    }
    assert_eq!(names(&folder).len(), keys.len());
    assert_eq!(names(temporary.path()), ["sessions"]);

    let long = "k".repeat(10 * 1024);
    let message = "the encoded key is longer than 200 bytes";
    assert_eq!(store.load(&long).unwrap_err().to_string(), message);
    let outcome = store.compare_and_swap(&long, None, &record(1));
    assert!(matches!(outcome, Err(FileStoreError::KeyTooLong(200))));
    assert_eq!(store.remove(&long).unwrap_err().to_string(), message);
    assert_eq!(names(&folder).len(), keys.len());
}

#[test]
fn empty_file_counts_as_no_record() {
    let folder = tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    fs::write(folder.path().join("session-key.json"), "").unwrap();
    assert_eq!(store.load("key").unwrap(), None);
    for (expected, outcome) in [(Some(1), Outcome::Conflict), (None, Outcome::Stored)] {
        let swapped = store.compare_and_swap("key", expected, &record(2));
        assert_eq!(swapped.unwrap(), outcome);
    }
    assert_eq!(store.load("key").unwrap(), Some(record(2)));
}

#[test]
fn returns_an_error_for_an_invalid_record_and_keeps_its_file() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("session-key.json");
    let store = FileStore::open(folder.path()).unwrap();
    let whole = record(1).to_exposed_json();
    let not_utf8 = whole.replacen("acc1", "\u{1}", 1).replace('\u{1}', "");
    for (bytes, cause) in [
        (&whole.as_bytes()[..40], "the stored record is damaged"),
        (b"\0\0\0\0", "the stored record is damaged"),
        (b"\xff\xfe", "the stored record is damaged"),
        (not_utf8.as_bytes(), "the stored record is damaged"),
        (whole.replacen(":2", ":999", 1).as_bytes(), "format 999"),
        (whole.replacen(":2", ":1", 1).as_bytes(), "format 1"),
    ] {
        fs::write(&path, bytes).unwrap();
        let message = format!("{} is not a valid record", path.display());
        let errors = [
            store.load("key").unwrap_err(),
            store.compare_and_swap("key", None, &record(2)).unwrap_err(),
            store.compare_and_swap("key", Some(1), &record(2)).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), message);
            let source = error.source().unwrap().to_string();
            assert!(source.contains(cause), "{source}");
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    // `remove` works, so that the user can authorize again.
    store.remove("key").unwrap();
    assert_eq!(store.load("key").unwrap(), None);
}

#[test]
fn rejects_records_above_the_size_limit() {
    let folder = tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    let text = record(1).to_exposed_json();
    // The limit in bytes.
    let padding = 1024 * 1024 - text.len();
    let large = |by: usize| {
        let token = "acc1".to_owned() + &"x".repeat(by);
        Record::from_json(&text.replacen("acc1", &token, 1)).unwrap()
    };
    let outcome = store.compare_and_swap("key", None, &large(padding));
    assert_eq!(outcome.unwrap(), Outcome::Stored);
    assert_eq!(store.load("key").unwrap(), Some(large(padding)));
    let error = store.compare_and_swap("key", Some(1), &large(padding + 1));
    let error = error.unwrap_err();
    let path = folder.path().join("session-key.json");
    let message = format!("the record for {} cannot be stored", path.display());
    assert_eq!(error.to_string(), message);
    assert_eq!(store.load("key").unwrap(), Some(large(padding)));

    fs::write(&path, large(padding + 1).to_exposed_json() + "\n").unwrap();
    let message = format!("{} is not a valid record", path.display());
    assert_eq!(store.load("key").unwrap_err().to_string(), message);
}

#[test]
fn open_rejects_unusable_folders() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = FileStore::open(&path).unwrap_err();
        assert!(matches!(error, FileStoreError::Folder(..)));
        assert!(error.source().is_some());
        let message = format!("sessions cannot be stored in {}", path.display());
        assert_eq!(error.to_string(), message);
    }
}
