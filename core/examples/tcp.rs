//! Sends operations through a plain `TcpStream` and `httparse`, to a proxy on this machine that adds
//! TLS, such as the sidecar of a service mesh.
//!
//! `cargo run --example tcp`

use std::{
    error::Error,
    io::{self, Cursor, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    CallError, DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, Failure,
    MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS, Operation, ResponseCollector, State,
};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use http::{Request, Response, header::CONTENT_LENGTH, response::Parts};

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection whose reads end at a deadline.
struct Connection(TcpStream, Instant);

impl Read for Connection {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = self.1.saturating_duration_since(Instant::now());
        self.0.set_read_timeout(Some(rest.max(Duration::from_nanos(1))))?;
        self.0.read(bytes)
    }
}

/// The limits of a call. Each call has a connection of its own and speaks HTTP/1.0, in which no body
/// is chunked.
pub(crate) struct Client {
    pub(crate) connect_timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) body_limit: usize,
}

impl Client {
    pub(crate) fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        let (request, replay) = (operation.request(), operation.replay());
        let not_sent = |error: BoxError| CallError::NotSent(Failure::connect(error));
        let unknown =
            |error: BoxError| CallError::Unknown { failure: Failure::exchange(error), replay };
        let mut connection = self.connect(&request).map_err(not_sent)?;
        let (head, start) = exchange(&mut connection, &request).map_err(unknown)?;
        let length = body_length(&head).map_err(unknown)?;
        let mut body = Cursor::new(start).chain(connection).take(length.unwrap_or(u64::MAX));
        let mut collector = ResponseCollector::new(head, self.body_limit);
        let mut collect = || {
            collector.reserve()?;
            let mut chunk = [0; 1024];
            loop {
                match body.read(&mut chunk).map_err(|error| unknown(error.into()))? {
                    0 if length.is_some() && body.limit() > 0 => return Err(unknown("cut".into())),
                    0 => return Ok(()),
                    n => collector.push(&chunk[..n])?,
                }
            }
        };
        let response = match collect() {
            Ok(()) => collector.finish(),
            Err(error) => collector.interrupted(error)?,
        };
        Ok(operation.parse(response)?)
    }

    /// Connects to a loopback address. Everything else would need TLS.
    fn connect(&self, request: &Request<Vec<u8>>) -> Result<Connection, BoxError> {
        let end = Instant::now() + self.deadline;
        let address = request.uri().authority().ok_or("no address")?.as_str().parse()?;
        if request.uri().scheme_str() != Some("http") || !SocketAddr::ip(&address).is_loopback() {
            return Err("not a loopback address".into());
        }
        let stream = TcpStream::connect_timeout(&address, self.connect_timeout)?;
        stream.set_write_timeout(Some(self.deadline))?;
        Ok(Connection(stream, end))
    }
}

/// Sends a request. Returns the head of the response, and the start of its body.
fn exchange(
    connection: &mut Connection,
    request: &Request<Vec<u8>>,
) -> Result<(Parts, Vec<u8>), BoxError> {
    let (method, uri, body) = (request.method(), request.uri(), request.body());
    let mut bytes = Vec::new();
    write!(bytes, "{method} {} HTTP/1.0\r\n", uri.path_and_query().ok_or("no path")?)?;
    write!(
        bytes,
        "host: {}\r\ncontent-length: {}\r\n",
        uri.authority().ok_or("no host")?,
        body.len()
    )?;
    for (name, value) in request.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    connection.0.write_all(&[&bytes, &b"\r\n"[..], body].concat())?;

    let mut bytes = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_RESPONSE_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        if let httparse::Status::Complete(len) = head.parse(&bytes)? {
            if let Some(100 | 102..200) = head.code {
                bytes.drain(..len);
                continue;
            }
            let mut response = Response::builder().status(head.code.unwrap_or_default());
            for header in &*head.headers {
                response = response.header(header.name, header.value);
            }
            let (head, ()) = response.body(())?.into_parts();
            return Ok((head, bytes.split_off(len)));
        }
        let mut chunk = [0; 1024];
        match connection.read(&mut chunk)? {
            n if n == 0 || bytes.len() + n > MAX_RESPONSE_HEAD => return Err("no head".into()),
            n => bytes.extend(&chunk[..n]),
        }
    }
}

/// Returns the declared length of the body.
fn body_length(head: &Parts) -> Result<Option<u64>, BoxError> {
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(length), None) => Ok(Some(length.to_str()?.parse()?)),
        _ => Err("duplicate Content-Length".into()),
    }
}

fn main() -> Result<(), BoxError> {
    let sandbox = Sandbox::start()?; // in production, the proxy, by `AppBuilder::endpoints`
    let app = sandbox.app();
    let client = Client {
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
