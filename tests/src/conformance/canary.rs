//! Secrets that can be found wherever they leak.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth::{
    App, AuthorizationCode, Endpoints, PlainHttp, State, Token, TokenResponse,
};

use super::TokenOperation;
use crate::{
    fault::Kind,
    peer::{Script, Values},
};

/// The name of a secret, and a text by which it would show.
pub(super) type Needle = (&'static str, String);

/// The secrets of one case. No two cases share one.
#[derive(Clone)]
pub(super) struct Canaries {
    serial: u64,
    /// Whether a response of the server has the refresh token.
    sends_refresh_token: bool,
}

const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";

const NAMES: [&str; 6] =
    ["client_secret", "api_key", "code", "state", "access_token", "refresh_token"];

impl Canaries {
    pub(super) fn new() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);

        Self { serial: SERIAL.fetch_add(1, Relaxed), sends_refresh_token: false }
    }

    /// The same, for a server that plays these scripts.
    pub(super) fn sent_by(&self, scripts: &[Script]) -> Self {
        let refresh_token = self.secret("refresh_token");
        let sends_refresh_token = scripts.iter().any(|script| script.sends(&refresh_token));
        Self { sends_refresh_token, ..*self }
    }

    fn secret(&self, name: &str) -> String {
        format!("canary-{}-{:08}", name.replace('_', "-"), self.serial)
    }

    /// Returns the secrets as values of a server's templates.
    pub(super) fn values(&self) -> Values {
        let token = self.secret("access_token");
        let escaped: Vec<_> = token.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        let values = Values::new().with("escaped_access_token", escaped.concat());
        NAMES.iter().fold(values, |values, name| values.with(name, self.secret(name)))
    }

    /// Returns every text by which a secret would show.
    pub(super) fn needles(&self) -> Vec<Needle> {
        let pair = format!("{CLIENT_ID}:{}", self.secret("client_secret"));
        let mut needles = vec![
            ("client_secret", BASE64_STANDARD.encode(pair)),
            ("api_key", BASE64_STANDARD.encode(format!("{}:", self.secret("api_key")))),
        ];
        for name in NAMES {
            let secret = self.secret(name);
            // Some types print bytes as numbers.
            let numbers = format!("{:?}", secret.as_bytes());
            needles.push((name, numbers.trim_matches(['[', ']']).into()));
            needles.push((name, secret));
        }
        needles
    }

    /// Returns the operations that send the secrets to a server at `base`.
    pub(super) fn operations(&self, base: &str, kinds: &[Kind]) -> Vec<TokenOperation> {
        // Here the transport decides whether plain HTTP may leave the machine.
        let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere);
        let app = App::builder(CLIENT_ID, &self.secret("client_secret"))
            .basic_api_key(&self.secret("api_key"))
            .endpoints(endpoints.expect("a valid base"))
            .build()
            .expect("credentials of visible ASCII");
        let operation = |kind: &Kind| match kind {
            Kind::Generate => {
                let state = State::from_stored(&self.secret("state")).expect("visible ASCII");
                let code = AuthorizationCode::new(&self.secret("code"), state);
                TokenOperation::Generate(app.generate(code.expect("visible ASCII")))
            }
            Kind::Refresh => {
                let token = Token::new(&self.secret("refresh_token")).expect("visible ASCII");
                TokenOperation::Refresh(app.refresh(&token))
            }
        };
        kinds.iter().map(operation).collect()
    }

    /// Returns whether the tokens are those of this case.
    pub(super) fn are_in(&self, response: &TokenResponse) -> bool {
        let refresh_token = response.refresh_token.as_ref();
        response.access_token.expose() == self.secret("access_token")
            && refresh_token.map_or(!self.sends_refresh_token, |token| {
                token.expose() == self.secret("refresh_token")
            })
    }
}
