//! Configures and starts a sandbox.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::{App, Endpoints, RedirectUri};

use crate::tls::{Authority, Leaf};

use super::{
    CLIENT_ID, CLIENT_SECRET, EMAIL_ADDRESS, Sandbox,
    grants::RefreshTokens,
    log::{Observer, RecordedRequest},
    server,
    service::{self, Service},
};

/// The `expires_in` of the vendor's examples.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// More requests than any test or benchmark sends in an hour.
const RATE_LIMIT: u64 = 1_000_000;

/// Builds a [`Sandbox`]. See [`Sandbox::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `start`"]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Builder {
    port: u16,
    tls: bool,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) api_key: Option<String>,
    pub(super) require_basic: bool,
    pub(super) nested_errors: bool,
    pub(super) refresh_without_credentials: bool,
    pub(super) callback: Option<String>,
    pub(super) automatic: bool,
    pub(super) accounts: Vec<String>,
    pub(super) token_lifetime: Duration,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) rate_limit: u64,
    pub(super) observer: Option<Observer>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            tls: false,
            client_id: CLIENT_ID.into(),
            client_secret: CLIENT_SECRET.into(),
            api_key: None,
            require_basic: false,
            nested_errors: false,
            refresh_without_credentials: false,
            callback: None,
            automatic: false,
            accounts: vec![EMAIL_ADDRESS.into()],
            token_lifetime: TOKEN_LIFETIME,
            refresh_tokens: RefreshTokens::Keep,
            rate_limit: RATE_LIMIT,
            observer: None,
        }
    }
}

impl Builder {
    /// Sets the port on 127.0.0.1. Defaults to a free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves https, with a certificate for `127.0.0.1` and `localhost` that a new authority
    /// issues. Clients must trust [`Sandbox::root_certificate`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Sets the client id and secret. Defaults to those of the vendor's examples.
    pub fn client(mut self, id: &str, secret: &str) -> Self {
        self.client_id = id.into();
        self.client_secret = secret.into();
        self
    }

    /// Accepts an API key as the user name of `Authorization: Basic`: in token requests instead of
    /// the client credentials, and in `/v3/account`, which returns the first account.
    pub fn api_key(mut self, key: &str) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Rejects token requests without an `Authorization: Basic` header. The vendor's documentation
    /// requires the header, but the vendor's SDKs do not send it. By default, it is checked only if
    /// the request has one.
    pub fn require_basic(mut self) -> Self {
        self.require_basic = true;
        self
    }

    /// Uses the nested shape for all errors of the token endpoint. See [errors](super#errors) for
    /// the default.
    pub fn nested_errors(mut self) -> Self {
        self.nested_errors = true;
        self
    }

    /// Accepts refreshes without client id and secret, as the live service does for old apps.
    pub fn refresh_without_credentials(mut self) -> Self {
        self.refresh_without_credentials = true;
        self
    }

    /// Sets the callback for authorization requests without a `redirect_uri`. The sandbox accepts
    /// any valid `redirect_uri`.
    pub fn callback(mut self, url: &str) -> Self {
        self.callback = Some(url.into());
        self
    }

    /// Approves every authorization request at once, on behalf of the first account.
    pub fn automatic(mut self) -> Self {
        self.automatic = true;
        self
    }

    /// Sets the accounts that the user can choose from, by email address. Defaults to
    /// [`EMAIL_ADDRESS`].
    ///
    /// # Panics
    /// If there is none.
    pub fn accounts<A: Into<String>>(
        mut self,
        email_addresses: impl IntoIterator<Item = A>,
    ) -> Self {
        self.accounts = email_addresses.into_iter().map(Into::into).collect();
        assert!(!self.accounts.is_empty(), "there must be an account");
        self
    }

    /// Sets the lifetime of access tokens. Defaults to a day. `expires_in` contains whole seconds.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Issues a new refresh token with each refresh and invalidates the old one. If the old one is
    /// used again, the grant is revoked (RFC 9700 §4.14.2).
    pub fn rotate_refresh_tokens(mut self) -> Self {
        self.refresh_tokens = RefreshTokens::Rotate;
        self
    }

    /// Returns no refresh token in the response to a refresh. The old one stays valid.
    pub fn omit_refresh_token(mut self) -> Self {
        self.refresh_tokens = RefreshTokens::Omit;
        self
    }

    /// Sets how many API requests per hour are accepted. Further ones are rate-limited (429).
    /// Defaults to a million.
    pub fn rate_limit(mut self, requests: u64) -> Self {
        self.rate_limit = requests;
        self
    }

    /// Calls `observe` for each request before its response is sent, for example to log it.
    pub fn on_request(
        mut self,
        observe: impl Fn(&RecordedRequest) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observe));
        self
    }

    /// Starts the sandbox on its own thread.
    ///
    /// # Errors
    /// If the operating system cannot open the port or start a thread. With
    /// [`io::ErrorKind::InvalidInput`] if the client id, the secret or the callback is invalid.
    pub fn start(self) -> io::Result<Sandbox> {
        let app = App::builder(&self.client_id, &self.client_secret);
        self.callback.as_deref().map(RedirectUri::new).transpose().map_err(invalid_input)?;
        let (port, authority) = (self.port, self.tls.then(Authority::new));
        let service = Arc::new(Service::new(self));
        let tls = authority.as_ref().map(|authority| authority.server_config(Leaf::Valid));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (server, port) = server::start(port, tls, service::router(Arc::clone(&service)))?;
        let base_url = format!("{scheme}://127.0.0.1:{port}");
        let endpoints = Endpoints::at(&base_url).map_err(invalid_input)?;
        let app = app.endpoints(endpoints).build().map_err(invalid_input)?;
        Ok(Sandbox { service, base_url, app, authority, _server: server })
    }
}

fn invalid_input(error: impl Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
