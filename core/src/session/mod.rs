//! Tokens that stay valid: a state machine that decides when to refresh, which process does it, and
//! what to store first. It has no IO, clock or randomness; both adapters drive it as their `Session`.
//!
//! # The stored record
//! A store has one [`Record`] for each session and replaces it by *compare and swap* on its version.
//! Its [`RefreshState`] coordinates the processes that share the store:
//!
//! ```text
//!       replace_tokens
//!             │
//!             ▼     due, expired or rejected            new tokens
//!     Due, OnRejection ───────────────────▶ InProgress ───────────▶ Due, OnRejection
//!                                            │  ▲  │
//!                        any other failure   │  │  │ invalid_grant
//!                                            ▼  │  ▼
//!                                         Paused   Revoked ── replace_tokens ──▶ Due, OnRejection
//! ```
//!
//! `InProgress` is a claim with a random id and a lease. Other processes wait for the lease and the
//! policy's [`clock_tolerance`](SessionPolicy::clock_tolerance) before they take over the claim of a
//! process that died. The process itself recognizes its claim by the id, and claims anew at once if
//! the store did not acknowledge it. A refresh is sent only right after an acknowledged claim, with
//! at least three quarters of the lease left.
//!
//! # The stages of a session
//! [`Session::next_job`] hands out one [`Job`] at a time; its outcome moves the session on:
//!
//! ```text
//!   Loading ──load──▶ Resting ──swap: claim──▶ Refreshing ──refresh──▶ Storing ──swap──▶ Resting
//!      ▲                 │                         │                      │
//!      │ conflict,       │ conflict,               │ invalid_grant        │ conflict,
//!      │ unknown         │ unknown                 ▼                      │ unknown
//!      ├─────────────────┘                     Verifying ──time is over──▶│
//!      │                                           │ newer tokens         │
//!      │                                           └──────▶ Resting       │
//!      └──────────────────────────────────────────────────────────────────┘
//!   replace_tokens: any stage ──▶ Loading, then Storing
//!   end:            any stage ──▶ Ending ──remove──▶ Resting
//! ```
//!
//! [`Session::poll`] returns a valid cached token at once, in every stage. New tokens are used only
//! once they are stored. The process that received them retries a failed write, with growing
//! pauses, until they are stored or superseded. After a swap with an unknown outcome, the record is
//! loaded before anything else is decided.
//!
//! # What can lose a user
//! The user has to authorize again if
//! - a process dies after the server issued new tokens and before they are stored, or the server's
//!   response is lost on the way, and the server invalidates a refresh token when it is used,
//! - the store loses a record that it acknowledged,
//! - a process is stopped for longer than the policy's lease and
//!   [`clock_tolerance`](SessionPolicy::clock_tolerance) in the middle of a refresh, or clocks differ
//!   or jump by more than the tolerance, and the server revokes all tokens of an authorization if a
//!   refresh token is used twice.
//!
//! Lost, late or repeated acknowledgements, cut connections, conflicts, lagging reads, and crashes at
//! any other point do not lose a user. The tests of this crate simulate them at random, and explore
//! all orders of events of two processes with up to two faults (`machine/exhaustive`).
//!
//! # Two authorizations of one user
//! An authorization never replaces a newer one, whatever acknowledgements are lost, late or repeated.
//! A record says which authorization it replaced, so that a process whose write had an unknown
//! outcome finds out if it was stored and replaced. Only if two processes store authorizations at
//! the same time, each before it could see the other, do the clocks decide: the later one is
//! kept, and of two in one second, either.

mod attempts;
mod error;
mod job;
mod machine;
mod policy;
mod record;
mod stage;
mod store_state;
mod verdict;

pub use self::{
    attempts::Attempts,
    error::{SendError, SessionError},
    job::{Background, Job, JobId, Load, Outcome, Refresh, Remove, Step, Swap},
    machine::Session,
    policy::SessionPolicy,
    record::{InvalidRecord, Record, RefreshState},
};
