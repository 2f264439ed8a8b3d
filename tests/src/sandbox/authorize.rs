//! `GET /oauth/authorize`: the page where a person approves or denies, and the way back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::header::{CACHE_CONTROL, REFERRER_POLICY},
    response::{IntoResponse, Redirect, Response},
};
use dropbox_sign_oauth::{RedirectUri, UnixTime};

use super::{
    EMAIL_ADDRESS,
    html::{Page, Question},
    parameters::{Duplicate, Parameters},
    random,
    service::{Consent, Service, Settings},
};

/// How long a person has to decide.
const TICKET_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// An authorization that was asked for, and found in order.
struct Authorization {
    state: String,
    callback: RedirectUri,
}

/// The authorizations that wait for a person. A ticket stands in the page's form, so that no other
/// page can send the form, and is good for one decision.
#[derive(Default)]
pub(super) struct Tickets(HashMap<String, Ticket>);

struct Ticket {
    authorization: Authorization,
    expires: UnixTime,
}

impl Tickets {
    fn issue(&mut self, now: UnixTime, ticket: String, authorization: Authorization) {
        self.0.retain(|_, ticket| now < ticket.expires);
        let expires = now.saturating_add(TICKET_LIFETIME);
        let waiting = Ticket {
            authorization,
            expires,
        };
        self.0.insert(ticket, waiting);
    }

    fn redeem(&mut self, now: UnixTime, ticket: &str) -> Option<Authorization> {
        let waiting = self.0.remove(ticket)?;
        (now < waiting.expires).then_some(waiting.authorization)
    }
}

#[derive(Clone, Copy)]
enum Decision {
    Approve,
    Deny,
}

/// Asks a person, unless the settings have the answer.
pub(super) async fn ask(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let authorization = match read(&service.settings, &query) {
        Ok(authorization) => authorization,
        Err(reason) => return Page::refusal(&reason).into_response(),
    };
    match service.settings.consent {
        Consent::Ask => {
            let ticket = random::code();
            let page = Page::question(&Question {
                client_id: &service.settings.client_id,
                email_address: EMAIL_ADDRESS,
                callback: authorization.callback.as_str(),
                ticket: &ticket,
            });
            let now = service.clock.now();
            service.tickets().issue(now, ticket, authorization);
            page.into_response()
        }
        Consent::Approve => leave(&service, &authorization, Decision::Approve),
        Consent::Deny => leave(&service, &authorization, Decision::Deny),
    }
}

/// Takes a person's decision.
pub(super) async fn decide(State(service): State<Arc<Service>>, form: Bytes) -> Response {
    let refusal = |reason| Page::refusal(reason).into_response();
    let Ok(form) = Parameters::from_urlencoded(&form) else {
        return refusal("The form was changed on its way.");
    };
    let decision = match form.optional("decision") {
        Some("approve") => Decision::Approve,
        Some("deny") => Decision::Deny,
        _ => return refusal("The form has neither of the two decisions."),
    };
    let now = service.clock.now();
    let ticket = form.optional("ticket").unwrap_or_default();
    let Some(authorization) = service.tickets().redeem(now, ticket) else {
        return refusal("The page is too old, or its question was answered before.");
    };
    leave(&service, &authorization, decision)
}

/// Reads and checks the query; the error is for the person who is asked. It is never told to the
/// callback, which may not be in order either.
fn read(settings: &Settings, query: &str) -> Result<Authorization, String> {
    let query = Parameters::from_urlencoded(query.as_bytes())
        .map_err(|Duplicate(name)| format!("The parameter {name} is there more than once."))?;
    let required = |name| {
        let missing = || format!("The parameter {name} is missing.");
        query.optional(name).ok_or_else(missing)
    };
    if required("client_id")? != settings.client_id {
        return Err("There is no app with this client_id.".into());
    }
    let callback = match (query.optional("redirect_uri"), &settings.callback) {
        (Some(uri), _) => RedirectUri::new(uri)
            .map_err(|_| "The redirect_uri is not an absolute URI without a fragment.")?,
        (None, Some(callback)) => callback.clone(),
        (None, None) => {
            return Err("There is no redirect_uri, and the app has no callback.".into());
        }
    };
    if required("response_type")? != "code" {
        return Err("The response_type is not code.".into());
    }
    let state = required("state")?.to_owned();
    if query.optional("scope").is_some() {
        return Err(
            "The parameter scope is not accepted: scopes are in the app's settings.".into(),
        );
    }
    Ok(Authorization { state, callback })
}

/// Sends the browser back to the app (RFC 6749 §4.1.2 and §4.1.2.1).
fn leave(service: &Service, authorization: &Authorization, decision: Decision) -> Response {
    let callback = authorization.callback.as_str();
    let state = ("state", authorization.state.as_str());
    let uri = match decision {
        Decision::Approve => {
            let code = service.issue_code(&authorization.state);
            with_parameters(callback, &[("code", &code), state])
        }
        Decision::Deny => with_parameters(
            callback,
            &[
                ("error", "access_denied"),
                ("error_description", "The user denied the request"),
                state,
            ],
        ),
    };
    // 303, so that no browser sends the form on (RFC 9700 §4.12).
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Redirect::to(&uri)).into_response()
}

/// A callback with parameters behind those that it has.
fn with_parameters(callback: &str, parameters: &[(&str, &str)]) -> String {
    let separator = if callback.contains('?') { '&' } else { '?' };
    let prefix = format!("{callback}{separator}");
    let start = prefix.len();
    form_urlencoded::Serializer::for_suffix(prefix, start)
        .extend_pairs(parameters)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_behind_those_of_the_callback() {
        let parameters = [("code", "1b0d"), ("state", "a b&c")];
        for (callback, expected) in [
            ("http://h/cb", "http://h/cb?code=1b0d&state=a+b%26c"),
            ("http://h/cb?t=1", "http://h/cb?t=1&code=1b0d&state=a+b%26c"),
        ] {
            assert_eq!(with_parameters(callback, &parameters), expected);
        }
    }

    #[test]
    fn a_ticket_is_good_once_and_for_an_hour() {
        let at = |seconds: u64| UnixTime::from_secs(1_000_000 + seconds);
        for (first, second, good) in [(3599, 3599, true), (3600, 3600, false)] {
            let mut tickets = Tickets::default();
            let authorization = Authorization {
                state: "900e06e2".into(),
                callback: RedirectUri::new("http://127.0.0.1/cb").unwrap(),
            };
            tickets.issue(at(0), "ticket".into(), authorization);
            assert!(tickets.redeem(at(0), "other").is_none());
            assert_eq!(tickets.redeem(at(first), "ticket").is_some(), good);
            assert!(tickets.redeem(at(second), "ticket").is_none());
        }
    }
}
