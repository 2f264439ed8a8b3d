//! `GET https://api.hellosign.com/v3/account`: returns the account of an access token.
//!
//! Source: the operation `accountGet` of the vendor's OpenAPI description.

use alloc::{string::String, vec::Vec};

use http::{HeaderValue, Request, Response, Uri, header};

use super::{Operation, Replay, credentials::USER_AGENT};
use crate::{
    json::{self, Value},
    response::{self, error::Error, problem::Problem, rate_limit::RateLimit, rejection::Endpoint},
    token::Token,
};

/// Gets the account of an access token. It is the usual first call with a new token. Returned by
/// [`App::account`](crate::App::account).
#[derive(Clone, Debug)]
#[doc(alias("accountGet", "AccountGetRequest"))]
#[must_use = "an operation does nothing until its request is sent"]
pub struct AccountGet {
    endpoint: Uri,
    access_token: Token,
}

/// The account of an access token. The other members of the vendor's response are ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
#[doc(alias("AccountGetResponse", "AccountResponse"))]
#[non_exhaustive]
pub struct Account {
    /// `account_id`.
    pub account_id: String,
    /// `email_address`.
    pub email_address: String,
    /// The rate limit at the time of the response.
    pub rate_limit: RateLimit,
}

impl AccountGet {
    pub(crate) fn new(endpoint: Uri, access_token: Token) -> Self {
        Self { endpoint, access_token }
    }
}

impl Operation for AccountGet {
    type Output = Account;

    fn name(&self) -> &'static str {
        "accountGet"
    }

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
        let body = response::json_body(&response, &secrets)?;
        let invalid = |problem| response::malformed(&response, problem);
        let not_json = |error| response::not_json(&response, error, &secrets);
        let names = ["account", "error", "error_description"];
        let [account, error, description] = json::object(body, &names).map_err(not_json)?.values();
        let Some(account) = account else {
            let error = [error, description];
            return Err(response::missing_result(&response, Endpoint::Api, error, &secrets)
                .unwrap_or_else(|| invalid(Problem::MissingMember("account"))));
        };
        let account = account.object();
        let account = account.ok_or_else(|| invalid(Problem::InvalidMember("account")))?;
        let names = ["account_id", "email_address"];
        let [account_id, email_address] = json::object(account, &names).map_err(not_json)?.values();
        let text = |name, value: Option<Value<'_>>| {
            let value = value.ok_or_else(|| invalid(Problem::MissingMember(name)))?;
            let text = value.string().filter(|text| {
                // Programs display it, so it must not move the cursor or contain the token.
                let has_secret = secrets.iter().any(|secret| text.contains(secret));
                !has_secret && !text.contains(char::is_control)
            });
            let text = text.ok_or_else(|| invalid(Problem::InvalidMember(name)))?;
            Ok::<_, Error>(String::from(&*text))
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
        let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465");
        app.unwrap().account(&Token::new("NWNiOTMx").unwrap())
    }

    #[test]
    fn builds_the_request_byte_for_byte() {
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
    fn parses_an_account_or_states_the_problem() {
        for (body, outcome) in [
            (
                r#"{"account":{"account_id":"5008","email_address":"me@dropboxsign.com","quotas":{},"is_locked":false},"warnings":[]}"#,
                Ok(("5008", "me@dropboxsign.com")),
            ),
            (r#"{"account":{"account_id":"5008"}}"#, Err("missing member `account.email_address`")),
            (
                r#"{"account":{"account_id":5008,"email_address":"m"}}"#,
                Err("invalid value of member `account.account_id`"),
            ),
            (
                r#"{"account":{"account_id":"of NWNiOTMx","email_address":"m"}}"#,
                Err("invalid value of member `account.account_id`"),
            ),
            (
                r#"{"account":{"account_id":"5008","email_address":"m\u001b[2J"}}"#,
                Err("invalid value of member `account.email_address`"),
            ),
            (r#"{"account":7}"#, Err("invalid value of member `account`")),
            (r#"{"team":{}}"#, Err("missing member `account`")),
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
