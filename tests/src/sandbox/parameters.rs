//! The parameters of a request, wherever they stood in it.

use std::{borrow::Cow, collections::HashMap};

use super::refusal::Refusal;

/// Named values, each there once. An empty value counts as absent (RFC 6749 §3.1 and §3.2).
#[derive(Default)]
pub(super) struct Parameters(HashMap<String, String>);

/// A parameter that is there more than once, which RFC 6749 §3.1 and §3.2 forbid.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Duplicate(pub(super) String);

impl Parameters {
    /// Reads a query or a form-encoded body.
    pub(super) fn from_urlencoded(text: &[u8]) -> Result<Self, Duplicate> {
        let pairs = form_urlencoded::parse(text);
        Self::from_pairs(pairs.map(|(name, value)| (Cow::into_owned(name), Cow::into_owned(value))))
    }

    pub(super) fn from_pairs(
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Duplicate> {
        let mut parameters = HashMap::new();
        for (name, value) in pairs {
            if parameters.contains_key(&name) {
                return Err(Duplicate(name));
            }
            parameters.insert(name, value);
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name).ok_or_else(|| Refusal::missing(name))
    }
}

impl From<Duplicate> for Refusal {
    fn from(Duplicate(name): Duplicate) -> Self {
        Self::invalid_request(format!("Parameter {name} is there more than once"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_there_once_and_empty_is_absent() {
        let parameters = Parameters::from_urlencoded(b"a=1%2B+2&b=&c").ok().unwrap();
        assert_eq!(parameters.optional("a"), Some("1+ 2"));
        assert_eq!(parameters.optional("b"), None);
        assert_eq!(parameters.optional("c"), None);
        for twice in ["a=1&a=1", "a=&a=1", "a&b&%61"] {
            let duplicate = Parameters::from_urlencoded(twice.as_bytes()).err();
            assert_eq!(duplicate, Some(Duplicate("a".into())), "{twice}");
        }
    }
}
