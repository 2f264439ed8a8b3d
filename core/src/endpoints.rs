//! The endpoints of the service.

use alloc::{format, string::String};
use core::fmt;

use http::{Uri, uri::Authority};

use crate::plain_http::{InsecureUri, PlainHttp};

/// The endpoints of the service.
///
/// Defaults to the vendor's: `https://app.hellosign.com` for authorize and token,
/// `https://api.hellosign.com` for the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    authorize: Uri,
    token: Uri,
    refresh: Uri,
    account: Uri,
}

impl Endpoints {
    /// Returns the endpoints below two bases, such as `https://sign.example.com/proxy`: `app` for
    /// `/oauth/authorize` and `/oauth/token`, `api` for `/v3/…`.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] if a base is not an absolute `http` or `https` URI with only a host and
    /// an optional path, or if `plain_http` does not allow it.
    pub fn new(app: &str, api: &str, plain_http: PlainHttp) -> Result<Self, InvalidEndpoint> {
        let app = checked_base(app, plain_http)?;
        let api = checked_base(api, plain_http)?;
        let uri = |text: String| Uri::try_from(text).map_err(|_| InvalidEndpoint::NotAbsolute);
        Ok(Self {
            authorize: uri(format!("{app}/oauth/authorize"))?,
            token: uri(format!("{app}/oauth/token"))?,
            refresh: uri(format!("{app}/oauth/token?refresh"))?,
            account: uri(format!("{api}/v3/account"))?,
        })
    }

    /// Returns endpoints that are all below one base, for example that of a sandbox or a reverse
    /// proxy. Plain `http` is allowed to loopback hosts only.
    ///
    /// # Errors
    /// As [`Endpoints::new`].
    pub fn at(base: &str) -> Result<Self, InvalidEndpoint> {
        Self::new(base, base, PlainHttp::LoopbackOnly)
    }

    /// Returns the authorization endpoint (RFC 6749 §3.1), a page for the user's browser.
    #[must_use]
    pub fn authorize(&self) -> &Uri {
        &self.authorize
    }

    /// Returns the token endpoint (RFC 6749 §3.2).
    #[must_use]
    pub fn token(&self) -> &Uri {
        &self.token
    }

    /// Returns the token endpoint with the query `refresh`, which refresh requests use.
    #[must_use]
    pub fn refresh(&self) -> &Uri {
        &self.refresh
    }

    /// Returns the endpoint `/v3/account` of the API.
    #[must_use]
    pub fn account(&self) -> &Uri {
        &self.account
    }
}

impl Default for Endpoints {
    fn default() -> Self {
        // Static URIs are cloned for each request without reference counting.
        Self {
            authorize: Uri::from_static("https://app.hellosign.com/oauth/authorize"),
            token: Uri::from_static("https://app.hellosign.com/oauth/token"),
            refresh: Uri::from_static("https://app.hellosign.com/oauth/token?refresh"),
            account: Uri::from_static("https://api.hellosign.com/v3/account"),
        }
    }
}

fn checked_base(base: &str, plain_http: PlainHttp) -> Result<&str, InvalidEndpoint> {
    let uri: Uri = base.parse().map_err(|_| InvalidEndpoint::NotAbsolute)?;
    let (Some(_), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(InvalidEndpoint::NotAbsolute);
    };
    if !is_host_and_port(authority) {
        return Err(InvalidEndpoint::NotAbsolute);
    }
    // `http::Uri` drops the fragment, so only the text shows it.
    if base.contains(['?', '#']) || authority.as_str().contains('@') {
        return Err(InvalidEndpoint::NotABase);
    }
    plain_http.check(&uri).map_err(InvalidEndpoint::Insecure)?;
    Ok(base.trim_end_matches('/'))
}

/// Whether an authority has a host, and a valid port if it has one. `http::Uri` accepts other
/// ports, for which clients use the default port.
pub(crate) fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let after_host = authority.as_str().rsplit_once(host).map(|(_, rest)| rest);
    let has_valid_port = after_host.is_none_or(str::is_empty) || authority.port_u16().is_some();
    !host.is_empty() && has_valid_port
}

/// The error for an invalid endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// The URI is not absolute: it lacks a scheme or a host.
    NotAbsolute,
    /// The URI has a query, a fragment or user information.
    NotABase,
    /// The URI is not `https`, and plain `http` to its host is not allowed.
    Insecure(InsecureUri),
}

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => f.write_str("the endpoint is not an absolute URI"),
            Self::NotABase => {
                f.write_str("the endpoint has a query, a fragment or user information")
            }
            Self::Insecure(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InvalidEndpoint {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn defaults_to_the_vendors_endpoints() {
        let endpoints = Endpoints::default();
        assert_eq!(endpoints.authorize().to_string(), "https://app.hellosign.com/oauth/authorize");
        assert_eq!(endpoints.token().to_string(), "https://app.hellosign.com/oauth/token");
        assert_eq!(
            endpoints.refresh().to_string(),
            "https://app.hellosign.com/oauth/token?refresh"
        );
        assert_eq!(endpoints.account().to_string(), "https://api.hellosign.com/v3/account");
    }

    #[test]
    fn accepts_https_and_loopback_bases() {
        let insecure = PlainHttp::LoopbackOnly
            .check(&Uri::from_static("http://sign.example.com"))
            .err()
            .map(InvalidEndpoint::Insecure);
        for (base, refused) in [
            ("https://sign.example.com", None),
            ("https://sign.example.com:8443/a/path/", None),
            ("HTTPS://sign.example.com", None),
            ("http://127.0.0.1:8080", None),
            ("http://127.9.9.9", None),
            ("http://[::1]:8080", None),
            ("http://LocalHost:8080", None),
            ("http://sign.example.com", insecure.clone()),
            ("http://localhost.example.com", insecure.clone()),
            ("http://127.0.0.1.example.com", insecure.clone()),
            ("http://10.0.0.1", insecure.clone()),
            ("ftp://127.0.0.1", insecure),
            ("sign.example.com", Some(InvalidEndpoint::NotAbsolute)),
            ("/oauth", Some(InvalidEndpoint::NotAbsolute)),
            ("", Some(InvalidEndpoint::NotAbsolute)),
            ("https://", Some(InvalidEndpoint::NotAbsolute)),
            ("https://:8080", Some(InvalidEndpoint::NotAbsolute)),
            ("https://h:99999", Some(InvalidEndpoint::NotAbsolute)),
            ("http://127.0.0.1:65536", Some(InvalidEndpoint::NotAbsolute)),
            ("http://[::1]:65536", Some(InvalidEndpoint::NotAbsolute)),
            ("https://h:8a", Some(InvalidEndpoint::NotAbsolute)),
            ("https://h:", Some(InvalidEndpoint::NotAbsolute)),
            ("https://a b", Some(InvalidEndpoint::NotAbsolute)),
            ("https://h/?q", Some(InvalidEndpoint::NotABase)),
            ("https://h/#f", Some(InvalidEndpoint::NotABase)),
            ("https://user:pass@h", Some(InvalidEndpoint::NotABase)),
            ("http://127.0.0.1@h", Some(InvalidEndpoint::NotABase)),
        ] {
            assert_eq!(Endpoints::at(base).err(), refused, "{base}");
        }
        let base = "http://sign.example.com";
        assert!(Endpoints::new(base, base, PlainHttp::Anywhere).is_ok());
        assert_eq!(InvalidEndpoint::NotAbsolute.to_string(), "the endpoint is not an absolute URI");
    }

    #[test]
    fn ignores_a_trailing_slash() {
        let endpoints = Endpoints::at("http://localhost:1/sign/").unwrap();
        assert_eq!(endpoints.token().to_string(), "http://localhost:1/sign/oauth/token");
    }
}
