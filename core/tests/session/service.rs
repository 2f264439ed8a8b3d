//! The service: it issues numbered tokens, and may rotate refresh tokens.

use std::time::Duration;

use dropbox_sign_oauth::{Token, TokenSet, UnixTime};
use http::{Response, StatusCode};

/// How the service behaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
pub(crate) struct Behaviour {
    /// A refresh invalidates its refresh token and issues another.
    pub(crate) rotates: bool,
    /// A spent refresh token that is sent again revokes the whole family.
    pub(crate) revokes_families: bool,
    /// The lifetime of an access token in seconds.
    pub(crate) lifetime: u64,
    /// A refresh issues the same access token again.
    pub(crate) repeats_access_token: bool,
    /// How the service responds to every refresh instead of issuing tokens.
    pub(crate) rejection: Option<(u16, &'static str)>,
    /// The service rejects every access token.
    pub(crate) rejects_access_tokens: bool,
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
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Family {
    /// The number of its last refresh, which is part of the tokens.
    generation: u32,
    is_revoked: bool,
    expires_at: UnixTime,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Service {
    pub(crate) behaviour: Behaviour,
    families: Vec<Family>,
    pub(crate) refreshes: u32,
}

impl Service {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, families: Vec::new(), refreshes: 0 }
    }

    /// The user authorizes.
    pub(crate) fn authorize(&mut self, now: UnixTime) -> TokenSet {
        let family = self.families.len();
        let expires_at = self.expiry(now);
        self.families.push(Family { generation: 0, is_revoked: false, expires_at });
        TokenSet {
            access_token: token(&format!("a{family}.0")),
            refresh_token: Some(token(&format!("r{family}.0"))),
            expires_at: Some(expires_at),
        }
    }

    /// The user revokes all authorizations.
    pub(crate) fn revoke(&mut self) {
        for family in &mut self.families {
            family.is_revoked = true;
        }
    }

    pub(crate) fn families(&self) -> usize {
        self.families.len()
    }

    pub(crate) fn refresh(&mut self, now: UnixTime, request: &[u8]) -> Response<String> {
        self.refreshes += 1;
        let request: serde_json::Value = serde_json::from_slice(request).unwrap();
        let refresh_token = request["refresh_token"].as_str().unwrap();
        let (number, generation) = parse(refresh_token);
        let expires_at = self.expiry(now);
        let Behaviour {
            rotates, revokes_families, lifetime, repeats_access_token, rejection, ..
        } = self.behaviour;
        if let Some((status, code)) = rejection {
            return response(status, &serde_json::json!({ "error": code }));
        }
        let family = &mut self.families[number];
        if rotates && generation != family.generation {
            family.is_revoked |= revokes_families;
        }
        if family.is_revoked || (rotates && generation != family.generation) {
            return response(400, &serde_json::json!({ "error": "invalid_grant" }));
        }
        family.generation += 1;
        family.expires_at = expires_at;
        let generation = family.generation;
        let access = if repeats_access_token { 0 } else { generation };
        let mut body = serde_json::json!({
            "access_token": format!("a{number}.{access}"),
            "expires_in": lifetime,
        });
        if rotates {
            body["refresh_token"] = format!("r{number}.{generation}").into();
        }
        response(200, &body)
    }

    pub(crate) fn accepts(&self, now: UnixTime, access_token: &str) -> bool {
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

pub(crate) fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

/// The family and generation of a token.
pub(crate) fn parse(token: &str) -> (usize, u32) {
    let (family, generation) = token[1..].split_once('.').unwrap();
    (family.parse().unwrap(), generation.parse().unwrap())
}

fn response(status: u16, body: &serde_json::Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
