//! Secrets that can be found wherever they leak.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth::{App, AuthorizationCode, Endpoints, PlainHttp, State, Token};

use super::TokenOperation;
use crate::{
    fault::Kind,
    peer::{Script, Values},
};

/// The secrets of one case. No two cases share one.
#[derive(Clone, Debug)]
pub(super) struct Canaries {
    client_secret: String,
    api_key: String,
    code: String,
    state: String,
    access_token: String,
    refresh_token: String,
    /// Whether a response of the server has the refresh token.
    sends_refresh_token: bool,
}

const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";

impl Canaries {
    pub(super) fn new() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);

        let serial = SERIAL.fetch_add(1, Relaxed);
        let canary = |kind: &str| format!("canary-{kind}-{serial:08}");
        Self {
            client_secret: canary("client-secret"),
            api_key: canary("api-key"),
            code: canary("code"),
            state: canary("state"),
            access_token: canary("access-token"),
            refresh_token: canary("refresh-token"),
            sends_refresh_token: false,
        }
    }

    /// The same, for a server that plays these scripts.
    pub(super) fn sent_by(self, scripts: &[Script]) -> Self {
        let sends = |script: &Script| script.sends(&self.refresh_token);
        Self { sends_refresh_token: scripts.iter().any(sends), ..self }
    }

    fn named(&self) -> [(&'static str, &str); 6] {
        [
            ("client_secret", &self.client_secret),
            ("api_key", &self.api_key),
            ("code", &self.code),
            ("state", &self.state),
            ("access_token", &self.access_token),
            ("refresh_token", &self.refresh_token),
        ]
    }

    /// Returns the secrets as values of a server's templates.
    pub(super) fn values(&self) -> Values {
        let bytes = self.access_token.bytes();
        let escapes: Vec<String> = bytes.map(|byte| format!("\\u{byte:04x}")).collect();
        self.named().into_iter().fold(
            Values::new().with("escaped_access_token", escapes.concat()),
            |values, (name, value)| values.with(name, value),
        )
    }

    /// Returns every text by which a secret would show.
    pub(super) fn needles(&self) -> Vec<Needle> {
        let needle = |secret, text: String| Needle { secret, text };
        let plain = self.named().map(|(secret, value)| needle(secret, value.into()));
        // Some types print bytes as numbers.
        let numbers = self.named().map(|(secret, value)| {
            let bytes = format!("{:?}", value.as_bytes());
            needle(secret, bytes.trim_matches(['[', ']']).into())
        });
        let basic = [
            ("client_secret", format!("{CLIENT_ID}:{}", self.client_secret)),
            ("api_key", format!("{}:", self.api_key)),
        ];
        let basic = basic.map(|(secret, pair)| needle(secret, BASE64_STANDARD.encode(pair)));
        plain.into_iter().chain(numbers).chain(basic).collect()
    }

    /// Returns the operations that send the secrets to a server at `base`.
    pub(super) fn operations(&self, base: &str, kinds: &[Kind]) -> Vec<TokenOperation> {
        // Here the transport decides whether plain HTTP may leave the machine.
        let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere);
        let app = App::builder(CLIENT_ID, &self.client_secret)
            .basic_api_key(&self.api_key)
            .endpoints(endpoints.expect("a valid base"))
            .build()
            .expect("credentials of visible ASCII");
        let operation = |kind: &Kind| match kind {
            Kind::Generate => {
                let state = State::from_stored(&self.state).expect("visible ASCII");
                let code = AuthorizationCode::new(&self.code, state).expect("visible ASCII");
                TokenOperation::Generate(app.generate(code))
            }
            Kind::Refresh => {
                let token = Token::new(&self.refresh_token).expect("visible ASCII");
                TokenOperation::Refresh(app.refresh(&token))
            }
        };
        kinds.iter().map(operation).collect()
    }

    /// Returns whether the tokens are those of this case.
    pub(super) fn are_tokens(&self, access_token: &Token, refresh_token: Option<&Token>) -> bool {
        access_token.expose() == self.access_token
            && match refresh_token {
                Some(token) => token.expose() == self.refresh_token,
                None => !self.sends_refresh_token,
            }
    }
}

/// A text by which a secret would show.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    /// The name of the secret.
    pub(super) secret: &'static str,
    text: String,
}

impl Needle {
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(&self.text)
    }
}
