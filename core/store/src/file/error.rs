//! The errors of [`FileStore`](super::FileStore).

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::RecordTextError;

/// The error of a [`FileStore`](super::FileStore).
#[derive(Debug)]
#[non_exhaustive]
pub enum FileStoreError {
    /// Records cannot be stored in this folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The key is too long for a file name.
    KeyTooLong {
        /// The limit of the encoded key, in bytes.
        limit: usize,
    },
    /// The record could not be locked. It was not changed.
    Lock {
        /// The record's file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The record could not be read.
    Read {
        /// The record's file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The record could not be replaced or removed, or the change could not be synced to the disk.
    Write {
        /// The record's file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The record could not be converted to its text: it is too large, for example. Nothing was
    /// written.
    Record {
        /// The record's file.
        path: PathBuf,
        /// The cause.
        source: RecordTextError,
    },
    /// The stored record is damaged, of another format, or cannot be decrypted. The file was not
    /// changed.
    InvalidRecord {
        /// The record's file.
        path: PathBuf,
        /// The cause.
        source: RecordTextError,
    },
}

impl FileStoreError {
    pub(super) fn lock(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Lock { path: path.into(), source }
    }

    pub(super) fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Read { path: path.into(), source }
    }

    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Write { path: path.into(), source }
    }

    pub(super) fn record(path: &Path) -> impl Fn(RecordTextError) -> Self {
        |source| Self::Record { path: path.into(), source }
    }

    pub(super) fn invalid(path: &Path) -> impl Fn(RecordTextError) -> Self {
        |source| Self::InvalidRecord { path: path.into(), source }
    }
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => {
                write!(f, "sessions cannot be stored in {}", path.display())
            }
            Self::KeyTooLong { limit } => {
                write!(f, "the encoded key is longer than {limit} bytes")
            }
            Self::Lock { path, .. } => write!(f, "locking {} failed", path.display()),
            Self::Read { path, .. } => write!(f, "reading {} failed", path.display()),
            Self::Write { path, .. } => write!(f, "writing {} failed", path.display()),
            Self::Record { path, .. } => {
                write!(f, "the record for {} cannot be stored", path.display())
            }
            Self::InvalidRecord { path, .. } => {
                write!(f, "{} is not a valid record", path.display())
            }
        }
    }
}

impl Error for FileStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::KeyTooLong { .. } => None,
            Self::Folder { source, .. }
            | Self::Lock { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. } => Some(source),
            Self::Record { source, .. } | Self::InvalidRecord { source, .. } => Some(source),
        }
    }
}
