//! A folder that the processes of one machine share.

mod error;
mod name;
mod step;

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::session::{Outcome, Record};
use fs4::TryLockError;
use zeroize::Zeroizing;

pub use self::error::FileStoreError;
use self::step::{Step, before};
use crate::Store;

/// How long a lock that another process holds is waited for. The holder needs milliseconds, unless
/// it was stopped; a session waits five seconds for its store.
const LOCK_TIMEOUT: Duration = Duration::from_secs(4);

/// The time between two attempts at a lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// The largest record, in bytes, written or read: far more than the longest tokens that a response
/// can contain.
const MAX_RECORD: u64 = 1024 * 1024;

/// A folder with one file a session, shared by the processes of one machine.
///
/// The name of a file is its session's key, with every byte but `a-z`, `0-9`, `-` and `_`
/// percent-encoded: the key `user-17` is stored in `session-user-17.json`. On Unix, the files are
/// readable by their owner only (mode 0600), as is the folder if the store created it (0700).
///
/// A record is replaced by renaming a file that has been synced to the disk, so that a reader finds
/// the old record or the new one, also after a crash. The record's own file is locked meanwhile;
/// the system unlocks it when a process dies. There are no separate lock files, so a program that
/// cleans up old files cannot break the locking. A file without content is no record.
///
/// Locks need a local disk: they may not hold over NFS. To keep sessions outside a container, mount
/// the folder, not a file: a mounted file cannot be replaced.
///
/// ```
/// use dropbox_sign_oauth_store::{FileStore, Store};
///
/// # let temporary = tempfile::tempdir()?;
/// # let folder = temporary.path().join("sessions");
/// let store = FileStore::open(folder)?;
/// assert_eq!(store.load("user-17")?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// Opens the store in `folder`, which is created if it does not exist.
    ///
    /// Writes, locks and renames a file there, because a folder in which that fails is better
    /// found now than when there are tokens to be stored.
    ///
    /// # Errors
    /// [`FileStoreError::Folder`] if records cannot be stored there.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, FileStoreError> {
        let folder = folder.into();
        // The program may change its current directory later.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let tried = create_folder(&folder).and_then(|()| try_folder(&folder));
        match tried {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(FileStoreError::Folder {
                path: folder,
                source,
            }),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of the session stored under `key`.
    fn path(&self, key: &str) -> Result<PathBuf, FileStoreError> {
        let name = name::encode(key).ok_or(FileStoreError::KeyTooLong {
            limit: name::MAX_KEY,
        })?;
        Ok(self.folder.join(name))
    }

    /// Puts `record` in the place of the file at `path`, which the caller has locked.
    fn replace(&self, path: &Path, locked: &File, record: &Record) -> Result<(), FileStoreError> {
        let text = Zeroizing::new(record.to_exposed_json() + "\n");
        if text.len() as u64 > MAX_RECORD {
            return Err(FileStoreError::too_large(path));
        }
        let temporary = path.with_extension("tmp");
        let replaced = (|| {
            // A process that was killed may have left one.
            remove_if_exists(&temporary)?;
            let mut file =
                private(OpenOptions::new().write(true).create_new(true)).open(&temporary)?;
            before(Step::Write)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            if !is_at(locked, path)? {
                let message = "the file was removed or replaced while it was locked";
                return Err(io::Error::other(message));
            }
            before(Step::Rename)?;
            fs::rename(&temporary, path)
        })();
        if let Err(source) = replaced {
            // The first error says more than one of cleaning up.
            let _ = fs::remove_file(&temporary);
            return Err(FileStoreError::write(path)(source));
        }
        sync(&self.folder).map_err(FileStoreError::write(path))
    }
}

impl Store for FileStore {
    type Error = FileStoreError;

    fn load(&self, key: &str) -> Result<Option<Record>, FileStoreError> {
        let path = self.path(key)?;
        match File::open(&path) {
            Ok(file) => read(&file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileStoreError::read(&path)(error)),
        }
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, FileStoreError> {
        let path = self.path(key)?;
        let Some(file) = lock(&path, expected.is_none(), LOCK_TIMEOUT)? else {
            return Ok(Outcome::Conflict);
        };
        if read(&file, &path)?.as_ref().map(Record::version) != expected {
            return Ok(Outcome::Conflict);
        }
        self.replace(&path, &file, new)?;
        Ok(Outcome::Stored)
    }

    fn remove(&self, key: &str) -> Result<(), FileStoreError> {
        let path = self.path(key)?;
        if let Some(_locked) = lock(&path, false, LOCK_TIMEOUT)? {
            remove_if_exists(&path).map_err(FileStoreError::write(&path))?;
            sync(&self.folder).map_err(FileStoreError::write(&path))?;
        }
        Ok(())
    }
}

/// Locks the file at `path` against other threads and processes until it is dropped.
///
/// A file that was renamed or removed while its lock was waited for is not the record any more, and
/// another process may have locked its successor: then it begins anew.
fn lock(path: &Path, create: bool, timeout: Duration) -> Result<Option<File>, FileStoreError> {
    let started = Instant::now();
    let failed = FileStoreError::lock(path);
    loop {
        let mut options = OpenOptions::new();
        let options = options
            .read(true)
            .write(true)
            .create(create)
            .truncate(false);
        let file = match private(options).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => match is_at(&file, path) {
                Ok(true) => return Ok(Some(file)),
                Ok(false) => {}
                Err(error) => return Err(failed(error)),
            },
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if started.elapsed() < timeout => {
                thread::sleep(LOCK_INTERVAL);
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process has held the lock for {timeout:?}");
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, message)));
            }
        }
    }
}

/// Whether the file at `path` is this one.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let file = same_file::Handle::from_file(file.try_clone()?)?;
    match same_file::Handle::from_path(path) {
        Ok(there) => Ok(file == there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(file: &File, path: &Path) -> Result<Option<Record>, FileStoreError> {
    let read = || {
        let len = file.metadata()?.len().min(MAX_RECORD);
        // One allocation, so that no partial copy is left unwiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 64));
        file.take(MAX_RECORD + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(FileStoreError::read(path))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 > MAX_RECORD {
        return Err(FileStoreError::too_large(path));
    }
    // Nothing in a record is other than ASCII: what is not UTF-8 makes it invalid.
    let record = Record::from_json(&String::from_utf8_lossy(&bytes));
    record.map(Some).map_err(FileStoreError::invalid(path))
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Does what storing a record does, with files of its own.
fn try_folder(folder: &Path) -> io::Result<()> {
    let id = RandomState::new().hash_one(());
    let [old, new] = ["old", "new"].map(|which| folder.join(format!("probe-{id:016x}.{which}")));
    let tried = (|| {
        for path in [&old, &new] {
            let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
            fs4::FileExt::try_lock(&file)?;
            before(Step::Write)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
        }
        before(Step::Rename)?;
        fs::rename(&new, &old)
    })();
    let removed = remove_if_exists(&old).and(remove_if_exists(&new));
    tried.and(removed)
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Has the names in a folder reach the disk, where the system can.
fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match before(Step::SyncFolder).and_then(|()| File::open(folder)?.sync_all()) {
        // The file system syncs no folders, or this one may not be opened (mode 0300). The record
        // has its new name all the same.
        Err(error) if !is_unsupported(&error) => return Err(error),
        _ => {}
    }
    Ok(())
}

#[cfg(unix)]
fn is_unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

/// Files created with these options are for their owner alone, where the system has modes.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests;
