//! A small blocking client on the standard library and rustls, which conforms; and then broken on
//! purpose, in every way that the conformance run is to catch.

use std::{
    error::Error as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    CallError, Cause, CauseKind, Error, Operation, PlainHttp, ResponseBody, ResponseCollector,
    TokenResponse,
};
use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Ending, Place, Report, Setup, TokenOperation, Verdict, Violation},
    fault::{Group, Outcome},
    tls::client_config,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

/// What is wrong with a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    Nothing,
    SendsPlainHttp,
    FollowsRedirects,
    HasNoDeadline,
    HasALateDeadline,
    ConnectsUntilTheDeadline,
    HasNoBodyLimit,
    SendsAgain,
    TakesStatusForFailure,
    TakesAllForUnsent,
    InventsTokens,
    LosesTheRefreshToken,
    LosesHeaders,
    Panics,
    Hangs,
    ShowsTheRequest,
    LogsTheAnswer,
}

struct Client {
    setup: Setup,
    tls: Arc<ClientConfig>,
    broken: Broken,
}

impl Client {
    fn new(setup: &Setup, broken: Broken) -> Self {
        let tls = client_config([setup.root_certificate().clone()]);
        Self {
            setup: setup.clone(),
            tls: Arc::new(tls),
            broken,
        }
    }

    fn send(&self, operation: TokenOperation) -> Result<TokenResponse, CallError> {
        let request = operation.request();
        let uri = request.uri().clone();
        let insecure = |error| CallError::NotSent(Cause::new(CauseKind::Insecure(error)));
        let plain_http = match self.broken {
            Broken::SendsPlainHttp => PlainHttp::Anywhere,
            _ => PlainHttp::default(),
        };
        plain_http.check(&uri).map_err(insecure)?;
        let response = match (self.exchange(&uri, &request), self.broken) {
            (Err(CallError::Unknown(_)), Broken::SendsAgain) => self.exchange(&uri, &request)?,
            (Err(CallError::Unknown(cause)), Broken::TakesAllForUnsent) => {
                return Err(CallError::NotSent(cause));
            }
            (Ok(response), Broken::FollowsRedirects) if response.status().is_redirection() => {
                match absolute_location(response.headers()) {
                    Some(location) => self.exchange(&location, &request)?,
                    None => response,
                }
            }
            (Ok(response), Broken::TakesStatusForFailure) if !response.status().is_success() => {
                return Err(failed(io::Error::other("http status")));
            }
            (Ok(response), Broken::Panics) if response.status().is_server_error() => {
                panic!("a server error");
            }
            (Err(_), Broken::ShowsTheRequest) => {
                return Err(failed(io::Error::other(format!("{request:?}"))));
            }
            (Ok(response), Broken::InventsTokens) if response.status().is_success() => {
                return Ok(operation.parse(Response::new(r#"{"access_token":"x"}"#))?);
            }
            (Ok(response), Broken::LosesTheRefreshToken) => {
                let mut tokens = operation.parse(response)?;
                tokens.refresh_token = None;
                return Ok(tokens);
            }
            (Err(error), Broken::Hangs) if is_timeout(&error) => loop {
                thread::park();
            },
            (Ok(mut response), Broken::LosesHeaders) => {
                response.headers_mut().clear();
                response
            }
            (Ok(response), Broken::LogsTheAnswer) => {
                log::debug!("{}", String::from_utf8_lossy(response.body().as_ref()));
                response
            }
            (result, _) => result?,
        };
        Ok(operation.parse(response)?)
    }

    fn exchange(
        &self,
        uri: &Uri,
        request: &Request<Vec<u8>>,
    ) -> Result<Response<ResponseBody>, CallError> {
        let unsent = |error| CallError::NotSent(Cause::with_source(CauseKind::Connect, error));
        let mut stream = self.connect(uri).map_err(unsent)?;
        stream.write_all(&serialize(uri, request)).map_err(failed)?;
        let mut reader = BufReader::new(stream);
        let head = loop {
            let head = read_head(&mut reader).map_err(failed)?;
            match head.status() {
                StatusCode::CONTINUE | StatusCode::EARLY_HINTS => {}
                _ => break head,
            }
        };
        let framing = Framing::of(&head).map_err(failed)?;
        let mut body = Body {
            collector: ResponseCollector::new(head.into_parts().0, self.setup.body_limit()),
            reads_on: self.broken == Broken::HasNoBodyLimit,
        };
        match body.collect(&mut reader, framing) {
            Ok(()) => Ok(body.collector.finish()),
            Err(error) => body.collector.interrupted(error),
        }
    }

    /// Connects, with TLS where the URI says so, within the time for it.
    fn connect(&self, uri: &Uri) -> io::Result<Box<dyn Stream>> {
        let host = uri.host().unwrap_or_default();
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = (host, port).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::other("no address"))?;
        let begin = Instant::now();
        let deadline = self.setup.deadline();
        let (connect_timeout, deadline) = match self.broken {
            Broken::HasNoDeadline => (None, None),
            Broken::HasALateDeadline => (Some(self.setup.connect_timeout()), Some(2 * deadline)),
            Broken::ConnectsUntilTheDeadline => (Some(deadline), Some(deadline)),
            // What it reads too much of has no end, and the test is to have one soon.
            Broken::HasNoBodyLimit => {
                let deadline = deadline.min(Duration::from_secs(1));
                (Some(deadline), Some(deadline))
            }
            _ => (Some(self.setup.connect_timeout()), Some(deadline)),
        };
        let tcp = match connect_timeout {
            Some(timeout) => TcpStream::connect_timeout(&address, timeout)?,
            None => TcpStream::connect(address)?,
        };
        let expires = deadline.map(|deadline| begin + deadline);
        let mut timed = Timed {
            tcp,
            expires: connect_timeout.map(|timeout| begin + timeout),
        };
        if !is_tls {
            timed.expires = expires;
            return Ok(Box::new(timed));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut tls =
            ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut timed)?;
        }
        timed.expires = expires;
        Ok(Box::new(StreamOwned::new(tls, timed)))
    }
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// A connection whose every read and write ends by one point in time.
struct Timed {
    tcp: TcpStream,
    expires: Option<Instant>,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self
            .expires
            .map(|expires| expires.saturating_duration_since(Instant::now()));
        match left {
            Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

fn failed(error: io::Error) -> CallError {
    CallError::Unknown(Cause::with_source(CauseKind::Exchange, error))
}

/// Whether an exchange ended by its deadline.
fn is_timeout(error: &CallError) -> bool {
    let CallError::Unknown(cause) = error else {
        return false;
    };
    let error = cause.source().and_then(|e| e.downcast_ref::<io::Error>());
    error.is_some_and(|error| {
        let kinds = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
        kinds.contains(&error.kind())
    })
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn absolute_location(headers: &HeaderMap) -> Option<Uri> {
    let location: Uri = headers.get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
    location.host().is_some().then_some(location)
}

fn serialize(uri: &Uri, request: &Request<Vec<u8>>) -> Vec<u8> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut bytes =
        format!("{} {path} HTTP/1.1\r\nhost: {host}\r\n", request.method()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let length = request.body().len();
    bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    bytes.extend_from_slice(request.body());
    bytes
}

/// A line without its end, which is a line feed at least.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    const MAX_LINE: u64 = 8 * 1024;

    let mut line = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").ok_or_else(invalid)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| invalid())
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<HeaderMap> {
    const MAX_LINES: usize = 64;

    let mut headers = HeaderMap::new();
    for _ in 0..MAX_LINES {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(invalid)?;
        let name: HeaderName = name.parse().map_err(|_| invalid())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| invalid())?;
        headers.append(name, value);
    }
    Err(invalid())
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Response<()>> {
    let line = read_line(reader)?;
    let mut parts = line.splitn(3, ' ');
    if !matches!(parts.next(), Some("HTTP/1.0" | "HTTP/1.1")) {
        return Err(invalid());
    }
    let status = parts.next().and_then(|status| status.parse().ok());
    let mut head = Response::new(());
    *head.status_mut() = status.ok_or_else(invalid)?;
    *head.headers_mut() = read_headers(reader)?;
    Ok(head)
}

/// How a body ends.
#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
    UntilTheEnd,
}

impl Framing {
    fn of(head: &Response<()>) -> io::Result<Self> {
        let status = head.status();
        if status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Self::Length(0));
        }
        if head.headers().contains_key(header::TRANSFER_ENCODING) {
            return Ok(Self::Chunked);
        }
        let mut lengths = head.headers().get_all(header::CONTENT_LENGTH).iter();
        match (lengths.next(), lengths.next()) {
            (None, _) => Ok(Self::UntilTheEnd),
            (Some(length), None) => {
                let length = length.to_str().ok().and_then(|length| length.parse().ok());
                length.map(Self::Length).ok_or_else(invalid)
            }
            (Some(_), Some(_)) => Err(invalid()),
        }
    }
}

struct Body {
    collector: ResponseCollector,
    /// Reads what is above the limit as well, and drops it.
    reads_on: bool,
}

impl Body {
    fn collect(&mut self, reader: &mut impl BufRead, framing: Framing) -> Result<(), CallError> {
        match framing {
            Framing::Length(length) => {
                if !self.reads_on {
                    self.collector.reserve()?;
                }
                self.collect_bytes(reader, Some(length))
            }
            Framing::Chunked => self.collect_chunks(reader),
            Framing::UntilTheEnd => self.collect_bytes(reader, None),
        }
    }

    fn collect_chunks(&mut self, reader: &mut impl BufRead) -> Result<(), CallError> {
        loop {
            let line = read_line(reader).map_err(failed)?;
            let size = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(|_| failed(invalid()))?;
            if size == 0 {
                return read_headers(reader).map(drop).map_err(failed);
            }
            self.collect_bytes(reader, Some(size))?;
            if !read_line(reader).map_err(failed)?.is_empty() {
                return Err(failed(invalid()));
            }
        }
    }

    /// So many bytes, or all that there are.
    fn collect_bytes(
        &mut self,
        reader: &mut impl BufRead,
        length: Option<u64>,
    ) -> Result<(), CallError> {
        let mut left = length.unwrap_or(u64::MAX);
        while left > 0 {
            let mut buffer = [0; 4096];
            let read = reader.take(left).read(&mut buffer).map_err(failed)?;
            if read == 0 && length.is_some() {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            if read == 0 {
                break;
            }
            left -= read as u64;
            match self.collector.push(&buffer[..read]) {
                Err(Error::TooLarge { .. }) if self.reads_on => {}
                pushed => pushed?,
            }
        }
        Ok(())
    }
}

fn conformance(broken: Broken) -> Conformance {
    Conformance::new(format!("{broken:?}"))
}

fn run(conformance: Conformance, broken: Broken) -> Report {
    conformance.run_blocking(move |setup| {
        let client = Client::new(setup, broken);
        move |operation| client.send(operation)
    })
}

#[test]
fn the_client_conforms() {
    let report = run(conformance(Broken::Nothing), Broken::Nothing);
    report.assert_conforms();
    assert_eq!(report.failures().count(), 0);
    assert!(report.log_records.is_some());
}

/// Runs a broken client through a group, and gives what is wrong with a case.
#[track_caller]
fn violations(broken: Broken, group: Group, case: &str) -> (Ending, Vec<Violation>) {
    let report = run(conformance(broken).only(&[group]), broken);
    let row = report.row(case).expect("a case of the group");
    let Verdict::Failed(violations) = &row.verdict else {
        panic!("`{case}` does not see it:\n{report}");
    };
    // The run went on: what has nothing to do with it passed.
    assert!(
        report.rows.iter().any(|row| row.verdict == Verdict::Passed),
        "{report}"
    );
    (row.ending.clone(), violations.clone())
}

fn ended(outcome: Outcome) -> Ending {
    Ending::Outcome(outcome)
}

#[test]
fn plain_http_to_another_host_is_seen() {
    let (ending, violations) = violations(
        Broken::SendsPlainHttp,
        Group::Connect,
        "http-to-another-host",
    );
    assert_eq!(ending, ended(Outcome::Unknown));
    assert_eq!(violations, [Violation::Outcome]);
}

#[test]
fn a_connect_timeout_that_is_not_kept_is_seen() {
    let broken = Broken::ConnectsUntilTheDeadline;
    let report = run(conformance(broken).only(&[Group::Connect]), broken);
    for case in ["syn-black-hole", "tls-silence"] {
        let row = report.row(case).expect("a case of the group");
        assert_eq!(row.ending, ended(Outcome::NotSent), "{report}");
        assert!(
            matches!(&row.verdict, Verdict::Failed(violations)
                if matches!(violations[..], [Violation::Late(_)])),
            "{report}"
        );
    }
    assert_eq!(report.failures().count(), 2, "{report}");
}

#[test]
fn following_redirects_is_seen() {
    let (ending, violations) = violations(Broken::FollowsRedirects, Group::Status, "307");
    assert_eq!(ending, ended(Outcome::Ok));
    assert_eq!(
        violations,
        [Violation::Outcome, Violation::RedirectFollowed]
    );
}

#[test]
fn a_missing_deadline_is_seen() {
    let (ending, violations) = violations(Broken::HasNoDeadline, Group::Exchange, "silence");
    assert_eq!(ending, Ending::Hung);
    assert!(
        matches!(violations[..], [Violation::Outcome, Violation::Late(_)]),
        "{violations:?}"
    );
}

#[test]
fn a_late_deadline_is_seen() {
    let (ending, violations) = violations(Broken::HasALateDeadline, Group::Exchange, "silence");
    assert_eq!(ending, ended(Outcome::Unknown));
    assert!(
        matches!(violations[..], [Violation::Late(_)]),
        "{violations:?}"
    );
}

#[test]
fn a_missing_limit_is_seen() {
    let (ending, violations) = violations(Broken::HasNoBodyLimit, Group::Body, "endless-body");
    assert_eq!(ending, ended(Outcome::Unknown));
    assert!(
        matches!(
            violations[..],
            [Violation::Outcome, Violation::BytesRead(_)]
        ),
        "{violations:?}"
    );
}

#[test]
fn sending_again_is_seen() {
    let (ending, violations) =
        violations(Broken::SendsAgain, Group::Exchange, "fin-before-the-head");
    assert_eq!(ending, ended(Outcome::Unknown));
    assert_eq!(violations, [Violation::Requests(2)]);
}

#[test]
fn a_status_taken_for_a_failure_is_seen() {
    let (ending, violations) = violations(Broken::TakesStatusForFailure, Group::Status, "401-html");
    assert_eq!(ending, ended(Outcome::Unknown));
    assert_eq!(violations, [Violation::Outcome, Violation::Unsaid("401")]);
}

#[test]
fn a_false_not_sent_is_seen() {
    let (ending, violations) = violations(
        Broken::TakesAllForUnsent,
        Group::Exchange,
        "fin-before-the-head",
    );
    assert_eq!(ending, ended(Outcome::NotSent));
    assert_eq!(violations, [Violation::Outcome, Violation::SentAfterAll]);
}

#[test]
fn invented_tokens_are_seen() {
    let (ending, violations) = violations(Broken::InventsTokens, Group::Exchange, "honest");
    assert_eq!(ending, ended(Outcome::Ok));
    assert_eq!(violations, [Violation::WrongTokens]);
}

#[test]
fn a_lost_refresh_token_is_seen() {
    let (ending, violations) = violations(Broken::LosesTheRefreshToken, Group::Exchange, "honest");
    assert_eq!(ending, ended(Outcome::Ok));
    assert_eq!(violations, [Violation::WrongTokens]);
}

#[test]
fn lost_headers_are_seen() {
    let (ending, violations) = violations(Broken::LosesHeaders, Group::Status, "429-seconds");
    assert_eq!(ending, ended(Outcome::Throttled));
    assert_eq!(violations, [Violation::Wait(None)]);
}

#[test]
fn a_failure_of_an_earlier_call_is_seen() {
    let report = Conformance::new("never")
        .only(&[Group::Exchange])
        .run_blocking(|_| |_| Err(CallError::NotSent(Cause::new(CauseKind::Connect))));
    let row = report.row("stale-kept-connection").expect("a case");
    let earlier = Violation::EarlierCall(ended(Outcome::NotSent));
    assert_eq!(
        row.verdict,
        Verdict::Failed(vec![Violation::Outcome, earlier])
    );
}

#[test]
fn async_clients_that_panic_or_hang_are_seen() {
    let report = Conformance::new("never")
        .only(&[Group::Exchange])
        .run_async(|setup| {
            let deadline = setup.deadline();
            async move |operation: TokenOperation| {
                assert!(deadline < Duration::from_secs(2), "{operation:?}");
                std::future::pending().await
            }
        });
    let ending = |case| &report.row(case).expect("a case").ending;
    assert_eq!(*ending("silence"), Ending::Hung);
    assert!(matches!(ending("honest"), Ending::Panicked(_)));
    // The caller gave up, and the client with it.
    let row = report.row("caller-gives-up").expect("a case");
    assert_eq!(row.verdict, Verdict::Passed);
}

#[test]
fn a_panic_is_seen() {
    let (ending, violations) = violations(Broken::Panics, Group::Status, "503-empty");
    assert_eq!(ending, Ending::Panicked("a server error".into()));
    assert_eq!(violations, [Violation::Outcome, Violation::Unsaid("503")]);
}

#[test]
fn a_hang_is_seen() {
    let (ending, violations) = violations(Broken::Hangs, Group::Head, "head-stalls");
    assert_eq!(ending, Ending::Hung);
    assert!(
        matches!(violations[..], [Violation::Outcome, Violation::Late(_)]),
        "{violations:?}"
    );
}

#[test]
fn a_request_that_is_shown_is_seen() {
    let (_, violations) = violations(
        Broken::ShowsTheRequest,
        Group::Exchange,
        "fin-before-the-head",
    );
    for (secret, place) in [
        ("client_secret", Place::Debug),
        ("code", Place::Source),
        ("state", Place::Source),
    ] {
        let leak = Violation::Leak(secret, place);
        assert!(violations.contains(&leak), "{violations:?}");
    }
}

#[test]
fn an_answer_that_is_logged_is_seen() {
    let (ending, violations) = violations(Broken::LogsTheAnswer, Group::Json, "trailing-comma");
    assert_eq!(ending, ended(Outcome::Malformed));
    assert_eq!(violations, [Violation::Leak("access_token", Place::Log)]);
}

#[test]
fn allowances_are_shown_and_missed_where_they_are_not_needed() {
    let broken = Broken::TakesStatusForFailure;
    let allowing = conformance(broken)
        .only(&[Group::Status])
        .allow("503-tokens", Outcome::Unknown)
        .allow("401-html", Outcome::Unknown)
        .allow("201", Outcome::Malformed);
    let report = run(allowing, broken);
    let verdict = |case| &report.row(case).expect("a case of the group").verdict;
    assert_eq!(*verdict("503-tokens"), Verdict::Allowed);
    // The outcome is allowed, and the rest is not.
    assert_eq!(
        *verdict("401-html"),
        Verdict::Failed(vec![Violation::Unsaid("401")])
    );
    let not_needed = ("201".into(), Outcome::Malformed);
    assert_eq!(report.unused_allowances, [not_needed]);
    let shown = report.to_string();
    assert!(shown.contains("allowed to end in `unknown`"), "{shown}");
    let last = shown.lines().last();
    assert_eq!(
        last,
        Some("not needed: `201` is allowed to end in `malformed`")
    );
}

#[test]
fn a_report_is_a_table() {
    let report = run(
        conformance(Broken::Nothing).only(&[Group::Http2]),
        Broken::Nothing,
    );
    let shown = report.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "group   case                        expected             got  POSTs  bytes     time  \
             verdict",
            "http/2  h2-honest                   ok                   -        0      0  0.000 s  \
             not applicable: the transport does not speak HTTP/2",
            "http/2  h2-refused-stream           unknown or not sent  -        0      0  0.000 s  \
             not applicable: the transport does not speak HTTP/2",
        ]
    );
    let summary = lines.last().expect("a summary");
    assert!(summary.starts_with("Nothing: 9 cases in "), "{summary}");
    let counts = ": 0 passed, 0 allowed, 0 failed, 9 not applicable; ";
    assert!(summary.contains(counts), "{summary}");
}

#[test]
#[should_panic(expected = "FAILED: the tokens are not the server's")]
fn what_does_not_conform_panics_with_the_failures() {
    let broken = Broken::InventsTokens;
    run(conformance(broken).only(&[Group::Exchange]), broken).assert_conforms();
}

#[test]
#[should_panic(expected = "there is no case `403-or-so` to be allowed")]
fn an_allowance_is_for_a_case() {
    let broken = Broken::Nothing;
    let allowing = conformance(broken).allow("403-or-so", Outcome::Rejected);
    let _ = run(allowing, broken);
}
