//! The OAuth client for Dropbox Sign (formerly HelloSign), without IO: builds [`http::Request`]
//! values and parses [`http::Response`] values.
//!
//! Programs that need a transport use one of the adapters, which re-export this crate:
//! `dropbox-sign-oauth-hyper` (async) or `dropbox-sign-oauth-ureq` (blocking). Programs that
//! already have an HTTP client send [`Operation::request`] and pass the response to
//! [`Operation::parse`].
//!
//! # Scope
//! - The URL of the authorize page and the check of the callback: [`App::authorize_url`],
//!   [`App::callback`].
//! - The exchange of a code for tokens and their refresh: [`App::generate`], [`App::refresh`].
//! - The first call with a new token, [`App::account`], and the trait [`Operation`] for others.
//! - The meaning of every response: [`TokenResponse`] or [`Error`], and its [`Remedy`].
//! - Stored tokens and safe retries: [`TokenSet`], [`Retry`].
//! - Sessions, which keep tokens valid in one process or in many: [`session`].
//!
//! # Out of scope
//! - Sockets and TLS. Without features, also clocks and randomness.
//! - The rest of the vendor's API.
//! - Scopes, which belong to the app's settings, and PKCE, which the vendor does not document.
//!
//! # Example
//! A complete exchange, without a network:
//! ```
//! use dropbox_sign_oauth::{App, Operation, State, TokenSet, UnixTime};
//!
//! let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
//!
//! // Redirect the user to the authorize page, and keep the state in the browser session.
//! let state = State::random();
//! let url = app.authorize_url(&state);
//!
//! // The user returns with a code, which is checked against the state.
//! let query = format!("code=1b0d28d90c86c141&state={}", state.as_str());
//! let code = app.callback(&query, &state)?;
//!
//! // Exchange the code, once.
//! let operation = app.generate(code);
//! let request = operation.request();
//! assert_eq!(request.method(), "POST");
//! assert_eq!(request.uri(), "https://app.hellosign.com/oauth/token");
//!
//! // In production, the response comes from an HTTP client.
//! let response = http::Response::new(r#"{"access_token":"NWNiOTMx","expires_in":86400}"#);
//! let tokens = TokenSet::new(operation.parse(response)?, UnixTime::now());
//! assert_eq!(tokens.access_token.expose(), "NWNiOTMx");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! All are off by default; the adapters enable `std` and `getrandom`. Without `std` the crate is
//! `no_std` and needs `alloc`.
//! - `std`: the system clock, `UnixTime::now`.
//! - `getrandom`: the system's random source, `State::random`.
//! - `proptest`: strategies for property tests of transports.
//!
//! # Secrets
//! The types of this crate show no secret in `Debug`, `Display` or errors, and wipe their buffers
//! on drop. Copies elsewhere are not wiped: the request and response in an HTTP client, the header
//! map, freed allocations, and the buffer of `serde_json` through which strings with escapes pass.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod app;
mod authorize;
mod call;
mod endpoints;
mod json;
mod operation;
mod plain_http;
mod remedy;
mod response;
mod secret;
pub mod session;
mod state;
#[cfg(feature = "proptest")]
pub mod strategies;
mod time;
mod token;
mod token_set;

pub use app::{App, AppBuilder, InvalidApp};
pub use authorize::{
    InvalidRedirectUri, RedirectUri,
    callback::{AuthorizationCode, CallbackError, Denial, InvalidCode},
};
pub use call::{
    CallError, Failure,
    limits::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS},
    retry::{Retry, RetryPolicy, RetryWait},
};
pub use endpoints::{Endpoints, InvalidEndpoint};
pub use operation::{
    Operation, Replay,
    account_get::{Account, AccountGet},
    token_generate::TokenGenerate,
    token_refresh::TokenRefresh,
};
pub use plain_http::{InsecureUri, PlainHttp};
pub use remedy::Remedy;
pub use response::{
    collector::{DEFAULT_BODY_LIMIT, ResponseBody, ResponseCollector},
    error::Error,
    error_code::ErrorCode,
    json_body, parse_json,
    problem::Problem,
    rate_limit::{MAX_WAIT, RateLimit, RetryAfter},
    rejection::Rejection,
    rejects_access_token,
    token_response::{Expiry, TokenResponse},
};
pub use state::{InvalidState, State};
pub use time::UnixTime;
pub use token::{InvalidToken, Token};
pub use token_set::{ExposedTokenSet, TokenSet};

/// Compiles the code of this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
