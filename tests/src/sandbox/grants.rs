//! The issued codes and tokens.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use dropbox_sign_oauth::UnixTime;

use super::random;

/// Which refresh token the response to a refresh contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefreshTokens {
    /// The one in the request.
    Keep,
    /// A new one. The one in the request becomes invalid.
    Rotate,
    /// None. The one in the request stays valid.
    Omit,
}

/// Why a code or token is invalid.
#[derive(Clone, Copy, Debug)]
pub(super) enum Invalid {
    Unknown,
    Expired,
    Used,
    Revoked,
    StateDiffers,
}

/// One authorization by a user, which a code and all tokens issued for it share.
#[derive(Clone)]
struct Grant {
    account: Arc<str>,
    revoked: Arc<AtomicBool>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Code { state: String },
    AccessToken,
    RefreshToken,
}

/// An issued code or token.
struct Secret {
    kind: Kind,
    grant: Grant,
    expires: Option<UnixTime>,
    used: bool,
}

/// The codes and tokens by their text. The caller passes the time.
pub(super) struct Grants {
    secrets: HashMap<String, Secret>,
    token_lifetime: Duration,
    policy: RefreshTokens,
}

/// The limit that RFC 6749 §4.1.2 recommends. The vendor documents no lifetime.
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

impl Grants {
    pub(super) fn new(token_lifetime: Duration, policy: RefreshTokens) -> Self {
        Self { secrets: HashMap::new(), token_lifetime, policy }
    }

    /// Issues a code after the user of `account` has approved.
    pub(super) fn approve(&mut self, now: UnixTime, account: &str, state: &str) -> String {
        let grant = Grant { account: account.into(), revoked: Arc::default() };
        let kind = Kind::Code { state: state.into() };
        self.issue(random::code(), kind, &grant, Some(now.saturating_add(CODE_LIFETIME)))
    }

    /// Exchanges a code for an access token and a refresh token. A second exchange revokes the grant
    /// (RFC 6749 §4.1.2). An exchange with another state fails, and the code stays valid.
    pub(super) fn exchange(
        &mut self,
        now: UnixTime,
        code: &str,
        state: &str,
    ) -> Result<(String, String), Invalid> {
        let code = self.valid(now, code, |kind| matches!(kind, Kind::Code { .. }))?;
        if code.kind != (Kind::Code { state: state.into() }) {
            return Err(Invalid::StateDiffers);
        }
        code.used = true;
        let grant = code.grant.clone();
        Ok(self.issue_tokens(now, &grant))
    }

    /// Issues an access token for a refresh token. If the refresh token was already replaced, it
    /// may have been stolen, so the grant is revoked (RFC 9700 §4.14.2).
    pub(super) fn refresh(
        &mut self,
        now: UnixTime,
        refresh_token: &str,
    ) -> Result<(String, Option<String>), Invalid> {
        let policy = self.policy;
        let known = self.valid(now, refresh_token, |kind| *kind == Kind::RefreshToken)?;
        known.used = policy == RefreshTokens::Rotate;
        let grant = known.grant.clone();
        let (access_token, new_refresh_token) = self.issue_tokens(now, &grant);
        let refresh_token = match policy {
            RefreshTokens::Keep => Some(refresh_token.into()),
            RefreshTokens::Rotate => Some(new_refresh_token),
            RefreshTokens::Omit => None,
        };
        Ok((access_token, refresh_token))
    }

    /// Returns the account of a valid access token.
    pub(super) fn account(
        &mut self,
        now: UnixTime,
        access_token: &str,
    ) -> Result<Arc<str>, Invalid> {
        let known = self.valid(now, access_token, |kind| *kind == Kind::AccessToken)?;
        Ok(Arc::clone(&known.grant.account))
    }

    /// Revokes the grant of a code or token. Returns whether one was found.
    pub(super) fn revoke(&self, code_or_token: &str) -> bool {
        let known = self.secrets.get(code_or_token);
        known.inspect(|known| known.grant.revoked.store(true, Relaxed)).is_some()
    }

    /// Returns a valid code or token. One that was used before revokes its grant.
    fn valid(
        &mut self,
        now: UnixTime,
        secret: &str,
        is_kind: impl Fn(&Kind) -> bool,
    ) -> Result<&mut Secret, Invalid> {
        let known = self.secrets.get_mut(secret).filter(|known| is_kind(&known.kind));
        let known = known.ok_or(Invalid::Unknown)?;
        if known.used {
            known.grant.revoked.store(true, Relaxed);
            return Err(Invalid::Used);
        }
        if known.grant.revoked.load(Relaxed) {
            return Err(Invalid::Revoked);
        }
        if known.expires.is_some_and(|expires| expires <= now) {
            return Err(Invalid::Expired);
        }
        Ok(known)
    }

    fn issue_tokens(&mut self, now: UnixTime, grant: &Grant) -> (String, String) {
        let expires = now.saturating_add(self.token_lifetime);
        let access_token = self.issue(random::token(), Kind::AccessToken, grant, Some(expires));
        (access_token, self.issue(random::token(), Kind::RefreshToken, grant, None))
    }

    fn issue(
        &mut self,
        secret: String,
        kind: Kind,
        grant: &Grant,
        expires: Option<UnixTime>,
    ) -> String {
        let issued = Secret { kind, grant: grant.clone(), expires, used: false };
        self.secrets.insert(secret.clone(), issued);
        secret
    }
}
