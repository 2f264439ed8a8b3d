//! `POST https://app.hellosign.com/oauth/token`: exchanges a code for tokens.
//!
//! Source: the vendor's page "OAuth Token Generate", and RFC 6749 §4.1.3.

use alloc::{sync::Arc, vec::Vec};

use http::{Request, Response};

use super::{Operation, Replay, credentials::Credentials};
use crate::{
    authorize::callback::AuthorizationCode,
    json,
    response::{
        error::Error,
        token_response::{self, TokenResponse},
    },
};

/// Exchanges a code for tokens, once. Returned by [`App::generate`](crate::App::generate).
#[derive(Debug)]
#[doc(alias("oauthTokenGenerate", "OAuthTokenGenerateRequest", "exchange_code"))]
#[must_use = "an operation does nothing until its request is sent"]
pub struct TokenGenerate {
    app: Arc<Credentials>,
    code: AuthorizationCode,
}

impl TokenGenerate {
    pub(crate) fn new(app: Arc<Credentials>, code: AuthorizationCode) -> Self {
        Self { app, code }
    }
}

impl Operation for TokenGenerate {
    type Output = TokenResponse;

    fn name(&self) -> &'static str {
        "oauthTokenGenerate"
    }

    fn replay(&self) -> Replay {
        Replay::Never
    }

    fn request(&self) -> Request<Vec<u8>> {
        // In the order of the vendor's SDKs, so that bodies can be compared byte for byte.
        let body = [
            "{",
            self.app.body_members(),
            r#","code":""#,
            &json::escape(self.code.expose()),
            r#"","grant_type":"authorization_code","state":""#,
            &json::escape(self.code.state().as_str()),
            r#""}"#,
        ];
        self.app.generate_request(&body)
    }

    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<TokenResponse, Error> {
        let state = self.code.state();
        let [secret, key, basic] = self.app.secrets();
        let secrets = [secret, key, basic, self.code.expose(), state.as_str()];
        token_response::parse(&response, Some(state), &secrets)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{
        format,
        string::{String, ToString},
        vec::Vec,
    };

    use http::header;

    use super::*;
    use crate::{
        app::{App, AppBuilder},
        endpoints::Endpoints,
        state::State,
    };

    const ID: &str = "cc91c61d00f8bb2ece1428035716b";
    const SECRET: &str = "1d14434088507ffa390e6f5528465";

    fn operation(app: AppBuilder) -> TokenGenerate {
        let state = State::from_stored("900e06e2").unwrap();
        let app = app.build().unwrap();
        let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state);
        app.generate(code.unwrap())
    }

    fn authorization(operation: &TokenGenerate) -> Option<String> {
        let request = operation.request();
        let value = request.headers().get(header::AUTHORIZATION)?;
        assert!(value.is_sensitive());
        Some(value.to_str().unwrap().to_string())
    }

    #[test]
    fn builds_the_request_byte_for_byte() {
        let operation = operation(App::builder(ID, SECRET));
        assert_eq!(operation.replay(), Replay::Never);
        let request = operation.request();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://app.hellosign.com/oauth/token");
        let mut headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            [
                "accept: application/json",
                "authorization: Basic Y2M5MWM2MWQwMGY4YmIyZWNlMTQyODAzNTcxNmI6MWQxNDQzNDA4ODUwN2ZmYTM5MGU2ZjU1Mjg0NjU=",
                "content-type: application/json",
                concat!("user-agent: dropbox-sign-oauth/", env!("CARGO_PKG_VERSION")),
            ]
        );
        assert_eq!(
            String::from_utf8(request.into_body()).unwrap(),
            r#"{"client_id":"cc91c61d00f8bb2ece1428035716b","client_secret":"1d14434088507ffa390e6f5528465","code":"1b0d28d90c86c141","grant_type":"authorization_code","state":"900e06e2"}"#
        );
    }

    #[test]
    fn every_authorization_option_sends_the_same_body() {
        let body = operation(App::builder(ID, SECRET)).request().into_body();
        for (app, header) in [
            (App::builder(ID, SECRET).basic_api_key("k3y"), Some("Basic azN5Og==")),
            (App::builder(ID, SECRET).without_basic(), None),
        ] {
            let operation = operation(app);
            assert_eq!(authorization(&operation).as_deref(), header);
            assert_eq!(operation.request().into_body(), body);
        }
        // RFC 6749 §2.3.1: each half is form-encoded first.
        let encoded = operation(App::builder("a:b", "c+/=%"));
        let pair = "Basic YSUzQWI6YyUyQiUyRiUzRCUyNQ=="; // a%3Ab:c%2B%2F%3D%25
        assert_eq!(authorization(&encoded).as_deref(), Some(pair));
    }

    #[test]
    fn uses_custom_endpoints_and_escapes_json() {
        let endpoints = Endpoints::at("http://127.0.0.1:8080").unwrap();
        let app = App::builder(r#"i"d"#, r"s\t").endpoints(endpoints);
        let request = operation(app).request();
        assert_eq!(request.uri(), "http://127.0.0.1:8080/oauth/token");
        let body = String::from_utf8(request.into_body()).unwrap();
        assert!(
            body.starts_with(r#"{"client_id":"i\"d","client_secret":"s\\t","code":"#),
            "{body}"
        );
    }
}
