//! Where the service is: the vendor's addresses, or others of the caller's choice.

use alloc::{format, string::String};
use core::fmt;

use http::{Uri, uri::Authority};

use crate::transport::{InsecureUri, PlainHttp};

/// The addresses of the service.
///
/// The default is the vendor's: `https://app.hellosign.com` for authorize and token,
/// `https://api.hellosign.com` for the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    authorize: Uri,
    token: Uri,
    refresh: Uri,
    account: Uri,
}

impl Endpoints {
    /// Endpoints below two other bases, such as `https://sign.example.com/proxy`: the first for
    /// `/oauth/authorize` and `/oauth/token`, the second for `/v3/…`. A sandbox has one for both.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] if a base is not an absolute `http` or `https` URI of a host and an
    /// optional path alone, or if `plain_http` does not allow it.
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

    /// All endpoints below one base, which must be `https` or on this machine: a sandbox or a
    /// reverse proxy.
    ///
    /// # Errors
    /// As [`Endpoints::new`].
    pub fn at(base: &str) -> Result<Self, InvalidEndpoint> {
        Self::new(base, base, PlainHttp::LoopbackOnly)
    }

    /// The authorization endpoint (RFC 6749 §3.1), a page for the user's browser.
    #[must_use]
    pub fn authorize(&self) -> &Uri {
        &self.authorize
    }

    /// The token endpoint (RFC 6749 §3.2).
    #[must_use]
    pub fn token(&self) -> &Uri {
        &self.token
    }

    /// The token endpoint as a refresh addresses it.
    #[must_use]
    pub fn refresh(&self) -> &Uri {
        &self.refresh
    }

    /// `/v3/account` of the API.
    #[must_use]
    pub fn account(&self) -> &Uri {
        &self.account
    }
}

impl Default for Endpoints {
    fn default() -> Self {
        // Static texts are cloned for each request without a count of who shares them.
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
    // `http::Uri` drops a fragment on parsing, so it is looked for in the text.
    if base.contains(['?', '#']) || authority.as_str().contains('@') {
        return Err(InvalidEndpoint::NotABase);
    }
    plain_http.check(&uri).map_err(InvalidEndpoint::Insecure)?;
    Ok(base.trim_end_matches('/'))
}

/// Whether an authority names a host, and a port that exists if it names one: `http::Uri` takes
/// others, and a client would then use the default port.
pub(crate) fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let after_host = authority.as_str().rsplit_once(host).map(|(_, rest)| rest);
    let port_is_right = after_host.is_none_or(str::is_empty) || authority.port_u16().is_some();
    !host.is_empty() && port_is_right
}

/// Why an endpoint was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It is not an absolute URI with a scheme and a host.
    NotAbsolute,
    /// It has a query, a fragment or user information.
    NotABase,
    /// It is not `https`, and plain `http` to that host was not asked for.
    Insecure(InsecureUri),
}

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => f.write_str(
                "the endpoint is not an absolute URI such as `https://app.hellosign.com`",
            ),
            Self::NotABase => f.write_str(
                "the endpoint has a query, a fragment or user information: \
                 give the scheme, the host and at most a path",
            ),
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
    fn the_default_is_the_vendors() {
        let endpoints = Endpoints::default();
        assert_eq!(
            endpoints.authorize().to_string(),
            "https://app.hellosign.com/oauth/authorize"
        );
        assert_eq!(
            endpoints.token().to_string(),
            "https://app.hellosign.com/oauth/token"
        );
        assert_eq!(
            endpoints.refresh().to_string(),
            "https://app.hellosign.com/oauth/token?refresh"
        );
        assert_eq!(
            endpoints.account().to_string(),
            "https://api.hellosign.com/v3/account"
        );
    }

    #[test]
    fn a_base_is_https_or_loopback() {
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
            ("ftp://sign.example.com", insecure),
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
    }

    #[test]
    fn a_trailing_slash_is_not_doubled() {
        let endpoints = Endpoints::at("http://localhost:1/sign/").unwrap();
        assert_eq!(
            endpoints.token().to_string(),
            "http://localhost:1/sign/oauth/token"
        );
    }
}
