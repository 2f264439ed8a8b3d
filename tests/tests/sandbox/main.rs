//! The sandbox as its clients see it: the responses of each endpoint, byte for byte where it matters.

mod account;
mod authorize;
mod client;
mod server;
mod token_generate;
mod token_refresh;
