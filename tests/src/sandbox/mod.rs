//! An honest stand-in for the service, on a loopback port: what Dropbox Sign's OAuth endpoints do,
//! as far as the vendor documents it, with neither an account nor the network.
//!
//! | address | what it does |
//! | --- | --- |
//! | `GET /oauth/authorize` | asks a person to approve or deny (or approves at once, see [`Builder::automatic`]), and redirects to the callback |
//! | `POST /oauth/token` | exchanges a code for tokens, once |
//! | `POST /oauth/token?refresh` | gives a new access token for a refresh token |
//! | `GET /v3/account` | tells whose access token it is |
//!
//! Bodies may be JSON, form-encoded or multipart: the vendor's samples have all three. Where the
//! vendor's errors have two shapes, so have these: a missing parameter, and everything below `/v3`,
//! is `{"error":{"error_msg":…,"error_name":…}}`; the token endpoint otherwise answers as
//! RFC 6749 §5.2 says. A code is good for one use: a second one is refused, and revokes what the
//! first one gave.
//!
//! A sandbox runs on a thread of its own, so that blocking tests can use it as well as async ones.
//!
//! ```
//! use dropbox_sign_oauth::{AuthorizationCode, State};
//! use dropbox_sign_oauth_testkit::sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start()?;
//! let app = sandbox.app();
//!
//! // What a browser would bring back, without the browser.
//! let state = State::from_entropy([7; 16]);
//! let code = AuthorizationCode::new(&sandbox.issue_code(&state), state)?;
//! let operation = app.generate(code);
//! // Any client sends `operation.request()`; then the log has it.
//! # drop(operation);
//! assert!(sandbox.requests().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod authorize;
mod builder;
mod clock;
mod grants;
mod html;
mod log;
mod parameters;
mod random;
mod rate_limit;
mod refusal;
mod request_body;
mod server;
mod service;
mod token;

use std::{fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::{App, Endpoints, State};
use rustls::pki_types::CertificateDer;

use self::{server::Server, service::Service};

pub use self::{builder::Builder, log::RecordedRequest};

/// The client id, unless [`Builder::client`] sets another: the one of the vendor's examples.
pub const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";

/// The client secret, unless [`Builder::client`] sets another: the one of the vendor's examples.
pub const CLIENT_SECRET: &str = "1d14434088507ffa390e6f5528465";

/// The `account_id` of the sandbox's one account: that of the vendor's example.
pub const ACCOUNT_ID: &str = "5008b25c7f67153e57d5a357b1687968068fb465";

/// The `email_address` of the sandbox's one account: that of the vendor's example.
pub const EMAIL_ADDRESS: &str = "me@dropboxsign.com";

/// The most requests that the log keeps; it forgets the oldest first.
pub const LOG_LIMIT: usize = 4096;

/// A running sandbox. It stops when it is dropped: the port is closed, and so is every connection.
///
/// Codes, tokens and the log are kept in memory until then.
#[must_use = "a sandbox stops when it is dropped"]
pub struct Sandbox {
    server: Server,
    service: Arc<Service>,
    base_url: String,
    app: App,
    root: Option<Root>,
}

/// The certificate that clients of a sandbox with TLS must trust.
#[derive(Clone)]
struct Root {
    der: CertificateDer<'static>,
    pem: String,
}

impl Sandbox {
    /// Starts a sandbox over http, on a port of the system's choice.
    ///
    /// # Errors
    /// If there is no port or no thread to be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Begins a sandbox whose settings differ from the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the sandbox is: `http://127.0.0.1:PORT`, or `https://127.0.0.1:PORT` with TLS.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The root certificate that a client must trust; none over plain http.
    #[must_use]
    pub fn root_certificate(&self) -> Option<CertificateDer<'static>> {
        self.root.as_ref().map(|root| root.der.clone())
    }

    /// [`root_certificate`](Self::root_certificate) as a PEM file has it.
    #[must_use]
    pub fn root_certificate_pem(&self) -> Option<&str> {
        self.root.as_ref().map(|root| root.pem.as_str())
    }

    /// The client id that the sandbox knows.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.app.client_id()
    }

    /// The client secret that the sandbox knows.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.service.settings.client_secret
    }

    /// The sandbox's addresses, for an app of one's own.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.app.endpoints().clone()
    }

    /// The app that the sandbox knows, at the sandbox's addresses.
    #[must_use]
    pub fn app(&self) -> App {
        self.app.clone()
    }

    /// A code for `state`, as if the user had just approved: for tests that skip the browser.
    #[must_use]
    pub fn issue_code(&self, state: &State) -> String {
        self.service.issue_code(state.as_str())
    }

    /// Revokes the whole grant that a code, an access token or a refresh token belongs to, as a
    /// user does in the account's settings. Answers whether there was one.
    #[must_use = "it tells whether anything was revoked"]
    pub fn revoke(&self, code_or_token: &str) -> bool {
        self.service.grants().revoke(code_or_token)
    }

    /// Puts the sandbox's clock forward, so that codes and tokens expire without a wait.
    pub fn advance(&self, by: Duration) {
        self.service.clock.advance(by);
    }

    /// What the sandbox was asked, in the order in which it answered: the last [`LOG_LIMIT`]
    /// requests. A request stands here before its answer leaves.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.service.log.requests()
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
