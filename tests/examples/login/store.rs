//! The file in which the tokens are stored, for the user's eyes only.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use dropbox_sign_oauth::{ExposedTokenSet, TokenSet};

use crate::failure::Failure;

/// Who can read the file.
pub(crate) const READABLE_BY: &str = if cfg!(unix) {
    "you alone (mode 0600)"
} else {
    "whoever can read its folder: this system has no Unix modes"
};

pub(crate) struct Store {
    path: PathBuf,
}

impl Store {
    /// Checks that tokens can be stored at `path`, and leaves what is there as it is.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let store = Self { path: path.into() };
        store.check().map_err(|error| {
            Failure::new(format!(
                "cannot store tokens in {}: {error}; choose another place with --save",
                path.display()
            ))
        })?;
        Ok(store)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Stores tokens, whole or not at all, in the place of what is there.
    pub(crate) fn save(&self, tokens: &TokenSet) -> Result<(), Failure> {
        self.replace(tokens).map_err(|error| {
            Failure::new(format!(
                "the tokens could not be stored in {}, and are lost: {error}; make room there, or \
                 choose another place with --save, and run this again",
                self.path.display()
            ))
        })
    }

    fn check(&self) -> io::Result<()> {
        // A device or a link must not be replaced by a file.
        if fs::symlink_metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("what is there is no plain file"));
        }
        // `file_name` drops a separator or a dot at the end, and `rename` does not: the check would
        // pass, and the tokens be lost.
        if self.path.components().as_path().as_os_str() != self.path.as_os_str() {
            return Err(io::Error::other("the path names a folder"));
        }
        let (path, file) = self.create_temporary()?;
        drop(file);
        fs::remove_file(path)
    }

    fn replace(&self, tokens: &TokenSet) -> io::Result<()> {
        let (path, file) = self.create_temporary()?;
        let replaced = write(file, tokens).and_then(|()| fs::rename(&path, &self.path));
        if replaced.is_err() {
            // What is left there is worth less than the first error.
            let _ = fs::remove_file(&path);
        }
        replaced
    }

    /// Creates a file beside the one that it is to replace. Nobody else can read it, from its
    /// first moment on.
    fn create_temporary(&self) -> io::Result<(PathBuf, File)> {
        let name = self.path.file_name();
        let name = name.ok_or_else(|| io::Error::other("the path names no file"))?;
        let path = self.path.with_file_name(temporary_name(name)?);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok((path, file))
    }
}

fn temporary_name(name: &OsStr) -> io::Result<OsString> {
    let random = getrandom::u64().map_err(io::Error::other)?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{random:016x}.tmp"));
    Ok(temporary)
}

/// Writes tokens piece by piece, so that no buffer of ours holds them.
fn write(mut file: File, tokens: &TokenSet) -> io::Result<()> {
    serde_json::to_writer(&file, &ExposedTokenSet::from(tokens.clone()))?;
    file.write_all(b"\n")?;
    file.sync_all()
}
