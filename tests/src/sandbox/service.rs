//! The state and the routes of the sandbox.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{self, Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use dropbox_sign_oauth::RedirectUri;
use http_body_util::LengthLimitError;

use super::{
    account::{self, Account},
    authorize::{self, Tickets},
    clock::Clock,
    fault::Fault,
    grants::{Grants, RefreshTokens},
    log::{Log, Observer, RecordedRequest},
    random,
    rate_limit::{Counted, RateLimit},
    refusal::{Reason, Refusal},
    server::Connection,
    token,
};

/// The size limit of a body, in bytes: more than a hundred times a usual token request.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// How many bytes of a larger body are read before it is rejected. If the server closed the
/// connection while the client still writes, the connection would be reset, and the client might
/// not receive the response.
const BODY_DRAINED: usize = 1024 * 1024;

/// The settings of [`Builder`](super::Builder).
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) api_key: Option<String>,
    pub(super) basic: Basic,
    pub(super) nested_errors: bool,
    pub(super) refresh_needs_credentials: bool,
    pub(super) callback: Option<RedirectUri>,
    pub(super) consent: Consent,
    /// The accounts that the user can choose from.
    pub(super) accounts: &'static [Account],
    pub(super) code_lifetime: Duration,
    pub(super) token_lifetime: Duration,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) rate_limit: u64,
}

/// How the `Authorization: Basic` header of token requests is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Basic {
    /// The header is checked if there is one.
    Optional,
    Required,
    /// Like `Optional`, but a header without a user name is accepted.
    Lenient,
}

/// How an authorization request is decided.
#[derive(Clone, Copy)]
pub(super) enum Consent {
    /// The user decides on a page.
    Ask,
    /// It is approved automatically.
    Approve,
    /// It is denied automatically.
    Deny,
}

pub(super) struct Service {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) log: Log,
    grants: Mutex<Grants>,
    rate_limit: Mutex<RateLimit>,
    tickets: Mutex<Tickets>,
    fault: Mutex<Option<Fault>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    pub(super) fn new(
        settings: Settings,
        observer: Option<Observer>,
        fault: Option<Fault>,
    ) -> Self {
        let grants =
            Grants::new(settings.code_lifetime, settings.token_lifetime, settings.refresh_tokens);
        Self {
            clock: Clock::default(),
            log: Log::new(observer),
            grants: Mutex::new(grants),
            rate_limit: Mutex::new(RateLimit::new(settings.rate_limit)),
            tickets: Mutex::default(),
            fault: Mutex::new(fault),
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

    fn count_request(&self) -> Counted {
        lock(&self.rate_limit).count(self.clock.now())
    }

    /// Issues a code after a user has approved.
    pub(super) fn issue_code(&self, account: &'static Account, state: &str) -> String {
        let code = random::code();
        let now = self.clock.now();
        self.grants().approve(now, account, code.clone(), state);
        code
    }
}

pub(super) fn router(service: Arc<Service>) -> Router {
    let pages = Router::new()
        .route(
            "/oauth/authorize",
            get(authorize::ask)
                .post(authorize::decide)
                .fallback(async || Refusal::method_not_allowed("GET, HEAD, POST")),
        )
        .route(
            "/sandbox/fault",
            get(show_fault)
                .put(set_fault)
                .fallback(async || Refusal::method_not_allowed("GET, HEAD, PUT")),
        )
        .layer(middleware::from_fn_with_state(Arc::clone(&service), page));
    let api = Router::new()
        .route(
            "/oauth/token",
            post(token::token).fallback(async || Refusal::method_not_allowed("POST")),
        )
        .route(
            "/v3/account",
            get(account::account).fallback(async || Refusal::method_not_allowed("GET, HEAD")),
        )
        .fallback(async || Refusal::not_found())
        .layer(middleware::from_fn_with_state(Arc::clone(&service), api));
    pages.merge(api).with_state(service)
}

async fn show_fault(State(service): State<Arc<Service>>) -> String {
    let fault = *service.fault();
    fault.map_or("none".into(), |fault| fault.to_string())
}

/// Switches a fault on or off. The method is PUT, because web pages of other origins cannot send
/// it.
async fn set_fault(
    State(service): State<Arc<Service>>,
    body: String,
) -> Result<StatusCode, Refusal> {
    let fault = match body.trim() {
        "none" => None,
        fault => Some(fault.parse().map_err(|_| {
            Refusal::bad_request("A fault is one of 429, 503, slow, reset and none")
        })?),
    };
    *service.fault() = fault;
    Ok(StatusCode::NO_CONTENT)
}

/// Middleware of the pages: records requests.
async fn page(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    respond(&service, request, Ok(next), false).await
}

/// Middleware of the API: counts, limits and records requests, applies faults, and prevents
/// caching.
async fn api(
    State(service): State<Arc<Service>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let counted = service.count_request();
    let fault = *service.fault();
    let next = match fault {
        Some(Fault::RateLimited) => Err(Refusal::exceeded_rate()),
        _ if !counted.allowed => Err(Refusal::exceeded_rate()),
        Some(Fault::Unavailable) => Err(Refusal::unavailable()),
        Some(Fault::Slow(_) | Fault::Reset) | None => Ok(next),
    };
    let is_lost = fault == Some(Fault::Reset);
    let mut response = respond(&service, request, next, is_lost).await;
    match fault {
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Reset) => connection.reset(),
        Some(Fault::RateLimited | Fault::Unavailable) | None => {}
    }
    let headers = response.headers_mut();
    headers.extend(counted.headers());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads the body up to its limit, runs the handler, and records the request. The log notes a
/// response that is lost.
async fn respond(
    service: &Service,
    request: Request,
    next: Result<Next, Refusal>,
    is_lost: bool,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let recorded_body = body.as_ref().ok().cloned().unwrap_or_default();
    let response = match (next, body) {
        (Ok(next), Ok(body)) => {
            let request = Request::from_parts(parts.clone(), Body::from(body));
            next.run(request).await
        }
        (Err(refusal), _) | (_, Err(refusal)) => refusal.into_response(),
    };
    let reason = response.extensions().get::<Reason>();
    let reason = match reason {
        _ if is_lost => Some("The response is lost: the connection is reset".into()),
        Some(Reason(reason)) => Some(reason.clone().into_owned()),
        None => None,
    };
    let status = response.status();
    let recorded = RecordedRequest::new(&parts, &recorded_body, status, reason);
    service.log.push(recorded);
    response
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match body::to_bytes(body, BODY_DRAINED).await {
        Ok(body) if body.len() <= BODY_LIMIT => Ok(body),
        Err(error) if !is_over_limit(&error) => Err(Refusal::bad_request("The body is incomplete")),
        Ok(_) | Err(_) => Err(Refusal::body_too_large()),
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    error.source().is_some_and(<dyn Error>::is::<LengthLimitError>)
}
