//! The state and the routes of the sandbox.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{self, Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use dropbox_sign_oauth::UnixTime;
use dropbox_sign_oauth_store::Clock;
use http_body::Frame;

use super::{
    account,
    authorize::{self, Tickets},
    builder::Builder,
    fault::Fault,
    grants::Grants,
    log::{Log, RecordedRequest},
    rate_limit::RateLimit,
    refusal::{Reason, Refusal},
    server::Connection,
    token,
};

/// The size limit of a body, in bytes: more than a thousand times a usual token request.
const BODY_LIMIT: usize = 1024 * 1024;

pub(super) struct Service {
    pub(super) settings: Builder,
    pub(super) clock: Clock,
    pub(super) log: Log,
    /// How far the clock is ahead of the system's.
    ahead: Arc<Mutex<Duration>>,
    grants: Mutex<Grants>,
    rate_limit: Mutex<RateLimit>,
    tickets: Mutex<Tickets>,
    fault: Mutex<Option<Fault>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    pub(super) fn new(settings: Builder) -> Self {
        let ahead = Arc::<Mutex<Duration>>::default();
        let read = Arc::clone(&ahead);
        Self {
            clock: Clock::new(move || UnixTime::now().saturating_add(*lock(&read))),
            log: Log::new(settings.observer.clone()),
            ahead,
            grants: Mutex::new(Grants::new(settings.token_lifetime, settings.refresh_tokens)),
            rate_limit: Mutex::new(RateLimit::new(settings.rate_limit)),
            tickets: Mutex::default(),
            fault: Mutex::default(),
            settings,
        }
    }

    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        lock(&self.grants)
    }

    pub(super) fn tickets(&self) -> MutexGuard<'_, Tickets> {
        lock(&self.tickets)
    }

    pub(super) fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        lock(&self.fault)
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut ahead = lock(&self.ahead);
        *ahead = ahead.saturating_add(by);
    }

    /// Issues a code after a user has approved.
    pub(super) fn issue_code(&self, account: &str, state: &str) -> String {
        self.grants().approve(self.clock.now(), account, state)
    }
}

pub(super) fn router(service: Arc<Service>) -> Router {
    let method_not_allowed = async || {
        let message = "This method is not supported here.";
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_supported", message)
    };
    let api = Router::new()
        .route("/oauth/token", post(token::token))
        .route("/v3/account", get(account::account))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "not_found", "Not found."))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&service), api));
    Router::new()
        .route("/oauth/authorize", get(authorize::ask).post(authorize::decide))
        .route("/sandbox/fault", put(set_fault))
        .method_not_allowed_fallback(method_not_allowed)
        .merge(api)
        .layer(middleware::from_fn_with_state(Arc::clone(&service), record))
        .with_state(service)
}

/// Switches a fault on or off. The method is PUT, because web pages of other origins cannot send
/// it.
async fn set_fault(
    State(service): State<Arc<Service>>,
    body: String,
) -> Result<StatusCode, Refusal> {
    *service.fault() = Fault::parse(&body)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Middleware of all routes: reads the body, and records the request before its response is sent.
async fn record(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (body, response) = if let Ok(body) = body::to_bytes(body, BODY_LIMIT).await {
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        (body, next.run(request).await)
    } else {
        let message = "The body is incomplete or larger than 1 MiB";
        (Bytes::new(), Refusal::bad_request(message).into_response())
    };
    service.log.push(RecordedRequest::new(parts, &body, &response));
    response
}

/// Middleware of the API: counts and limits requests, applies faults, and prevents caching.
async fn api(
    State(service): State<Arc<Service>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let counted = lock(&service.rate_limit).count(service.clock.now());
    let fault = *service.fault();
    let mut response = match fault {
        Some(Fault::RateLimited) => exceeded_rate(),
        _ if !counted.allowed => exceeded_rate(),
        Some(Fault::Unavailable) => {
            let message = "The service is unavailable.";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).into_response()
        }
        Some(Fault::Slow(_) | Fault::Reset) | None => next.run(request).await,
    };
    match fault {
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Reset) => {
            connection.reset_when_closed();
            *response.body_mut() = Body::new(BrokenBody);
            let reason = Reason("The response is lost: the connection is reset".into());
            response.extensions_mut().insert(reason);
        }
        Some(Fault::RateLimited | Fault::Unavailable) | None => {}
    }
    let headers = response.headers_mut();
    headers.extend(counted.headers());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn exceeded_rate() -> Response {
    let status = StatusCode::TOO_MANY_REQUESTS;
    Refusal::new(status, "exceeded_rate", "Too many requests.").into_response()
}

/// Fails, so that the server closes the connection instead of sending the response.
struct BrokenBody;

impl HttpBody for BrokenBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }
}
