//! A file that the processes of one machine share.

use std::{
    error::Error,
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use dropbox_sign_oauth::session::{InvalidRecord, Record, Swapped};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::Store;

/// A file that the processes of one machine share, for one session.
///
/// It is replaced whole, by renaming another into its place that has reached the disk, so that
/// whoever reads it, also after a crash, finds the old record or the new one. On Unix only its owner
/// can read it (mode 0600). Beside it there is a file of the same name with `.lock` at the end,
/// which is empty, and locked while a record is compared and swapped; the system unlocks it when a
/// process dies. Both stay where they are.
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
        let (folder, lock) = beside(&path).map_err(failed)?;
        let store = Self {
            path: path.clone(),
            folder,
            lock,
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
        self.temporary()?;
        self.locked().map(drop)
    }

    fn temporary(&self) -> io::Result<NamedTempFile> {
        // Nobody else can read it, from its first moment on.
        tempfile::Builder::new()
            .prefix(".")
            .suffix(".tmp")
            .tempfile_in(&self.folder)
    }

    /// Locks the store against all other processes and threads, until the file is dropped.
    fn locked(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.lock)?;
        fs4::FileExt::lock(&file)?;
        Ok(file)
    }

    fn read(&self) -> Result<Option<Record>, Problem> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Problem::Read(error)),
        };
        Record::from_json(&text).map(Some).map_err(Problem::Record)
    }

    fn replace(&self, record: &Record) -> io::Result<()> {
        let mut text = Zeroizing::new(record.to_exposed_json());
        text.push('\n');
        let mut file = self.temporary()?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        // The new name must reach the disk too; only Unix opens a folder for that.
        #[cfg(unix)]
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    fn swap(&self, expected: Option<u64>, new: &Record) -> Result<Swapped, Problem> {
        let _locked = self.locked().map_err(Problem::Lock)?;
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

/// The folder of a file, and its lock in it.
fn beside(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    // `file_name` drops a separator or a dot at the end, and a rename does not.
    if path.components().as_path().as_os_str() != path.as_os_str() {
        return Err(io::Error::other("the path names a folder"));
    }
    let name = path.file_name();
    let mut lock = OsString::from(name.ok_or_else(|| io::Error::other("the path names no file"))?);
    lock.push(".lock");
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    Ok((folder.into(), folder.join(lock)))
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
