//! The default limits of a call, the same for every transport.

use core::time::Duration;

/// The time limit of a call, from its start to the last byte of the body: 30 seconds.
///
/// A user's browser waits for the call, and the vendor usually responds in less than a second.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// The time limit of name resolution, TCP and TLS together: 10 seconds, enough for three
/// retransmissions of a lost SYN.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How old a connection that is opened ahead of a code may be: 4 seconds. The server must not have
/// closed it by then.
///
/// Of the servers and proxies that limit this time by default, Varnish has the shortest limit, 5
/// seconds (`timeout_idle`), which is also a usual value of `HAProxy`'s `timeout http-request`.
/// Apache's limit is 20 seconds, that of nginx, Node.js and AWS load balancers 60.
pub const MAX_SPARE_AGE: Duration = Duration::from_secs(4);

/// How soon after a code the next one has to come for connections to be opened ahead: 10 seconds.
/// Users who log in at the same time are seconds apart.
pub const CODES_IN_A_ROW: Duration = Duration::from_secs(10);

/// The most connections to one server that are opened ahead. If an exchange takes one round trip
/// and opening a connection two, exchanges in a row need two connections.
pub const MAX_SPARES: usize = 2;

/// The largest number of headers of a response: 100, five times the vendor's.
pub const MAX_RESPONSE_HEADERS: usize = 100;

/// The largest size of a response's head in bytes: 16 KiB, ten times the vendor's.
pub const MAX_RESPONSE_HEAD: usize = 16 * 1024;
