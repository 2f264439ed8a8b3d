//! Sends operations with libcurl. See `tests/conformance.rs` for what it does not promise.
//!
//! `cargo run`

use std::{error::Error, mem, time::Duration};

use curl::easy::{Easy2, Handler, List, WriteError};
use dropbox_sign_oauth::{
    CallError, DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, Failure,
    MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS, Operation, PlainHttp, ResponseCollector, State,
};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use http::{Request, StatusCode, response::Builder};

/// The settings of a call. Each call has a connection of its own.
pub(crate) struct Client {
    /// In PEM, or `None` for those of the system.
    pub(crate) root_certificate: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) body_limit: usize,
}

impl Client {
    pub(crate) fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        let (request, replay) = (operation.request(), operation.replay());
        let insecure = |error| CallError::NotSent(Failure::insecure(error));
        PlainHttp::default().check(request.uri()).map_err(insecure)?;
        let mut easy = Easy2::new(Receiver { body_limit: self.body_limit, ..Receiver::default() });
        let result = self.prepare(&mut easy, &request).and_then(|()| easy.perform());
        // curl sets this time just before it sends the request.
        let is_sent = easy.pretransfer_time().is_ok_and(|time| !time.is_zero());
        let failed = |error: curl::Error| match is_sent {
            true => CallError::Unknown { failure: Failure::exchange(error), replay },
            false => CallError::NotSent(Failure::connect(error)),
        };
        let receiver = mem::take(easy.get_mut());
        let response = match (receiver.collector, receiver.error, result) {
            (None, _, result) => return Err(failed(result.err().unwrap_or_else(no_head))),
            (Some(collector), Some(error), _) => collector.interrupted(CallError::from(error))?,
            (Some(collector), None, Err(error)) => collector.interrupted(failed(error))?,
            (Some(collector), None, Ok(())) => collector.finish(),
        };
        Ok(operation.parse(response)?)
    }

    fn prepare(
        &self,
        easy: &mut Easy2<Receiver>,
        request: &Request<Vec<u8>>,
    ) -> Result<(), curl::Error> {
        easy.url(&request.uri().to_string())?;
        easy.custom_request(request.method().as_str())?;
        if !request.body().is_empty() {
            easy.post_fields_copy(request.body())?;
        }
        let mut headers = List::new();
        headers.append("Expect:")?;
        for (name, value) in request.headers() {
            headers.append(&format!("{name}: {}", value.to_str().unwrap_or_default()))?;
        }
        easy.http_headers(headers)?;
        if let Some(root) = &self.root_certificate {
            easy.ssl_cainfo_blob(root.as_bytes())?;
        }
        // None of the environment.
        easy.proxy("")?;
        easy.follow_location(false)?;
        easy.fresh_connect(true)?;
        easy.forbid_reuse(true)?;
        easy.connect_timeout(self.connect_timeout)?;
        easy.timeout(self.deadline)
    }
}

/// The error of a response without a head.
fn no_head() -> curl::Error {
    curl::Error::new(curl_sys::CURLE_GOT_NOTHING)
}

/// Receives one response.
#[derive(Default)]
struct Receiver {
    body_limit: usize,
    head_size: usize,
    head: Builder,
    collector: Option<ResponseCollector>,
    error: Option<dropbox_sign_oauth::Error>,
}

impl Receiver {
    /// Adds a line of the head. Returns `None` if the head is invalid or has too many fields.
    fn add(&mut self, line: &[u8]) -> Option<()> {
        let line = line.trim_ascii_end();
        let head = mem::take(&mut self.head);
        let fields = head.headers_ref()?.len();
        if fields > MAX_RESPONSE_HEADERS {
            return None;
        }
        if line.starts_with(b"HTTP/") {
            let status = StatusCode::from_bytes(line.split(|byte| *byte == b' ').nth(1)?).ok()?;
            self.head = Builder::new().status(status);
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            self.head = head.header(&line[..colon], line[colon + 1..].trim_ascii());
        } else if line.is_empty() {
            let (head, ()) = head.body(()).ok()?.into_parts();
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                let mut collector = ResponseCollector::new(head, self.body_limit);
                self.error = collector.reserve().err();
                self.collector = Some(collector);
            }
        }
        self.error.is_none().then_some(())
    }
}

impl Handler for Receiver {
    fn header(&mut self, line: &[u8]) -> bool {
        self.head_size += line.len();
        let is_trailer = self.collector.is_some();
        self.head_size <= MAX_RESPONSE_HEAD && (is_trailer || self.add(line).is_some())
    }

    fn write(&mut self, chunk: &[u8]) -> Result<usize, WriteError> {
        self.error = self.collector.as_mut().and_then(|collector| collector.push(chunk).err());
        Ok(if self.error.is_none() { chunk.len() } else { 0 })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start()?;
    let app = sandbox.app(); // in production, App::new(client_id, client_secret)?
    let client = Client {
        root_certificate: None,
        connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        deadline: DEFAULT_DEADLINE,
        body_limit: DEFAULT_BODY_LIMIT,
    };
    let state = State::random();
    let query = format!("code={}&state={}", sandbox.issue_code(&state), state.as_str());
    let tokens = client.send(app.generate(app.callback(&query, &state)?))?;
    println!("connected to {}", client.send(app.account(&tokens.access_token))?.email_address);
    Ok(())
}
