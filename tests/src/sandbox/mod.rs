//! Simulates Dropbox Sign's OAuth endpoints on a loopback port, as far as the vendor documents
//! them. Tests need no account and no network.
//!
//! | endpoint | behaviour |
//! | --- | --- |
//! | `GET /oauth/authorize` | asks the user to approve or deny (unless [`Builder::automatic`] is set), and redirects to the callback |
//! | `POST /oauth/token` | exchanges a code for tokens, once |
//! | `POST /oauth/token?refresh` | issues a new access token for a refresh token |
//! | `GET /v3/account` | returns the account of an access token |
//! | `PUT /sandbox/fault` | switches a [`Fault`] on (`429`, `503`, `slow`, `reset`) or off (`none`) |
//!
//! Bodies may be JSON, form-encoded or multipart, as in the vendor's samples. Unknown parameters of
//! any type are ignored. The second exchange of a code is rejected, and revokes the tokens of the
//! first.
//!
//! A sandbox runs on its own thread, so blocking and async tests can use it. Its state is in memory
//! and has a size limit, above which the oldest codes and tokens are evicted.
//!
//! # Errors
//! Error responses have one of two shapes:
//! - The flat shape is `{"error":"invalid_grant","error_description":…}`. The token endpoint uses
//!   it for the error codes of RFC 6749 §5.2, because clients of the live service report it.
//!   [`Builder::nested_errors`] replaces it with the nested shape.
//! - The nested shape is `{"error":{"error_msg":…,"error_name":…}}`. It is used for all other
//!   errors, such as a missing parameter or an unreadable body. The vendor's OpenAPI description
//!   declares only this shape.
//!
//! The vendor's SDKs expect the nested shape, and return its code and message. For the flat shape,
//! the Python SDK raises an `ApiException` with the body, the Node SDK returns only the status, and
//! the Ruby, Java and C# SDKs fail to parse the response.
//!
//! # Example
//! ```
//! use dropbox_sign_oauth::{AuthorizationCode, State};
//! use dropbox_sign_oauth_testkit::sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start()?;
//! let app = sandbox.app();
//!
//! // The code that the browser would return with.
//! let state = State::random();
//! let code = AuthorizationCode::new(&sandbox.issue_code(&state), state)?;
//! let operation = app.generate(code);
//! // Send `operation.request()` with any client. The log then contains it.
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

/// The default client id, from the vendor's examples.
pub const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";

/// The default client secret, from the vendor's examples.
pub const CLIENT_SECRET: &str = "1d14434088507ffa390e6f5528465";

/// The `account_id` of the first account, from the vendor's example.
pub const ACCOUNT_ID: &str = "5008b25c7f67153e57d5a357b1687968068fb465";

/// The `email_address` of the first account, from the vendor's example.
pub const EMAIL_ADDRESS: &str = "me@dropboxsign.com";

/// The `account_id` of the second account.
pub const SECOND_ACCOUNT_ID: &str = "6a1f0e3b9c24d85790e6b3a7c5d2481f0937be64";

/// The `email_address` of the second account.
pub const SECOND_EMAIL_ADDRESS: &str = "you@dropboxsign.com";

/// The size limit of the log, in requests. The oldest are evicted first.
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
    /// Starts a sandbox with default settings, over http on a free port.
    ///
    /// # Errors
    /// If the operating system cannot open a port or start a thread.
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

    /// The root certificate that clients must trust, or `None` over http.
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

    /// The endpoints of the sandbox, for another [`App`].
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.app.endpoints().clone()
    }

    /// The app of the sandbox, with its client id, secret and endpoints.
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

    /// Accepts tokens of another sandbox as if this one had issued them, with a new grant and
    /// lifetime. For programs that store tokens and restart together with their sandbox.
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

    /// Revokes the grant of a code, access token or refresh token, as users can do in the settings
    /// of their accounts. Returns whether a grant was found.
    #[must_use = "the result says whether anything was revoked"]
    pub fn revoke(&self, code_or_token: &str) -> bool {
        self.service.grants().revoke(code_or_token)
    }

    /// Advances the sandbox's clock, so that codes and tokens expire.
    pub fn advance(&self, by: Duration) {
        self.service.clock.advance(by);
    }

    /// Returns the last [`LOG_LIMIT`] requests, in the order of their responses. A request is
    /// recorded before its response is sent.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.service.log.requests()
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
