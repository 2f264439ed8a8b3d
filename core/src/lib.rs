#![doc = include_str!("lib.md")]
#![doc(html_root_url = "https://docs.rs/dropbox-sign-oauth/latest")]
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
pub mod guide;
mod json;
mod operation;
mod plain_http;
mod remedy;
mod response;
mod secret;
pub mod session;
mod setters;
mod state;
mod stored;
#[cfg(feature = "proptest")]
pub mod strategies;
mod time;
mod token;
mod token_set;
#[doc(hidden)]
pub mod trace;

pub use app::{App, AppBuilder};
pub use authorize::{
    InvalidRedirectUri, RedirectUri,
    callback::{AuthorizationCode, CallbackError, Denial},
};
#[doc(hidden)] // For the adapters.
pub use call::limits::{CODES_IN_A_ROW, MAX_SPARE_AGE, MAX_SPARES};
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
pub use secret::InvalidCredential;
pub use state::State;
pub use stored::InvalidRecord;
pub use time::UnixTime;
pub use token::{InvalidToken, Token};
pub use token_set::TokenSet;

/// Compiles the code of this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
