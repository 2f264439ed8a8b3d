//! Parses the parameters of a request.

use std::{borrow::Cow, collections::HashMap};

use super::refusal::Refusal;

/// The parameters that the endpoints know. Others are ignored (RFC 6749 §3.1 and §3.2).
const KNOWN: [&str; 11] = [
    "client_id",
    "client_secret",
    "code",
    "grant_type",
    "state",
    "refresh_token",
    "response_type",
    "redirect_uri",
    "scope",
    "ticket",
    "decision",
];

/// The known parameters of a request. An empty value counts as absent (RFC 6749 §3.1 and §3.2).
#[derive(Default, Debug)]
pub(super) struct Parameters(HashMap<&'static str, String>);

/// A duplicate known parameter, which RFC 6749 §3.1 and §3.2 forbid.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Duplicate(pub(super) &'static str);

impl Parameters {
    /// Parses a query or a form-encoded body.
    pub(super) fn from_urlencoded(text: &[u8]) -> Result<Self, Duplicate> {
        let pairs = form_urlencoded::parse(text);
        Self::from_pairs(pairs.map(|(name, value)| (name, Cow::into_owned(value))))
    }

    pub(super) fn from_pairs<N: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, String)>,
    ) -> Result<Self, Duplicate> {
        let mut parameters = HashMap::new();
        for (name, value) in pairs {
            if let Some(name) = known(name.as_ref())
                && parameters.insert(name, value).is_some()
            {
                return Err(Duplicate(name));
            }
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

/// Returns the constant in [`KNOWN`] that is equal to `name`.
pub(super) fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

impl From<Duplicate> for Refusal {
    fn from(Duplicate(name): Duplicate) -> Self {
        Self::invalid_request(format!("Duplicate parameter {name}"))
    }
}
