//! Drives Chromium through chromedriver (`WebDriver`).
//!
//! If chromedriver is not installed, [`Browser::start`] says so and returns `None`. With
//! `BROWSER_REQUIRED=1` in the environment it panics instead.

use std::{
    env,
    io::{BufRead as _, BufReader, ErrorKind},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dropbox_sign_oauth_ureq::ureq::{Agent, http::Request};
use serde_json::{Value, json};

/// The time limit for a page to load.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser without cookies. It is closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    agent: Agent,
    base_url: String,
    session: String,
}

impl Browser {
    pub(crate) fn start() -> Option<Self> {
        let (driver, base_url) = loop {
            let mut command = Command::new("chromedriver");
            command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped());
            let mut driver = match command.spawn() {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let required = env::var("BROWSER_REQUIRED").is_ok_and(|it| it == "1");
                    assert!(!required, "chromedriver is not installed, and BROWSER_REQUIRED is 1");
                    println!("skipped: chromedriver is not installed");
                    return None;
                }
                spawned => spawned.unwrap(),
            };
            let lines = BufReader::new(driver.stdout.take().unwrap()).lines().map(Result::unwrap);
            let mut lines = lines.skip_while(|line| !line.contains("started successfully"));
            // Another program may have taken the port that chromedriver chose.
            if let Some(line) = lines.next() {
                let (_, port) = line.rsplit_once(' ').unwrap();
                break (driver, format!("http://127.0.0.1:{}", port.trim_end_matches('.')));
            }
        };
        let agent = Agent::config_builder().proxy(None).http_status_as_error(false).build();
        let mut browser = Self { driver, agent: agent.into(), base_url, session: String::new() };
        // The sandbox of Chromium needs rights that containers lack. The others keep it off the
        // internet.
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let capabilities = json!({ "capabilities": { "alwaysMatch": options } });
        let session = browser.command("/session", &capabilities);
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, body)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.call("GET", path, &Value::Null).as_str().unwrap().to_owned()
    }

    pub(crate) fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    pub(crate) fn url(&self) -> String {
        self.get("/url")
    }

    pub(crate) fn title(&self) -> String {
        self.get("/title")
    }

    /// Returns the visible text of the page.
    pub(crate) fn text(&self) -> String {
        self.get(&format!("{}/text", self.element("//body")))
    }

    /// Clicks on the button with this label, and waits for the next page.
    pub(crate) fn click(&self, label: &str) {
        let button = self.button(label);
        self.command(&format!("{button}/click"), &json!({}));
        self.wait_for_next_page(&button);
    }

    /// Clicks on the button twice, as fast as the browser can.
    pub(crate) fn double_click(&self, label: &str) {
        let button = self.button(label);
        let id = button.rsplit('/').next().unwrap();
        let element = json!({ "element-6066-11e4-a52e-4f735466cecf": id });
        let click = ["pointerDown", "pointerUp"].map(|kind| json!({ "type": kind, "button": 0 }));
        let mut actions = vec![json!({ "type": "pointerMove", "x": 0, "y": 0, "origin": element })];
        actions.extend(click.iter().chain(&click).cloned());
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.command("/actions", &json!({ "actions": [mouse] }));
        self.wait_for_next_page(&button);
    }

    pub(crate) fn delete_cookies(&self) {
        self.call("DELETE", "/cookie", &Value::Null);
    }

    /// Opens a new tab and returns the handle of the old one.
    pub(crate) fn open_tab(&self) -> String {
        let old = self.get("/window");
        let new = self.command("/window/new", &json!({ "type": "tab" }));
        self.switch_to(new["handle"].as_str().unwrap());
        old
    }

    pub(crate) fn switch_to(&self, tab: &str) {
        self.command("/window", &json!({ "handle": tab }));
    }

    fn button(&self, label: &str) -> String {
        self.element(&format!("//button[normalize-space()='{label}']"))
    }

    /// Waits until the page of an element is gone. Other commands then wait until the next page is
    /// loaded.
    fn wait_for_next_page(&self, element: &str) {
        let start = Instant::now();
        while self.try_call("GET", &format!("{element}/name"), &Value::Null).is_ok() {
            assert!(start.elapsed() < PATIENCE, "the page stays");
        }
    }

    /// Returns the path of an element.
    fn element(&self, xpath: &str) -> String {
        let found = self.command("/element", &json!({ "using": "xpath", "value": xpath }));
        let id = found.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let uri = format!("{}{}{path}", self.base_url, self.session);
        let request = Request::builder().method(method).uri(uri);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let mut response_body: Value = serde_json::from_str(&text).unwrap();
        if response.status().is_success() { Ok(response_body["value"].take()) } else { Err(text) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killing chromedriver would leave its browser behind.
        let _ = self.agent.get(format!("{}/shutdown", self.base_url)).call();
        let _ = self.driver.wait();
    }
}
