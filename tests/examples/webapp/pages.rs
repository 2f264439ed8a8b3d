//! Renders the pages.

use std::{error::Error, iter::successors};

use axum::{
    http::{StatusCode, header::RETRY_AFTER},
    response::{Html, IntoResponse, Response},
};
use dropbox_sign_oauth_hyper::Remedy;
use minijinja::{Environment, Value, context};

/// Renders a page.
pub(crate) fn page(status: StatusCode, page: &str, values: Value) -> Response {
    let (template, values) = (include_str!("page.html"), context! { page, ..values });
    let html = Environment::new().render_named_str("page.html", template, values);
    (status, Html(html.expect("the template is valid"))).into_response()
}

/// Returns the page for an error. `start_over` is the page if the user must start over. Details are
/// for the operator and not for the user.
pub(crate) fn problem<'a, E: Error>(error: &'a E, start_over: &str) -> Response
where
    &'a E: Into<Remedy>,
{
    let remedy = error.into();
    if remedy != Remedy::StartOver {
        log(error);
    }
    match remedy {
        Remedy::StartOver => page(StatusCode::BAD_REQUEST, start_over, context! {}),
        Remedy::Retry { after } => {
            let seconds = after.as_secs().max(1);
            let page = page(StatusCode::SERVICE_UNAVAILABLE, "unavailable", context! { seconds });
            ([(RETRY_AFTER, seconds.to_string())], page).into_response()
        }
        Remedy::FixConfiguration => page(StatusCode::INTERNAL_SERVER_ERROR, "broken", context! {}),
        _ => page(StatusCode::BAD_GATEWAY, "unexpected", context! {}),
    }
}

/// Logs an error and its causes. The messages contain no secrets.
pub(crate) fn log(error: &dyn Error) {
    let errors = successors(Some(error), |&error| error.source());
    let messages: Vec<_> = errors.map(ToString::to_string).collect();
    eprintln!("error: {}", messages.join(": "));
}
