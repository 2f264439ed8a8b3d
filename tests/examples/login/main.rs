//! Logs in with Dropbox Sign and prints each step: `cargo run --example login`.
//!
//! Without options it starts a sandbox of the service on this machine and approves on behalf of the
//! user. `--help` lists the options. The login is in [`with_hyper`] (async) and [`with_ureq`]
//! (blocking).

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
    // The sandbox stops when it is dropped at the end of this function.
    let (app, sandbox) = if let Some(app) = options.app {
        (app, None)
    } else {
        let sandbox = start_sandbox(!options.browser, options.save.as_deref())?;
        (sandbox.app(), Some(sandbox))
    };
    let login = Login {
        app,
        approves_automatically: sandbox.is_some() && !options.browser,
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

/// Logs in unless there is a stored session, and returns the account. Uses the async adapter.
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

    // A web application has one session per user, and uses the user's id as the key. Here the key
    // is the client id, so that sessions of the sandbox and of the real service are separate.
    let session = sessions.get(app.client_id());
    let account = session.send(|token| app.account(token)).await;
    let account = if let Some(account) = of_stored_session(account)? {
        account
    } else {
        // Waiting for the user blocks the thread.
        let code = tokio::task::spawn_blocking(move || login.authorize()).await??;
        let tokens = transport.send(app.generate(code)).await?;
        step("Tokens", "received for the code, with hyper")?;
        session.begin(tokens).await?;
        step("Session", "stored; its tokens are refreshed when due")?;
        session.send(|token| app.account(token)).await?
    };
    // Before the program ends, wait until new tokens are stored.
    sessions.flush().await?;
    Ok(account)
}

/// The same as [`with_hyper`], with the blocking adapter.
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

/// Starts a sandbox that accepts the stored tokens of the previous run.
fn start_sandbox(approves: bool, save: Option<&Path>) -> Result<Sandbox, Failure> {
    let builder = Sandbox::builder();
    let sandbox = if approves { builder.automatic().start()? } else { builder.start()? };
    step("Sandbox", format!("started at {} instead of Dropbox Sign", sandbox.base_url()))?;
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

/// Returns the account of the stored session, or `None` if the user must log in.
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

/// The settings of a login.
struct Login {
    app: App,
    approves_automatically: bool,
    opens_browser: bool,
    /// The port of the callback, or 0 for a free one.
    port: u16,
    save: Option<PathBuf>,
}

impl Login {
    /// Opens or shows the authorize page, and waits for the callback.
    fn authorize(&self) -> Result<AuthorizationCode, Failure> {
        let (listener, redirect_uri) = callback::bind(self.port)?;
        // A web application keeps the state in the user's browser session.
        let state = State::random();
        let url = self.app.authorize_url_with_redirect(&state, &redirect_uri);
        let decision = callback::listen(listener, &self.app, &state);
        if self.approves_automatically {
            step("Authorize", "approved on behalf of the user")?;
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

/// Tries to open a page in the browser. If this fails, the user can open the printed URL.
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
