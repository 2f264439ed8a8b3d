//! Fails an exchange at each of its reads and writes.

use dropbox_sign_oauth::{CallError, State, TokenGenerate, TokenResponse};

use crate::{
    peer::Peer,
    samples::{app_at, code_of},
};

/// How many calls are made at most: a hundred times those that an exchange over TLS needs.
const MAX_CALLS: usize = 1_000;

/// Exchanges codes at `base` until one succeeds. The first argument of `send` is the number of reads
/// and writes that succeed; all later ones fail. Returns whether each failure was *not sent*.
///
/// # Panics
/// If the outcome of a call is not *not sent* or *unknown*, if `peer` received the request of one
/// that is *not sent*, or a request twice, or if no call is *unknown*.
pub fn torture(
    peer: &Peer,
    base: &str,
    mut send: impl FnMut(usize, TokenGenerate) -> Result<TokenResponse, CallError>,
) -> Vec<bool> {
    let app = app_at(base);
    let mut not_sent = Vec::new();
    let mut successes = 0;
    for _ in 0..MAX_CALLS {
        let code = State::random().as_str().to_owned();
        let is_not_sent = match send(successes, app.generate(code_of(&code))) {
            Ok(_) if not_sent.contains(&false) => return not_sent,
            // The reads of a handshake vary in number, so the calls may have missed the request.
            Ok(_) => {
                successes = 0;
                continue;
            }
            Err(CallError::NotSent(_)) => true,
            Err(CallError::Unknown { .. }) => false,
            Err(error) => panic!("after {successes}: {error}"),
        };
        // Only its own requests: one of the call before may arrive this late.
        let requests = peer.received();
        let bodies = requests.iter().map(|it| String::from_utf8_lossy(&it.body));
        let seen = bodies.filter(|body| body.contains(&code)).count();
        assert!(seen <= usize::from(!is_not_sent), "after {successes}: {seen}");
        not_sent.push(is_not_sent);
        successes += 1;
    }
    panic!("no exchange succeeds after an unknown one: {not_sent:?}");
}
