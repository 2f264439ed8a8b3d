//! Tests the sandbox through HTTP, endpoint by endpoint.

mod account;
mod authorize;
mod client;
mod server;
mod token_generate;
mod token_refresh;
