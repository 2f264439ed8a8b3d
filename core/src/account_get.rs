//! `GET https://api.hellosign.com/v3/account`: whose token it is.
//!
//! Source: the operation `accountGet` of the vendor's OpenAPI description.

use alloc::{string::String, vec::Vec};

use http::{HeaderValue, Request, Response, Uri, header};

use crate::{
    error::Error,
    json::{self, Value},
    malformed::{Malformed, Problem},
    operation::{Operation, Replay},
    prepared::USER_AGENT,
    rate_limit::RateLimit,
    response,
    token::Token,
};

/// Asks for the account behind an access token, the first call that everybody makes with a new
/// one: made by [`App::account`](crate::App::account).
#[derive(Clone, Debug)]
#[doc(alias("accountGet", "AccountGetRequest"))]
#[must_use = "an operation does nothing until its request is sent"]
pub struct AccountGet {
    endpoint: Uri,
    access_token: Token,
}

/// The account behind an access token; the vendor's answer has more members, which are ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
#[doc(alias("AccountGetResponse", "AccountResponse"))]
#[non_exhaustive]
pub struct Account {
    /// `account_id`.
    pub account_id: String,
    /// `email_address`.
    pub email_address: String,
    /// How many requests are left.
    pub rate_limit: RateLimit,
}

impl AccountGet {
    pub(crate) fn new(endpoint: Uri, access_token: Token) -> Self {
        Self {
            endpoint,
            access_token,
        }
    }
}

impl Operation for AccountGet {
    type Output = Account;

    fn replay(&self) -> Replay {
        Replay::Safe
    }

    fn request(&self) -> Request<Vec<u8>> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = self.endpoint.clone();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::AUTHORIZATION, self.access_token.bearer());
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        request
    }

    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<Account, Error> {
        let secrets = [self.access_token.expose()];
        let body = response::success(&response, &secrets)?;
        let malformed = |problem| Malformed::new(response.status(), problem);
        let [account, error] = json::object(body, ["account", "error"]).map_err(malformed)?;
        let Some(account) = account else {
            return Err(response::no_result(&response, error, "account", &secrets));
        };
        let account = account.object();
        let account = account.ok_or(malformed(Problem::InvalidMember("account")))?;
        let [account_id, email_address] =
            json::object(account, ["account_id", "email_address"]).map_err(malformed)?;
        let text = |name, value: Option<Value<'_>>| {
            let value = value.ok_or(malformed(Problem::MissingMember(name)))?;
            let text = value.string().filter(|text| {
                // It is shown to people: it must not move their cursor, nor be the token.
                let hidden = secrets.iter().any(|secret| text.contains(secret));
                !hidden && !text.contains(char::is_control)
            });
            let text = text.ok_or(malformed(Problem::InvalidMember(name)))?;
            Ok::<_, Malformed>(String::from(&*text))
        };
        Ok(Account {
            account_id: text("account.account_id", account_id)?,
            email_address: text("account.email_address", email_address)?,
            rate_limit: RateLimit::from_headers(response.headers()),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::app::App;

    fn operation() -> AccountGet {
        let app = App::new(
            "cc91c61d00f8bb2ece1428035716b",
            "1d14434088507ffa390e6f5528465",
        );
        app.unwrap().account(&Token::new("NWNiOTMx").unwrap())
    }

    #[test]
    fn the_request_byte_for_byte() {
        let request = operation().request();
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri(), "https://api.hellosign.com/v3/account");
        assert_eq!(request.headers()[header::ACCEPT], "application/json");
        assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer NWNiOTMx");
        assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
        assert_eq!(request.headers()[header::USER_AGENT], USER_AGENT);
        assert_eq!(request.headers().len(), 3);
        assert!(request.body().is_empty());
    }

    #[test]
    fn the_response_is_an_account_or_says_why_not() {
        for (body, outcome) in [
            (
                r#"{"account":{"account_id":"5008","email_address":"me@dropboxsign.com","quotas":{},"is_locked":false},"warnings":[]}"#,
                Ok(("5008", "me@dropboxsign.com")),
            ),
            (
                r#"{"account":{"account_id":"5008"}}"#,
                Err("`account.email_address` is missing"),
            ),
            (
                r#"{"account":{"account_id":5008,"email_address":"m"}}"#,
                Err("`account.account_id` has an invalid value"),
            ),
            (
                r#"{"account":{"account_id":"of NWNiOTMx","email_address":"m"}}"#,
                Err("`account.account_id` has an invalid value"),
            ),
            (
                r#"{"account":{"account_id":"5008","email_address":"m\u001b[2J"}}"#,
                Err("`account.email_address` has an invalid value"),
            ),
            (r#"{"account":7}"#, Err("`account` has an invalid value")),
            (r#"{"team":{}}"#, Err("`account` is missing")),
            (
                r#"{"error":{"error_name":"unauthorized","error_msg":"NWNiOTMx is old"}}"#,
                Err("rejected the request: 200 unauthorized ([redacted] is old)"),
            ),
        ] {
            match (operation().parse(Response::new(body)), outcome) {
                (Ok(account), Ok(expected)) => {
                    assert_eq!((&*account.account_id, &*account.email_address), expected);
                }
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{error}");
                }
                (result, _) => panic!("{body}: {result:?}"),
            }
        }
    }
}
