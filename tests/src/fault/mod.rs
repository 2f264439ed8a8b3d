//! Every known way in which a server or the network misbehaves, case by case.
//!
//! A [`Case`] is data: a name, what the [peer](crate::peer) does, and the outcomes that are right.
//! [`cases`] returns all of them; [`conformance`](crate::conformance) plays them to a transport.

mod case;
mod cases;
pub mod http2;
mod outcome;

pub use case::{Case, Detail, Group, Kind, Origin, Play, Resolution};
pub use cases::{BODY_LIMIT, cases};
pub use outcome::Outcome;

#[doc(no_inline)]
pub use crate::peer::ClosedPort;
