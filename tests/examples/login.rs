//! Logs in with Dropbox Sign and prints each step: `cargo run --example login -- --help`.
//!
//! The login is in [`with_hyper`] (async) and [`with_ureq`] (blocking).

use std::{
    env,
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use dropbox_sign_oauth::{
    Account, App, AuthorizationCode, CallError, CallbackError, Endpoints, RedirectUri, Remedy,
    State,
    session::{SendError, SessionError},
};
use dropbox_sign_oauth_testkit::sandbox::{CLIENT_ID, CLIENT_SECRET, Sandbox};
use lexopt::{Arg, Parser, ValueExt as _};

const HELP: &str = "\
Logs in with Dropbox Sign and prints each step. Without options it needs no account and no network:
it starts a sandbox of the service on this machine, and approves on behalf of the user.

Usage: cargo run --example login -- [OPTIONS]

Options:
      --transport NAME  The adapter that sends the requests: hyper or ureq [default: hyper]
      --browser         Open the authorize page in a browser, where you approve or deny
      --live            Use the real service
      --sandbox URL     Use a running sandbox (cargo run --example sandbox -- --port 8080)
      --save FOLDER     Keep the session in this folder for the next run at the same service
  -h, --help            Print this help

--live reads the credentials of an app from the environment variables DROPBOX_SIGN_CLIENT_ID and
DROPBOX_SIGN_CLIENT_SECRET. The OAuth callback in the settings of the app (sign.dropbox.com,
Settings, API) must be http://127.0.0.1:8754/callback.

NO_COLOR turns colors off. Exit codes: 0 success, 1 failure, 2 invalid command line.
";

const CREDENTIALS: [&str; 2] = ["DROPBOX_SIGN_CLIENT_ID", "DROPBOX_SIGN_CLIENT_SECRET"];

/// The port of the callback with `--live`.
const LIVE_PORT: u16 = 8754;

const LABEL: Style = AnsiColor::Green.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default();

type Failure = Box<dyn Error + Send + Sync>;
type Decision = Result<AuthorizationCode, CallbackError>;

#[derive(Clone, Default)]
struct Options {
    uses_ureq: bool,
    browser: bool,
    /// The app, or `None` if this program starts a sandbox.
    app: Option<App>,
    /// The port of the callback, or 0 for a free one.
    port: u16,
    save: Option<PathBuf>,
}

fn main() -> ExitCode {
    let (error, code) = match parse() {
        Ok(options) => match options.map_or_else(|| Ok(print(HELP)?), run) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(failure) => (describe(&failure), 1),
        },
        Err(error) => (format!("{error}; see --help"), 2),
    };
    // A server could use control characters to change the terminal.
    anstream::eprintln!("{ERROR}error: {}{ERROR:#}", error.replace(char::is_control, " "));
    ExitCode::from(code)
}

fn run(options: Options) -> Result<(), Failure> {
    // The sandbox stops when it is dropped at the end of this function.
    let mut sandbox = None;
    let app = if let Some(app) = &options.app {
        app.clone()
    } else {
        let builder = Sandbox::builder();
        let builder = if options.browser { builder } else { builder.automatic() };
        let sandbox = sandbox.insert(builder.start()?);
        step("Sandbox", &format!("started at {} instead of Dropbox Sign", sandbox.base_url()))?;
        sandbox.app()
    };
    let account = if options.uses_ureq {
        with_ureq(&app, &options)?
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(with_hyper(app, options))?
    };
    Ok(step("Account", &format!("{} ({})", account.email_address, account.account_id))?)
}

/// Logs in unless there is a stored session, and returns the account. Uses the async adapter.
async fn with_hyper(app: App, options: Options) -> Result<Account, Failure> {
    use dropbox_sign_oauth_hyper::{Blocking, FileStore, MemoryStore, Sessions, Transport};

    let transport = Transport::new()?;
    let sessions = match &options.save {
        Some(folder) => {
            let store = Blocking::new(FileStore::open(folder)?);
            Sessions::new(app.clone(), transport.clone(), store)
        }
        None => Sessions::new(app.clone(), transport.clone(), MemoryStore::default()),
    };

    // A web application has one session per user, and uses the user's id as the key. Here the key
    // is the client id, so that sessions of the sandbox and of the real service are separate.
    let session = sessions.get(app.client_id());
    let mut account = session.send(|token| app.account(token)).await;
    if needs_login(&account)? {
        let login = app.clone();
        // Waiting for the user blocks the thread.
        let code = tokio::task::spawn_blocking(move || authorize(&login, &options)).await??;
        session.begin(transport.send(app.generate(code)).await?).await?;
        step("Session", "begun with hyper; its tokens are refreshed when due")?;
        account = session.send(|token| app.account(token)).await;
    }
    // Before the program ends, wait until new tokens are stored.
    sessions.flush().await?;
    Ok(account?)
}

/// The same as [`with_hyper`], with the blocking adapter.
fn with_ureq(app: &App, options: &Options) -> Result<Account, Failure> {
    use dropbox_sign_oauth_ureq::{FileStore, MemoryStore, Sessions, Transport};

    let transport = Transport::new()?;
    let sessions = match &options.save {
        Some(folder) => Sessions::new(app.clone(), transport.clone(), FileStore::open(folder)?),
        None => Sessions::new(app.clone(), transport.clone(), MemoryStore::default()),
    };

    let session = sessions.get(app.client_id());
    let mut account = session.send(|token| app.account(token));
    if needs_login(&account)? {
        let code = authorize(app, options)?;
        session.begin(transport.send(app.generate(code))?)?;
        step("Session", "begun with ureq; its tokens are refreshed when due")?;
        account = session.send(|token| app.account(token));
    }
    sessions.flush()?;
    Ok(account?)
}

/// Returns whether the user must log in, and prints it.
fn needs_login(account: &Result<Account, SendError<CallError>>) -> io::Result<bool> {
    let needed = match account {
        Err(SendError::Session(error)) if error.needs_authorization() => error,
        _ => return Ok(false),
    };
    step("Login", &format!("needed: {needed}"))?;
    Ok(true)
}

/// Shows the authorize page, and waits for the callback.
fn authorize(app: &App, options: &Options) -> Result<AuthorizationCode, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
        .map_err(|error| format!("cannot listen on port {}: {error}", options.port))?;
    let callback = RedirectUri::new(&format!("http://{}/callback", listener.local_addr()?))?;
    // A web application keeps the state in the user's browser session.
    let state = State::random();
    let url = app.authorize_url_with_redirect(&state, &callback);
    let is_automatic = options.app.is_none() && !options.browser;
    let how = if is_automatic { "approving on your behalf" } else { "approve or deny" };
    step("Authorize", &format!("{how} on this page:"))?;
    print(&format!("\n{url}\n\n"))?;
    if is_automatic {
        // The page redirects to the callback.
        let browser = dropbox_sign_oauth_ureq::ureq::Agent::config_builder().proxy(None);
        thread::spawn(move || browser.build().new_agent().get(&url).call());
    } else if options.browser {
        open_browser(&url);
    }
    loop {
        let (stream, _) = listener.accept()?;
        if let Some(decision) = handle(&stream, app, &state) {
            return Ok(decision?);
        }
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
    command.args(arguments).arg(url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_remove(CREDENTIALS[0]).env_remove(CREDENTIALS[1]);
    let _ = command.spawn();
}

/// Reads a request, checks it if it is a callback, and responds with a page. Callbacks with another
/// state may be forged, so they do not end the login.
fn handle(mut stream: &TcpStream, app: &App, state: &State) -> Option<Decision> {
    // Browsers also open connections that they do not use.
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let lines = BufReader::new(stream.take(64 * 1024)).lines();
    let mut head = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
    let target = head.next()?.split(' ').nth(1)?.to_owned();
    // The rest of the head is read too, because closing a connection with unread data resets it.
    head.for_each(drop);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let ([status, page], decision) = match app.callback(query, state) {
        _ if path != "/callback" => (["404 Not Found", "This page does not exist."], None),
        Ok(code) => (["200 OK", "Approved. You can close this page."], Some(Ok(code))),
        Err(error @ (CallbackError::Denied(_) | CallbackError::InvalidCode(_))) => {
            (["200 OK", "Not approved. You can close this page."], Some(Err(error)))
        }
        Err(error) => {
            let _ = step("Callback", &format!("ignored: {error}"));
            (["400 Bad Request", "This callback belongs to another login."], None)
        }
    };
    // The URL contains the code, so it must not be cached or sent as a referrer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}"
    );
    decision
}

/// Parses the command line. Returns `None` if it asks for help.
fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut live = false;
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("transport") => match &*parser.value()?.string()? {
                "hyper" => options.uses_ureq = false,
                "ureq" => options.uses_ureq = true,
                _ => return Err("--transport takes hyper or ureq".into()),
            },
            Arg::Long("browser") => options.browser = true,
            Arg::Long("live") => live = true,
            Arg::Long("sandbox") => options.app = Some(parser.value()?.parse_with(sandbox_app)?),
            Arg::Long("save") => options.save = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    if live && options.app.is_some() {
        return Err("--live and --sandbox cannot be used together".into());
    } else if live {
        // The error for a variable that is not UTF-8 is not shown: it contains the value.
        let [id, secret] = CREDENTIALS
            .map(|name| env::var(name).map_err(|_| format!("--live: {name} is not set")));
        options.app = Some(App::new(&id?, &secret?).map_err(|error| format!("--live: {error}"))?);
        options.port = LIVE_PORT;
    }
    Ok(Some(options))
}

fn sandbox_app(url: &str) -> Result<App, Failure> {
    let app = App::builder(CLIENT_ID, CLIENT_SECRET);
    Ok(app.endpoints(Endpoints::at(url)?).build()?)
}

/// Returns the message of an error with its sources and remedy.
fn describe(failure: &Failure) -> String {
    let sources = std::iter::successors(failure.source(), |&error| error.source());
    let message = sources.fold(failure.to_string(), |message, error| format!("{message}: {error}"));
    let remedy = (failure.downcast_ref().map(CallbackError::remedy))
        .or_else(|| failure.downcast_ref().map(CallError::remedy))
        .or_else(|| failure.downcast_ref().map(SessionError::remedy))
        .or_else(|| failure.downcast_ref().map(SendError::remedy));
    match remedy {
        Some(Remedy::StartOver) => message + "; run this program again and approve",
        Some(Remedy::Retry { after }) => format!("{message}; try again in {after:?}"),
        Some(Remedy::FixConfiguration) => message + "; check the credentials and settings",
        _ => message,
    }
}

/// Prints one line about a step.
fn step(label: &str, text: &str) -> io::Result<()> {
    print(&format!("{LABEL}{label:>9}{LABEL:#} {}\n", text.replace(char::is_control, " ")))
}

/// Prints text. Colors are removed if the terminal has none or `NO_COLOR` is set.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
