//! Records of chosen versions.

use dropbox_sign_oauth::session::Record;

/// Returns a valid record with this version, and an access token that contains it.
///
/// # Panics
/// If the version exceeds 63 bits.
#[must_use]
pub fn record(version: u64) -> Record {
    with_token(version, &format!("access-{version}"))
}

/// Returns a record whose access token has `len` characters.
///
/// # Panics
/// If the version exceeds 63 bits.
#[must_use]
pub fn large_record(version: u64, len: usize) -> Record {
    with_token(version, &"a".repeat(len))
}

fn with_token(version: u64, token: &str) -> Record {
    let text = format!(
        r#"{{"format":2,"version":{version},"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"on_rejection","at":null,"claim":null,"failures":0,"rejections":0,"access_token":"{token}","refresh_token":"refresh","expires_at":null}}"#
    );
    Record::from_json(&text).expect("a valid record")
}
