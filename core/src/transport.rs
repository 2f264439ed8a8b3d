//! What every transport shares: the limits, the rule for plain http, and what is known about a
//! request that failed.

use core::{fmt, net::IpAddr, time::Duration};

use http::{Uri, uri::Scheme};

/// How long a call may take from its start until the last byte of the body: 30 seconds.
///
/// A user's browser waits for it, and the vendor's own answers take well under a second.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// How long name resolution, TCP and TLS may take together: 10 seconds, which is three
/// retransmissions of a lost SYN.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of a response body are read: 64 KiB, a hundred times an honest token response.
pub const DEFAULT_BODY_LIMIT: usize = 64 * 1024;

/// What is known about a request whose call failed.
///
/// A single-use code must never be sent twice on a guess, so every transport says which it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Delivery {
    /// Provably nothing of the request reached the server: it is safe to send it again.
    NotSent,
    /// Some of the request may have reached the server, and no answer came back. A code may be
    /// spent; whether it is can only be learnt by authorizing again.
    Unknown,
    /// The server answered, and the error says what.
    Answered,
}

/// Whether `http://` may be used to hosts other than this machine.
///
/// Everything that this library sends carries a secret, so plain text is refused unless it stays
/// on the machine, or is asked for by this name.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PlainHttp {
    /// `https` everywhere, `http` only to a loopback address or `localhost`.
    #[default]
    LoopbackOnly,
    /// `http` to any host: for a network that is trusted as much as the secrets are.
    Anywhere,
}

impl PlainHttp {
    /// Checks that a request may be sent to `uri` under this rule. Transports call it before they
    /// do any IO.
    ///
    /// # Errors
    /// [`InsecureUri`] if the URI is neither `https` nor an `http` that is allowed.
    pub fn check(self, uri: &Uri) -> Result<(), InsecureUri> {
        let allowed = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => {
                self == Self::Anywhere || uri.host().is_some_and(is_loopback)
            }
            _ => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(InsecureUri(()))
        }
    }
}

/// Whether `host`, as it stands in a URI, is this machine by its address or by the name that
/// RFC 6761 §6.3 reserves for it.
fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// A URI to which no secret may be sent: not `https`, and not an `http` to this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsecureUri(());

impl fmt::Display for InsecureUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the address is not https, and plain http is used only to loopback hosts: \
             use https, or allow `PlainHttp::Anywhere` by name",
        )
    }
}

impl core::error::Error for InsecureUri {}
