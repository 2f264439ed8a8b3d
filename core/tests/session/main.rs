//! Tokens that stay valid, in every order of events.

mod faults;
mod random;
mod service;
mod steps;
mod world;
