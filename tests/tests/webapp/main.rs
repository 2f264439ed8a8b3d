//! Tests of the example `webapp`: by a browser, and by requests that no browser sends.

#[path = "../../examples/webapp/app.rs"]
mod app;
mod browser;
#[path = "../../examples/webapp/pages.rs"]
mod pages;
mod requests;

use std::net::{Ipv4Addr, TcpListener};

use axum::Router;
use axum_extra::extract::cookie::Key;
use dropbox_sign_oauth_hyper::{MemoryStore, RedirectUri, Sessions, Transport};
use dropbox_sign_oauth_testkit::sandbox::{EMAIL_ADDRESS, Fault, Sandbox};
use serde_json::Value;
use tokio::runtime::Runtime;

use self::{app::WebApp, browser::Browser};

const HOME: &str = "Connect Dropbox Sign – Example App";
const CONNECTED: &str = "Dropbox Sign is connected – Example App";
const UNKNOWN: &str = "This link is no longer valid – Example App";

/// A button of the application.
const CONNECT: &str = "Connect Dropbox Sign";
/// The buttons of the sandbox.
const APPROVE: &str = "Approve as me@dropboxsign.com";
const APPROVE_SECOND: &str = "Approve as you@dropboxsign.com";

const SECOND_EMAIL_ADDRESS: &str = "you@dropboxsign.com";

/// Returns the application with `origin` as its public address.
fn router(sandbox: &Sandbox, origin: &str) -> Router {
    let transport = Transport::new().unwrap();
    let sessions = Sessions::new(sandbox.app(), transport, MemoryStore::default());
    let callback = RedirectUri::new(&format!("{origin}{}", app::CALLBACK)).unwrap();
    let (origin, key) = (origin.into(), Key::generate());
    app::router(WebApp { sessions, origin, callback, key })
}

/// The application and a sandbox, and a browser.
struct Fixture {
    browser: Browser,
    sandbox: Sandbox,
    /// `http://localhost:PORT`. The sandbox is at `127.0.0.1`, which is another site.
    origin: String,
    _runtime: Runtime,
}

impl Fixture {
    /// Returns `None` if no browser is installed.
    fn start() -> Option<Self> {
        let browser = Browser::start()?;
        let sandbox =
            Sandbox::builder().accounts([EMAIL_ADDRESS, SECOND_EMAIL_ADDRESS]).start().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let router = router(&sandbox, &origin);
        let runtime = Runtime::new().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        });
        browser.open(&origin);
        assert_eq!(browser.title(), HOME);
        Some(Self { browser, sandbox, origin, _runtime: runtime })
    }

    /// Connects the first account.
    fn connect(&self) {
        self.browser.click(CONNECT);
        self.browser.click(APPROVE);
        self.assert_connected(EMAIL_ADDRESS);
    }

    /// Asserts that the browser shows the account, at an address without a code.
    fn assert_connected(&self, email_address: &str) {
        assert_eq!(self.browser.title(), CONNECTED);
        assert_eq!(self.browser.url(), format!("{}/", self.origin));
        let text = self.browser.text();
        assert!(text.contains(email_address), "{text}");
    }

    /// Opens the start page.
    fn home(&self) -> String {
        self.browser.open(&self.origin);
        self.browser.title()
    }

    /// Returns the state of the authorize page that the browser shows.
    fn state(&self) -> String {
        let url = self.browser.url();
        let (_, query) = url.split_once('?').unwrap();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        parameters.find(|(name, _)| name == "state").unwrap().1.into()
    }

    fn open_callback(&self, code: &str, state: &str) {
        self.browser.open(&format!("{}/callback?code={code}&state={state}", self.origin));
    }

    /// Returns the codes that the sandbox received, with their states.
    fn codes(&self) -> Vec<(String, String)> {
        let requests = self.sandbox.requests().into_iter();
        let exchanges = requests.filter(|request| request.path_and_query == "/oauth/token");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let codes = exchanges.map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            (text(&body["code"]), text(&body["state"]))
        });
        codes.collect()
    }
}

#[test]
fn connects_once_and_disconnects() {
    let Some(web) = Fixture::start() else { return };
    web.connect();
    // The callback again, from the history.
    let codes = web.codes();
    let [(code, state)] = &*codes else { panic!("{codes:?}") };
    web.open_callback(code, state);
    assert_eq!(web.browser.title(), UNKNOWN);
    assert_eq!(web.codes().len(), 1);
    assert_eq!(web.home(), CONNECTED);

    web.browser.click("Disconnect");
    assert_eq!(web.browser.title(), HOME);
    assert_eq!(web.home(), HOME);
}

#[test]
fn accepts_a_double_click() {
    let Some(web) = Fixture::start() else { return };
    web.browser.double_click(CONNECT);
    // Not on this button: the sandbox rejects the second click.
    web.browser.click(APPROVE);
    web.assert_connected(EMAIL_ADDRESS);
}

#[test]
fn logs_in_from_two_tabs_in_any_order() {
    let Some(web) = Fixture::start() else { return };
    for older_first in [true, false] {
        assert_eq!(web.home(), HOME);
        web.browser.click(CONNECT);
        let old = web.browser.open_tab();
        web.home();
        web.browser.click(CONNECT);
        let new = web.browser.get("/window");
        for tab in if older_first { [&old, &new] } else { [&new, &old] } {
            web.browser.switch_to(tab);
            web.browser.click(APPROVE);
            web.assert_connected(EMAIL_ADDRESS);
        }
        web.browser.click("Disconnect");
    }
    assert_eq!(web.codes().len(), 4);
}

#[test]
fn rejects_foreign_callbacks() {
    let Some(web) = Fixture::start() else { return };
    web.browser.click(CONNECT);
    let (authorize, state) = (web.browser.url(), web.state());
    for query in ["code=1b0d28d90c86c141&state=900e06e2", "code=1b0d28d90c86c141", ""] {
        web.browser.open(&format!("{}/callback?{query}", web.origin));
        assert_eq!(web.browser.title(), UNKNOWN, "{query}");
    }
    assert_eq!(web.codes(), []);
    // The login goes on.
    web.browser.open(&authorize);
    web.browser.click(APPROVE);
    web.assert_connected(EMAIL_ADDRESS);
    assert_eq!(web.codes()[0].1, state);

    // Another browser.
    web.browser.click("Disconnect");
    web.browser.click(CONNECT);
    let authorize = web.browser.url();
    web.home();
    web.browser.delete_cookies();
    web.browser.open(&authorize);
    web.browser.click(APPROVE);
    assert_eq!(web.browser.title(), UNKNOWN);
}

#[test]
fn keeps_the_accounts_of_two_users_apart() {
    let Some(web) = Fixture::start() else { return };
    web.connect();
    web.browser.click("Switch to Bob");
    assert_eq!(web.browser.title(), HOME);
    web.browser.click(CONNECT);
    web.browser.click(APPROVE_SECOND);
    web.assert_connected(SECOND_EMAIL_ADDRESS);
    web.browser.click("Switch to Alice");
    web.assert_connected(EMAIL_ADDRESS);

    // A login belongs to the user who started it.
    web.browser.click("Disconnect");
    web.browser.click(CONNECT);
    let authorize = web.browser.url();
    web.home();
    web.browser.click("Switch to Bob");
    web.browser.open(&authorize);
    web.browser.click(APPROVE);
    assert_eq!(web.browser.title(), UNKNOWN);
    web.home();
    web.assert_connected(SECOND_EMAIL_ADDRESS);
}

#[test]
fn shows_what_failed_and_connects_then() {
    const UNAVAILABLE: &str = "Please try again later – Example App";
    let Some(web) = Fixture::start() else { return };
    web.browser.click(CONNECT);
    web.browser.click("Deny");
    assert_eq!(web.browser.title(), "Access was not approved – Example App");
    web.browser.click(CONNECT);
    web.open_callback("1b0d28d90c86c141", &web.state());
    assert_eq!(web.browser.title(), "Connecting failed – Example App");
    web.browser.click(CONNECT);
    web.sandbox.set_fault(Some(Fault::Unavailable));
    web.browser.click(APPROVE);
    assert_eq!(web.browser.title(), UNAVAILABLE);
    web.sandbox.set_fault(None);
    web.home();
    web.connect();

    web.sandbox.set_fault(Some(Fault::Unavailable));
    assert_eq!(web.home(), UNAVAILABLE);
    web.sandbox.set_fault(None);
    assert_eq!(web.home(), CONNECTED);
    let codes = web.codes();
    assert!(web.sandbox.revoke(&codes[codes.len() - 1].0));
    assert_eq!(web.home(), "Dropbox Sign was disconnected – Example App");
    web.connect();
}
