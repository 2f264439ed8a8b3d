//! Encodes keys as file names.

use std::fmt::Write as _;

/// The limit of an encoded key, in bytes. With the prefix and the extensions, the name stays below
/// the limit of common file systems (255 bytes).
pub(super) const MAX_KEY: usize = 200;

/// Returns the file name of the session stored under `key`, or `None` if the key is too long.
///
/// Upper-case letters are encoded too, because some file systems are not case-sensitive. The prefix
/// prevents an empty name, and names such as `con`, which are devices on Windows.
pub(super) fn encode(key: &str) -> Option<String> {
    let mut name = String::from("session-");
    let prefix = name.len();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            // Writing to a `String` cannot fail.
            _ => drop(write!(name, "%{byte:02X}")),
        }
        if name.len() - prefix > MAX_KEY {
            return None;
        }
    }
    name.push_str(".json");
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_any_key_as_one_path_component() {
        for (key, name) in [
            ("user-17", "session-user-17.json"),
            ("", "session-.json"),
            ("..", "session-%2E%2E.json"),
            ("../etc/passwd", "session-%2E%2E%2Fetc%2Fpasswd.json"),
            ("a\\b:c", "session-a%5Cb%3Ac.json"),
            ("nul\0", "session-nul%00.json"),
            ("%2F", "session-%252%46.json"),
            ("User", "session-%55ser.json"),
            ("me@example.com", "session-me%40example%2Ecom.json"),
            ("日", "session-%E6%97%A5.json"),
        ] {
            assert_eq!(encode(key).as_deref(), Some(name));
        }
    }

    #[test]
    fn rejects_long_keys() {
        assert_eq!(encode(&"a".repeat(200)).unwrap().len(), 213);
        for key in ["a".repeat(201), ".".repeat(67), "a".repeat(10 * 1024)] {
            assert_eq!(encode(&key), None);
        }
    }
}
