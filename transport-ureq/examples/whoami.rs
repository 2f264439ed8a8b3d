//! A command-line tool that prints the account of its user, and keeps the session in a folder.
//!
//! `cargo run --example whoami` logs in to a sandbox of the testkit. `whoami FOLDER` logs in to the
//! real service, unless the folder has a session. It reads the credentials of the app from the
//! environment variables `DROPBOX_SIGN_CLIENT_ID` and `DROPBOX_SIGN_CLIENT_SECRET`, and the URL of
//! a running sandbox from `DROPBOX_SIGN_SANDBOX`.
//!
//! Exit codes: 0 success, 75 try again later, 77 log in again, 78 fix the configuration, 1 another
//! failure.

use std::{env, error::Error, io, iter, path::PathBuf, process::ExitCode};

use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{
    App, AuthorizationCode, CallError, CallbackError, Endpoints, FileStore, Remedy, Sessions,
    State, Transport,
    session::{SendError, SessionError},
};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let Err(failure) = run() else { return ExitCode::SUCCESS };
    let sources = iter::successors(failure.source(), |&error| error.source());
    let message = sources.fold(failure.to_string(), |message, error| format!("{message}: {error}"));
    eprintln!("error: {message}");
    let remedy = (failure.downcast_ref().map(CallbackError::remedy))
        .or_else(|| failure.downcast_ref().map(CallError::remedy))
        .or_else(|| failure.downcast_ref().map(SessionError::remedy))
        .or_else(|| failure.downcast_ref().map(SendError::remedy));
    // The codes are those of sysexits.h.
    ExitCode::from(match remedy {
        Some(Remedy::Retry { .. }) => 75,
        Some(Remedy::StartOver) => 77,
        Some(Remedy::FixConfiguration) => 78,
        _ => 1,
    })
}

fn run() -> Result<(), Failure> {
    // The sandbox stops when it is dropped at the end of this function.
    let sandbox;
    let (app, folder) = if let Some(folder) = env::args_os().nth(1) {
        (app()?, PathBuf::from(folder))
    } else {
        // No server is needed at the callback: the user copies its address.
        sandbox = Sandbox::builder().callback("http://127.0.0.1:7878/callback").start()?;
        (sandbox.app(), env::temp_dir().join("whoami"))
    };
    let transport = Transport::new()?;
    let sessions = Sessions::new(app.clone(), transport.clone(), FileStore::open(folder)?);
    let session = sessions.get("user");
    let account = match session.send(|token| app.account(token)) {
        Err(SendError::Session(error)) if error.needs_authorization() => {
            session.begin(transport.send(app.generate(log_in(&app)?))?)?;
            session.send(|token| app.account(token))?
        }
        account => account?,
    };
    println!("{}", account.email_address);
    // Before the program ends, wait until new tokens are stored.
    Ok(sessions.flush()?)
}

fn app() -> Result<App, Failure> {
    // The error for a variable that is not UTF-8 is not shown: it contains the value.
    let variable = |name| env::var(name).map_err(|_| format!("{name} is not set"));
    let id = variable("DROPBOX_SIGN_CLIENT_ID")?;
    let app = App::builder(&id, &variable("DROPBOX_SIGN_CLIENT_SECRET")?);
    Ok(match variable("DROPBOX_SIGN_SANDBOX") {
        Ok(url) => app.endpoints(Endpoints::at(&url)?).build()?,
        Err(_) => app.build()?,
    })
}

fn log_in(app: &App) -> Result<AuthorizationCode, Failure> {
    let state = State::random();
    println!("Approve on this page, and paste the address to which it redirects:");
    println!("\n{}\n", app.authorize_url(&state));
    let mut pasted = String::new();
    io::stdin().read_line(&mut pasted)?;
    let query = pasted.trim().split_once('?').map_or("", |(_, query)| query);
    Ok(app.callback(query, &state)?)
}
