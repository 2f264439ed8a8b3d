//! The application: its routes and its cookies.

use std::time::Duration;

use axum::{
    Router,
    extract::{FromRef, RawQuery, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_extra::extract::{
    PrivateCookieJar as Cookies,
    cookie::{Cookie, Key, SameSite},
};
use dropbox_sign_oauth_hyper::{
    Account, CallbackError, RedirectUri, Sessions, State as LoginState,
    session::{SendError, SessionError},
};
use minijinja::context;

use crate::pages::{page, problem};

/// The path to which Dropbox Sign redirects the user. The cookies of logins are limited to it.
pub(crate) const CALLBACK: &str = "/callback";

/// How long a user has to approve.
const LOGIN_TIME: Duration = Duration::from_secs(10 * 60);

/// How long a browser keeps its user.
const USER_TIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Clone)]
pub(crate) struct WebApp {
    pub(crate) sessions: Sessions,
    /// The public address, without a path: `https://example.com`.
    pub(crate) origin: String,
    pub(crate) callback: RedirectUri,
    /// Encrypts the cookies.
    pub(crate) key: Key,
}

pub(crate) fn router(web: WebApp) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/connect", post(connect))
        .route(CALLBACK, get(callback))
        .route("/disconnect", post(disconnect))
        .route("/switch-user", post(switch_user))
        .route("/style.css", get(style))
        .fallback(async || page(StatusCode::NOT_FOUND, "missing", context! {}))
        .method_not_allowed_fallback(async || {
            page(StatusCode::METHOD_NOT_ALLOWED, "missing", context! {})
        })
        .layer(middleware::from_fn_with_state(web.clone(), reject_foreign_forms))
        .layer(middleware::map_response(set_headers))
        .with_state(web)
}

/// Shows the user's account at Dropbox Sign, or the button that connects one.
async fn home(State(web): State<WebApp>, cookies: Cookies) -> Response {
    let Some(user) = web.user(&cookies) else {
        return page(StatusCode::OK, "connect", context! {});
    };
    let (name, other) = if user.starts_with("alice") { ("Alice", "Bob") } else { ("Bob", "Alice") };
    let names = context! { user => name, other };
    match web.sessions.get(&user).send(|token| web.sessions.app().account(token)).await {
        Ok(Account { account_id, email_address, .. }) => {
            page(StatusCode::OK, "account", context! { account_id, email_address, ..names })
        }
        Err(SendError::Session(SessionError::NoTokens)) => page(StatusCode::OK, "connect", names),
        Err(error) => problem(&error, "revoked"),
    }
}

/// Redirects the user to Dropbox Sign, and keeps the state in a cookie. Each login has a cookie of
/// its own, because the user may log in from several tabs.
async fn connect(State(web): State<WebApp>, cookies: Cookies) -> impl IntoResponse {
    let user = web.user(&cookies).unwrap_or_else(new_user);
    let state = LoginState::random();
    let url = web.sessions.app().authorize_url_with_redirect(&state, &web.callback);
    let login = web.cookie(login_cookie(&state), &user, CALLBACK, LOGIN_TIME);
    (cookies.add(web.user_cookie(&user)).add(login), Redirect::to(&url))
}

/// Receives the user from Dropbox Sign.
async fn callback(
    State(web): State<WebApp>,
    cookies: Cookies,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let Some((state, user)) = web.login(&cookies, &query) else {
        return problem(&CallbackError::StateMismatch, "unknown");
    };
    let response = match web.sessions.app().callback(&query, &state) {
        Ok(code) => match web.sessions.get(&user).exchange(code).await {
            // A reload of this page does not repeat the callback.
            Ok(()) => Redirect::to("/").into_response(),
            Err(error) => problem(&*error, "failed"),
        },
        Err(error @ CallbackError::Denied(_)) => problem(&error, "denied"),
        // This is not from Dropbox Sign, so the login goes on.
        Err(error) => return problem(&error, "unknown"),
    };
    let login = Cookie::build(login_cookie(&state)).path(CALLBACK);
    (cookies.remove(login), response).into_response()
}

/// Deletes the user's tokens.
async fn disconnect(State(web): State<WebApp>, cookies: Cookies) -> Response {
    if let Some(user) = web.user(&cookies)
        && let Err(error) = web.sessions.get(&user).end().await
    {
        return problem(&error, "revoked");
    }
    Redirect::to("/").into_response()
}

async fn switch_user(State(web): State<WebApp>, cookies: Cookies) -> impl IntoResponse {
    let user = web.user(&cookies).unwrap_or_else(new_user);
    let other = match user.strip_prefix("alice") {
        Some(number) => format!("bob{number}"),
        None => user.replace("bob", "alice"),
    };
    (cookies.add(web.user_cookie(&other)), Redirect::to("/"))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("style.css"))
}

/// Returns a new user. Each browser has two, Alice and Bob, with the same random number. A real
/// application has accounts and a sign-in instead.
fn new_user() -> String {
    format!("alice-{}", LoginState::random().as_str())
}

fn login_cookie(state: &LoginState) -> String {
    format!("login-{}", state.as_str())
}

impl WebApp {
    /// Returns the id of the user, which is also the key of the session.
    fn user(&self, cookies: &Cookies) -> Option<String> {
        cookies.get(self.user_cookie("").name()).map(|cookie| cookie.value().into())
    }

    fn user_cookie(&self, user: &str) -> Cookie<'static> {
        // With this prefix, browsers reject the cookie from other subdomains.
        let name = if self.is_https() { "__Host-user" } else { "user" };
        self.cookie(name.into(), user, "/", USER_TIME)
    }

    /// Returns the state and the user of the login to which a callback belongs. The name of its
    /// cookie proves that this browser started it, the value that the user is still the same.
    fn login(&self, cookies: &Cookies, query: &str) -> Option<(LoginState, String)> {
        let user = self.user(cookies)?;
        let logins = cookies.iter().filter(|cookie| cookie.value() == user);
        let mut states = logins.filter_map(|it| it.name().strip_prefix("login-")?.parse().ok());
        let check = |state: &_| self.sessions.app().callback(query, state).err();
        let state = states.find(|state| check(state) != Some(CallbackError::StateMismatch))?;
        Some((state, user))
    }

    /// Returns a cookie that scripts cannot read. Of other sites' requests, the browser sends it
    /// with links and redirects only.
    fn cookie(&self, name: String, value: &str, path: &str, lifetime: Duration) -> Cookie<'static> {
        let lifetime = lifetime.try_into().expect("a month is not too long");
        let cookie = Cookie::build((name, value)).path(path).max_age(lifetime).http_only(true);
        cookie.same_site(SameSite::Lax).secure(self.is_https()).build().into_owned()
    }

    fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }
}

/// The key of [`Cookies`].
impl FromRef<WebApp> for Key {
    fn from_ref(web: &WebApp) -> Self {
        web.key.clone()
    }
}

/// Rejects the forms of other sites (CSRF). Browsers send `Origin` with every form.
async fn reject_foreign_forms(State(web): State<WebApp>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN);
    if request.method() == Method::POST && origin.is_none_or(|origin| origin != &web.origin) {
        return page(StatusCode::FORBIDDEN, "foreign", context! {});
    }
    next.run(request).await
}

/// Prevents caching, framing, scripts and MIME sniffing, and keeps URLs from other sites.
async fn set_headers(response: Response) -> impl IntoResponse {
    // Without `form-action`, which browsers also apply to the redirects to Dropbox Sign.
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        // With `no-referrer`, the `Origin` of a form is `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, response)
}
