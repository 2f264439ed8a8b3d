//! The OAuth client for Dropbox Sign (formerly HelloSign), without IO.
//!
//! # Scope
//! - The URL of the authorize page, and the check of the callback: [`App::authorize_url`],
//!   [`App::callback`].
//! - The exchange of a code for tokens, and their refresh: [`App::generate`], [`App::refresh`].
//! - The first call with a new token: [`App::account`]; and by [`Operation`] any other of one's own.
//! - What every answer of the server means: [`TokenResponse`] or [`Error`].
//! - What to store, and when to send again: [`TokenSet`], [`Retry`].
//! - Tokens that stay fresh, in one process or many: [`session`].
//!
//! # Out of scope
//! - Sockets, TLS, time and randomness. Two adapters carry an operation:
//!   `dropbox-sign-oauth-hyper` (async) and `dropbox-sign-oauth-ureq` (blocking). Any other HTTP
//!   client can: it sends [`Operation::request`] and hands the response to [`Operation::parse`].
//! - The rest of the vendor's API.
//! - Scopes (they belong to the app's settings) and PKCE (the vendor documents none).
//!
//! # The exchange, offline
//! ```
//! use dropbox_sign_oauth::{App, Expiry, Operation, State};
//!
//! let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
//!
//! // Send the user to the authorize page, and keep the state in the user's session.
//! let state = State::from_stored("900e06e2")?; // State::from_entropy(random) in earnest
//! assert_eq!(
//!     app.authorize_url(&state),
//!     "https://app.hellosign.com/oauth/authorize?response_type=code\
//!      &client_id=cc91c61d00f8bb2ece1428035716b&state=900e06e2",
//! );
//!
//! // The user comes back with a code, which is checked against the session's state …
//! let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state)?;
//!
//! // … and exchanged, once.
//! let operation = app.generate(code);
//! let request = operation.request();
//! assert_eq!(request.method(), "POST");
//! assert_eq!(request.uri(), "https://app.hellosign.com/oauth/token");
//! assert_eq!(
//!     String::from_utf8_lossy(request.body()),
//!     r#"{"client_id":"cc91c61d00f8bb2ece1428035716b","client_secret":"1d14434088507ffa390e6f5528465","code":"1b0d28d90c86c141","grant_type":"authorization_code","state":"900e06e2"}"#,
//! );
//!
//! let response = http::Response::builder()
//!     .header("content-type", "application/json")
//!     .body(r#"{"access_token":"NWNiOTMx","token_type":"Bearer","expires_in":86400,"state":"900e06e2"}"#)?;
//! let tokens = operation.parse(response)?;
//! assert_eq!(tokens.access_token.expose(), "NWNiOTMx");
//! assert_eq!(tokens.expiry, Some(Expiry::In(std::time::Duration::from_secs(86400))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! - `proptest`, off by default: strategies for property tests of one's own stack.
//!
//! # Secrets
//! The types of this crate never show a secret, by `Debug`, by `Display` or in an error, and wipe
//! their buffers on drop. What leaves them is out of their hands: the request and the response
//! that an HTTP client copies, the header map, what the allocator keeps, and `serde_json` where a
//! session is stored.

#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

extern crate alloc;

mod account_get;
mod app;
mod authorize;
mod body;
mod call_error;
mod callback;
mod endpoints;
mod error;
mod error_code;
mod json;
mod malformed;
mod operation;
mod prepared;
mod presentable;
mod rate_limit;
mod rejection;
mod response;
mod retry;
mod secret;
pub mod session;
mod state;
#[cfg(feature = "proptest")]
pub mod strategies;
mod time;
mod token;
mod token_generate;
mod token_refresh;
mod token_response;
mod token_set;
mod transport;

pub use account_get::{Account, AccountGet};
pub use app::{App, AppBuilder, InvalidApp};
pub use authorize::{InvalidRedirectUri, RedirectUri};
pub use body::{ResponseBody, ResponseCollector};
pub use call_error::{CallError, Cause, CauseKind};
pub use callback::{AuthorizationCode, CallbackError, Denial, InvalidCode};
pub use endpoints::{Endpoints, InvalidEndpoint};
pub use error::Error;
pub use error_code::ErrorCode;
pub use malformed::{Malformed, Problem};
pub use operation::{Operation, Replay};
pub use rate_limit::{MAX_WAIT, RateLimit, RetryAfter};
pub use rejection::Rejection;
pub use response::success;
pub use retry::{Retry, RetryPolicy, RetryWait};
pub use state::{InvalidState, State};
pub use time::UnixTime;
pub use token::{InvalidToken, Token};
pub use token_generate::TokenGenerate;
pub use token_refresh::TokenRefresh;
pub use token_response::{Expiry, TokenResponse};
pub use token_set::{ExposedTokenSet, TokenSet};
pub use transport::{
    DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, Delivery, InsecureUri, PlainHttp,
};

/// The code of this package's README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
