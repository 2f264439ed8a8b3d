//! What became of the codes and tokens that were given out: pure logic, to which the time and the
//! new secrets are given.

use std::{collections::HashMap, time::Duration};

use dropbox_sign_oauth::UnixTime;

/// Which refresh token the answer to a refresh carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefreshTokens {
    /// The one that was sent.
    Keep,
    /// A new one; the one that was sent is spent.
    Rotate,
    /// None; the one that was sent stays good.
    Omit,
}

/// The secrets that are given out, if the grant is good.
pub(super) struct Fresh {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
}

/// The secrets that were given out.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
}

/// Why a code or token is not good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotGood {
    Unknown,
    Expired,
    Spent,
    Revoked,
    StateDiffers,
}

/// What a user approved at one time: everything that stems from one code.
#[derive(Clone, Copy)]
struct GrantId(usize);

struct Code {
    grant: GrantId,
    state: String,
    expires: UnixTime,
    spent: bool,
}

struct AccessToken {
    grant: GrantId,
    expires: UnixTime,
}

struct RefreshToken {
    grant: GrantId,
    spent: bool,
}

pub(super) struct Grants {
    code_lifetime: Duration,
    token_lifetime: Duration,
    policy: RefreshTokens,
    /// Of every grant whether it was revoked.
    revoked: Vec<bool>,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, RefreshToken>,
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
            revoked: Vec::new(),
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
        }
    }

    /// The user approved: `code` stands for it.
    pub(super) fn approve(&mut self, now: UnixTime, code: String, state: &str) {
        let grant = GrantId(self.revoked.len());
        self.revoked.push(false);
        let code_state = Code {
            grant,
            state: state.into(),
            expires: now.saturating_add(self.code_lifetime),
            spent: false,
        };
        self.codes.insert(code, code_state);
    }

    /// Spends a code. A second use revokes what the first one gave (RFC 6749 §4.1.2); a use with
    /// the state of another session spends nothing.
    pub(super) fn exchange(
        &mut self,
        now: UnixTime,
        code: &str,
        state: &str,
        fresh: Fresh,
    ) -> Result<Issued, NotGood> {
        let code = self.codes.get_mut(code).ok_or(NotGood::Unknown)?;
        let grant = code.grant;
        if code.spent {
            self.revoked[grant.0] = true;
            return Err(NotGood::Spent);
        }
        if self.revoked[grant.0] {
            return Err(NotGood::Revoked);
        }
        if code.expires <= now {
            return Err(NotGood::Expired);
        }
        if code.state != state {
            return Err(NotGood::StateDiffers);
        }
        code.spent = true;
        self.add_refresh_token(grant, fresh.refresh_token.clone());
        self.add_access_token(now, grant, fresh.access_token.clone());
        Ok(Issued {
            access_token: fresh.access_token,
            refresh_token: Some(fresh.refresh_token),
        })
    }

    /// Gives a new access token for a refresh token. A refresh token that was replaced and comes
    /// again was stolen by one of the two who sent it, so the grant is revoked (RFC 9700 §4.14.2).
    pub(super) fn refresh(
        &mut self,
        now: UnixTime,
        refresh_token: &str,
        fresh: Fresh,
    ) -> Result<Issued, NotGood> {
        let known = self.refresh_tokens.get_mut(refresh_token);
        let known = known.ok_or(NotGood::Unknown)?;
        let grant = known.grant;
        if known.spent {
            self.revoked[grant.0] = true;
            return Err(NotGood::Spent);
        }
        if self.revoked[grant.0] {
            return Err(NotGood::Revoked);
        }
        let refresh_token = match self.policy {
            RefreshTokens::Keep => Some(refresh_token.to_owned()),
            RefreshTokens::Omit => None,
            RefreshTokens::Rotate => {
                known.spent = true;
                self.add_refresh_token(grant, fresh.refresh_token.clone());
                Some(fresh.refresh_token)
            }
        };
        self.add_access_token(now, grant, fresh.access_token.clone());
        Ok(Issued {
            access_token: fresh.access_token,
            refresh_token,
        })
    }

    /// Whether an access token opens the API.
    pub(super) fn check(&self, now: UnixTime, access_token: &str) -> Result<(), NotGood> {
        let known = self.access_tokens.get(access_token);
        let known = known.ok_or(NotGood::Unknown)?;
        if self.revoked[known.grant.0] {
            Err(NotGood::Revoked)
        } else if known.expires <= now {
            Err(NotGood::Expired)
        } else {
            Ok(())
        }
    }

    /// Revokes the grant that a code or token belongs to, and answers whether there is one.
    pub(super) fn revoke(&mut self, code_or_token: &str) -> bool {
        let code = self.codes.get(code_or_token).map(|code| code.grant);
        let access = self.access_tokens.get(code_or_token).map(|t| t.grant);
        let refresh = self.refresh_tokens.get(code_or_token).map(|t| t.grant);
        let grant = code.or(access).or(refresh);
        if let Some(grant) = grant {
            self.revoked[grant.0] = true;
        }
        grant.is_some()
    }

    fn add_access_token(&mut self, now: UnixTime, grant: GrantId, token: String) {
        let expires = now.saturating_add(self.token_lifetime);
        self.access_tokens
            .insert(token, AccessToken { grant, expires });
    }

    fn add_refresh_token(&mut self, grant: GrantId, token: String) {
        let spent = false;
        self.refresh_tokens
            .insert(token, RefreshToken { grant, spent });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "900e06e2";

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + seconds)
    }

    fn fresh(number: u32) -> Fresh {
        Fresh {
            access_token: format!("a{number}"),
            refresh_token: format!("r{number}"),
        }
    }

    fn issued(access_token: &str, refresh_token: Option<&str>) -> Issued {
        Issued {
            access_token: access_token.into(),
            refresh_token: refresh_token.map(String::from),
        }
    }

    /// Grants with the code `code`, approved at 0, good until 60; tokens are good for 100 seconds.
    fn approved(policy: RefreshTokens) -> Grants {
        let lifetimes = [60, 100].map(Duration::from_secs);
        let mut grants = Grants::new(lifetimes[0], lifetimes[1], policy);
        grants.approve(at(0), "code".into(), STATE);
        grants
    }

    #[test]
    fn a_code_is_good_once_and_then_revokes() {
        let mut grants = approved(RefreshTokens::Keep);
        let first = grants.exchange(at(0), "code", STATE, fresh(1));
        assert_eq!(first, Ok(issued("a1", Some("r1"))));
        assert_eq!(grants.check(at(0), "a1"), Ok(()));

        let second = grants.exchange(at(0), "code", STATE, fresh(2));
        assert_eq!(second, Err(NotGood::Spent));
        assert_eq!(grants.check(at(0), "a1"), Err(NotGood::Revoked));
        assert_eq!(grants.check(at(0), "a2"), Err(NotGood::Unknown));
        let refresh = grants.refresh(at(0), "r1", fresh(3));
        assert_eq!(refresh, Err(NotGood::Revoked));
    }

    #[test]
    fn a_second_use_revokes_after_the_code_expired_and_with_any_state() {
        let mut grants = approved(RefreshTokens::Keep);
        grants.exchange(at(0), "code", STATE, fresh(1)).unwrap();
        let second = grants.exchange(at(61), "code", "other", fresh(2));
        assert_eq!(second, Err(NotGood::Spent));
        assert_eq!(grants.check(at(61), "a1"), Err(NotGood::Revoked));
    }

    #[test]
    fn a_second_use_leaves_other_grants_alone() {
        let mut grants = approved(RefreshTokens::Keep);
        grants.approve(at(0), "other".into(), STATE);
        grants.exchange(at(0), "other", STATE, fresh(9)).unwrap();
        for number in [1, 2] {
            let _ = grants.exchange(at(0), "code", STATE, fresh(number));
        }
        assert_eq!(grants.check(at(0), "a9"), Ok(()));
    }

    #[test]
    fn a_code_that_is_not_good() {
        for (code, state, now, because) in [
            ("other", STATE, 0, NotGood::Unknown),
            ("code", "other", 0, NotGood::StateDiffers),
            ("code", STATE, 60, NotGood::Expired),
        ] {
            let mut grants = approved(RefreshTokens::Keep);
            let refused = grants.exchange(at(now), code, state, fresh(1));
            assert_eq!(refused, Err(because));
            // It was not spent by that.
            let exchanged = grants.exchange(at(59), "code", STATE, fresh(2));
            assert_eq!(exchanged, Ok(issued("a2", Some("r2"))));
        }
    }

    #[test]
    fn an_access_token_expires() {
        let mut grants = approved(RefreshTokens::Keep);
        grants.exchange(at(10), "code", STATE, fresh(1)).unwrap();
        assert_eq!(grants.check(at(109), "a1"), Ok(()));
        assert_eq!(grants.check(at(110), "a1"), Err(NotGood::Expired));
        // A refresh token does not.
        assert!(grants.refresh(at(1_000_000), "r1", fresh(2)).is_ok());
    }

    #[test]
    fn lifetimes_without_end() {
        let mut grants = Grants::new(Duration::MAX, Duration::MAX, RefreshTokens::Keep);
        grants.approve(at(0), "code".into(), STATE);
        let exchanged = grants.exchange(at(u64::MAX / 2), "code", STATE, fresh(1));
        assert!(exchanged.is_ok());
        assert_eq!(grants.check(at(u64::MAX / 2), "a1"), Ok(()));
    }

    #[test]
    fn a_refresh_keeps_rotates_or_omits_the_refresh_token() {
        for (policy, carried) in [
            (RefreshTokens::Keep, Some("r1")),
            (RefreshTokens::Rotate, Some("r2")),
            (RefreshTokens::Omit, None),
        ] {
            let mut grants = approved(policy);
            grants.exchange(at(0), "code", STATE, fresh(1)).unwrap();
            let refreshed = grants.refresh(at(0), "r1", fresh(2));
            assert_eq!(refreshed, Ok(issued("a2", carried)));
            // The old access token stays good beside the new one.
            assert_eq!(grants.check(at(0), "a1"), Ok(()));
            assert_eq!(grants.check(at(0), "a2"), Ok(()));

            let again = grants.refresh(at(0), "r1", fresh(3));
            assert_eq!(again.is_ok(), policy != RefreshTokens::Rotate);
        }
    }

    #[test]
    fn a_spent_refresh_token_revokes() {
        let mut grants = approved(RefreshTokens::Rotate);
        grants.exchange(at(0), "code", STATE, fresh(1)).unwrap();
        grants.refresh(at(0), "r1", fresh(2)).unwrap();
        let again = grants.refresh(at(0), "r1", fresh(3));
        assert_eq!(again, Err(NotGood::Spent));
        assert_eq!(grants.check(at(0), "a2"), Err(NotGood::Revoked));
        let next = grants.refresh(at(0), "r2", fresh(4));
        assert_eq!(next, Err(NotGood::Revoked));
    }

    #[test]
    fn any_secret_of_a_grant_revokes_it() {
        for (secret, revoked) in [("code", true), ("a1", true), ("r1", true), ("x", false)] {
            let mut grants = approved(RefreshTokens::Keep);
            grants.exchange(at(0), "code", STATE, fresh(1)).unwrap();
            assert_eq!(grants.revoke(secret), revoked, "{secret}");
            assert_eq!(grants.check(at(0), "a1").is_err(), revoked, "{secret}");
        }
        let mut grants = approved(RefreshTokens::Keep);
        assert!(grants.revoke("code"));
        let exchanged = grants.exchange(at(0), "code", STATE, fresh(1));
        assert_eq!(exchanged, Err(NotGood::Revoked));
    }
}
