//! The settings of a sandbox, and its start.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::{App, Endpoints, RedirectUri};
use rustls::ServerConfig;

use crate::tls::{Authority, Leaf};

use super::{
    CLIENT_ID, CLIENT_SECRET, Root, Sandbox,
    grants::RefreshTokens,
    server::Server,
    service::{self, Consent, Service, Settings},
};

/// As long as RFC 6749 §4.1.2 recommends at most; the vendor documents no lifetime.
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The `expires_in` of the vendor's examples.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// More than any run of tests or benchmarks comes to in an hour.
const RATE_LIMIT: u64 = 1_000_000;

/// The settings of a [`Sandbox`] that is being made: begun by [`Sandbox::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    port: u16,
    tls: Option<(Arc<ServerConfig>, Root)>,
    callback: Option<String>,
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            tls: None,
            callback: None,
            settings: Settings {
                client_id: CLIENT_ID.into(),
                client_secret: CLIENT_SECRET.into(),
                api_key: None,
                basic_required: false,
                refresh_needs_credentials: true,
                callback: None,
                consent: Consent::Ask,
                code_lifetime: CODE_LIFETIME,
                token_lifetime: TOKEN_LIFETIME,
                refresh_tokens: RefreshTokens::Keep,
                rate_limit: RATE_LIMIT,
            },
        }
    }
}

impl Builder {
    /// The port on 127.0.0.1, in the place of one of the system's choice.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves https, with a certificate for `127.0.0.1` and `localhost` from an authority of its
    /// own.
    pub fn tls(self) -> Self {
        self.tls_from(&Authority::new(), Leaf::Valid)
    }

    /// Serves https with a certificate of `authority`'s, which need not be a valid one.
    pub fn tls_from(mut self, authority: &Authority, leaf: Leaf) -> Self {
        let root = Root {
            der: authority.root(),
            pem: authority.root_pem(),
        };
        self.tls = Some((authority.server_config(leaf), root));
        self
    }

    /// Another client than the vendor's example.
    pub fn client(mut self, id: &str, secret: &str) -> Self {
        self.settings.client_id = id.into();
        self.settings.client_secret = secret.into();
        self
    }

    /// An API key that is accepted in the `Authorization: Basic` header of token requests, in the
    /// place of the client credentials.
    pub fn api_key(mut self, key: &str) -> Self {
        self.settings.api_key = Some(key.into());
        self
    }

    /// Refuses token requests without an `Authorization: Basic` header, which the vendor's page
    /// calls required and the vendor's SDKs leave out. Without this, a header is checked if it is
    /// there.
    pub fn require_basic(mut self) -> Self {
        self.settings.basic_required = true;
        self
    }

    /// Refreshes tokens without the client id and secret too, as the service does for old apps.
    pub fn refresh_without_credentials(mut self) -> Self {
        self.settings.refresh_needs_credentials = false;
        self
    }

    /// The app's default callback, for authorizations that name no `redirect_uri`. One that they
    /// do name need not be registered: any absolute URI is accepted.
    pub fn callback(mut self, url: &str) -> Self {
        self.callback = Some(url.into());
        self
    }

    /// Approves every authorization at once, by redirecting, for runs without a person.
    pub fn automatic(mut self) -> Self {
        self.settings.consent = Consent::Approve;
        self
    }

    /// Denies every authorization at once, by redirecting.
    pub fn automatic_denial(mut self) -> Self {
        self.settings.consent = Consent::Deny;
        self
    }

    /// How long a code is good for: ten minutes, unless said otherwise.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.code_lifetime = lifetime;
        self
    }

    /// How long an access token is good for: a day, unless said otherwise. Tokens tell it in whole
    /// seconds.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = lifetime;
        self
    }

    /// Gives a new refresh token with each refresh, and takes the old one back. One that comes a
    /// second time then revokes the grant (RFC 9700 §4.14.2).
    ///
    /// Without this, the answer to a refresh repeats the refresh token, as in the vendor's
    /// examples.
    pub fn rotate_refresh_tokens(mut self) -> Self {
        self.settings.refresh_tokens = RefreshTokens::Rotate;
        self
    }

    /// Leaves the refresh token out of the answer to a refresh; the old one stays good.
    pub fn omit_refresh_token(mut self) -> Self {
        self.settings.refresh_tokens = RefreshTokens::Omit;
        self
    }

    /// How many requests to the token endpoint and the API are answered per hour, before the next
    /// is answered with 429: a million, unless said otherwise.
    pub fn rate_limit(mut self, requests: u64) -> Self {
        self.settings.rate_limit = requests;
        self
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if the port is taken,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the callback is no absolute URI, or if an
    /// [`App`] refuses the client, and what else keeps the system from listening or from starting
    /// a thread.
    pub fn start(self) -> io::Result<Sandbox> {
        let mut settings = self.settings;
        if let Some(callback) = self.callback {
            settings.callback = Some(RedirectUri::new(&callback).map_err(invalid_input)?);
        }
        let client = App::builder(&settings.client_id, &settings.client_secret);
        let service = Arc::new(Service::new(settings));
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
        Ok(Sandbox {
            server,
            service,
            base_url,
            app,
            root,
        })
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
