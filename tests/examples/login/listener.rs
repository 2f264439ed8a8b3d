//! The callback: a small server on this machine, to which the user's browser comes back.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use dropbox_sign_oauth::{App, AuthorizationCode, CallbackError, RedirectUri};
use tokio::{
    net::TcpListener,
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    task::JoinHandle,
    time::timeout,
};

use crate::failure::Failure;

/// How long the last page may take to reach the browser: a connection on which nothing is ever
/// asked must not hold the login up.
const LAST_PAGE: Duration = Duration::from_secs(1);

/// A port that is taken, and not yet answered.
pub(crate) struct Listener {
    tcp: TcpListener,
    redirect_uri: RedirectUri,
}

impl Listener {
    pub(crate) async fn bind(port: u16) -> Result<Self, Failure> {
        let bound = async {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let address = tcp.local_addr()?;
            io::Result::Ok((tcp, format!("http://{address}/callback")))
        };
        let (tcp, uri) = bound.await.map_err(|error| {
            Failure::new(match error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("port {port} is taken; choose another for the callback with --port")
                }
                io::ErrorKind::PermissionDenied => {
                    format!("port {port} is not for everybody; choose one above 1023 with --port")
                }
                _ => format!("cannot listen on port {port}: {error}; choose another with --port"),
            })
        })?;
        let redirect_uri =
            RedirectUri::new(&uri).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { tcp, redirect_uri })
    }

    pub(crate) fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// Begins to answer, for the login that `state` belongs to.
    pub(crate) fn listen(self, app: App, state: dropbox_sign_oauth::State) -> Callbacks {
        let (sender, received) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let login = Login {
            app,
            state,
            decided: AtomicBool::new(false),
            sender,
        };
        let router = Router::new()
            .route("/callback", get(callback))
            .with_state(Arc::new(login));
        let server = axum::serve(self.tcp, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Callbacks {
            received,
            stop,
            server: tokio::spawn(server.into_future()),
        }
    }
}

/// The callbacks that arrive.
pub(crate) struct Callbacks {
    received: UnboundedReceiver<Callback>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// A callback that was answered.
pub(crate) enum Callback {
    /// It has this login's state, and decides it. There is one at most.
    Decisive(Result<AuthorizationCode, CallbackError>),
    /// It has not, so anybody may have sent it.
    Refused(CallbackError),
}

impl Callbacks {
    pub(crate) async fn next(&mut self) -> Result<Callback, Failure> {
        let callback = self.received.recv().await;
        callback.ok_or_else(|| Failure::new("the server for the callback stopped; run this again"))
    }

    /// Stops, when the page that is on its way has reached the browser.
    pub(crate) async fn close(self) {
        drop(self.stop);
        let _ = timeout(LAST_PAGE, self.server).await;
    }
}

struct Login {
    app: App,
    state: dropbox_sign_oauth::State,
    decided: AtomicBool,
    sender: UnboundedSender<Callback>,
}

async fn callback(State(login): State<Arc<Login>>, uri: Uri) -> Page {
    let checked = login.app.callback_uri(&uri, &login.state);
    let (page, callback) = match checked {
        Ok(code) => (&APPROVED, Callback::Decisive(Ok(code))),
        Err(error @ CallbackError::Denied(_)) => (&DENIED, Callback::Decisive(Err(error))),
        Err(error @ CallbackError::InvalidCode(_)) => (&INVALID, Callback::Decisive(Err(error))),
        Err(error) => (&REFUSED, Callback::Refused(error)),
    };
    let decisive = matches!(callback, Callback::Decisive(_));
    if decisive && login.decided.swap(true, Ordering::Relaxed) {
        return OVER;
    }
    // Nobody receives when the wait is over.
    let _ = login.sender.send(callback);
    *page
}

/// What the browser shows: no word of it comes from the callback.
#[derive(Clone, Copy)]
struct Page {
    status: StatusCode,
    title: &'static str,
    text: &'static str,
}

const APPROVED: Page = Page {
    status: StatusCode::OK,
    title: "Approved",
    text: "The program has what it needs, and goes on in the terminal. You can close this window.",
};

const DENIED: Page = Page {
    status: StatusCode::OK,
    title: "Not approved",
    text: "The request was refused, and the program was given nothing. You can close this window.",
};

const INVALID: Page = Page {
    status: StatusCode::OK,
    title: "Login failed",
    text: "The service sent a code that cannot be one. You can close this window, and see the \
           terminal for what to do.",
};

const REFUSED: Page = Page {
    status: StatusCode::BAD_REQUEST,
    title: "Not this login",
    text: "This page was opened with an answer to another login than the one that the program \
           waits for, so it was ignored. Open the address that the terminal shows.",
};

const OVER: Page = Page {
    status: StatusCode::GONE,
    title: "Decided before",
    text: "This login was decided before. You can close this window.",
};

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let Self {
            status,
            title,
            text,
        } = self;
        // The address of this page holds the code: nothing may remember it or pass it on.
        let headers = [
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            ),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let html = format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"#
        );
        (status, headers, Html(html)).into_response()
    }
}
