//! Why a file store fails.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use dropbox_sign_oauth::session::InvalidRecord;

use super::MAX_RECORD;

/// Why a [`FileStore`](super::FileStore) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileStoreError {
    /// Records cannot be stored in this folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The key is too long for the name of a file.
    KeyTooLong {
        /// The longest key, in bytes after encoding.
        limit: usize,
    },
    /// The record could not be locked. It was not changed.
    Lock {
        /// The record's file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The record could not be read.
    Read {
        /// The record's file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The record could not be replaced or removed, or may not survive a power failure.
    Write {
        /// The record's file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The record is larger than the store reads. Nothing was written.
    TooLarge {
        /// The record's file.
        path: PathBuf,
        /// The largest record, in bytes.
        limit: u64,
    },
    /// The stored record is damaged or of another format. The file was not changed.
    InvalidRecord {
        /// The record's file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidRecord,
    },
}

impl FileStoreError {
    pub(super) fn lock(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Lock {
            path: path.into(),
            source,
        }
    }

    pub(super) fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Read {
            path: path.into(),
            source,
        }
    }

    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Write {
            path: path.into(),
            source,
        }
    }

    pub(super) fn too_large(path: &Path) -> Self {
        Self::TooLarge {
            path: path.into(),
            limit: MAX_RECORD,
        }
    }

    pub(super) fn invalid(path: &Path) -> impl Fn(InvalidRecord) -> Self {
        |source| Self::InvalidRecord {
            path: path.into(),
            source,
        }
    }
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => {
                write!(f, "sessions cannot be stored in {}", path.display())
            }
            Self::KeyTooLong { limit } => {
                write!(
                    f,
                    "the key is longer than {limit} bytes in its encoded form"
                )
            }
            Self::Lock { path, .. } => write!(f, "locking {} failed", path.display()),
            Self::Read { path, .. } => write!(f, "reading {} failed", path.display()),
            Self::Write { path, .. } => write!(f, "writing {} failed", path.display()),
            Self::TooLarge { path, limit } => write!(
                f,
                "the record for {} is larger than {limit} bytes",
                path.display()
            ),
            Self::InvalidRecord { path, .. } => {
                write!(f, "{} is not a valid record", path.display())
            }
        }
    }
}

impl Error for FileStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::KeyTooLong { .. } | Self::TooLarge { .. } => None,
            Self::Folder { source, .. }
            | Self::Lock { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. } => Some(source),
            Self::InvalidRecord { source, .. } => Some(source),
        }
    }
}
