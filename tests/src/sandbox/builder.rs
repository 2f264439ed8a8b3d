//! Configures and starts a sandbox.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::{App, Endpoints, RedirectUri};
use rustls::ServerConfig;

use crate::tls::{Authority, Leaf};

use super::{
    CLIENT_ID, CLIENT_SECRET, Root, Sandbox,
    account::ACCOUNTS,
    fault::Fault,
    grants::RefreshTokens,
    log::{Observer, RecordedRequest},
    server::Server,
    service::{self, Basic, Consent, Service, Settings},
};

/// The limit that RFC 6749 §4.1.2 recommends. The vendor documents no lifetime.
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The `expires_in` of the vendor's examples.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// More requests than any test or benchmark sends in an hour.
const RATE_LIMIT: u64 = 1_000_000;

/// Builds a [`Sandbox`]. See [`Sandbox::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    port: u16,
    tls: Option<(Arc<ServerConfig>, Root)>,
    callback: Option<String>,
    observer: Option<Observer>,
    fault: Option<Fault>,
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            tls: None,
            callback: None,
            observer: None,
            fault: None,
            settings: Settings {
                client_id: CLIENT_ID.into(),
                client_secret: CLIENT_SECRET.into(),
                api_key: None,
                basic: Basic::Optional,
                nested_errors: false,
                refresh_needs_credentials: true,
                callback: None,
                consent: Consent::Ask,
                accounts: &ACCOUNTS[..1],
                code_lifetime: CODE_LIFETIME,
                token_lifetime: TOKEN_LIFETIME,
                refresh_tokens: RefreshTokens::Keep,
                rate_limit: RATE_LIMIT,
            },
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
    /// issues.
    pub fn tls(self) -> Self {
        self.tls_from(&Authority::new(), Leaf::Valid)
    }

    /// Serves https with a certificate that `authority` issues. `leaf` selects a valid or an
    /// invalid certificate.
    pub fn tls_from(mut self, authority: &Authority, leaf: Leaf) -> Self {
        let root = Root { der: authority.root(), pem: authority.root_pem() };
        self.tls = Some((authority.server_config(leaf), root));
        self
    }

    /// Sets the client id and secret. Defaults to those of the vendor's examples.
    pub fn client(mut self, id: &str, secret: &str) -> Self {
        self.settings.client_id = id.into();
        self.settings.client_secret = secret.into();
        self
    }

    /// Accepts an API key as the user name of `Authorization: Basic`: in token requests instead of
    /// the client credentials, and in `/v3/account`, which returns the first account.
    pub fn api_key(mut self, key: &str) -> Self {
        self.settings.api_key = Some(key.into());
        self
    }

    /// Rejects token requests without an `Authorization: Basic` header. The vendor's documentation
    /// requires the header, but the vendor's SDKs do not send it. By default, it is checked only if
    /// the request has one.
    pub fn require_basic(mut self) -> Self {
        self.settings.basic = Basic::Required;
        self
    }

    /// Accepts token requests whose `Authorization: Basic` header has no user name. One of the
    /// vendor's samples sends `Basic :`. It is not known whether the live service accepts it.
    pub fn lenient_basic(mut self) -> Self {
        self.settings.basic = Basic::Lenient;
        self
    }

    /// Uses the nested shape for all errors of the token endpoint. See [errors](super#errors) for
    /// the default.
    pub fn nested_errors(mut self) -> Self {
        self.settings.nested_errors = true;
        self
    }

    /// Accepts refreshes without client id and secret, as the live service does for old apps.
    pub fn refresh_without_credentials(mut self) -> Self {
        self.settings.refresh_needs_credentials = false;
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
        self.settings.consent = Consent::Approve;
        self
    }

    /// Denies every authorization request at once.
    pub fn automatic_denial(mut self) -> Self {
        self.settings.consent = Consent::Deny;
        self
    }

    /// Offers a second account on the authorize page.
    pub fn second_account(mut self) -> Self {
        self.settings.accounts = &ACCOUNTS;
        self
    }

    /// Sets the lifetime of codes. Defaults to ten minutes.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.code_lifetime = lifetime;
        self
    }

    /// Sets the lifetime of access tokens. Defaults to a day. `expires_in` contains whole seconds.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = lifetime;
        self
    }

    /// Issues a new refresh token with each refresh and invalidates the old one. If the old one is
    /// used again, the grant is revoked (RFC 9700 §4.14.2).
    pub fn rotate_refresh_tokens(mut self) -> Self {
        self.settings.refresh_tokens = RefreshTokens::Rotate;
        self
    }

    /// Returns no refresh token in the response to a refresh. The old one stays valid.
    pub fn omit_refresh_token(mut self) -> Self {
        self.settings.refresh_tokens = RefreshTokens::Omit;
        self
    }

    /// Sets how many API requests per hour are accepted. Further ones are rate-limited (429).
    /// Defaults to a million.
    pub fn rate_limit(mut self, requests: u64) -> Self {
        self.settings.rate_limit = requests;
        self
    }

    /// Starts with a fault. See [`Sandbox::set_fault`].
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Calls `observer` for each request, before the response is sent.
    pub fn on_request(
        mut self,
        observer: impl Fn(&RecordedRequest) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if the port is in use,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the callback or the client is invalid, and
    /// any error of the operating system, for example if it cannot start a thread.
    pub fn start(self) -> io::Result<Sandbox> {
        let mut settings = self.settings;
        if let Some(callback) = self.callback {
            settings.callback = Some(RedirectUri::new(&callback).map_err(invalid_input)?);
        }
        let client = App::builder(&settings.client_id, &settings.client_secret);
        let service = Arc::new(Service::new(settings, self.observer, self.fault));
        let router = service::router(Arc::clone(&service));
        let (config, root) = self.tls.unzip();
        let scheme = match config {
            Some(_) => "https",
            None => "http",
        };
        let server = Server::start(self.port, config, router)?;
        let base_url = format!("{scheme}://127.0.0.1:{}", server.port());
        let endpoints = Endpoints::at(&base_url).map_err(invalid_input)?;
        let app = client.endpoints(endpoints).build().map_err(invalid_input)?;
        Ok(Sandbox { server, service, base_url, app, root })
    }
}

fn invalid_input(error: impl Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("port", &self.port)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
