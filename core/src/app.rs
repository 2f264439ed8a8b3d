//! The app that is registered with Dropbox Sign, and the operations on its behalf.

use alloc::{string::String, sync::Arc};
use core::fmt;

use crate::{
    authorize::{
        self, RedirectUri,
        callback::{self, AuthorizationCode, CallbackError},
    },
    endpoints::Endpoints,
    operation::{
        account_get::AccountGet,
        credentials::{Authorization, Credentials, Settings},
        token_generate::TokenGenerate,
        token_refresh::TokenRefresh,
    },
    secret::{InvalidCredential, Secret},
    state::State,
    token::Token,
};

/// An app that is registered with Dropbox Sign: its client id, its secret and the endpoints.
///
/// A program creates one at startup. Clones are cheap and share everything. `Debug` shows the
/// client id and redacts the secrets.
///
/// ```
/// use dropbox_sign_oauth::{App, State};
///
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let url = app.authorize_url(&State::random());
/// assert!(url.starts_with("https://app.hellosign.com/oauth/authorize?"));
/// # Ok::<(), dropbox_sign_oauth::InvalidCredential>(())
/// ```
#[derive(Clone)]
pub struct App(Arc<Credentials>);

impl App {
    /// Returns an app at the vendor's endpoints that sends its client credentials in the Basic
    /// header.
    ///
    /// # Errors
    /// [`InvalidCredential`] if the id or the secret is empty, longer than 1024 bytes, or has a space,
    /// control or non-ASCII character, such as the line break at the end of a file.
    pub fn new(client_id: &str, client_secret: &str) -> Result<Self, InvalidCredential> {
        Self::builder(client_id, client_secret).build()
    }

    /// Returns a builder with default settings.
    pub fn builder(client_id: &str, client_secret: &str) -> AppBuilder {
        AppBuilder(Settings {
            client_id: client_id.into(),
            client_secret: Secret::new(client_secret),
            authorization: Authorization::ClientCredentials,
            authenticates_refresh: true,
            endpoints: Endpoints::default(),
        })
    }

    /// Returns the client id. It is not secret: the authorize URL contains it.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.settings.client_id
    }

    /// Returns the endpoints of the service.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.settings.endpoints
    }

    /// Returns the URL of the authorize page, to which the app redirects the user's browser.
    ///
    /// The app keeps `state` in the user's browser session, to check the callback with it. The user
    /// returns to the default callback of the app's settings.
    #[must_use]
    pub fn authorize_url(&self, state: &State) -> String {
        authorize::url(self.endpoints().authorize(), self.client_id(), state, None)
    }

    /// Returns the URL of the authorize page for a user who returns to `redirect_uri`. See
    /// [`authorize_url`](Self::authorize_url).
    #[must_use]
    pub fn authorize_url_with_redirect(&self, state: &State, redirect_uri: &RedirectUri) -> String {
        let endpoint = self.endpoints().authorize();
        authorize::url(endpoint, self.client_id(), state, Some(redirect_uri))
    }

    /// Checks the query of a callback (`code=…&state=…`, with or without a leading `?`) against the
    /// state of the user's browser session.
    ///
    /// After a success or a [`Denied`](CallbackError::Denied), the app removes the state from the
    /// session: the login is over. After any other error it keeps the state, so that a second tab
    /// or a forged callback does not cancel a login in progress.
    ///
    /// # Errors
    /// Checked in this order: a duplicate parameter, no parameters, a missing state, a state that
    /// does not match, a denial, an invalid code.
    pub fn callback(&self, query: &str, state: &State) -> Result<AuthorizationCode, CallbackError> {
        callback::check(query, state)
    }

    /// Returns the operation that exchanges a code for tokens. It consumes the code, which can be
    /// exchanged once.
    #[doc(alias = "oauthTokenGenerate")]
    pub fn generate(&self, code: AuthorizationCode) -> TokenGenerate {
        TokenGenerate::new(Arc::clone(&self.0), code)
    }

    /// Returns the operation that exchanges a refresh token for a new access token.
    #[doc(alias = "oauthTokenRefresh")]
    pub fn refresh(&self, refresh_token: &Token) -> TokenRefresh {
        TokenRefresh::new(Arc::clone(&self.0), refresh_token.clone())
    }

    /// Returns the operation that gets the account of an access token.
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

/// A builder of an [`App`]. Returned by [`App::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct AppBuilder(Settings);

impl AppBuilder {
    /// Sets the endpoints, for example those of a sandbox or a reverse proxy. Defaults to the
    /// vendor's.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.0.endpoints = endpoints;
        self
    }

    /// Sends an API key in the Basic header instead of the client credentials: as the user name,
    /// with an empty password. Other endpoints of the vendor's API use this scheme.
    pub fn basic_api_key(mut self, key: &str) -> Self {
        self.0.authorization = Authorization::ApiKey(Secret::new(key));
        self
    }

    /// Sends no `Authorization` header, as the vendor's own SDKs do. The credentials stay in the
    /// body.
    pub fn without_basic(mut self) -> Self {
        self.0.authorization = Authorization::None;
        self
    }

    /// Omits the client id and secret from the body of refresh requests, for old apps whose
    /// settings allow it. The vendor requires them for new apps.
    pub fn refresh_without_credentials(mut self) -> Self {
        self.0.authenticates_refresh = false;
        self
    }

    /// Builds the app.
    ///
    /// # Errors
    /// [`InvalidCredential`] if the client id, the client secret or the API key is invalid.
    pub fn build(self) -> Result<App, InvalidCredential> {
        let Self(settings) = self;
        Secret::credential(&settings.client_id, "client id")?;
        Secret::credential(settings.client_secret.expose(), "client secret")?;
        if let Authorization::ApiKey(key) = &settings.authorization {
            Secret::credential(key.expose(), "API key")?;
        }
        Ok(App(Arc::new(Credentials::new(settings))))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    const ID: &str = "cc91c61d00f8bb2ece1428035716b";
    const SECRET: &str = "1d14434088507ffa390e6f5528465";

    #[test]
    fn rejects_invalid_credentials() {
        for (app, name) in [
            (App::new("", SECRET), "client id"),
            (App::new(ID, "1d14434088507ffa390e6f5528465\n"), "client secret"),
            (App::builder(ID, SECRET).basic_api_key("").build(), "API key"),
        ] {
            assert_eq!(
                app.unwrap_err().to_string(),
                format!(
                    "the {name} must be 1 to 1024 visible ASCII characters without spaces or line \
                     breaks"
                )
            );
        }
        assert!(App::new(&"x".repeat(1024), SECRET).is_ok());
        assert!(App::new(&"x".repeat(1025), SECRET).is_err());
    }

    #[test]
    fn debug_redacts_secrets() {
        for (builder, authorization) in [
            (App::builder(ID, SECRET), "client credentials"),
            (App::builder(ID, SECRET).basic_api_key("k3y"), "API key"),
            (App::builder(ID, SECRET).without_basic(), "none"),
        ] {
            let before = format!("{builder:?}");
            for shown in [before, format!("{:?}", builder.build().unwrap())] {
                assert!(shown.contains(authorization), "{shown}");
                assert!(!shown.contains(SECRET) && !shown.contains("k3y"), "{shown}");
            }
        }
    }
}
