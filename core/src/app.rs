//! The app that is registered with Dropbox Sign, and everything that can be done in its name.

use alloc::{string::String, sync::Arc};
use core::fmt;

use http::Uri;

use crate::{
    account_get::AccountGet,
    authorize::{self, RedirectUri},
    callback::{self, AuthorizationCode, CallbackError},
    endpoints::Endpoints,
    prepared::{Authorization, Prepared},
    secret::{self, Secret},
    state::State,
    token::Token,
    token_generate::TokenGenerate,
    token_refresh::TokenRefresh,
};

/// An app that is registered with Dropbox Sign: its client id and secret, and where the service is.
///
/// Make one when the program starts, and clone it freely: clones share everything. `Debug` shows
/// the client id, and `[redacted]` for the secrets.
///
/// ```
/// use dropbox_sign_oauth::{App, State};
///
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let state = State::from_entropy([7; 16]); // from the operating system's random source
/// assert!(app.authorize_url(&state).starts_with("https://app.hellosign.com/oauth/authorize?"));
/// # Ok::<(), dropbox_sign_oauth::InvalidApp>(())
/// ```
#[derive(Clone)]
pub struct App(Arc<Prepared>);

impl App {
    /// An app at the vendor's endpoints, with its client credentials in the Basic header.
    ///
    /// # Errors
    /// [`InvalidApp`] if the id or the secret is empty, longer than 1024 bytes, or has a space,
    /// control or non-ASCII character (a line break at the end, say, of a file that it was read
    /// from).
    pub fn new(client_id: &str, client_secret: &str) -> Result<Self, InvalidApp> {
        Self::builder(client_id, client_secret).build()
    }

    /// Begins an app whose settings differ from the defaults.
    pub fn builder(client_id: &str, client_secret: &str) -> AppBuilder {
        AppBuilder {
            client_id: client_id.into(),
            client_secret: Secret::new(client_secret),
            authorization: Authorization::ClientCredentials,
            refresh_with_credentials: true,
            endpoints: Endpoints::default(),
        }
    }

    /// The client id: public, it stands in the authorize URL.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Where the service is.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }

    /// The URL of the authorize page, to which the user's browser is sent. Keep `state` in the
    /// user's session: the callback is checked against it.
    ///
    /// The user comes back to the default callback of the app's settings.
    #[must_use]
    pub fn authorize_url(&self, state: &State) -> String {
        authorize::url(self.endpoints().authorize(), self.client_id(), state, None)
    }

    /// As [`authorize_url`](Self::authorize_url), for a user who comes back to `redirect_uri`.
    #[must_use]
    pub fn authorize_url_with_redirect(&self, state: &State, redirect_uri: &RedirectUri) -> String {
        let endpoint = self.endpoints().authorize();
        authorize::url(endpoint, self.client_id(), state, Some(redirect_uri))
    }

    /// Checks the query of a callback (`code=…&state=…`) against the session's state.
    ///
    /// # Errors
    /// In this order: a duplicated parameter, nothing there, a state that differs, a denial, and a
    /// code that cannot be one.
    pub fn callback(&self, query: &str, state: &State) -> Result<AuthorizationCode, CallbackError> {
        callback::check(query, state)
    }

    /// Checks the URI of a callback, absolute or as it stands in the request line.
    ///
    /// # Errors
    /// As [`callback`](Self::callback).
    pub fn callback_uri(
        &self,
        uri: &Uri,
        state: &State,
    ) -> Result<AuthorizationCode, CallbackError> {
        callback::check(uri.query().unwrap_or_default(), state)
    }

    /// The operation that exchanges a code for tokens. A code is spent by it, so it is consumed.
    #[doc(alias = "oauthTokenGenerate")]
    pub fn generate(&self, code: AuthorizationCode) -> TokenGenerate {
        TokenGenerate::new(Arc::clone(&self.0), code)
    }

    /// The operation that gets a new access token for a refresh token.
    #[doc(alias = "oauthTokenRefresh")]
    pub fn refresh(&self, refresh_token: &Token) -> TokenRefresh {
        TokenRefresh::new(Arc::clone(&self.0), refresh_token.clone())
    }

    /// The operation that asks whose access token it is.
    #[doc(alias = "accountGet")]
    pub fn account(&self, access_token: &Token) -> AccountGet {
        AccountGet::new(self.endpoints().account().clone(), access_token.clone())
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The settings of an [`App`] that is being made: begun by [`App::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct AppBuilder {
    client_id: String,
    client_secret: Secret,
    authorization: Authorization,
    refresh_with_credentials: bool,
    endpoints: Endpoints,
}

impl AppBuilder {
    /// Other endpoints than the vendor's: a sandbox, or a proxy.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// Sends an API key in the Basic header (as user name, with an empty password, the vendor's
    /// scheme elsewhere), in the place of the client credentials.
    pub fn basic_api_key(mut self, key: &str) -> Self {
        self.authorization = Authorization::ApiKey(Secret::new(key));
        self
    }

    /// Sends no `Authorization` header, as the vendor's own SDKs do. The credentials stay in the
    /// body.
    pub fn without_basic(mut self) -> Self {
        self.authorization = Authorization::None;
        self
    }

    /// Leaves the client id and secret out of the refresh request's body, for old apps whose
    /// settings allow it ("Required for new API apps", the vendor says).
    pub fn refresh_without_credentials(mut self) -> Self {
        self.refresh_with_credentials = false;
        self
    }

    /// Makes the app.
    ///
    /// # Errors
    /// [`InvalidApp`] names the value that cannot be right.
    pub fn build(self) -> Result<App, InvalidApp> {
        if !secret::is_credential(&self.client_id) {
            return Err(InvalidApp("client id"));
        }
        if !secret::is_credential(self.client_secret.expose()) {
            return Err(InvalidApp("client secret"));
        }
        match &self.authorization {
            Authorization::ApiKey(key) if !secret::is_credential(key.expose()) => {
                return Err(InvalidApp("API key"));
            }
            _ => {}
        }
        Ok(App(Arc::new(Prepared::new(
            self.client_id,
            self.client_secret,
            self.authorization,
            self.refresh_with_credentials,
            self.endpoints,
        ))))
    }
}

/// A client id, client secret or API key that cannot be right. The value itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidApp(&'static str);

impl fmt::Display for InvalidApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} must be 1 to 1024 visible ASCII characters without spaces or line breaks",
            self.0
        )
    }
}

impl core::error::Error for InvalidApp {}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    const ID: &str = "cc91c61d00f8bb2ece1428035716b";
    const SECRET: &str = "1d14434088507ffa390e6f5528465";

    #[test]
    fn credentials_are_checked() {
        for (id, secret, message) in [
            (
                "",
                SECRET,
                "the client id must be 1 to 1024 visible ASCII characters without spaces or line \
                 breaks",
            ),
            (
                ID,
                "1d14434088507ffa390e6f5528465\n",
                "the client secret must be 1 to 1024 visible ASCII characters without spaces or \
                 line breaks",
            ),
        ] {
            assert_eq!(App::new(id, secret).unwrap_err().to_string(), message);
        }
        let error = App::builder(ID, SECRET).basic_api_key("").build();
        assert_eq!(
            error.unwrap_err().to_string(),
            "the API key must be 1 to 1024 visible ASCII characters without spaces or line breaks"
        );
        assert!(App::new(&"x".repeat(1024), SECRET).is_ok());
        assert!(App::new(&"x".repeat(1025), SECRET).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        for (builder, authorization) in [
            (App::builder(ID, SECRET), "client credentials"),
            (App::builder(ID, SECRET).basic_api_key("k3y"), "API key"),
            (App::builder(ID, SECRET).without_basic(), "none"),
        ] {
            let before = format!("{builder:?}");
            let shown = format!("{before} {:?}", builder.build().unwrap());
            assert!(shown.contains(authorization), "{shown}");
            assert!(!shown.contains(SECRET) && !shown.contains("k3y"), "{shown}");
        }
    }
}
