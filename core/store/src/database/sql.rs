//! The statements for PostgreSQL.

use thiserror::Error;

use super::{DEFAULT_TABLE, DatabaseProblem};

/// The longest key, in bytes: an index of PostgreSQL takes about 2,700.
const MAX_KEY: usize = 1024;

/// The longest name that PostgreSQL does not truncate, in bytes.
const MAX_NAME: usize = 63;

/// The statements for PostgreSQL, for one table.
///
/// Each is one statement, and its own transaction: no isolation level is needed but the default
/// one. Under `repeatable read` or `serializable`, a statement may fail with SQLSTATE 40001; then it
/// has changed nothing, and is to be repeated.
#[derive(Clone, Debug)]
pub struct Statements {
    /// The table's name, quoted.
    pub table: String,
    /// Creates the table unless it exists; may run in several processes at once.
    pub create_table: String,
    /// `$1` is the key; returns version and record.
    pub load: String,
    /// `$1` is the key, `$2` the version, `$3` the record; returns no row if
    /// there is one already.
    pub insert: String,
    /// As `insert`, and `$4` is the expected version; returns no row if there is another.
    pub update: String,
    /// `$1` is the key.
    pub remove: String,
}

impl Statements {
    /// Returns the statements for `table`, a name or a schema and a name (`oauth.sessions`).
    ///
    /// # Errors
    /// [`InvalidTable`] if a part is empty, longer than 63 bytes, or contains anything but letters,
    /// digits and `_`.
    pub fn new(table: &str) -> Result<Self, InvalidTable> {
        let parts: Vec<_> = table.split('.').collect();
        let is_name = |part: &&str| {
            !part.is_empty()
                && part.len() <= MAX_NAME
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if parts.len() > 2 || !parts.iter().all(is_name) {
            return Err(InvalidTable(table.to_owned()));
        }
        Ok(Self::for_table(format!("\"{}\"", parts.join("\".\""))))
    }

    /// The statements for a quoted name.
    fn for_table(table: String) -> Self {
        Self {
            // The lock keeps processes that start at once from failing in each other's way.
            create_table: format!(
                "SELECT pg_advisory_xact_lock(5716041982331);
                 CREATE TABLE IF NOT EXISTS {table} (
                     key text COLLATE \"C\" PRIMARY KEY,
                     version bigint NOT NULL,
                     record text NOT NULL,
                     stored_at timestamptz NOT NULL DEFAULT now()
                 )"
            ),
            load: format!("SELECT version, record FROM {table} WHERE key = $1"),
            insert: format!(
                "INSERT INTO {table} (key, version, record) VALUES ($1, $2, $3)
                 ON CONFLICT (key) DO NOTHING RETURNING version"
            ),
            update: format!(
                "UPDATE {table} SET version = $2, record = $3, stored_at = now()
                 WHERE key = $1 AND version = $4 RETURNING version"
            ),
            remove: format!("DELETE FROM {table} WHERE key = $1"),
            table,
        }
    }
}

impl Default for Statements {
    fn default() -> Self {
        Self::for_table(format!("\"{DEFAULT_TABLE}\""))
    }
}

/// Checks that PostgreSQL can store a key.
///
/// # Errors
/// [`DatabaseProblem::InvalidKey`] if it contains a NUL or is longer than 1,024 bytes.
pub fn check_key(key: &str) -> Result<(), DatabaseProblem> {
    if key.contains('\0') {
        return Err(DatabaseProblem::InvalidKey("contains NUL"));
    }
    if key.len() > MAX_KEY {
        return Err(DatabaseProblem::InvalidKey("is longer than 1024 bytes"));
    }
    Ok(())
}

/// A text that is not the name of a table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0:?} is not the name of a table")]
pub struct InvalidTable(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_names_and_refuses_others() {
        for (name, quoted) in [
            ("dropbox_sign_sessions", "\"dropbox_sign_sessions\""),
            ("oauth.Sessions", "\"oauth\".\"Sessions\""),
            ("größe", "\"größe\""),
        ] {
            let statements = Statements::new(name).unwrap();
            assert_eq!(statements.table, quoted);
            assert!(statements.load.contains(quoted));
        }
        for name in ["", ".", "a.b.c", "a\"b", "a; DROP TABLE b", "a b", &"a".repeat(64)] {
            let error = Statements::new(name).unwrap_err();
            assert_eq!(error.to_string(), format!("{name:?} is not the name of a table"));
        }
        let default = Statements::new(DEFAULT_TABLE).unwrap();
        assert_eq!(Statements::default().table, default.table);
    }
}
