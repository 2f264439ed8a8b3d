//! What a session is doing, and the changes that it has to store.

use alloc::boxed::Box;
use core::time::Duration;

use super::record::{Content, Record, RefreshState};
use crate::{time::UnixTime, token_set::TokenSet};

/// What a session is doing.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The record has to be loaded. Then the change has to be stored, if it is still current.
    Loading(Option<Box<Change>>),
    /// Nothing, until a refresh is due.
    Resting,
    /// The refresh is claimed and has to be sent.
    Refreshing,
    /// The change has to be stored.
    Storing(Box<Change>),
    /// The server rejected the refresh token. Until this time another process may store newer
    /// tokens; then the change has to be stored.
    Verifying { until: UnixTime, change: Box<Change> },
    /// The record has to be removed.
    Ending,
}

/// A change of the record.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) content: Content,
    pub(super) origin: Origin,
    /// Whether an attempt to store it had an unknown outcome.
    pub(super) in_doubt: bool,
}

/// How soon after an authorization the first load has to finish, so that a stored authorization
/// with a later time is attributed to a fast clock. After that, the stored one counts as newer.
const PROMPT: Duration = Duration::from_secs(5);

/// The origin of a change.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The user authorized.
    Authorization { replaces: Replaced, at: UnixTime },
    /// The server refreshed these tokens.
    Refresh { of: TokenSet },
    /// A refresh failed.
    Failure,
}

/// The authorization that a new one replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Replaced {
    /// The store has not been read since the user authorized.
    Unread,
    /// The store had no record.
    Nothing,
    /// The store had a record with this grant.
    Grant(u64),
}

impl Change {
    pub(super) fn new(content: Content, origin: Origin) -> Box<Self> {
        Box::new(Self { content, origin, in_doubt: false })
    }

    pub(super) fn has_tokens(&self) -> bool {
        !matches!(self.origin, Origin::Failure)
    }

    pub(super) fn is_authorization(&self) -> bool {
        matches!(self.origin, Origin::Authorization { .. })
    }

    /// Whether this change should still replace `loaded`. `claim` is the session's own claim. The
    /// authorizations in `superseded` are known to be older.
    pub(super) fn is_current(
        &mut self,
        now: UnixTime,
        loaded: Option<&Record>,
        claim: Option<u64>,
        superseded: &[u64],
    ) -> bool {
        let stored = loaded.map(Record::content);
        match &mut self.origin {
            Origin::Authorization { replaces, at } => {
                let present =
                    stored.map_or(Replaced::Nothing, |stored| Replaced::Grant(stored.grant));
                let order = self.content.order();
                if *replaces == Replaced::Unread {
                    let is_older = stored.is_none_or(|stored| {
                        let is_from_fast_clock = stored.authorized_at > now;
                        let is_prompt = now.saturating_since(*at) <= PROMPT;
                        stored.order() < order || (is_from_fast_clock && is_prompt)
                    });
                    if is_older {
                        *replaces = present;
                    }
                }
                match stored {
                    Some(stored) if stored.grant == self.content.grant => false,
                    Some(stored) if superseded.contains(&stored.grant) => true,
                    _ if present == *replaces => true,
                    // This authorization was stored without an acknowledgement, and then replaced.
                    Some(stored) if stored.replaced == Some(self.content.grant) => false,
                    // Another process stored an authorization at about the same time: the newer one
                    // is kept.
                    Some(stored) => stored.order() < order,
                    // Another process removed the record. If this change may have been stored
                    // before, it counts as removed, too.
                    None => !self.in_doubt,
                }
            }
            // A removed record stays removed, and newer tokens stay.
            Origin::Refresh { of } => stored.is_some_and(|stored| stored.tokens == *of),
            Origin::Failure => stored.is_some_and(|stored| {
                let is_own = matches!(
                    stored.refresh,
                    RefreshState::InProgress { claim: stored, .. } if Some(stored) == claim
                );
                let is_revoked = self.content.refresh == RefreshState::Revoked;
                stored.tokens == self.content.tokens && (is_own || is_revoked)
            }),
        }
    }
}

impl Stage {
    pub(super) fn change(&self) -> Option<&Change> {
        match self {
            Self::Loading(Some(change)) | Self::Storing(change) => Some(change),
            _ => None,
        }
    }

    /// Whether tokens wait to be stored.
    pub(super) fn has_tokens(&self) -> bool {
        self.change().is_some_and(Change::has_tokens)
    }
}
