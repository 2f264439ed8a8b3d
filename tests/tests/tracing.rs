//! Tests the spans of calls and the events of sessions, on both adapters, and that none of them
//! shows a secret.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    future::Future as _,
    mem,
    pin::pin,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth::{
    App, AuthorizationCode, Endpoints, Operation, RetryPolicy, State, Token, TokenGenerate,
    session::Record,
};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_testkit::{
    peer::{ClosedPort, Peer, Script},
    samples::chain,
};
use dropbox_sign_oauth_ureq::{self as ureq, FileStore, MemoryStore, Store};
use tokio::runtime::{self, Runtime};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

type Fields = BTreeMap<&'static str, String>;

/// Everything that the crates have recorded: spans and events, in the order of their beginning.
#[derive(Default)]
struct Capture(Mutex<Vec<Fields>>);

impl Capture {
    fn lock(&self) -> MutexGuard<'_, Vec<Fields>> {
        // A test that has failed must not fail the others.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Recorder<'a>(&'a mut Fields);

impl Visit for Recorder<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let old = self.0.insert(field.name(), format!("{value:?}"));
        assert_eq!(old, None, "{field} is recorded twice");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for &'static Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dropbox_sign")
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields::from([("span", attributes.metadata().name().to_owned())]);
        attributes.record(&mut Recorder(&mut fields));
        let mut spans = self.lock();
        spans.push(fields);
        span::Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let index = usize::try_from(id.into_u64()).unwrap() - 1;
        values.record(&mut Recorder(&mut self.lock()[index]));
    }

    fn event(&self, event: &Event<'_>) {
        let level = event.metadata().level();
        let mut fields = Fields::from([("level", level.to_string())]);
        event.record(&mut Recorder(&mut fields));
        self.lock().push(fields);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Takes what has been recorded with this value, after a search of everything for secrets.
fn captured(name: &str, value: &str) -> Vec<Fields> {
    let mut all = capture().lock();
    for (name, text) in all.iter().flatten() {
        let basic = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{SECRET}"));
        assert!(!text.contains(SECRET) && !text.contains(&basic), "{name}: {text}");
    }
    let wanted = all.iter_mut().filter(|fields| fields.get(name).is_some_and(|it| it == value));
    let take = |fields| {
        let mut taken: Fields = mem::take(fields);
        taken.remove(name);
        taken
    };
    wanted.map(take).collect()
}

fn capture() -> &'static Capture {
    static CAPTURE: OnceLock<Capture> = OnceLock::new();
    let capture = CAPTURE.get_or_init(Capture::default);
    // Fails if another test has set it.
    let _ = tracing::dispatcher::set_global_default(capture.into());
    capture
}

/// A part of each secret.
const SECRET: &str = "canary";

const CLIENT_ID: &str = "client-id";

fn app_at(base: &str) -> App {
    let app = App::builder(CLIENT_ID, "canary").endpoints(Endpoints::at(base).unwrap());
    app.build().unwrap()
}

fn generate(base: &str) -> TokenGenerate {
    let state = State::from_stored("canary-state").unwrap();
    app_at(base).generate(AuthorizationCode::new("canary-code", state).unwrap())
}

fn response(status: u16, headers: &str, body: &str) -> Script {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\n\r\n");
    Script::new().read_request().send(head + body)
}

const TOKENS: &str = r#"{"access_token":"canary-a1","refresh_token":"canary-r1","state":"canary-state","expires_in":86400}"#;

const ADAPTERS: [&str; 2] = ["hyper", "ureq"];

fn runtime() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Sends an operation, whatever its result is. Opens a connection ahead for a code of `app`.
fn send(adapter: &str, operation: impl Operation, attempts: u32, app: Option<&App>) {
    capture();
    let policy = RetryPolicy::default().attempts(attempts).base_delay(Duration::ZERO);
    if adapter == "ureq" {
        let transport = ureq::Transport::new().unwrap();
        if let Some(app) = app {
            transport.connect_ahead(app);
        }
        let _ = transport.send_with_retry(operation, policy);
    } else {
        let (transport, runtime) = (hyper::Transport::new().unwrap(), runtime());
        let _runtime = runtime.enter();
        if let Some(app) = app {
            transport.connect_ahead(app);
        }
        let _ = runtime.block_on(transport.send_with_retry(operation, policy));
    }
}

/// The span of a request for tokens, whose other fields are `rest`: `name=value`, separated by
/// spaces. The names that begin with a point are the library's own.
fn span(operation: &str, rest: &str) -> Fields {
    let name = format!("POST {operation}");
    let common = [
        ("span", "http.client.request"),
        ("otel.name", &name),
        ("otel.kind", "client"),
        ("http.request.method", "POST"),
        ("server.address", "127.0.0.1"),
        ("url.path", "/oauth/token"),
        ("dropbox_sign.operation", operation),
    ];
    let rest = rest.split(' ').map(|field| field.split_once('=').unwrap());
    common
        .into_iter()
        .chain(rest.map(|(name, value)| (long_name(name), value)))
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

fn long_name(short: &str) -> &'static str {
    match short {
        "status" => "http.response.status_code",
        "resends" => "http.request.resend_count",
        "otel" => "otel.status_code",
        "error" => "error.type",
        "code" => "dropbox_sign.error_code",
        "delivery" => "dropbox_sign.delivery",
        "connection" => "dropbox_sign.connection",
        "remaining" => "dropbox_sign.rate_limit.remaining",
        other => panic!("no field {other}"),
    }
}

/// Returns the spans of requests to `base`, without their durations.
fn spans(base: &str) -> Vec<Fields> {
    let (_, port) = base.rsplit_once(':').unwrap();
    let mut spans = captured("server.port", port);
    for span in &mut spans {
        if let Some(duration) = span.remove("dropbox_sign.duration") {
            assert!((0.0..60.0).contains(&duration.parse().unwrap()), "{duration}");
        } else {
            assert_eq!(span["error.type"], "canceled");
        }
    }
    spans
}

#[test]
fn records_a_span_for_each_attempt() {
    let refused = ClosedPort::bind().unwrap();
    let remaining = "X-RateLimit-Remaining: 99\r\n";
    let echo = r#"{"error":"canary-code","error_description":"canary-code"}"#;
    for (script, expected) in [
        (
            Some(response(200, remaining, TOKENS)),
            "delivery=answered status=200 connection=new remaining=99",
        ),
        (
            Some(response(400, "", r#"{"error":"invalid_grant"}"#)),
            "delivery=answered status=400 connection=new error=rejected code=invalid_grant otel=ERROR",
        ),
        (
            Some(response(400, "", echo)),
            "delivery=answered status=400 connection=new error=rejected code=other otel=ERROR",
        ),
        (
            Some(response(429, "X-RateLimit-Remaining: 0\r\n", "")),
            "delivery=answered status=429 connection=new error=throttled remaining=0 otel=ERROR",
        ),
        (
            Some(response(200, "", &TOKENS.replace("canary-state", "canary-other"))),
            "delivery=answered status=200 connection=new error=state_mismatch otel=ERROR",
        ),
        (
            Some(Script::new().read_request().reset()),
            "delivery=unknown connection=new error=exchange otel=ERROR",
        ),
        (None, "delivery=not_sent error=connect otel=ERROR"),
    ] {
        for adapter in ADAPTERS {
            let peer = script.clone().map(|script| Peer::start([script], None).unwrap());
            let base = match &peer {
                Some(peer) => peer.http(),
                None => format!("http://{}", refused.address()),
            };
            send(adapter, generate(&base), 1, None);
            assert_eq!(spans(&base), [span("oauthTokenGenerate", expected)]);
        }
    }
}

#[test]
fn records_which_attempt_a_span_is_of() {
    let script = response(503, "", "").read_request();
    let script =
        script.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{TOKENS}", TOKENS.len()));
    for adapter in ADAPTERS {
        let peer = Peer::start([script.clone()], None).unwrap();
        let refresh = app_at(&peer.http()).refresh(&Token::new("canary-r0").unwrap());
        send(adapter, refresh, 2, None);
        let first = "delivery=answered status=503 connection=new error=server_fault otel=ERROR";
        let second = "delivery=answered status=200 connection=reused resends=1";
        let expected = [first, second].map(|rest| span("oauthTokenRefresh", rest));
        assert_eq!(spans(&peer.http()), expected);
    }
}

#[test]
fn records_that_a_connection_was_opened_ahead() {
    for adapter in ADAPTERS {
        let peer = Peer::start([response(200, "", TOKENS)], None).unwrap();
        let base = peer.http();
        send(adapter, generate(&base), 1, Some(&app_at(&base)));
        let expected = "delivery=answered status=200 connection=ahead";
        assert_eq!(spans(&base), [span("oauthTokenGenerate", expected)]);
    }
}

#[test]
fn records_that_a_call_is_canceled() {
    capture();
    let peer = Peer::start([Script::new()], None).unwrap();
    let transport = hyper::Transport::new().unwrap();
    runtime().block_on(async {
        let mut call = pin!(transport.send(generate(&peer.http())));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    });
    let expected = "delivery=unknown error=canceled otel=ERROR";
    assert_eq!(spans(&peer.http()), [span("oauthTokenGenerate", expected)]);
}

/// Requests an access token from the session of `key`.
fn access_token(adapter: &str, base: &str, key: &str, store: impl Store + 'static) {
    let app = app_at(base);
    let _ = if adapter == "ureq" {
        ureq::Sessions::new(app, ureq::Transport::new().unwrap(), store).get(key).access_token()
    } else {
        let store = hyper::Blocking::new(store);
        let sessions = hyper::Sessions::new(app, hyper::Transport::new().unwrap(), store);
        runtime().block_on(sessions.get(key).access_token())
    };
}

#[test]
fn records_the_events_of_a_session() {
    let started = "DEBUG refresh started";
    let stored = "INFO refreshed tokens stored";
    let refusal = response(401, "", r#"{"error":"invalid_client","error_description":"canary"}"#);
    for (name, refresh, claim, script, expected) in [
        ("success", "due", "null", response(200, "", TOKENS), &[started, stored][..]),
        (
            "takeover",
            "in_progress",
            "77",
            response(200, "", TOKENS),
            &["WARN claim taken over", started, stored],
        ),
        (
            "failure",
            "due",
            "null",
            refusal,
            &[started, "WARN refresh failed rejected invalid_client 1"],
        ),
    ] {
        for adapter in ADAPTERS {
            capture();
            let key = format!("{name} on {adapter}");
            let record = format!(
                r#"{{"format":2,"version":9,"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"{refresh}","at":1,"claim":{claim},"failures":0,"rejections":0,"access_token":"canary-a0","refresh_token":"canary-r0","expires_at":1}}"#
            );
            let store = MemoryStore::default();
            let record = Record::from_json(&record).unwrap();
            store.compare_and_swap(&key, None, &record).unwrap();
            let peer = Peer::start([script.clone()], None).unwrap();
            access_token(adapter, &peer.http(), &key, store);
            assert_eq!(events(&key), expected, "{key}");
        }
    }
}

#[test]
fn records_that_a_store_failed_without_its_message() {
    for adapter in ADAPTERS {
        capture();
        let key = format!("broken-{adapter}");
        // Its error has the path.
        let folder = tempfile::Builder::new().prefix("canary").tempdir().unwrap();
        fs::write(folder.path().join(format!("session-{key}.json")), "x").unwrap();
        let store = FileStore::open(folder.path()).unwrap();
        assert!(chain(&store.load(&key).unwrap_err()).contains("canary"));
        access_token(adapter, "http://127.0.0.1:1", &key, store);
        assert_eq!(events(&key)[0], "WARN store failed 1");
    }
}

/// Returns the events of the session of `key`.
fn events(key: &str) -> Vec<String> {
    let event = |mut fields: Fields| {
        let names =
            ["level", "message", "error.type", "dropbox_sign.error_code", "dropbox_sign.failures"];
        let texts: Vec<_> = names.iter().filter_map(|name| fields.remove(name)).collect();
        assert!(fields.is_empty(), "{fields:?}");
        texts.join(" ")
    };
    captured("dropbox_sign.session", key).into_iter().map(event).collect()
}
