//! `POST https://app.hellosign.com/oauth/token?refresh`: refreshes an access token.
//!
//! Source: the operation `oauthTokenRefresh` of the vendor's OpenAPI description, and
//! RFC 6749 §6.

use alloc::{sync::Arc, vec::Vec};

use http::{Request, Response};

use super::{Operation, Replay, credentials::Credentials};
use crate::{
    json,
    response::{
        error::Error,
        token_response::{self, TokenResponse},
    },
    token::Token,
};

/// Exchanges a refresh token for a new access token. Returned by
/// [`App::refresh`](crate::App::refresh).
///
/// If the response has no refresh token, the old one stays valid and is part of the result.
#[derive(Clone, Debug)]
#[doc(alias("oauthTokenRefresh", "OAuthTokenRefreshRequest", "exchange_refresh_token"))]
#[must_use = "an operation does nothing until its request is sent"]
pub struct TokenRefresh {
    app: Arc<Credentials>,
    refresh_token: Token,
}

impl TokenRefresh {
    pub(crate) fn new(app: Arc<Credentials>, refresh_token: Token) -> Self {
        Self { app, refresh_token }
    }
}

impl Operation for TokenRefresh {
    type Output = TokenResponse;

    fn name(&self) -> &'static str {
        "oauthTokenRefresh"
    }

    fn replay(&self) -> Replay {
        Replay::Safe
    }

    fn request(&self) -> Request<Vec<u8>> {
        let (comma, credentials) = if self.app.settings.authenticates_refresh {
            (",", self.app.body_members())
        } else {
            ("", "")
        };
        let body = [
            r#"{"grant_type":"refresh_token","refresh_token":""#,
            &json::escape(self.refresh_token.expose()),
            "\"",
            comma,
            credentials,
            "}",
        ];
        self.app.refresh_request(&body)
    }

    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<TokenResponse, Error> {
        let [secret, key, basic] = self.app.secrets();
        let secrets = [secret, key, basic, self.refresh_token.expose()];
        let mut tokens = token_response::parse(&response, None, &secrets)?;
        tokens.refresh_token.get_or_insert(self.refresh_token);
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::app::{App, AppBuilder};

    fn operation(app: AppBuilder) -> TokenRefresh {
        let refresh_token = Token::new("hNTI2MTFm").unwrap();
        app.build().unwrap().refresh(&refresh_token)
    }

    fn app() -> AppBuilder {
        App::builder("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")
    }

    #[test]
    fn builds_the_request_byte_for_byte() {
        for (app, body) in [
            (
                app(),
                r#"{"grant_type":"refresh_token","refresh_token":"hNTI2MTFm","client_id":"cc91c61d00f8bb2ece1428035716b","client_secret":"1d14434088507ffa390e6f5528465"}"#,
            ),
            (
                app().refresh_without_credentials(),
                r#"{"grant_type":"refresh_token","refresh_token":"hNTI2MTFm"}"#,
            ),
        ] {
            let operation = operation(app);
            assert_eq!(operation.replay(), Replay::Safe);
            let request = operation.request();
            assert_eq!(request.method(), "POST");
            assert_eq!(request.uri(), "https://app.hellosign.com/oauth/token?refresh");
            assert_eq!(request.headers().len(), 4);
            assert_eq!(String::from_utf8(request.into_body()).unwrap(), body);
        }
    }

    #[test]
    fn keeps_the_old_refresh_token_unless_there_is_a_new_one() {
        for (body, refresh_token) in [
            (r#"{"access_token":"a"}"#, "hNTI2MTFm"),
            (r#"{"access_token":"a","refresh_token":null}"#, "hNTI2MTFm"),
            (r#"{"access_token":"a","refresh_token":""}"#, "hNTI2MTFm"),
            (r#"{"access_token":"a","refresh_token":"n3w"}"#, "n3w"),
            // The request has no state, so there is nothing to compare with.
            (r#"{"access_token":"a","state":"900e06e2"}"#, "hNTI2MTFm"),
        ] {
            let tokens = operation(app()).parse(Response::new(body)).unwrap();
            let refresh_token = Token::new(refresh_token).unwrap();
            assert_eq!(tokens.refresh_token, Some(refresh_token), "{body}");
        }
    }
}
