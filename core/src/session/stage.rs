//! Where a session stands, and what it has to store.

use super::record::{Content, Record};
use crate::token_set::TokenSet;

/// Where a session stands, between its jobs and during them.
#[derive(Debug)]
pub(super) enum Stage {
    /// The record is to be read; afterwards, a change is to be stored.
    Loading(Option<Change>),
    /// Nothing is to be done, or a refresh to be claimed.
    Resting,
    /// The refresh is claimed, and the service to be asked.
    Refreshing,
    /// What came is to be stored.
    Storing(Change),
}

/// What is to be stored.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) content: Content,
    pub(super) origin: Origin,
}

/// What a change came of.
#[derive(Debug)]
pub(super) enum Origin {
    /// The user has authorized.
    Authorization,
    /// The user has authorized, and the store has failed since: it may have stored it all the same,
    /// in the place of the grant `over`, and the user may have authorized elsewhere.
    DoubtfulAuthorization { over: Option<u64> },
    /// The service refreshed these tokens.
    Refresh(TokenSet),
    /// A refresh failed.
    Failure,
}

impl Stage {
    pub(super) fn into_change(self) -> Option<Change> {
        match self {
            Self::Loading(change) => change,
            Self::Storing(change) => Some(change),
            Self::Resting | Self::Refreshing => None,
        }
    }

    pub(super) fn has_tokens(&self) -> bool {
        let change = match self {
            Self::Loading(change) => change.as_ref(),
            Self::Storing(change) => Some(change),
            Self::Resting | Self::Refreshing => None,
        };
        change.is_some_and(|change| !matches!(change.origin, Origin::Failure))
    }
}

impl Change {
    /// Notes that the store failed to put this change in the place of `record`.
    pub(super) fn doubt(&mut self, record: Option<&Record>) {
        if let Origin::Authorization = self.origin {
            let over = record.map(|record| record.content().grant);
            self.origin = Origin::DoubtfulAuthorization { over };
        }
    }

    /// Whether this change is still to be stored after somebody else has stored `loaded`.
    pub(super) fn still_counts(&self, loaded: Option<&Record>) -> bool {
        let there = loaded.map(|record| record.content().grant);
        match &self.origin {
            // The user's word counts, unless it is there already: whoever stored it may have been
            // given up, and the tokens have been refreshed since.
            Origin::Authorization => there != Some(self.content.grant),
            // It counts if nothing has come of it, and nobody has stored another.
            Origin::DoubtfulAuthorization { over } => there == *over,
            // Tokens that nobody else has replaced. A record that was removed stays so.
            Origin::Refresh(of) => loaded.is_some_and(|record| record.tokens() == of),
            // Whoever was faster finds out by themselves.
            Origin::Failure => false,
        }
    }
}
