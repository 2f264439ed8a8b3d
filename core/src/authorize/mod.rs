//! `GET https://app.hellosign.com/oauth/authorize`: the page to which the user's browser is
//! redirected.
//!
//! Source: RFC 6749 §4.1.1, and the vendor's OAuth walkthrough. The URL has no `scope` (scopes
//! belong to the app's settings, and the live service refuses the parameter) and no PKCE (the
//! vendor documents none).

pub(crate) mod callback;

use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};

use form_urlencoded::Serializer;
use http::Uri;

use crate::{endpoints::is_host_and_port, plain_http::PlainHttp, secret, state::State};

/// The absolute URI of a callback, for apps that have more than one.
///
/// The app's settings at Dropbox Sign must list it. Without one, the user returns to the default
/// callback of the app.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Checks the URI of a callback.
    ///
    /// # Errors
    /// [`InvalidRedirectUri`] unless the URI is absolute, has no fragment (RFC 6749 §3.1.2), and is
    /// one of
    /// - `https`,
    /// - `http` to a loopback host,
    /// - a private-use scheme with a dot, such as `com.example.app:/callback` (RFC 8252 §7.1).
    pub fn new(uri: &str) -> Result<Self, InvalidRedirectUri> {
        Self::with_plain_http(uri, PlainHttp::LoopbackOnly)
    }

    /// As [`new`](Self::new), with another rule for plain `http`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_plain_http(uri: &str, rule: PlainHttp) -> Result<Self, InvalidRedirectUri> {
        let is_valid = is_web_uri(uri, rule) || is_private_use_uri(uri);
        // `http::Uri` drops the fragment, so only the text shows it.
        if is_valid && !uri.contains('#') {
            Ok(Self(uri.into()))
        } else {
            Err(InvalidRedirectUri(()))
        }
    }

    /// Returns the URI as it was passed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_web_uri(uri: &str, rule: PlainHttp) -> bool {
    uri.parse().is_ok_and(|uri: Uri| {
        uri.authority().is_some_and(is_host_and_port) && rule.check(&uri).is_ok()
    })
}

/// Whether this is a URI with a private-use scheme: a reversed domain name, so it has a dot.
fn is_private_use_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let mut labels = scheme.split('.');
    let is_reversed_domain = scheme.contains('.')
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && labels.all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    // The characters that RFC 3986 excludes from URIs.
    let is_path = rest.starts_with('/')
        && secret::is_visible_ascii(rest)
        && !rest.contains(['"', '<', '>', '\\', '^', '`', '{', '|', '}']);
    is_reversed_domain && is_path
}

/// As [`RedirectUri::new`].
impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(uri: &str) -> Result<Self, InvalidRedirectUri> {
        Self::new(uri)
    }
}

/// The error for an invalid redirect URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidRedirectUri(());

impl fmt::Display for InvalidRedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a redirect URI must be absolute, without a fragment, and either https, http to a \
             loopback host, or of a private-use scheme",
        )
    }
}

impl core::error::Error for InvalidRedirectUri {}

/// Returns the URL of the authorize page.
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
    use crate::app::App;

    #[test]
    fn builds_the_url_byte_for_byte() {
        let app = |client_id| App::new(client_id, "1d14434088507ffa390e6f5528465").unwrap();
        let state = State::from_stored("900e06e2").unwrap();
        assert_eq!(
            app("cc91c61d00f8bb2ece1428035716b").authorize_url(&state),
            "https://app.hellosign.com/oauth/authorize?response_type=code\
             &client_id=cc91c61d00f8bb2ece1428035716b&state=900e06e2"
        );
        let callback = RedirectUri::new("https://example.com/cb?tenant=a&b=ü c").err();
        assert_eq!(callback, Some(InvalidRedirectUri(())));
        let callback = RedirectUri::new("https://example.com/cb?tenant=a&b=c").unwrap();
        assert_eq!(
            app("a&b").authorize_url_with_redirect(&state, &callback),
            "https://app.hellosign.com/oauth/authorize?response_type=code\
             &client_id=a%26b&state=900e06e2\
             &redirect_uri=https%3A%2F%2Fexample.com%2Fcb%3Ftenant%3Da%26b%3Dc"
        );
    }

    #[test]
    fn accepts_https_loopback_and_private_use_schemes() {
        for (uri, accepted) in [
            ("https://example.com/cb", true),
            ("http://127.0.0.1:7878/callback", true),
            ("https://example.com", true),
            ("HTTPS://example.com:8443/cb?a=b", true),
            ("http://localhost/cb", true),
            ("http://[::1]:7878/cb", true),
            ("com.example.app://callback/x", true),
            ("com.example.app:/callback", true),
            ("com.example.my-app:/cb?a=b", true),
            ("http://example.com/cb", false),
            ("http://localhost.example.com/cb", false),
            ("javascript:alert(1)", false),
            ("javascript:/alert(1)", false),
            ("javascript://example.com/%0aalert(1)", false),
            ("data:text/html,x", false),
            ("data:/x.y", false),
            ("file:///etc/passwd", false),
            ("myapp:/callback", false),
            ("myapp://callback", false),
            ("com.example.app:callback", false),
            ("com.example.app:/a#b", false),
            ("com.example.app:/a b", false),
            ("com.example.app:/<a>", false),
            ("com..app:/a", false),
            (".com.app:/a", false),
            ("1com.app:/a", false),
            ("com.app_x:/a", false),
            ("ftp.x://example.com\n/", false),
            ("com.example.app:", false),
            ("https://example.com/cb#part", false),
            ("https://example.com:99999/cb", false),
            ("https://:80/cb", false),
            ("/callback", false),
            ("example.com/callback", false),
            ("", false),
        ] {
            assert_eq!(RedirectUri::new(uri).is_ok(), accepted, "{uri}");
        }
        let plain = "http://example.com/cb";
        assert!(RedirectUri::with_plain_http(plain, PlainHttp::Anywhere).is_ok());
        assert_eq!(
            plain.parse::<RedirectUri>().unwrap_err().to_string(),
            "a redirect URI must be absolute, without a fragment, and either https, http to a \
             loopback host, or of a private-use scheme"
        );
    }
}
