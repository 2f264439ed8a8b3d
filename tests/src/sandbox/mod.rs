//! A stand-in for the service on a loopback port: Dropbox Sign's OAuth endpoints as far as the
//! vendor documents them, without an account and without the network.
//!
//! | endpoint | behaviour |
//! | --- | --- |
//! | `GET /oauth/authorize` | asks a person to approve or deny (see [`Builder::automatic`]), and redirects to the callback |
//! | `POST /oauth/token` | exchanges a code for tokens, once |
//! | `POST /oauth/token?refresh` | issues a new access token for a refresh token |
//! | `GET /v3/account` | returns the account of an access token |
//! | `PUT /sandbox/fault` | switches a [`Fault`] on (`429`, `503`, `slow`, `reset`) or off (`none`) |
//!
//! Bodies may be JSON, form-encoded or multipart, as in the vendor's samples. An unknown parameter is
//! ignored, whatever its type. The second use of a code is rejected and revokes the tokens of the
//! first.
//!
//! A sandbox runs on its own thread, for blocking and async tests. Its state is in memory and bounded:
//! it forgets the oldest codes and tokens.
//!
//! # Errors
//! Errors have one of the vendor's two shapes. Missing parameters, unreadable bodies, and all errors
//! below `/v3` are `{"error":{"error_msg":…,"error_name":…}}`. Other errors of the token endpoint are
//! as in RFC 6749 §5.2, `{"error":"invalid_grant","error_description":…}`, since that is what clients
//! of the live service report. [`Builder::nested_errors`] uses the first shape, which the vendor's
//! OpenAPI description declares, for all.
//!
//! The vendor's SDKs parse errors by that description. Of an error in the default shape, the Python
//! SDK raises an `ApiException` with the body, the Node SDK keeps only the status, and the Ruby, Java
//! and C# SDKs fail to parse it. Of one in the nested shape, they return code and message.
//!
//! # Example
//! ```
//! use dropbox_sign_oauth::{AuthorizationCode, State};
//! use dropbox_sign_oauth_testkit::sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start()?;
//! let app = sandbox.app();
//!
//! // What a browser brings back, without a browser.
//! let state = State::random();
//! let code = AuthorizationCode::new(&sandbox.issue_code(&state), state)?;
//! let operation = app.generate(code);
//! // Any client sends `operation.request()`; then the log contains it.
//! # drop(operation);
//! assert!(sandbox.requests().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod authorize;
mod bounded;
mod builder;
mod clock;
mod credentials;
mod fault;
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

use self::{account::ACCOUNTS, grants::Issued, server::Server, service::Service};

pub use self::{
    builder::Builder,
    fault::{Fault, UnknownFault},
    log::RecordedRequest,
};

/// The default client id: the one of the vendor's examples.
pub const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";

/// The default client secret: the one of the vendor's examples.
pub const CLIENT_SECRET: &str = "1d14434088507ffa390e6f5528465";

/// The `account_id` of the first account: the one of the vendor's example.
pub const ACCOUNT_ID: &str = "5008b25c7f67153e57d5a357b1687968068fb465";

/// The `email_address` of the first account: the one of the vendor's example.
pub const EMAIL_ADDRESS: &str = "me@dropboxsign.com";

/// The `account_id` of the second account.
pub const SECOND_ACCOUNT_ID: &str = "6a1f0e3b9c24d85790e6b3a7c5d2481f0937be64";

/// The `email_address` of the second account.
pub const SECOND_EMAIL_ADDRESS: &str = "you@dropboxsign.com";

/// The most requests that the log keeps. It forgets the oldest first.
pub const LOG_LIMIT: usize = 4096;

/// A running sandbox. Dropping it closes the port and all connections.
#[must_use = "a sandbox stops when it is dropped"]
pub struct Sandbox {
    server: Server,
    service: Arc<Service>,
    base_url: String,
    app: App,
    root: Option<Root>,
}

/// The root certificate of a sandbox with TLS.
#[derive(Clone)]
struct Root {
    der: CertificateDer<'static>,
    pem: String,
}

impl Sandbox {
    /// Starts a sandbox with default settings: over http, on a free port.
    ///
    /// # Errors
    /// If the system provides no port or no thread.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder with default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The base URL: `http://127.0.0.1:PORT`, or `https://127.0.0.1:PORT` with TLS.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The root certificate that clients must trust. `None` over http.
    #[must_use]
    pub fn root_certificate(&self) -> Option<CertificateDer<'static>> {
        self.root.as_ref().map(|root| root.der.clone())
    }

    /// [`root_certificate`](Self::root_certificate) in PEM.
    #[must_use]
    pub fn root_certificate_pem(&self) -> Option<&str> {
        self.root.as_ref().map(|root| root.pem.as_str())
    }

    /// The client id of the app.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.app.client_id()
    }

    /// The client secret of the app.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.service.settings.client_secret
    }

    /// The sandbox's endpoints, for another app.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.app.endpoints().clone()
    }

    /// The app, with the sandbox's endpoints.
    #[must_use]
    pub fn app(&self) -> App {
        self.app.clone()
    }

    /// Issues a code for `state`, as if the user of the first account had approved.
    #[must_use]
    pub fn issue_code(&self, state: &State) -> String {
        self.service.issue_code(&ACCOUNTS[0], state.as_str())
    }

    /// Issues a code for `state`, as if the user of the second account had approved.
    #[must_use]
    pub fn issue_code_of_second_account(&self, state: &State) -> String {
        self.service.issue_code(&ACCOUNTS[1], state.as_str())
    }

    /// Accepts tokens as if this sandbox had issued them, with a new grant and lifetime: for programs
    /// that restart together with their sandbox.
    pub fn accept(&self, access_token: &str, refresh_token: Option<&str>) {
        let now = self.service.clock.now();
        let tokens = Issued {
            access_token: access_token.into(),
            refresh_token: refresh_token.map(String::from),
        };
        self.service.grants().accept(now, &ACCOUNTS[0], tokens);
    }

    /// Switches a fault on or off.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.service.fault() = fault;
    }

    /// Revokes the grant of a code, access token or refresh token, as a user does in the account's
    /// settings. Returns whether there is one.
    #[must_use = "the result says whether anything was revoked"]
    pub fn revoke(&self, code_or_token: &str) -> bool {
        self.service.grants().revoke(code_or_token)
    }

    /// Advances the sandbox's clock, so that codes and tokens expire.
    pub fn advance(&self, by: Duration) {
        self.service.clock.advance(by);
    }

    /// Returns the last [`LOG_LIMIT`] requests, in the order of their responses. A request is recorded
    /// before its response is sent.
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
