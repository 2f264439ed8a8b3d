//! Sessions, which keep tokens valid: a state machine that decides when to refresh, which process
//! sends the refresh, and what to store first. It has no IO, clock or randomness; both adapters
//! drive it as their `Session`.
//!
//! # The stored record
//! A store has one [`Record`] for each session and replaces it by *compare and swap* on its
//! version. Its [`RefreshState`] coordinates the processes that share the store:
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
//! `InProgress` is a claim with a random id and a lease. Other processes take over the claim of a
//! process that died after its lease and the policy's
//! [`clock_tolerance`](SessionPolicy::clock_tolerance). A process recognizes its own claim by the
//! id, and claims again at once if the store did not acknowledge the claim. A refresh is sent only
//! right after an acknowledged claim, with at least three quarters of the lease left.
//!
//! # The stages of a session
//! [`Session::next_job`] returns one [`Job`] at a time. The outcome of the job determines the next
//! stage:
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
//! # When a user has to authorize again
//! Besides a revocation, the user has to authorize again if
//! - the server invalidates a refresh token when it is used, and its response is lost, or the
//!   process dies before it has stored the new tokens,
//! - the store loses a record that it acknowledged,
//! - the server revokes all tokens of an authorization if a refresh token is used twice, and a
//!   process is stopped during a refresh for longer than the policy's lease and
//!   [`clock_tolerance`](SessionPolicy::clock_tolerance), or clocks differ or jump by more than the
//!   tolerance.
//!
//! Lost, late or repeated acknowledgements, cut connections, conflicts, lagging reads, and crashes
//! at any other point do not require a new authorization. The tests of this crate simulate them at
//! random, and explore all orders of events of two processes with up to two faults
//! (`machine/exhaustive`).
//!
//! # Two authorizations of one user
//! An authorization never replaces a newer one, even if acknowledgements are lost, late or
//! repeated. A record says which authorization it replaced, so that a process whose write had an
//! unknown outcome finds out whether its record was stored and then replaced. If two processes
//! store authorizations at the same time, and neither has seen the other's, the clocks decide: the
//! later authorization is kept. Of two in the same second, either can be kept.

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
