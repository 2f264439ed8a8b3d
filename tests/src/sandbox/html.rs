//! The HTML pages for the user. They have no scripts and load nothing.

use std::fmt::{self, Write as _};

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};

use super::{account::Account, random};

/// In both color schemes, the contrast is at least 4.5:1 for text and 3:1 for outlines.
const STYLE: &str = "
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --text: #1b1f24; --soft: #4d5661;
  --line: #7d8692; --brand: #0b57c2; --on-brand: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1e2329; --text: #eceff2; --soft: #aeb7c1; --line: #77818d;
    --brand: #8cb8ff; --on-brand: #0b1a30; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 30rem; padding: clamp(1.25rem, 5vw, 2.25rem); border-radius: .75rem;
  background: var(--card); box-shadow: 0 1px 3px rgb(0 0 0 / .2), 0 8px 28px rgb(0 0 0 / .08); }
h1 { margin: .25rem 0 1rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
.eyebrow { margin: 0; font-size: .875rem; font-weight: 600; color: var(--soft); }
dl { margin: 0 0 1.5rem; border-top: 1px solid var(--line); }
dl > div { padding: .625rem 0; border-bottom: 1px solid var(--line); }
dt { font-size: .875rem; color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
form { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0 0 1.25rem; }
button { flex: 1 1 9rem; min-height: 2.75rem; padding: .5rem 1rem; border: 2px solid var(--brand);
  border-radius: .5rem; background: none; color: var(--brand); font: inherit; font-weight: 600;
  cursor: pointer; }
button.primary { background: var(--brand); color: var(--on-brand); }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 3px; }
.note { margin: 0; font-size: .875rem; color: var(--soft); }
";

/// A page. Its headers prevent framing, caching and MIME sniffing.
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    main: String,
}

/// The content of the authorize page.
pub(super) struct Question<'a> {
    pub(super) client_id: &'a str,
    /// The accounts to choose from.
    pub(super) accounts: &'a [Account],
    pub(super) callback: &'a str,
    pub(super) ticket: &'a str,
}

impl Page {
    /// Returns the page on which the user approves or denies.
    pub(super) fn question(question: &Question<'_>) -> Self {
        let [client_id, callback, ticket] =
            [question.client_id, question.callback, question.ticket].map(Escaped);
        let mut accounts = String::new();
        let mut buttons = String::new();
        for (number, account) in question.accounts.iter().enumerate() {
            let email_address = Escaped(account.email_address);
            let (value, label) = match (number, question.accounts.len()) {
                (0, 1) => ("approve", "Approve".into()),
                (0, _) => ("approve", format!("Approve as {email_address}")),
                _ => ("approve-second", format!("Approve as {email_address}")),
            };
            let _ = write!(accounts, "<dd>{email_address}</dd>");
            let _ = writeln!(
                buttons,
                "<button class=\"primary\" type=\"submit\" name=\"decision\" \
                 value=\"{value}\">{label}</button>"
            );
        }
        Self {
            status: StatusCode::OK,
            title: "Authorize an app",
            main: format!(
                r#"<h1>Authorize this app?</h1>
<p id="question">The app requests access to your account. It can act on your behalf, within the scopes of its settings, until you revoke the access.</p>
<dl>
<div><dt>App (client id)</dt><dd>{client_id}</dd></div>
<div><dt>Your account</dt>{accounts}</div>
<div><dt>You will return to</dt><dd>{callback}</dd></div>
</dl>
<form method="post" action="/oauth/authorize" aria-describedby="question">
<input type="hidden" name="ticket" value="{ticket}">
{buttons}<button type="submit" name="decision" value="deny">Deny</button>
</form>
"#
            ),
        }
    }

    /// Returns the page that tells why an authorization request is invalid.
    pub(super) fn refusal(reason: &str) -> Self {
        let reason = Escaped(reason);
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "Invalid authorization request",
            main: format!(
                "<h1>This authorization request is invalid</h1>\n<p>{reason}</p>\n\
                 <p>Return to the app and start again.</p>\n"
            ),
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let nonce = random::code();
        let title = self.title;
        let mut html = format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} – Dropbox Sign sandbox</title>
<style nonce="{nonce}">{STYLE}</style>
</head>
<body>
<main>
<p class="eyebrow">Dropbox Sign sandbox</p>
"#
        );
        html.push_str(&self.main);
        html.push_str(
            "<p class=\"note\">This is a sandbox on your machine. There is no real account, \
             and nothing is sent to Dropbox Sign.</p>\n</main>\n</body>\n</html>\n",
        );
        // Not `form-action`: browsers also apply it to the redirect to the app's callback that
        // follows the form.
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        let policy = HeaderValue::try_from(policy).expect("a nonce is hexadecimal");
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, policy),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (self.status, headers, html).into_response()
    }
}

/// Escapes text for the content of an element or for a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_text() {
        assert_eq!(
            Escaped(r#"<b a="1" b='2'>&amp; ü"#).to_string(),
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp; ü"
        );
    }
}
