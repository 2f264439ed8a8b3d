//! `GET /oauth/authorize`: the page on which the user approves or denies, and the redirect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::header::{CACHE_CONTROL, REFERRER_POLICY},
    response::{IntoResponse, Redirect, Response},
};
use dropbox_sign_oauth::{RedirectUri, UnixTime};

use super::{
    builder::Builder,
    html,
    parameters::{Duplicate, Parameters},
    random,
    service::Service,
};

/// How long the user has to decide.
const TICKET_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The authorization requests, by ticket. A ticket is a random value in the page's form, so that no
/// other page can submit the form. It is valid for one decision, whose redirect is repeated if the
/// form is sent again: after a double click, the browser follows only the last response.
pub(super) type Tickets = HashMap<String, Authorization>;

/// A valid authorization request.
pub(super) struct Authorization {
    state: String,
    callback: String,
    expires: UnixTime,
    /// Where the decision redirected to.
    redirect: Option<String>,
}

/// Shows the authorize page, unless the settings approve.
pub(super) async fn ask(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
) -> Response {
    let settings = &service.settings;
    let expires = service.clock.now().saturating_add(TICKET_LIFETIME);
    let authorization = match read(settings, &query.unwrap_or_default(), expires) {
        Ok(authorization) => authorization,
        Err(reason) => return html::refusal(&reason),
    };
    if settings.automatic {
        return redirect(&redirect_uri(&service, &authorization, Some(&settings.accounts[0])));
    }
    let ticket = random::code();
    let callback = &authorization.callback;
    let page = html::question(&settings.client_id, &settings.accounts, callback, &ticket);
    service.tickets().insert(ticket, authorization);
    page
}

/// Handles the user's decision.
pub(super) async fn decide(State(service): State<Arc<Service>>, form: Bytes) -> Response {
    let Ok(form) = Parameters::from_urlencoded(&form) else {
        return html::refusal("The form has a duplicate field.");
    };
    let accounts = &service.settings.accounts;
    let account = match form.optional("decision") {
        Some("deny") => None,
        Some(account) if accounts.iter().any(|known| known == account) => Some(account),
        _ => return html::refusal("The form has no decision."),
    };
    let now = service.clock.now();
    let mut tickets = service.tickets();
    let ticket = tickets.get_mut(form.optional("ticket").unwrap_or_default());
    let Some(authorization) = ticket.filter(|ticket| now < ticket.expires) else {
        return html::refusal("The page has expired.");
    };
    let uri = match authorization.redirect.take() {
        Some(uri) => uri,
        None => redirect_uri(&service, authorization, account),
    };
    redirect(authorization.redirect.insert(uri))
}

/// Parses and checks the query. An error is shown to the user and not sent to the callback, which
/// may itself be invalid.
fn read(settings: &Builder, query: &str, expires: UnixTime) -> Result<Authorization, String> {
    let query = Parameters::from_urlencoded(query.as_bytes())
        .map_err(|Duplicate(name)| format!("Duplicate parameter {name}."))?;
    let required = |name| {
        let missing = || format!("The parameter {name} is missing.");
        query.optional(name).ok_or_else(missing)
    };
    if required("client_id")? != settings.client_id {
        return Err("No app has this client_id.".into());
    }
    let callback = query.optional("redirect_uri").or(settings.callback.as_deref());
    let callback = callback.ok_or("The redirect_uri is missing, and the app has no callback.")?;
    let callback =
        RedirectUri::new(callback).map_err(|error| format!("Invalid redirect_uri: {error}."))?;
    if required("response_type")? != "code" {
        return Err("The response_type is not code.".into());
    }
    let state = required("state")?.to_owned();
    if query.optional("scope").is_some() {
        return Err("The parameter scope is not accepted: scopes are in the app's settings.".into());
    }
    Ok(Authorization { state, callback: callback.as_str().into(), expires, redirect: None })
}

/// Returns the address of the app (RFC 6749 §4.1.2 and §4.1.2.1) after the user of `account`
/// approved, or denied if it is `None`.
fn redirect_uri(service: &Service, authorization: &Authorization, account: Option<&str>) -> String {
    let callback = &authorization.callback;
    let separator = if callback.contains('?') { '&' } else { '?' };
    let prefix = format!("{callback}{separator}");
    let start = prefix.len();
    let mut uri = form_urlencoded::Serializer::for_suffix(prefix, start);
    match account {
        Some(account) => {
            uri.append_pair("code", &service.issue_code(account, &authorization.state))
        }
        None => uri
            .append_pair("error", "access_denied")
            .append_pair("error_description", "The user denied the request"),
    };
    uri.append_pair("state", &authorization.state).finish()
}

/// Redirects the browser to the app.
fn redirect(uri: &str) -> Response {
    // 303 makes the browser send GET: it must not send the form to the app (RFC 9700 §4.12).
    let headers = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    (headers, Redirect::to(uri)).into_response()
}
