//! Which proxy a request goes through.

use std::{env, ffi::OsString, net::IpAddr};

use http::{Uri, uri::Scheme};
use ureq::{Proxy, ProxyProtocol};

/// The proxies of a transport. Defaults to none.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    /// For `https` requests.
    secure: Option<Proxy>,
    /// For `http` requests.
    plain: Option<Proxy>,
    /// The hosts that are connected to directly.
    direct: Vec<Host>,
}

/// An entry of `NO_PROXY`.
#[derive(Clone)]
enum Host {
    Any,
    /// A network, or an address with all its bits.
    Network(IpAddr, u32),
    /// A domain and its subdomains.
    Domain(String),
}

impl Proxies {
    /// One proxy for every request; `None` if its URI is invalid.
    pub(crate) fn all(uri: &str) -> Option<Self> {
        let proxy = parse(uri)?;
        Some(Self { secure: Some(proxy.clone()), plain: Some(proxy), direct: Vec::new() })
    }

    /// The proxies that the environment names; `None` if one is invalid.
    pub(crate) fn from_env() -> Option<Self> {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(get: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| get(name));
            values.find(|value| !value.is_empty())
        };
        let proxy = |names| match first(names) {
            Some(uri) => parse(uri.to_str()?).map(Some),
            None => Some(None),
        };
        let direct = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let direct = direct.to_string_lossy();
        Some(Self {
            secure: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            // In a CGI program, HTTP_PROXY is the `Proxy` header of a request.
            plain: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            direct: direct.split(',').filter_map(Host::parse).collect(),
        })
    }

    /// The proxy that a request to `uri` goes through; `None` if it goes to the server directly.
    pub(crate) fn select(&self, uri: &Uri) -> Option<&Proxy> {
        let is_plain = uri.scheme() == Some(&Scheme::HTTP);
        let proxy = if is_plain { &self.plain } else { &self.secure };
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_direct = self.direct.iter().any(|entry| entry.matches(host));
        proxy.as_ref().filter(|_| !is_direct)
    }
}

impl Host {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_ascii_lowercase();
        let (address, bits) = entry.split_once('/').unwrap_or((&entry, "128"));
        if let (Ok(address), Ok(bits)) = (address.parse(), bits.parse()) {
            return Some(Self::Network(address, bits));
        }
        match entry.trim_start_matches("*.").trim_start_matches('.') {
            "" => None,
            "*" => Some(Self::Any),
            domain => Some(Self::Domain(domain.to_owned())),
        }
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Network(network, bits) => match (network, host.parse()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(host))) => {
                    let differing = network.to_bits() ^ host.to_bits();
                    differing.leading_zeros() >= *bits.min(&32)
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(host))) => {
                    let differing = network.to_bits() ^ host.to_bits();
                    differing.leading_zeros() >= *bits.min(&128)
                }
                _ => false,
            },
            Self::Domain(domain) => host
                .strip_suffix(&**domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }
}

fn parse(uri: &str) -> Option<Proxy> {
    let proxy = Proxy::new(uri).ok()?;
    match (proxy.protocol(), uri.split_once("://")) {
        (ProxyProtocol::Http | ProxyProtocol::Https | ProxyProtocol::Socks5h, _) => Some(proxy),
        // ureq would resolve the server's host name itself.
        (ProxyProtocol::Socks5, Some((_, rest))) => Proxy::new(&format!("socks5h://{rest}")).ok(),
        // SOCKS4 has no passwords.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host<'a>(proxies: &'a Proxies, uri: &str) -> Option<&'a str> {
        let uri = uri.parse().ok()?;
        proxies.select(&uri).map(Proxy::host)
    }

    #[test]
    fn selects_proxy_from_variables() {
        let https = "https://app.hellosign.com/oauth/token";
        let http = "http://sign.example.com:8080/";
        for (variables, secure, plain) in [
            (&[][..], None, None),
            (&[("HTTPS_PROXY", "http://a:1")], Some("a"), None),
            (&[("https_proxy", "a"), ("HTTPS_PROXY", "b")], Some("a"), None),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "b")], Some("b"), None),
            (&[("ALL_PROXY", "socks5://c")], Some("c"), Some("c")),
            (&[("HTTPS_PROXY", "a"), ("all_proxy", "c")], Some("a"), Some("c")),
            (&[("HTTP_PROXY", "d")], None, None),
            (&[("http_proxy", "d")], None, Some("d")),
            (&[("ALL_PROXY", "c"), ("NO_PROXY", "*")], None, None),
            (&[("ALL_PROXY", "c"), ("no_proxy", "x, HelloSign.com")], None, Some("c")),
            (&[("ALL_PROXY", "c"), ("no_proxy", ".example.com,")], Some("c"), None),
            (&[("ALL_PROXY", "c"), ("no_proxy", "*.example.com")], Some("c"), None),
            (&[("ALL_PROXY", "c"), ("no_proxy", "sign.com,ample.com")], Some("c"), Some("c")),
        ] {
            let get = |name: &str| {
                let mut found = variables.iter().filter(|(known, _)| *known == name);
                found.next().map(|(_, value)| OsString::from(value))
            };
            let proxies = Proxies::from_variables(get).unwrap();
            assert_eq!(host(&proxies, https), secure, "{variables:?}");
            assert_eq!(host(&proxies, http), plain, "{variables:?}");
        }
    }

    #[test]
    fn matches_hosts_of_no_proxy() {
        for (entry, host, matches) in [
            ("*", "example.com", true),
            ("example.com", "example.com", true),
            ("Example.com", "a.b.example.com", true),
            (".example.com", "example.com", true),
            ("*.example.com", "sign.example.com", true),
            ("ample.com", "example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "10.example.com", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::1", "::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe00::1", false),
        ] {
            let parsed = Host::parse(entry).unwrap();
            assert_eq!(parsed.matches(host), matches, "{entry} {host}");
        }
    }

    #[test]
    fn refuses_unusable_proxy() {
        for uri in [
            "",
            "ftp://proxy",
            "socks4://proxy",
            "socks4a://proxy",
            "http://",
            "http:///x",
            "http://a b",
        ] {
            assert!(Proxies::all(uri).is_none(), "{uri}");
            assert!(Proxies::from_variables(|_| Some(uri.into())).is_none() || uri.is_empty());
        }
    }

    #[test]
    fn one_proxy_serves_every_host() {
        let proxies = Proxies::all("user:pass@proxy.example:3128").unwrap();
        assert_eq!(host(&proxies, "http://localhost"), Some("proxy.example"));
        assert_eq!(host(&proxies, "https://[::1]/"), Some("proxy.example"));
    }
}
