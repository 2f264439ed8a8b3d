//! The service: it issues numbered tokens, and may rotate refresh tokens.

use core::time::Duration;
use std::{format, string::String, vec::Vec};

use crate::{Token, TokenSet, UnixTime};

/// How the service behaves.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
pub(super) struct Behaviour {
    /// A refresh invalidates its refresh token and issues another.
    pub(super) rotates: bool,
    /// A spent refresh token that is sent again revokes the whole family.
    pub(super) revokes_families: bool,
    /// The lifetime of an access token in seconds.
    pub(super) lifetime: u64,
    /// A refresh issues the same access token again.
    pub(super) repeats_access_token: bool,
    /// How the service responds to every refresh instead of issuing tokens.
    pub(super) rejection: Option<(u16, &'static str)>,
    /// The service rejects every access token.
    pub(super) rejects_access_tokens: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            rotates: true,
            revokes_families: true,
            lifetime: 86_400,
            repeats_access_token: false,
            rejection: None,
            rejects_access_tokens: false,
        }
    }
}

/// The tokens of one authorization.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// The number of its last refresh, which is part of the tokens.
    pub(super) generation: u32,
    pub(super) is_revoked: bool,
    /// Whether its tokens may have been lost in a way that no client can prevent.
    pub(super) is_excused: bool,
    pub(super) begun: UnixTime,
    expires_at: UnixTime,
    /// The id that the session has chosen for the authorization.
    pub(super) grant: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) behaviour: Behaviour,
    pub(super) families: Vec<Family>,
    pub(super) refreshes: u32,
}

impl Service {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, families: Vec::new(), refreshes: 0 }
    }

    /// The user authorizes.
    pub(super) fn authorize(&mut self, now: UnixTime, grant: u64) -> TokenSet {
        let number = self.families.len();
        let expires_at = self.expiry(now);
        self.families.push(Family {
            generation: 0,
            is_revoked: false,
            is_excused: false,
            begun: now,
            expires_at,
            grant,
        });
        TokenSet {
            access_token: token(&format!("a{number}.0")),
            refresh_token: Some(token(&format!("r{number}.0"))),
            expires_at: Some(expires_at),
        }
    }

    /// The user revokes all authorizations.
    pub(super) fn revoke(&mut self) {
        self.families.iter_mut().for_each(|family| family.is_revoked = true);
    }

    /// Returns the status and the body of the response.
    pub(super) fn refresh(&mut self, now: UnixTime, refresh_token: &Token) -> (u16, String) {
        self.refreshes += 1;
        let behaviour = self.behaviour;
        if let Some((status, code)) = behaviour.rejection {
            return (status, format!(r#"{{"error":"{code}"}}"#));
        }
        let (number, generation) = parse(refresh_token);
        let expires_at = self.expiry(now);
        let family = &mut self.families[number];
        let is_spent = behaviour.rotates && generation != family.generation;
        family.is_revoked |= is_spent && behaviour.revokes_families;
        if family.is_revoked || is_spent {
            return (400, r#"{"error":"invalid_grant"}"#.into());
        }
        family.generation += 1;
        family.expires_at = expires_at;
        let generation = family.generation;
        let access = if behaviour.repeats_access_token { 0 } else { generation };
        let refresh_token = if behaviour.rotates {
            format!(r#","refresh_token":"r{number}.{generation}""#)
        } else {
            String::new()
        };
        let lifetime = behaviour.lifetime;
        let tokens = format!(r#""access_token":"a{number}.{access}","expires_in":{lifetime}"#);
        (200, format!("{{{tokens}{refresh_token}}}"))
    }

    pub(super) fn accepts(&self, now: UnixTime, access_token: &Token) -> bool {
        let (number, generation) = parse(access_token);
        let family = &self.families[number];
        let is_latest = generation == family.generation || self.behaviour.repeats_access_token;
        !self.behaviour.rejects_access_tokens
            && !family.is_revoked
            && is_latest
            && now < family.expires_at
    }

    fn expiry(&self, now: UnixTime) -> UnixTime {
        now.saturating_add(Duration::from_secs(self.behaviour.lifetime))
    }
}

pub(super) fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

/// The family and generation of a token.
pub(super) fn parse(token: &Token) -> (usize, u32) {
    let (family, generation) = token.expose()[1..].split_once('.').unwrap();
    (family.parse().unwrap(), generation.parse().unwrap())
}
