//! The error of a builder.

use std::{error::Error, fmt};

/// Settings that no transport can be built from.
#[derive(Debug)]
pub struct BuildError(Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Tls(rustls::Error),
    Proxy,
    Trust,
    Agent,
}

impl From<Kind> for BuildError {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Tls(_) => "an extra root is invalid, or the platform has no roots",
            Kind::Proxy => "the proxy is not a valid http, https, socks5 or socks5h URI",
            Kind::Trust => "the TLS configuration excludes extra roots and platform verifier",
            Kind::Agent => "the agent excludes a proxy, a resolver and TLS settings",
        })
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Tls(error) => Some(error),
            Kind::Proxy | Kind::Trust | Kind::Agent => None,
        }
    }
}
