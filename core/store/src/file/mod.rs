//! A store in a folder that the processes of one machine share.

mod error;
mod name;

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
use crate::{Cipher, MAX_TEXT, RecordText, Store};

/// The time limit for locking a file. A process holds a lock for milliseconds, unless it is
/// stopped. The limit is shorter than the five seconds that a session waits for its store by
/// default.
const LOCK_TIMEOUT: Duration = Duration::from_secs(4);

/// The time between two attempts to lock a file.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// Stores each session in its own file, in a folder that the processes of one machine share.
///
/// The file name contains the session's key, in which all bytes except `a-z`, `0-9`, `-` and `_`
/// are percent-encoded: the key `user-17` is stored in `session-user-17.json`. On Unix, only the
/// owner can read the files (mode 0600), and the folder if the store created it (mode 0700).
///
/// To replace a record, the store writes a temporary file, syncs it to the disk and renames it. A
/// reader finds either the old record or the new one, even after a crash. The record's own file is
/// locked while it is replaced, and the operating system releases the lock if the process dies.
/// There are no lock files that another program could delete. An empty file counts as no record.
///
/// The folder must be on a local disk, because locks may not work over NFS. In a container, mount
/// the folder and not a single file, because a mounted file cannot be replaced by a rename.
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
    text: RecordText,
}

impl FileStore {
    /// Opens the store in `folder`, which is created if it does not exist.
    ///
    /// Creates, locks, renames and removes a file in it, so that a folder that cannot store records
    /// is reported at startup and not when there are tokens to store.
    ///
    /// # Errors
    /// [`FileStoreError::Folder`] if the folder cannot store records.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, FileStoreError> {
        let folder = folder.into();
        // The program may change its current directory later.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let tried = create_folder(&folder).and_then(|()| probe_folder(&folder));
        match tried {
            Ok(()) => Ok(Self { folder, text: RecordText::default() }),
            Err(error) => Err(FileStoreError::Folder(folder, error)),
        }
    }

    /// Encrypts the records.
    #[must_use]
    pub fn cipher(mut self, cipher: impl Cipher + 'static) -> Self {
        self.text = RecordText::encrypted(cipher);
        self
    }

    /// The file of the session stored under `key`.
    fn path(&self, key: &str) -> Result<PathBuf, FileStoreError> {
        let name = name::encode(key).ok_or(FileStoreError::KeyTooLong(name::MAX_KEY))?;
        Ok(self.folder.join(name))
    }

    /// Returns the record in the file of `key`, at `path`.
    fn read(&self, key: &str, file: &File, path: &Path) -> Result<Option<Record>, FileStoreError> {
        let Some(text) = read(file).map_err(at(path, FileStoreError::Read))? else {
            return Ok(None);
        };
        let record = self.text.decode(key, text.strip_suffix('\n').unwrap_or(&text));
        record.map(Some).map_err(at(path, FileStoreError::InvalidRecord))
    }

    /// Replaces the file at `path`, which the caller has locked, with the text of a record.
    fn replace(&self, path: &Path, locked: &File, text: &str) -> Result<(), FileStoreError> {
        let temporary = path.with_extension("tmp");
        let replaced = (|| {
            // A process that was killed may have left its temporary file.
            remove_if_exists(&temporary)?;
            let mut file =
                private(OpenOptions::new().write(true).create_new(true)).open(&temporary)?;
            inject_fault(Step::Write)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            if !is_at(locked, path)? {
                let message = "the file was removed or replaced while it was locked";
                return Err(io::Error::other(message));
            }
            inject_fault(Step::Rename)?;
            fs::rename(&temporary, path)
        })();
        if let Err(source) = replaced {
            // The first error is more useful than one of the cleanup.
            let _ = fs::remove_file(&temporary);
            return Err(FileStoreError::Write(path.into(), source));
        }
        sync(&self.folder).map_err(at(path, FileStoreError::Write))
    }
}

impl Store for FileStore {
    type Error = FileStoreError;

    fn load(&self, key: &str) -> Result<Option<Record>, FileStoreError> {
        let path = self.path(key)?;
        match File::open(&path) {
            Ok(file) => self.read(key, &file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileStoreError::Read(path, error)),
        }
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, FileStoreError> {
        let path = self.path(key)?;
        let text = self.text.encode(key, new);
        let text = text.map_err(at(&path, FileStoreError::Record))?;
        let Some(file) = lock(&path, expected.is_none(), LOCK_TIMEOUT)? else {
            return Ok(Outcome::Conflict);
        };
        if self.read(key, &file, &path)?.as_ref().map(Record::version) != expected {
            return Ok(Outcome::Conflict);
        }
        self.replace(&path, &file, &text)?;
        Ok(Outcome::Stored)
    }

    fn remove(&self, key: &str) -> Result<(), FileStoreError> {
        let path = self.path(key)?;
        if let Some(_locked) = lock(&path, false, LOCK_TIMEOUT)? {
            let removed = remove_if_exists(&path).and_then(|()| sync(&self.folder));
            removed.map_err(at(&path, FileStoreError::Write))?;
        }
        Ok(())
    }
}

/// Returns the conversion of a cause to the error at this path.
fn at<E>(
    path: &Path,
    error: impl Fn(PathBuf, E) -> FileStoreError,
) -> impl Fn(E) -> FileStoreError {
    move |cause| error(path.into(), cause)
}

/// Locks the file at `path` against other threads and processes until it is dropped.
///
/// Returns `None` if there is no file and `create` is `false`. If the file is replaced or removed
/// while this call waits for the lock, it locks the file that is at `path` then.
fn lock(path: &Path, create: bool, timeout: Duration) -> Result<Option<File>, FileStoreError> {
    let started = Instant::now();
    let failed = at(path, FileStoreError::Lock);
    loop {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(create).truncate(false);
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

/// Returns whether `file` is still the file at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let file = same_file::Handle::from_file(file.try_clone()?)?;
    match same_file::Handle::from_path(path) {
        Ok(there) => Ok(file == there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the text of a file, unless it is empty.
fn read(file: &File) -> io::Result<Option<Zeroizing<String>>> {
    let limit = MAX_TEXT as u64 + 2;
    let len = file.metadata()?.len().min(limit);
    // A buffer that grew would leave copies in memory that are not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 64));
    file.take(limit).read_to_end(&mut bytes)?;
    // Records are ASCII, so the replacement character for invalid UTF-8 makes a record invalid.
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Runs the operations that store a record, on temporary files.
fn probe_folder(folder: &Path) -> io::Result<()> {
    let id = RandomState::new().hash_one(());
    let [old, new] = ["old", "new"].map(|which| folder.join(format!("probe-{id:016x}.{which}")));
    let tried = (|| {
        for path in [&old, &new] {
            let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
            fs4::FileExt::try_lock(&file)?;
            inject_fault(Step::Write)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
        }
        inject_fault(Step::Rename)?;
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

/// Syncs the names in a folder to the disk, if the system supports it.
fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match inject_fault(Step::SyncFolder).and_then(|()| File::open(folder)?.sync_all()) {
        // The file system cannot sync folders, or this folder is not readable (mode 0300). The
        // record was renamed nevertheless.
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

/// A system call that fails in tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Write,
    Rename,
    #[cfg(unix)]
    SyncFolder,
}

/// Called before a system call. Fails in tests that inject a fault into this step.
#[cfg_attr(
    not(test),
    expect(clippy::unnecessary_wraps, unused_variables, reason = "it can fail in tests")
)]
fn inject_fault(step: Step) -> io::Result<()> {
    #[cfg(test)]
    if let Some((_, error)) = tests::FAULT.get().filter(|(fails, _)| *fails == step) {
        return Err(io::Error::from_raw_os_error(error));
    }
    Ok(())
}

/// Restricts a new file to its owner (mode 0600), on Unix.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests;
