//! Logs in with Dropbox Sign and prints each step: `cargo run --example login`.
//!
//! Without options it starts a sandbox of the service on this machine and plays the user; `--help`
//! lists the options. The login itself is in [`with_hyper`] and, blocking, in [`with_ureq`].

mod arguments;
mod callback;
mod output;

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use dropbox_sign_oauth::{
    Account, App, AuthorizationCode, CallError, State, Token, session::SendError,
};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{FileStore, Store as _, ureq::Agent};

use self::output::{print, step};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::report(&failure),
    }
}

fn run() -> Result<(), Failure> {
    let Some(options) = arguments::parse()? else {
        return print(arguments::HELP);
    };
    // The sandbox runs until the end of this function.
    let (app, sandbox) = if let Some(app) = options.app {
        (app, None)
    } else {
        let sandbox = start_sandbox(!options.browser, options.save.as_deref())?;
        (sandbox.app(), Some(sandbox))
    };
    let login = Login {
        app,
        plays_user: sandbox.is_some() && !options.browser,
        opens_browser: options.browser,
        port: options.port,
        save: options.save,
    };
    let account = if options.uses_ureq {
        with_ureq(&login)?
    } else {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build()?.block_on(with_hyper(login))?
    };
    let (email, id) = (account.email_address, account.account_id);
    step("Account", format_args!("{email} ({id})"))
}

/// Returns the account of the stored session or, after a login, of a new one.
async fn with_hyper(login: Login) -> Result<Account, Failure> {
    use dropbox_sign_oauth_hyper::{Blocking, FileStore, MemoryStore, Sessions, Transport};

    // Once per program.
    let app = login.app.clone();
    let transport = Transport::new()?;
    let sessions = match &login.save {
        Some(folder) => {
            let store = Blocking::new(FileStore::open(folder)?);
            Sessions::new(app.clone(), transport.clone(), store)
        }
        None => Sessions::new(app.clone(), transport.clone(), MemoryStore::default()),
    };

    // A web application has a session for each user, under the id of the user. Here the client id
    // keeps sessions of the sandbox and of the real service apart.
    let session = sessions.get(app.client_id());
    let account = session.send(|token| app.account(token)).await;
    let account = if let Some(account) = of_stored_session(account)? {
        account
    } else {
        // The wait for the user blocks.
        let code = tokio::task::spawn_blocking(move || login.authorize()).await??;
        let tokens = transport.send(app.generate(code)).await?;
        step("Tokens", "received for the code, with hyper")?;
        session.begin(tokens).await?;
        step("Session", "stored; its tokens are refreshed when due")?;
        session.send(|token| app.account(token)).await?
    };
    // Before the program ends: new tokens may not be stored yet.
    sessions.flush().await?;
    Ok(account)
}

/// [`with_hyper`] without async.
fn with_ureq(login: &Login) -> Result<Account, Failure> {
    use dropbox_sign_oauth_ureq::{FileStore, MemoryStore, Sessions, Transport};

    let app = &login.app;
    let transport = Transport::new()?;
    let sessions = match &login.save {
        Some(folder) => {
            let store = FileStore::open(folder)?;
            Sessions::new(app.clone(), transport.clone(), store)
        }
        None => Sessions::new(app.clone(), transport.clone(), MemoryStore::default()),
    };

    let session = sessions.get(app.client_id());
    let account = session.send(|token| app.account(token));
    let account = if let Some(account) = of_stored_session(account)? {
        account
    } else {
        let code = login.authorize()?;
        let tokens = transport.send(app.generate(code))?;
        step("Tokens", "received for the code, with ureq")?;
        session.begin(tokens)?;
        step("Session", "stored; its tokens are refreshed when due")?;
        session.send(|token| app.account(token))?
    };
    sessions.flush()?;
    Ok(account)
}

/// Starts a sandbox that takes the place of the one of the last run.
fn start_sandbox(approves: bool, save: Option<&Path>) -> Result<Sandbox, Failure> {
    let builder = Sandbox::builder();
    let sandbox = if approves {
        builder.automatic().start()?
    } else {
        builder.start()?
    };
    step(
        "Sandbox",
        format!("started at {} in place of Dropbox Sign", sandbox.base_url()),
    )?;
    if let Some(folder) = save {
        let store = FileStore::open(folder)?;
        if let Some(record) = store.load(sandbox.client_id())? {
            let tokens = record.tokens();
            let refresh_token = tokens.refresh_token.as_ref().map(Token::expose);
            sandbox.accept(tokens.access_token.expose(), refresh_token);
        }
    }
    Ok(sandbox)
}

/// Returns the account of a stored session, or `None` if there is none and the user has to log in.
fn of_stored_session(
    account: Result<Account, SendError<CallError>>,
) -> Result<Option<Account>, Failure> {
    match account {
        Ok(account) => {
            step("Session", "loaded; no login is needed")?;
            Ok(Some(account))
        }
        Err(SendError::Session(error)) if error.needs_authorization() => {
            step("Login", format_args!("needed: {error}"))?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// How the user of this program logs in.
struct Login {
    app: App,
    plays_user: bool,
    opens_browser: bool,
    /// The port of the callback, or 0 for a free one.
    port: u16,
    save: Option<PathBuf>,
}

impl Login {
    /// Sends the user to the authorize page and waits for the callback.
    fn authorize(&self) -> Result<AuthorizationCode, Failure> {
        let (listener, redirect_uri) = callback::bind(self.port)?;
        // A web application keeps the state in the user's browser session.
        let state = State::random();
        let url = self.app.authorize_url_with_redirect(&state, &redirect_uri);
        let decision = callback::listen(listener, &self.app, &state);
        if self.plays_user {
            step("Authorize", "this program plays the user and approves")?;
            // The page redirects to the callback.
            let browser = Agent::config_builder().proxy(None).build().new_agent();
            browser.get(&url).call()?;
        } else {
            step("Authorize", "approve or deny on this page:")?;
            print(format_args!("\n{url}\n\n"))?;
            if self.opens_browser {
                open_browser(&url);
            }
        }
        let code = decision.recv()??;
        step("Callback", "received with a code; its state matches")?;
        Ok(code)
    }
}

/// Tries to open a page in the browser. If that fails, the user opens the URL on the screen.
fn open_browser(url: &str) {
    let (program, arguments) = match env::consts::OS {
        "macos" => ("open", None),
        "windows" => ("rundll32", Some("url.dll,FileProtocolHandler")),
        _ => ("xdg-open", None),
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null());
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
