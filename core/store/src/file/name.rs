//! The file names of sessions.

use std::fmt::Write as _;

/// The longest encoded key, in bytes: with what stands around it, a name that every common file
/// system takes (255 bytes).
pub(super) const MAX_KEY: usize = 200;

/// The name of the file of the session stored under `key`; `None` if the key is too long.
///
/// Upper case is encoded as well, since some file systems do not tell it from lower case. The
/// prefix keeps names like `con`, which are devices on Windows, and the empty name out.
pub(super) fn encode(key: &str) -> Option<String> {
    let mut name = String::from("session-");
    let prefix = name.len();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            // Writing to a string does not fail.
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
    fn encodes_any_text_into_one_component() {
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
    fn refuses_long_keys() {
        assert_eq!(encode(&"a".repeat(200)).unwrap().len(), 213);
        for key in ["a".repeat(201), ".".repeat(67), "a".repeat(10 * 1024)] {
            assert_eq!(encode(&key), None);
        }
    }
}
