//! The issued codes and tokens. The caller passes the time and new secrets, so that tests are
//! deterministic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use dropbox_sign_oauth::UnixTime;

use super::{account::Account, bounded::Bounded};

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

/// The secrets to issue if the request is valid.
pub(super) struct Fresh {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
}

/// The issued secrets.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
}

/// Why a code or token is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    account: &'static Account,
    revoked: Arc<AtomicBool>,
}

struct Code {
    grant: Grant,
    state: String,
    expires: UnixTime,
    used: bool,
}

struct AccessToken {
    grant: Grant,
    expires: UnixTime,
}

struct RefreshToken {
    grant: Grant,
    used: bool,
}

pub(super) struct Grants {
    code_lifetime: Duration,
    token_lifetime: Duration,
    policy: RefreshTokens,
    codes: Bounded<Code>,
    access_tokens: Bounded<AccessToken>,
    refresh_tokens: Bounded<RefreshToken>,
}

impl Grants {
    pub(super) fn new(
        code_lifetime: Duration,
        token_lifetime: Duration,
        policy: RefreshTokens,
    ) -> Self {
        Self {
            code_lifetime,
            token_lifetime,
            policy,
            codes: Bounded::default(),
            access_tokens: Bounded::default(),
            refresh_tokens: Bounded::default(),
        }
    }

    /// Issues `code` after a user has approved.
    pub(super) fn approve(
        &mut self,
        now: UnixTime,
        account: &'static Account,
        code: String,
        state: &str,
    ) {
        let issued = Code {
            grant: Grant::new(account),
            state: state.into(),
            expires: now.saturating_add(self.code_lifetime),
            used: false,
        };
        self.codes.insert(code, issued);
    }

    /// Exchanges a code for tokens. A second exchange revokes the grant (RFC 6749 §4.1.2). An
    /// exchange with another state fails, and the code stays valid.
    pub(super) fn exchange(
        &mut self,
        now: UnixTime,
        code: &str,
        state: &str,
        fresh: Fresh,
    ) -> Result<Issued, Invalid> {
        let code = self.codes.get_mut(code).ok_or(Invalid::Unknown)?;
        if code.used {
            code.grant.revoked.store(true, Relaxed);
            return Err(Invalid::Used);
        }
        code.grant.check()?;
        if code.expires <= now {
            return Err(Invalid::Expired);
        }
        if code.state != state {
            return Err(Invalid::StateDiffers);
        }
        code.used = true;
        let grant = code.grant.clone();
        self.add_refresh_token(&grant, fresh.refresh_token.clone());
        self.add_access_token(now, grant, fresh.access_token.clone());
        Ok(Issued { access_token: fresh.access_token, refresh_token: Some(fresh.refresh_token) })
    }

    /// Issues an access token for a refresh token. If the refresh token was already replaced, it
    /// may have been stolen, so the grant is revoked (RFC 9700 §4.14.2).
    pub(super) fn refresh(
        &mut self,
        now: UnixTime,
        refresh_token: &str,
        fresh: Fresh,
    ) -> Result<Issued, Invalid> {
        let known = self.refresh_tokens.get_mut(refresh_token);
        let known = known.ok_or(Invalid::Unknown)?;
        if known.used {
            known.grant.revoked.store(true, Relaxed);
            return Err(Invalid::Used);
        }
        known.grant.check()?;
        let grant = known.grant.clone();
        let refresh_token = match self.policy {
            RefreshTokens::Keep => Some(refresh_token.to_owned()),
            RefreshTokens::Omit => None,
            RefreshTokens::Rotate => {
                known.used = true;
                self.add_refresh_token(&grant, fresh.refresh_token.clone());
                Some(fresh.refresh_token)
            }
        };
        self.add_access_token(now, grant, fresh.access_token.clone());
        Ok(Issued { access_token: fresh.access_token, refresh_token })
    }

    /// Adds tokens that were issued elsewhere, with a new grant.
    pub(super) fn accept(&mut self, now: UnixTime, account: &'static Account, tokens: Issued) {
        let grant = Grant::new(account);
        if let Some(token) = tokens.refresh_token {
            self.add_refresh_token(&grant, token);
        }
        self.add_access_token(now, grant, tokens.access_token);
    }

    /// Returns the account of a valid access token.
    pub(super) fn check(
        &self,
        now: UnixTime,
        access_token: &str,
    ) -> Result<&'static Account, Invalid> {
        let known = self.access_tokens.get(access_token);
        let known = known.ok_or(Invalid::Unknown)?;
        known.grant.check()?;
        if known.expires <= now {
            return Err(Invalid::Expired);
        }
        Ok(known.grant.account)
    }

    /// Revokes the grant of a code or token. Returns whether one was found.
    pub(super) fn revoke(&mut self, code_or_token: &str) -> bool {
        let code = self.codes.get(code_or_token).map(|code| &code.grant);
        let access = self.access_tokens.get(code_or_token).map(|t| &t.grant);
        let refresh = self.refresh_tokens.get(code_or_token).map(|t| &t.grant);
        let grant = code.or(access).or(refresh);
        if let Some(grant) = grant {
            grant.revoked.store(true, Relaxed);
        }
        grant.is_some()
    }

    fn add_access_token(&mut self, now: UnixTime, grant: Grant, token: String) {
        let expires = now.saturating_add(self.token_lifetime);
        let issued = AccessToken { grant, expires };
        self.access_tokens.insert(token, issued);
    }

    fn add_refresh_token(&mut self, grant: &Grant, token: String) {
        let issued = RefreshToken { grant: grant.clone(), used: false };
        self.refresh_tokens.insert(token, issued);
    }
}

impl Grant {
    fn new(account: &'static Account) -> Self {
        Self { account, revoked: Arc::default() }
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.revoked.load(Relaxed) { Err(Invalid::Revoked) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::account::ACCOUNTS, *};

    const STATE: &str = "900e06e2";

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + seconds)
    }

    fn fresh() -> Fresh {
        Fresh { access_token: "access".into(), refresh_token: "refresh".into() }
    }

    /// Returns grants with the code `code`, which was issued at 0 s and expires at 60 s. Access
    /// tokens are valid for 100 s.
    fn approved() -> Grants {
        let lifetimes = [60, 100].map(Duration::from_secs);
        let mut grants = Grants::new(lifetimes[0], lifetimes[1], RefreshTokens::Keep);
        grants.approve(at(0), &ACCOUNTS[0], "code".into(), STATE);
        grants
    }

    #[test]
    fn codes_and_access_tokens_expire_at_the_exact_second() {
        let mut grants = approved();
        let late = grants.exchange(at(60), "code", STATE, fresh());
        assert_eq!(late, Err(Invalid::Expired));
        assert!(grants.exchange(at(59), "code", STATE, fresh()).is_ok());
        assert_eq!(grants.check(at(158), "access"), Ok(&ACCOUNTS[0]));
        assert_eq!(grants.check(at(159), "access"), Err(Invalid::Expired));
        assert!(grants.refresh(at(1_000_000), "refresh", fresh()).is_ok());
    }

    #[test]
    fn second_exchange_revokes_the_grant_at_any_time_and_with_any_state() {
        let mut grants = approved();
        grants.exchange(at(0), "code", STATE, fresh()).unwrap();
        let second = grants.exchange(at(61), "code", "other", fresh());
        assert_eq!(second, Err(Invalid::Used));
        assert_eq!(grants.check(at(61), "access"), Err(Invalid::Revoked));
    }

    #[test]
    fn accepts_the_longest_lifetimes() {
        let mut grants = Grants::new(Duration::MAX, Duration::MAX, RefreshTokens::Keep);
        grants.approve(at(0), &ACCOUNTS[0], "code".into(), STATE);
        let exchanged = grants.exchange(at(u64::MAX / 2), "code", STATE, fresh());
        assert!(exchanged.is_ok());
        assert!(grants.check(at(u64::MAX / 2), "access").is_ok());
    }
}
