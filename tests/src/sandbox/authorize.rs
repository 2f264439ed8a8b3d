//! `GET /oauth/authorize`: the page on which the user approves or denies, and the redirect.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::header::{CACHE_CONTROL, REFERRER_POLICY},
    response::{IntoResponse, Redirect, Response},
};
use dropbox_sign_oauth::{RedirectUri, UnixTime};

use super::{
    account::{ACCOUNTS, Account},
    bounded::Bounded,
    html::{Page, Question},
    parameters::{Duplicate, Parameters},
    random,
    service::{Consent, Service, Settings},
};

/// How long the user has to decide.
const TICKET_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A valid authorization request.
struct Authorization {
    state: String,
    callback: RedirectUri,
}

/// The authorization requests that wait for the user's decision, by ticket. A ticket is a random
/// value in the page's form, so that no other page can submit the form. It is valid for one
/// decision.
#[derive(Default)]
pub(super) struct Tickets(Bounded<Ticket>);

struct Ticket {
    authorization: Authorization,
    expires: UnixTime,
}

impl Tickets {
    fn issue(&mut self, now: UnixTime, ticket: String, authorization: Authorization) {
        let waiting = Ticket { authorization, expires: now.saturating_add(TICKET_LIFETIME) };
        self.0.insert(ticket, waiting);
    }

    fn redeem(&mut self, now: UnixTime, ticket: &str) -> Option<Authorization> {
        let waiting = self.0.remove(ticket)?;
        (now < waiting.expires).then_some(waiting.authorization)
    }
}

#[derive(Clone, Copy)]
enum Decision {
    Approve(&'static Account),
    Deny,
}

/// Shows the authorize page, unless the settings decide.
pub(super) async fn ask(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
) -> Response {
    let settings = &service.settings;
    let authorization = match read(settings, &query.unwrap_or_default()) {
        Ok(authorization) => authorization,
        Err(reason) => return Page::refusal(&reason).into_response(),
    };
    match settings.consent {
        Consent::Ask => {
            let ticket = random::code();
            let page = Page::question(&Question {
                client_id: &settings.client_id,
                accounts: settings.accounts,
                callback: authorization.callback.as_str(),
                ticket: &ticket,
            });
            let now = service.clock.now();
            service.tickets().issue(now, ticket, authorization);
            page.into_response()
        }
        Consent::Approve => redirect(&service, &authorization, Decision::Approve(&ACCOUNTS[0])),
        Consent::Deny => redirect(&service, &authorization, Decision::Deny),
    }
}

/// Handles the user's decision.
pub(super) async fn decide(State(service): State<Arc<Service>>, form: Bytes) -> Response {
    let refusal = |reason| Page::refusal(reason).into_response();
    let Ok(form) = Parameters::from_urlencoded(&form) else {
        return refusal("The form has a duplicate field.");
    };
    let accounts = service.settings.accounts;
    let decision = match form.optional("decision") {
        Some("approve") => Decision::Approve(&accounts[0]),
        Some("approve-second") if accounts.len() > 1 => Decision::Approve(&accounts[1]),
        Some("deny") => Decision::Deny,
        _ => return refusal("The form has no decision."),
    };
    let now = service.clock.now();
    let ticket = form.optional("ticket").unwrap_or_default();
    let Some(authorization) = service.tickets().redeem(now, ticket) else {
        return refusal("The page has expired or was already used.");
    };
    redirect(&service, &authorization, decision)
}

/// Parses and checks the query. An error is shown to the user and not sent to the callback, which
/// may itself be invalid.
fn read(settings: &Settings, query: &str) -> Result<Authorization, String> {
    let query = Parameters::from_urlencoded(query.as_bytes())
        .map_err(|Duplicate(name)| format!("Duplicate parameter {name}."))?;
    let required = |name| {
        let missing = || format!("The parameter {name} is missing.");
        query.optional(name).ok_or_else(missing)
    };
    if required("client_id")? != settings.client_id {
        return Err("No app has this client_id.".into());
    }
    let callback = match (query.optional("redirect_uri"), &settings.callback) {
        (Some(uri), _) => {
            RedirectUri::new(uri).map_err(|error| format!("Invalid redirect_uri: {error}."))?
        }
        (None, Some(callback)) => callback.clone(),
        (None, None) => {
            return Err("The redirect_uri is missing, and the app has no callback.".into());
        }
    };
    if required("response_type")? != "code" {
        return Err("The response_type is not code.".into());
    }
    let state = required("state")?.to_owned();
    if query.optional("scope").is_some() {
        return Err("The parameter scope is not accepted: scopes are in the app's settings.".into());
    }
    Ok(Authorization { state, callback })
}

/// Redirects the browser to the app (RFC 6749 §4.1.2 and §4.1.2.1).
fn redirect(service: &Service, authorization: &Authorization, decision: Decision) -> Response {
    let callback = authorization.callback.as_str();
    let state = ("state", authorization.state.as_str());
    let uri = match decision {
        Decision::Approve(account) => {
            let code = service.issue_code(account, &authorization.state);
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
    // 303 makes the browser send GET: it must not send the form to the app (RFC 9700 §4.12).
    let headers = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    (headers, Redirect::to(&uri)).into_response()
}

/// Appends query parameters to the callback URL.
fn with_parameters(callback: &str, parameters: &[(&str, &str)]) -> String {
    let separator = if callback.contains('?') { '&' } else { '?' };
    let prefix = format!("{callback}{separator}");
    let start = prefix.len();
    form_urlencoded::Serializer::for_suffix(prefix, start).extend_pairs(parameters).finish()
}
