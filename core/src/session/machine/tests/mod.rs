//! The session state machine keeps tokens valid in every order of events.

mod exhaustive;
mod faults;
mod fingerprint;
mod random;
mod service;
mod steps;
mod world;
