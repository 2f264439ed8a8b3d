//! Proxies: which one a request goes through, and the tunnel through it.

use std::{
    env,
    ffi::OsString,
    future::{Ready, ready},
    io,
    task::{Context, Poll},
};

use http::{Uri, uri::Scheme};
use hyper_util::client::{
    legacy::connect::proxy::{SocksV5, Tunnel},
    proxy::matcher::{Intercept, Matcher},
};
use tower_service::Service;

use super::{BoxError, connect::Leg};
use crate::builder::{BuildError, Kind};

/// The port of a SOCKS proxy whose URI has none.
const SOCKS_PORT: u16 = 1080;

/// The longest user name and password of SOCKS, in bytes (RFC 1929 §2).
const MAX_SOCKS_CREDENTIAL: usize = 255;

/// Which proxies to use.
#[derive(Clone, Default)]
pub(crate) enum ProxySetting {
    #[default]
    None,
    /// The proxy of this URI, for every request.
    Uri(String),
    /// Those that the environment names.
    Environment,
}

/// The proxies of a client.
#[derive(Default)]
pub(super) struct Proxies(Option<Matcher>);

impl Proxies {
    pub(super) fn new(setting: &ProxySetting) -> Result<Self, BuildError> {
        match setting {
            ProxySetting::None => Ok(Self::default()),
            ProxySetting::Uri(uri) => {
                let uri = checked(uri).ok_or(BuildError(Kind::Proxy))?;
                Ok(Self(Some(Matcher::builder().all(uri).build())))
            }
            ProxySetting::Environment => Self::from_environment(|name| env::var_os(name)),
        }
    }

    fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, BuildError> {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| variable(name));
            let value = values.find(|value| !value.is_empty());
            value.map(OsString::into_string).transpose()
        };
        let proxy = |names| match first(names) {
            Ok(None) => Ok(String::new()),
            Ok(Some(uri)) => checked(&uri).map(String::from).ok_or(()),
            Err(_) => Err(()),
        };
        // `HTTP_PROXY` may be a header of a CGI request.
        let http = proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]);
        let https = proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let exceptions = first(&["no_proxy", "NO_PROXY"]);
        let (Ok(http), Ok(https), Ok(exceptions)) = (http, https, exceptions) else {
            return Err(BuildError(Kind::Proxy));
        };
        let matcher = Matcher::builder().http(http).https(https);
        let matcher = matcher.no(exceptions.unwrap_or_default());
        Ok(Self(Some(matcher.build())))
    }

    /// The proxy that requests to `uri` go through.
    pub(super) fn intercept(&self, uri: &Uri) -> Option<Proxy> {
        let intercept = self.0.as_ref()?.intercept(uri)?;
        Proxy::new(&intercept)
    }
}

/// `uri`, if it names a proxy that can be used: hyper-util ignores one that it does not know.
fn checked(uri: &str) -> Option<&str> {
    let matcher = Matcher::builder().all(uri).build();
    let intercept = matcher.intercept(&Uri::from_static("https://host.invalid/"))?;
    Proxy::new(&intercept).map(|_| uri)
}

/// A proxy.
pub(super) struct Proxy {
    uri: Uri,
    intercept: Intercept,
}

impl Proxy {
    fn new(intercept: &Intercept) -> Option<Self> {
        let uri = intercept.uri();
        let host = uri.host().filter(|host| !host.is_empty())?;
        // `http::Uri` accepts any port, and hyper-util a second `@`.
        let port = uri.authority()?.as_str().strip_prefix(host)?;
        if !port.is_empty() && uri.port_u16().is_none() {
            return None;
        }
        let uri = match uri.scheme_str()? {
            "http" | "https" => uri.clone(),
            "socks5" | "socks5h" => {
                let is_short = |text: &str| text.len() <= MAX_SOCKS_CREDENTIAL;
                if intercept
                    .raw_auth()
                    .is_some_and(|(user, password)| !is_short(user) || !is_short(password))
                {
                    return None;
                }
                let port = uri.port_u16().unwrap_or(SOCKS_PORT);
                format!("http://{host}:{port}/").parse().ok()?
            }
            _ => return None,
        };
        Some(Self { uri, intercept: intercept.clone() })
    }

    /// Where to connect to, in TLS if the scheme is `https`.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Opens a tunnel to the server of `target` over a connection to the proxy.
    pub(super) async fn tunnel(self, leg: Leg, target: &Uri) -> Result<Leg, BoxError> {
        let target = with_port(target)?;
        let established = Established(Some(leg));
        let scheme = self.intercept.uri().scheme_str();
        if scheme.is_some_and(|scheme| scheme.starts_with("socks5")) {
            let mut socks = SocksV5::new(self.uri, established);
            if let Some((user, password)) = self.intercept.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            Ok(socks.call(target).await?)
        } else {
            let mut connect = Tunnel::new(self.uri, established);
            if let Some(credentials) = self.intercept.basic_auth() {
                connect = connect.with_auth(credentials.clone());
            }
            Ok(connect.call(target).await?)
        }
    }
}

/// Scheme, host and port of `uri`: the tunnels take 443 for any port that is not there.
fn with_port(uri: &Uri) -> Result<Uri, BoxError> {
    let default = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(default);
    Ok(format!("https://{host}:{port}/").parse()?)
}

/// A connector that has connected.
struct Established(Option<Leg>);

impl Service<Uri> for Established {
    type Response = Leg;
    type Error = io::Error;
    type Future = Ready<io::Result<Leg>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Proxies, BuildError> {
        Proxies::from_environment(|name| {
            let mut variables = variables.iter();
            let (_, value) = variables.find(|(it, _)| *it == name)?;
            Some(OsString::from(value))
        })
    }

    fn proxy_of(proxies: &Proxies, uri: &str) -> Option<String> {
        let proxy = proxies.intercept(&uri.parse().unwrap())?;
        Some(proxy.uri().to_string())
    }

    #[test]
    fn takes_the_proxy_that_the_environment_names() {
        let api = "https://api.hellosign.com/";
        let plain = "http://localhost:1/";
        for (variables, https, http) in [
            (&[][..], None, None),
            (&[("https_proxy", "")], None, None),
            (&[("HTTPS_PROXY", "http://a:1")], Some("http://a:1/"), None),
            (&[("https_proxy", "a:1")], Some("http://a:1/"), None),
            (
                &[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1")],
                Some("http://a:1/"),
                None,
            ),
            (&[("ALL_PROXY", "https://u:p@a:1")], Some("https://a:1/"), Some("https://a:1/")),
            (&[("all_proxy", "socks5://a")], Some("http://a:1080/"), Some("http://a:1080/")),
            (&[("http_proxy", "http://a:1")], None, Some("http://a:1/")),
            (&[("HTTP_PROXY", "http://a:1")], None, None),
            (
                &[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "x, .hellosign.com")],
                None,
                Some("http://a:1/"),
            ),
            (&[("ALL_PROXY", "http://a:1"), ("no_proxy", "localhost")], Some("http://a:1/"), None),
            (&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "*")], None, None),
        ] {
            let proxies = environment(variables).unwrap();
            assert_eq!(proxy_of(&proxies, api).as_deref(), https, "{variables:?}");
            assert_eq!(proxy_of(&proxies, plain).as_deref(), http, "{variables:?}");
        }
    }

    #[test]
    fn rejects_a_proxy_that_it_cannot_use() {
        let long = format!("socks5://{}:p@a:1", "u".repeat(256));
        for uri in [
            "",
            "ftp://a:1",
            "socks4://a:1",
            "http://",
            "http://a:99999",
            "http://a b:1",
            "//a",
            &long,
        ] {
            let error = Proxies::new(&ProxySetting::Uri(uri.to_owned())).err();
            assert!(error.is_some(), "{uri}");
            if !uri.is_empty() {
                assert!(environment(&[("ALL_PROXY", uri)]).is_err(), "{uri}");
            }
        }
    }
}
