//! The default limits of a call, the same for every transport.

use core::time::Duration;

/// The time limit of a call, from its start to the last byte of the body: 30 seconds.
///
/// A user's browser waits for the call, and the vendor usually responds in less than a second.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// The time limit of name resolution, TCP and TLS together: 10 seconds, enough for three
/// retransmissions of a lost SYN.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest number of headers of a response: 100, five times the vendor's.
pub const MAX_RESPONSE_HEADERS: usize = 100;

/// The largest size of a response's head in bytes: 16 KiB, ten times the vendor's.
pub const MAX_RESPONSE_HEAD: usize = 16 * 1024;
