//! The scripts for Redis. A record is a hash with the fields `version` and `record`.

use dropbox_sign_oauth::session::Record;
use zeroize::Zeroizing;

use super::DatabaseProblem;
use crate::{RecordText, RecordTextError};

/// Loads a record: `EVAL LOAD 1 key` returns its version, its text (both nil if there is none), and
/// 1 if the key had an expiry, which the script has removed.
pub const LOAD: &str = "\
local found = redis.call('HMGET', KEYS[1], 'version', 'record')
local expires = redis.call('PTTL', KEYS[1]) >= 0 and redis.call('PERSIST', KEYS[1]) or 0
return {found[1], found[2], expires}";

/// Compares and swaps: `EVAL SWAP 1 key expected version text`, where `expected` is empty if there
/// must be no record. Returns 1 if the record was stored, 0 if not.
pub const SWAP: &str = "\
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
redis.call('PERSIST', KEYS[1])
return 1";

/// What [`LOAD`] returns.
pub type Found = (Option<u64>, Option<String>, u8);

/// Reads what [`LOAD`] has returned for the session `key`.
///
/// # Errors
/// [`DatabaseProblem::Expiry`] or [`DatabaseProblem::Decode`].
pub fn record(
    text: &RecordText,
    key: &str,
    found: Found,
) -> Result<Option<Record>, DatabaseProblem> {
    let (version, record, expires) = found;
    let record = record.map(Zeroizing::new);
    if expires != 0 {
        return Err(DatabaseProblem::Expiry);
    }
    let decoded = match (version, record) {
        (None, None) => return Ok(None),
        (Some(version), Some(record)) => text.decode_version(key, version, &record),
        _ => Err(RecordTextError::Damaged),
    };
    decoded.map(Some).map_err(DatabaseProblem::Decode)
}

/// Checks what `INFO` says: whether the server keeps what it has acknowledged.
///
/// # Errors
/// [`DatabaseProblem::ReadOnly`], [`Evicts`](DatabaseProblem::Evicts) or
/// [`NotDurable`](DatabaseProblem::NotDurable).
pub fn check_server(info: &str) -> Result<(), DatabaseProblem> {
    let field = |name: &str| {
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value.trim())
    };
    if field("role").is_some_and(|role| role != "master") {
        return Err(DatabaseProblem::ReadOnly);
    }
    match field("maxmemory_policy") {
        // Keys without an expiry stay under the policies `volatile-…`.
        Some(policy) if policy.starts_with("allkeys") => {
            return Err(DatabaseProblem::Evicts(policy.to_owned()));
        }
        _ => {}
    }
    if field("aof_enabled") == Some("0") {
        return Err(DatabaseProblem::NotDurable);
    }
    Ok(())
}
