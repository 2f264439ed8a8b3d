//! The login itself, as an application does it: send the user away, take the code from the
//! callback, exchange it, use the tokens, refresh them.

use std::time::Duration;

use dropbox_sign_oauth::{
    AuthorizationCode, Operation, RedirectUri, State, Token, TokenResponse, TokenSet,
};
use http::Uri;

use crate::{
    arguments::{Options, Simulation, Target, Visitor},
    browser::Browser,
    failure::Failure,
    listener::{Callbacks, Listener},
    report::{REDACTED, Report},
    service::Service,
    store::Store,
    time::{in_words, now},
    transport::Transport,
    wait,
};

/// When a code that comes too late comes: those of the sandbox are good for ten minutes.
const TOO_LATE: Duration = Duration::from_secs(60 * 60);

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    // Checked before anything else: tokens that cannot be stored are lost, and the code with them.
    let store = options.save.as_deref().map(Store::new).transpose()?;
    let service = Service::start(options)?;
    let root_certificate = options.root_certificate.as_deref();
    let transport = Transport::new(options.transport, root_certificate)?;
    let listener = Listener::bind(options.port).await?;
    let redirect_uri = listener.redirect_uri().clone();
    let mut login = Login {
        options,
        service,
        transport,
        browser: Browser::new(options.timeout),
        store,
        report,
    };
    login.introduce(&redirect_uri)?;

    let state = new_state()?;
    let arrival = login.send_user_away(&state, &redirect_uri).await?;
    let callbacks = listener.listen(login.service.app().clone(), state.clone());
    let code = login
        .take_code(callbacks, &redirect_uri, arrival.as_ref())
        .await?;
    login.spoil_code(&state, arrival.as_ref()).await?;

    let tokens = login.exchange(code).await?;
    let email_address = login.ask_for_account(&tokens).await?;
    login.refresh(&tokens).await?;
    report.end(format_args!("Done: {email_address} is logged in."))
}

struct Login<'a> {
    options: &'a Options,
    service: Service,
    transport: Transport,
    browser: Browser,
    store: Option<Store>,
    report: &'a mut Report,
}

impl Login<'_> {
    fn introduce(&mut self, redirect_uri: &RedirectUri) -> Result<(), Failure> {
        let report = &mut *self.report;
        let carrier = self.transport.name();
        report.begin(format_args!("Login with Dropbox Sign, over {carrier}"))?;
        match self.options.target {
            Target::Sandbox => {
                report.step("Start a sandbox")?;
                report.say("It stands in for Dropbox Sign. Nothing leaves this machine.")?;
            }
            Target::Endpoint(_) => report.step("Use a sandbox that runs already")?,
            Target::Live => {
                report.step("Use the real service")?;
                report.say("The app's settings must have this callback, exactly so.")?;
            }
        }
        let app = self.service.app();
        report.field("client id", app.client_id())?;
        report.field("authorize", app.endpoints().authorize())?;
        report.field("token", app.endpoints().token())?;
        report.field("account", app.endpoints().account())?;
        report.field("callback", redirect_uri.as_str())
    }

    /// Sends the user to the authorize page. The stand-in for the browser knows at once to which
    /// callback it is sent from there.
    async fn send_user_away(
        &mut self,
        state: &State,
        redirect_uri: &RedirectUri,
    ) -> Result<Option<Uri>, Failure> {
        let report = &mut *self.report;
        let app = self.service.app();
        let url = app.authorize_url_with_redirect(state, redirect_uri);
        report.step("Send the user to the authorize page")?;
        report.say("The state is random, and kept here: the callback must bring it back.")?;
        if self.options.visitor != Visitor::StandIn {
            report.say("Open this in a browser, and decide there:")?;
            report.link(&url)?;
            return Ok(None);
        }
        report.sends("GET", app.endpoints().authorize())?;
        let (_, query) = url.split_once('?').unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = if name == "state" { REDACTED } else { &value };
            report.field(&name, value)?;
        }
        let arrival = self.browser.authorize(url, redirect_uri).await?;
        report.gets("a redirect to the callback")?;
        Ok(Some(arrival))
    }

    /// Waits for the callback that brings the state back.
    async fn take_code(
        &mut self,
        mut callbacks: Callbacks,
        redirect_uri: &RedirectUri,
        arrival: Option<&Uri>,
    ) -> Result<AuthorizationCode, Failure> {
        let report = &mut *self.report;
        report.step("Take the code from the callback")?;
        match (self.options.simulation, arrival) {
            (Some(Simulation::Timeout), _) => report.say("(Simulated: nobody comes.)")?,
            (Some(Simulation::ForgedCallback), _) => {
                report.say("(Simulated: somebody else comes first, with another state.)")?;
                let forged = format!("{}?code=forged&state=forged", redirect_uri.as_str());
                self.browser.come_back(forged).await?;
            }
            (_, None) => {
                let limit = in_words(self.options.timeout);
                report.say(format_args!("Waiting for it, for {limit} at most."))?;
            }
            _ => {}
        }
        if let Some(arrival) = arrival {
            report.sends("GET", redirect_uri.as_str())?;
            if !self.browser.come_back(arrival.to_string()).await? {
                return Err(Failure::new(
                    "the authorize page led to a callback that is not this login's; check the \
                     address",
                ));
            }
        }
        let decision = wait::for_decision(&mut callbacks, self.options, report).await?;
        callbacks.close().await;
        let code = decision.map_err(|error| wait::refusal(&error))?;
        report.field("code", REDACTED)?;
        report.field("state", format_args!("{REDACTED}, the one that was sent"))?;
        report.say("So the code belongs to this login.")?;
        Ok(code)
    }

    /// Lets the code go bad, if that is to be simulated.
    async fn spoil_code(&self, state: &State, arrival: Option<&Uri>) -> Result<(), Failure> {
        match (self.options.simulation, self.service.sandbox(), arrival) {
            (Some(Simulation::UsedCode), _, Some(arrival)) => {
                self.report
                    .say("(Simulated: somebody who saw it exchanges it first.)")?;
                let app = self.service.app();
                let code = app.callback_uri(arrival, state);
                let code = code.map_err(|error| wait::refusal(&error))?;
                let stolen = self.transport.send(app.generate(code)).await;
                stolen.map_err(|error| Failure::call("exchanging the code failed", &error))?;
            }
            (Some(Simulation::ExpiredCode), Some(sandbox), _) => {
                self.report.say("(Simulated: an hour passes.)")?;
                sandbox.advance(TOO_LATE);
            }
            _ => {}
        }
        Ok(())
    }

    async fn exchange(&mut self, code: AuthorizationCode) -> Result<TokenSet, Failure> {
        self.report.step("Exchange the code for tokens")?;
        let operation = self.service.app().generate(code);
        let failed = "exchanging the code failed";
        self.get_tokens(operation, failed, None).await
    }

    async fn ask_for_account(&mut self, tokens: &TokenSet) -> Result<String, Failure> {
        let report = &mut *self.report;
        report.step("Ask whose account it is")?;
        let operation = self.service.app().account(&tokens.access_token);
        report.sends_operation(&operation)?;
        let account = self.transport.send(operation).await;
        let account =
            account.map_err(|error| Failure::call("asking for the account failed", &error))?;
        report.gets("the account")?;
        report.field("e-mail", &account.email_address)?;
        report.field("account id", &account.account_id)?;
        report.rate_limit(account.rate_limit)?;
        Ok(account.email_address)
    }

    async fn refresh(&mut self, tokens: &TokenSet) -> Result<(), Failure> {
        self.report.step("Refresh the tokens")?;
        let Some(refresh_token) = &tokens.refresh_token else {
            return self.report.say("The service gave no refresh token.");
        };
        self.report
            .say("When the access token has expired, a new one is got without the user.")?;
        let operation = self.service.app().refresh(refresh_token);
        let failed = "refreshing the tokens failed";
        self.get_tokens(operation, failed, Some(refresh_token))
            .await
            .map(drop)
    }

    /// Sends an operation that gives tokens, and stores them.
    async fn get_tokens(
        &self,
        operation: impl Operation<Output = TokenResponse> + Send + 'static,
        failed: &str,
        old: Option<&Token>,
    ) -> Result<TokenSet, Failure> {
        let report = &*self.report;
        report.sends_operation(&operation)?;
        let reply = self.transport.send(operation).await;
        let reply = reply.map_err(|error| Failure::call(failed, &error))?;
        let (expiry, rate_limit) = (reply.expiry, reply.rate_limit);
        let tokens = TokenSet::new(reply, now());
        if let Some(store) = &self.store {
            // Before anything else can fail: what was exchanged for them is spent.
            store.save(&tokens)?;
        }
        report.gets("tokens")?;
        report.access_token(expiry)?;
        if let Some(new) = &tokens.refresh_token {
            let fate = match old {
                None => "",
                Some(old) if old == new => ", the same as before",
                Some(_) => ", another than before",
            };
            report.field("refresh token", format_args!("{REDACTED}{fate}"))?;
        }
        report.rate_limit(rate_limit)?;
        if let Some(store) = &self.store {
            report.stored(store)?;
        }
        Ok(tokens)
    }
}

/// A state of the operating system's random bytes.
fn new_state() -> Result<State, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(format!("the system has no random bytes: {error}")))?;
    Ok(State::from_entropy(random))
}
