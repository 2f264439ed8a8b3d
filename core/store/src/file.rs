//! A file that the processes of one machine share.

use std::{
    error::Error,
    ffi::{OsStr, OsString},
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::session::{InvalidRecord, Record, Swapped};
use fs4::TryLockError;
use zeroize::Zeroizing;

use crate::Store;

/// How long it is waited for others that compare and swap: they take milliseconds, unless one of them
/// was stopped in the middle.
const LOCK_TIME: Duration = Duration::from_secs(10);

/// How often a lock that others have is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The most bytes that are read: far more than a record with the longest tokens that a response can
/// carry.
const MAX_LEN: u64 = 1024 * 1024;

/// A file that the processes of one machine share, for one session.
///
/// It is replaced whole, by renaming another into its place that has reached the disk, so that
/// whoever reads it, also after a crash, finds the old record or the new one. On Unix only its owner
/// can read it (mode 0600). Beside it there is a file of the same name with `.lock` at the end,
/// which is empty, and locked while a record is compared and swapped; the system unlocks it when a
/// process dies. Both stay where they are. One with `.tmp` at the end is there while a record is
/// written; what a process that died has left of it is removed by the next who writes.
///
/// Locks need a local disk: over NFS they may not hold.
///
/// ```
/// use dropbox_sign_oauth_store::{FileStore, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("session.json");
/// let store = FileStore::new(path)?;
/// assert_eq!(store.load()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
    folder: PathBuf,
    lock: PathBuf,
    temporary: PathBuf,
}

impl FileStore {
    /// The store at `path`, in a folder that is there; the file itself need not be.
    ///
    /// # Errors
    /// [`FileStoreError`] if no record can be stored there: better now than when there is one to
    /// be lost.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, FileStoreError> {
        let path = path.into();
        // A program may change its folder later.
        let path = std::path::absolute(&path).unwrap_or(path);
        let failed = |error: io::Error| FileStoreError {
            path: path.clone(),
            problem: Problem::Place(error),
        };
        let (folder, name) = parts(&path).map_err(failed)?;
        let beside = |suffix: &str| {
            let mut name = OsString::from(name);
            name.push(suffix);
            folder.join(name)
        };
        let store = Self {
            path: path.clone(),
            folder: folder.into(),
            lock: beside(".lock"),
            temporary: beside(".tmp"),
        };
        store.try_out().map_err(failed)?;
        Ok(store)
    }

    /// Where the record is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a record could be stored, found out without touching what is there.
    fn try_out(&self) -> io::Result<()> {
        // A device or a link must not be replaced by a file.
        if fs::symlink_metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("what is there is no plain file"));
        }
        let _locked = self.locked(LOCK_TIME)?;
        self.create_temporary()?;
        fs::remove_file(&self.temporary)
    }

    /// Creates the file that is to replace the record, which needs the lock. Nobody else can read
    /// it, from its first moment on.
    fn create_temporary(&self) -> io::Result<File> {
        match fs::remove_file(&self.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => for_owner(OpenOptions::new().write(true).create_new(true)).open(&self.temporary),
        }
    }

    /// Locks the store against all other processes and threads, until the file is dropped.
    fn locked(&self, within: Duration) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let file = for_owner(options).open(&self.lock)?;
        let begun = Instant::now();
        loop {
            match fs4::FileExt::try_lock(&file) {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if begun.elapsed() < within => {
                    thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another process has held it for {within:?}");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
            }
        }
    }

    fn read(&self) -> Result<Option<Record>, Problem> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Problem::Read(error)),
        };
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_LEN)
            .read_to_string(&mut text)
            .map_err(Problem::Read)?;
        Record::from_json(&text).map(Some).map_err(Problem::Record)
    }

    fn replace(&self, record: &Record) -> io::Result<()> {
        let text = Zeroizing::new(record.to_exposed_json());
        let mut file = self.create_temporary()?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        if let Err(error) = written {
            // What is left there is worth less than the first error.
            let _ = fs::remove_file(&self.temporary);
            return Err(error);
        }
        // The new name must reach the disk too; only Unix opens a folder for that.
        #[cfg(unix)]
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    fn swap(&self, expected: Option<u64>, new: &Record) -> Result<Swapped, Problem> {
        let _locked = self.locked(LOCK_TIME).map_err(Problem::Lock)?;
        if self.read()?.as_ref().map(Record::version) != expected {
            return Ok(Swapped::No);
        }
        self.replace(new).map_err(Problem::Write)?;
        Ok(Swapped::Yes)
    }

    fn failed(&self, problem: Problem) -> FileStoreError {
        let path = self.path.clone();
        FileStoreError { path, problem }
    }
}

/// The folder of a file, and its name.
fn parts(path: &Path) -> io::Result<(&Path, &OsStr)> {
    // `file_name` drops a separator or a dot at the end, and a rename does not.
    if path.components().as_path().as_os_str() != path.as_os_str() {
        return Err(io::Error::other("the path names a folder"));
    }
    let name = path.file_name().zip(path.parent());
    let (name, folder) = name.ok_or_else(|| io::Error::other("the path names no file"))?;
    Ok((folder, name))
}

/// What is created with these options is for its owner alone, where the system has modes.
fn for_owner(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl Store for FileStore {
    type Error = FileStoreError;

    fn load(&self) -> Result<Option<Record>, FileStoreError> {
        self.read().map_err(|problem| self.failed(problem))
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Swapped, FileStoreError> {
        self.swap(expected, new)
            .map_err(|problem| self.failed(problem))
    }
}

/// Why a [`FileStore`] failed. What was stored is as it was, unless a write did not reach the disk.
#[derive(Debug)]
pub struct FileStoreError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Place(io::Error),
    Lock(io::Error),
    Read(io::Error),
    Write(io::Error),
    Record(InvalidRecord),
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Place(error) => {
                write!(
                    f,
                    "no session can be stored in {path}: {error}; choose another place"
                )
            }
            Problem::Lock(error) => write!(f, "{path} could not be locked: {error}"),
            Problem::Read(error) => write!(f, "{path} could not be read: {error}"),
            Problem::Write(error) => write!(f, "{path} could not be replaced: {error}"),
            Problem::Record(error) => write!(f, "in {path}, {error}"),
        }
    }
}

impl Error for FileStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Place(error)
            | Problem::Lock(error)
            | Problem::Read(error)
            | Problem::Write(error) => error.source(),
            Problem::Record(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_others_keep_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("session.json")).unwrap();
        let held = store.locked(Duration::ZERO).unwrap();
        let error = store.locked(Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "another process has held it for 0ns");
        drop(held);
        assert!(store.locked(Duration::ZERO).is_ok());
    }
}
