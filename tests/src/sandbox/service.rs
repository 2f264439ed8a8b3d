//! The sandbox's state, and which address leads where.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{self, Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use dropbox_sign_oauth::RedirectUri;
use http_body_util::LengthLimitError;

use super::{
    account,
    authorize::{self, Tickets},
    clock::Clock,
    grants::{Grants, RefreshTokens},
    log::{Log, RecordedRequest},
    random,
    rate_limit::RateLimit,
    refusal::Refusal,
    token,
};

/// The largest body that is accepted, in bytes: many times what a token request has.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// What is read of a larger body before it is refused. A server that answers and closes while the
/// client still writes resets the connection, and the client may never see the answer.
const BODY_DRAINED: usize = 1024 * 1024;

/// What [`Builder`](super::Builder) sets.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) api_key: Option<String>,
    pub(super) basic_required: bool,
    pub(super) refresh_needs_credentials: bool,
    pub(super) callback: Option<RedirectUri>,
    pub(super) consent: Consent,
    pub(super) code_lifetime: Duration,
    pub(super) token_lifetime: Duration,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) rate_limit: u64,
}

/// Who decides at the authorize page.
#[derive(Clone, Copy)]
pub(super) enum Consent {
    /// A person.
    Ask,
    /// Nobody: it is approved.
    Approve,
    /// Nobody: it is denied.
    Deny,
}

pub(super) struct Service {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) log: Log,
    grants: Mutex<Grants>,
    rate_limit: Mutex<RateLimit>,
    tickets: Mutex<Tickets>,
}

impl Service {
    pub(super) fn new(settings: Settings) -> Self {
        let grants = Grants::new(
            settings.code_lifetime,
            settings.token_lifetime,
            settings.refresh_tokens,
        );
        Self {
            clock: Clock::default(),
            log: Log::default(),
            grants: Mutex::new(grants),
            rate_limit: Mutex::new(RateLimit::new(settings.rate_limit)),
            tickets: Mutex::default(),
            settings,
        }
    }

    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rate_limit(&self) -> MutexGuard<'_, RateLimit> {
        self.rate_limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A new code, for what the user approved.
    pub(super) fn issue_code(&self, state: &str) -> String {
        let code = random::code();
        let now = self.clock.now();
        self.grants().approve(now, code.clone(), state);
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

/// Around what a browser asks for.
async fn page(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    answer(&service, request, Ok(next)).await
}

/// Around what an app asks for: counted, refused over the limit, and never cached.
async fn api(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let counted = service.rate_limit().count(service.clock.now());
    let next = counted.allowed.then_some(next);
    let next = next.ok_or_else(Refusal::exceeded_rate);
    let mut response = answer(&service, request, next).await;
    let headers = response.headers_mut();
    headers.extend(counted.headers());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads the body up to its limit, lets `next` answer if it may, and puts both down in the log.
async fn answer(service: &Service, request: Request, next: Result<Next, Refusal>) -> Response {
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
    let recorded = RecordedRequest::new(&parts, &recorded_body, response.status());
    service.log.push(recorded);
    response
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match body::to_bytes(body, BODY_DRAINED).await {
        Ok(body) if body.len() <= BODY_LIMIT => Ok(body),
        Err(error) if !is_over_limit(&error) => Err(Refusal::bad_request("The body broke off")),
        Ok(_) | Err(_) => Err(Refusal::body_too_large()),
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    error
        .source()
        .is_some_and(<dyn Error>::is::<LengthLimitError>)
}
