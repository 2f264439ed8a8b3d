#![doc = include_str!("session.md")]

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
    record::{Record, RefreshState},
};
