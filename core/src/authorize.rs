//! `GET https://app.hellosign.com/oauth/authorize`: the page to which the user's browser is sent.
//!
//! Source: RFC 6749 §4.1.1, and the vendor's OAuth walkthrough. No `scope` is sent (scopes belong
//! to the app's settings, and the live service refuses the parameter), and no PKCE, which the
//! vendor does not document.

use alloc::string::{String, ToString};
use core::fmt;

use form_urlencoded::Serializer;
use http::Uri;

use crate::{endpoints::is_host_and_port, state::State};

/// The absolute URI of a callback, for apps that have more than one.
///
/// The app's settings at Dropbox Sign must list it; without one the app's default callback is used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Checks a callback's URI.
    ///
    /// # Errors
    /// [`InvalidRedirectUri`] if it is not an absolute URI with a host, or has a fragment
    /// (RFC 6749 §3.1.2).
    pub fn new(uri: &str) -> Result<Self, InvalidRedirectUri> {
        let parsed: Uri = uri.parse().map_err(|_| InvalidRedirectUri(()))?;
        let absolute =
            parsed.scheme().is_some() && parsed.authority().is_some_and(is_host_and_port);
        // `http::Uri` drops a fragment on parsing, so it is looked for in the text.
        if absolute && !uri.contains('#') {
            Ok(Self(uri.into()))
        } else {
            Err(InvalidRedirectUri(()))
        }
    }

    /// The URI as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A redirect URI that is not absolute, or has a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidRedirectUri(());

impl fmt::Display for InvalidRedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a redirect URI must be absolute, with a host and without a fragment, \
             such as `https://example.com/callback`",
        )
    }
}

impl core::error::Error for InvalidRedirectUri {}

/// Writes the URL of the authorize page.
pub(crate) fn url(
    endpoint: &Uri,
    client_id: &str,
    state: &State,
    redirect_uri: Option<&RedirectUri>,
) -> String {
    let mut url = endpoint.to_string();
    url.push('?');
    let query_start = url.len();
    let mut query = Serializer::for_suffix(url, query_start);
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("state", state.as_str());
    if let Some(redirect_uri) = redirect_uri {
        query.append_pair("redirect_uri", redirect_uri.as_str());
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Endpoints;

    #[test]
    fn the_url_byte_for_byte() {
        let endpoints = Endpoints::default();
        let client_id = "cc91c61d00f8bb2ece1428035716b";
        let state = State::from_stored("900e06e2").unwrap();
        assert_eq!(
            url(endpoints.authorize(), client_id, &state, None),
            "https://app.hellosign.com/oauth/authorize?response_type=code\
             &client_id=cc91c61d00f8bb2ece1428035716b&state=900e06e2"
        );
        let callback = RedirectUri::new("https://example.com/cb?tenant=a&b=ü c").err();
        assert_eq!(callback, Some(InvalidRedirectUri(())));
        let callback = RedirectUri::new("https://example.com/cb?tenant=a&b=c").unwrap();
        assert_eq!(
            url(endpoints.authorize(), "a&b", &state, Some(&callback)),
            "https://app.hellosign.com/oauth/authorize?response_type=code\
             &client_id=a%26b&state=900e06e2\
             &redirect_uri=https%3A%2F%2Fexample.com%2Fcb%3Ftenant%3Da%26b%3Dc"
        );
    }

    #[test]
    fn a_redirect_uri_is_absolute() {
        for (uri, accepted) in [
            ("https://example.com/cb", true),
            ("http://127.0.0.1:7878/callback", true),
            ("com.example.app://callback/x", true),
            ("https://example.com/cb#part", false),
            ("https://example.com:99999/cb", false),
            ("https://:80/cb", false),
            ("/callback", false),
            ("example.com/callback", false),
            ("", false),
        ] {
            assert_eq!(RedirectUri::new(uri).is_ok(), accepted, "{uri}");
        }
    }
}
