//! The errors of [`FileStore`](super::FileStore).

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::RecordTextError;

/// The error of a [`FileStore`](super::FileStore), with the path of the folder or the record's file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileStoreError {
    /// Records cannot be stored in this folder.
    #[error("sessions cannot be stored in {}", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// The key, encoded as a file name, is longer than this number of bytes.
    #[error("the encoded key is longer than {0} bytes")]
    KeyTooLong(usize),
    /// The record could not be locked. It was not changed.
    #[error("locking {} failed", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// The record could not be read.
    #[error("reading {} failed", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The record could not be replaced or removed, or the change could not be synced to the disk.
    #[error("writing {} failed", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The record could not be converted to its text: it is too large, for example. Nothing was
    /// written.
    #[error("the record for {} cannot be stored", .0.display())]
    Record(PathBuf, #[source] RecordTextError),
    /// The stored record is damaged, of another format, or cannot be decrypted. The file was not
    /// changed.
    #[error("{} is not a valid record", .0.display())]
    InvalidRecord(PathBuf, #[source] RecordTextError),
}
