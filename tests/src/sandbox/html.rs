//! The HTML pages for the user. They have no scripts and load nothing.

use axum::{
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
};

use super::random;

const PAGE: &str = include_str!("page.html");

/// Returns the page on which the user approves or denies.
pub(super) fn question(
    client_id: &str,
    accounts: &[String],
    callback: &str,
    ticket: &str,
) -> Response {
    let [client_id, callback] = [client_id, callback].map(escape);
    let accounts: Vec<_> = accounts.iter().map(|account| escape(account)).collect();
    let rows = accounts.join("</dd><dd>");
    let buttons = accounts.iter().map(|account| {
        let label = if accounts.len() == 1 { "" } else { &format!(" as {account}") };
        format!(
            "<button class=\"primary\" name=\"decision\" value=\"{account}\">Approve{label}\
             </button>\n"
        )
    });
    let buttons = buttons.collect::<Vec<_>>().concat();
    let main = format!(
        r#"<h1>Authorize this app?</h1>
<p id="question">The app requests access to your account. It can act on your behalf, within the scopes of its settings, until you revoke the access.</p>
<dl>
<div><dt>App (client id)</dt><dd>{client_id}</dd></div>
<div><dt>Your account</dt><dd>{rows}</dd></div>
<div><dt>You will return to</dt><dd>{callback}</dd></div>
</dl>
<form method="post" action="/oauth/authorize" aria-describedby="question">
<input type="hidden" name="ticket" value="{ticket}">
{buttons}<button name="decision" value="deny">Deny</button>
</form>"#
    );
    page(StatusCode::OK, "Authorize an app", &main)
}

/// Returns the page that tells why an authorization request is invalid.
pub(super) fn refusal(reason: &str) -> Response {
    let main = format!(
        "<h1>This authorization request is invalid</h1>\n<p>{}</p>\n\
         <p>Return to the app and start again.</p>",
        escape(reason)
    );
    page(StatusCode::BAD_REQUEST, "Invalid authorization request", &main)
}

/// Returns a page whose headers prevent framing, caching and MIME sniffing.
fn page(status: StatusCode, title: &str, main: &str) -> Response {
    let nonce = random::code();
    // Last, because it contains text of the request.
    let html = PAGE.replace("{{title}}", title).replace("{{nonce}}", &nonce);
    let html = html.replace("{{main}}", main);
    // Not `form-action`: browsers also apply it to the redirect to the app's callback that follows
    // the form.
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(html)).into_response()
}

/// Escapes text for the content of an element or for a quoted attribute.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
