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
//! A sandbox runs on its own thread, so blocking and async tests can use it. Its state is in memory.
//! The [front page](crate) has examples.
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

mod account;
mod authorize;
mod builder;
mod credentials;
mod fault;
mod grants;
mod html;
mod log;
mod parameters;
mod random;
mod rate_limit;
mod refusal;
mod server;
mod service;
mod token;

use std::{fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::{App, State};
use dropbox_sign_oauth_store::Clock;
use rustls::pki_types::CertificateDer;

use self::service::Service;
use crate::{background::Background, tls::Authority};

pub use self::{builder::Builder, fault::Fault, log::RecordedRequest};

/// The default client id, from the vendor's examples.
pub const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";

/// The default client secret, from the vendor's examples.
pub const CLIENT_SECRET: &str = "1d14434088507ffa390e6f5528465";

/// The `email_address` of the default account, from the vendor's example.
pub const EMAIL_ADDRESS: &str = "me@dropboxsign.com";

/// The `account_id` of the default account, from the vendor's example.
pub const ACCOUNT_ID: &str = "5008b25c7f67153e57d5a357b1687968068fb465";

/// A running sandbox. Dropping it closes the port and all connections.
#[must_use = "a sandbox stops when it is dropped"]
pub struct Sandbox {
    service: Arc<Service>,
    base_url: String,
    app: App,
    /// The issuer of the certificate, with TLS.
    authority: Option<Authority>,
    _server: Background,
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

    /// The app of the sandbox, with its client id, secret and endpoints.
    #[must_use]
    pub fn app(&self) -> App {
        self.app.clone()
    }

    /// The base URL: `http://127.0.0.1:PORT`, or `https://127.0.0.1:PORT` with TLS.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
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

    /// The root certificate that clients must trust, or `None` over http.
    #[must_use]
    pub fn root_certificate(&self) -> Option<CertificateDer<'static>> {
        self.authority.as_ref().map(Authority::root)
    }

    /// [`root_certificate`](Self::root_certificate) in PEM.
    #[must_use]
    pub fn root_certificate_pem(&self) -> Option<String> {
        self.authority.as_ref().map(Authority::root_pem)
    }

    /// Issues a code for `state`, as if the user of the first account had approved.
    #[must_use]
    pub fn issue_code(&self, state: &State) -> String {
        self.issue_code_for(&self.service.settings.accounts[0], state)
    }

    /// Issues a code for `state`, as if the user with this email address had approved. The account
    /// need not be one of [`Builder::accounts`].
    #[must_use]
    pub fn issue_code_for(&self, email_address: &str, state: &State) -> String {
        self.service.issue_code(email_address, state.as_str())
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

    /// The clock of the sandbox: the system's, moved by [`advance`](Self::advance). Pass it to
    /// [`SessionOptions::clock`](dropbox_sign_oauth_store::SessionOptions::clock), so that sessions
    /// move with it.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.service.clock.clone()
    }

    /// Advances the clock, so that codes and tokens expire.
    pub fn advance(&self, by: Duration) {
        self.service.advance(by);
    }

    /// Returns the last requests, at most 4096, in the order of their responses. A request is
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
