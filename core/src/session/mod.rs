//! Tokens that stay fresh: a state machine that says when to refresh, who does it, and what to
//! store first. No IO, no clock, no randomness: both adapters drive it, as their `Session`.
//!
//! # What is stored
//! A [`Record`] for each session, replaced by *compare and swap* on its version. Its
//! [`RefreshState`] is what processes that share the store know of each other:
//!
//! ```text
//!        replace_tokens
//!              │
//!              ▼     due, expired or refused        new tokens
//!      Due, OnRefusal ─────────────────▶ UnderWay ──────────────▶ Due, OnRefusal
//!                                        │  ▲  │
//!                     any other failure  │  │  │ invalid_grant
//!                                        ▼  │  ▼
//!                                     Paused   GrantGone ── replace_tokens ─▶ Due, OnRefusal
//! ```
//!
//! `UnderWay` and `Paused` carry the time until which nobody else begins; from `UnderWay` too a
//! session goes back to `UnderWay` by itself once that has passed, for whoever began is dead.
//!
//! # What a session does
//! [`Session::poll`] answers with a [`Step`]. A [`Job`] is handed out to one caller at a time, and its
//! outcome moves the session on:
//!
//! ```text
//!                    ┌──────────────── Swapped::No ────────────────┐
//!                    ▼                                             │
//!   Session::new ─▶ Load ─▶ (at rest) ── due ─▶ Swap: UnderWay ────┤
//!                            ▲     ▲              │ Swapped::Yes   │
//!                            │     │              ▼                │
//!               the tokens   │     │           Refresh             │
//!               of another   │     │              │ any outcome    │
//!               stay there   │     │ Swapped::Yes ▼                │
//!                            │     └─────────── Swap: what came ───┘
//!                            └── Load ◀────────────────────────────┘
//! ```
//!
//! Whoever polls meanwhile is told to use the old token ([`Ready`](Step::Ready)) as long as it is
//! good, and to [`Wait`](Step::Wait) when it is not. So new tokens are stored before anybody uses
//! them, the old ones are kept until then, and of all processes that share a store one refreshes at a
//! time.

mod error;
mod machine;
mod policy;
mod record;
mod stage;
mod step;

pub use self::{
    error::{SendError, SessionError},
    machine::Session,
    policy::SessionPolicy,
    record::{InvalidRecord, Record, RefreshState},
    step::{Job, JobId, Load, Refresh, Step, Swap, Swapped},
};
