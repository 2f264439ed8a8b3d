//! The rule for plain `http`: only to loopback hosts, unless the caller allows others.

use core::{fmt, net::IpAddr};

use http::{Uri, uri::Scheme};

/// Whether `http://` may be used to hosts other than this machine.
///
/// Every request of this library contains a secret, so plain text is refused unless it stays on
/// this machine or the caller allows it explicitly.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PlainHttp {
    /// `https` everywhere, `http` only to a loopback address or `localhost`.
    #[default]
    LoopbackOnly,
    /// `http` to any host, for networks that the caller trusts with the secrets.
    Anywhere,
}

impl PlainHttp {
    /// Checks that this rule allows requests to `uri`. Transports call it before any IO.
    ///
    /// # Errors
    /// [`InsecureUri`] if the URI is neither `https` nor an allowed `http`.
    pub fn check(self, uri: &Uri) -> Result<(), InsecureUri> {
        let allowed = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => {
                self == Self::Anywhere || uri.host().is_some_and(is_loopback)
            }
            _ => false,
        };
        if allowed { Ok(()) } else { Err(InsecureUri(())) }
    }
}

/// Whether the host of a URI is a loopback address or `localhost` (RFC 6761 §6.3).
fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// The error for a URI that must not receive a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsecureUri(());

impl fmt::Display for InsecureUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the URI is neither https nor http to a loopback host")
    }
}

impl core::error::Error for InsecureUri {}
