//! The session state machine keeps tokens valid in every order of events.

mod faults;
mod random;
mod service;
mod steps;
mod world;
