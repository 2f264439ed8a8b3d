//! A stand-in for the user's browser, at a sandbox that asks nobody.

use std::time::Duration;

use dropbox_sign_oauth::RedirectUri;
use dropbox_sign_oauth_ureq::ureq::{Agent, Body, Error};
use http::{Response, Uri, header::LOCATION};

use crate::{failure::Failure, transport::unblock};

pub(crate) struct Browser {
    agent: Agent,
}

impl Browser {
    pub(crate) fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .build();
        let agent = Agent::new_with_config(config);
        Self { agent }
    }

    /// Opens the authorize page, and answers with the callback to which it leads at once.
    pub(crate) async fn authorize(
        &self,
        url: String,
        redirect_uri: &RedirectUri,
    ) -> Result<Uri, Failure> {
        let response = self.open(url).await?;
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        match location {
            Some(location) if location.starts_with(redirect_uri.as_str()) => location
                .parse()
                .map_err(|_| Failure::new("the authorize page leads to what is no address")),
            Some(_) => Err(Failure::new(
                "the authorize page leads elsewhere than to the callback; check the address",
            )),
            None if response.status().is_success() => Err(Failure::new(
                "the authorize page asks a person; add --browser, or start that sandbox with \
                 --automatic",
            )),
            None => Err(Failure::new(format!(
                "the authorize page answered {}; check the address and the client id, or see what \
                 it says with --browser",
                response.status().as_u16()
            ))),
        }
    }

    /// Opens the callback, and waits for its page; answers whether the listener took it.
    pub(crate) async fn come_back(&self, url: String) -> Result<bool, Failure> {
        Ok(self.open(url).await?.status().is_success())
    }

    async fn open(&self, url: String) -> Result<Response<Body>, Failure> {
        let agent = self.agent.clone();
        let response = unblock(move || agent.get(url).call()).await;
        response.map_err(|error| {
            let error = match error {
                // As the system says it, without `io: `.
                Error::Io(error) => error.to_string(),
                error => error.to_string(),
            };
            Failure::new(format!(
                "the authorize page cannot be opened: {error}; check that the sandbox runs, or \
                 open it in a browser with --browser"
            ))
        })
    }
}
