//! The service: refresh tokens that are replaced at each refresh, and families that are revoked.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::{get, post},
};
use dropbox_sign_oauth_benches::BoxError;
use serde_json::{Value, json};

use crate::USERS;

/// How long an access token is valid.
pub(crate) const LIFETIME: Duration = Duration::from_secs(20);

/// How long a response takes: a process may be killed meanwhile.
const LATENCY: Duration = Duration::from_millis(200);

/// The tokens of one user.
#[derive(Clone)]
pub(crate) struct Family {
    /// The number of the last tokens.
    pub(crate) generation: u64,
    /// The process that received them.
    pub(crate) issued_to: String,
    /// When they were issued.
    pub(crate) issued_at: Instant,
    /// Why the family is revoked.
    pub(crate) revoked: Option<String>,
}

/// A service on a free port.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    families: Arc<Mutex<Vec<Family>>>,
}

type Response = (StatusCode, Json<Value>);

impl Service {
    /// Starts the service with tokens of generation 0 for all users.
    pub(crate) fn start() -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let family = Family {
            generation: 0,
            issued_to: "controller".into(),
            issued_at: Instant::now(),
            revoked: None,
        };
        let families = Arc::new(Mutex::new((0..USERS).map(|_| family.clone()).collect()));
        let service = Self { address: listener.local_addr()?, families };
        let router = Router::new()
            .route("/oauth/token", post(refresh))
            .fallback(get(account))
            .with_state(service.clone());
        let runtime = tokio::runtime::Runtime::new()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, router).await
            })
        });
        Ok(service)
    }

    /// The tokens of all users.
    pub(crate) fn families(&self) -> MutexGuard<'_, Vec<Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns new tokens for the process that sends the last refresh token of a user.
    fn issue(&self, body: &Value) -> Result<Value, &'static str> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (user, generation) = token("r", text("refresh_token")).ok_or("not a token")?;
        let mut families = self.families();
        let family = families.get_mut(usize::try_from(user).unwrap_or(usize::MAX));
        let family = family.filter(|family| family.revoked.is_none()).ok_or("revoked")?;
        if generation != family.generation {
            family.revoked = Some(format!(
                "{} used tokens {generation} after {} had been issued to {} for {:?}",
                text("client_id"),
                family.generation,
                family.issued_to,
                family.issued_at.elapsed(),
            ));
            return Err("replaced");
        }
        let generation = generation + 1;
        let issued_to = text("client_id").into();
        *family = Family { generation, issued_to, issued_at: Instant::now(), revoked: None };
        Ok(json!({
            "access_token": format!("a-{user}-{generation}"),
            "token_type": "Bearer",
            "refresh_token": format!("r-{user}-{generation}"),
            "expires_in": LIFETIME.as_secs(),
        }))
    }
}

async fn refresh(State(service): State<Service>, Json(body): Json<Value>) -> Response {
    // Issued before the wait: the response may not reach its process any more.
    let issued = service.issue(&body);
    tokio::time::sleep(LATENCY).await;
    let rejected = |why| Err(json!({ "error": "invalid_grant", "error_description": why }));
    match issued.or_else(rejected) {
        Ok(tokens) => (StatusCode::OK, Json(tokens)),
        Err(error) => (StatusCode::BAD_REQUEST, Json(error)),
    }
}

async fn account(State(service): State<Service>, headers: HeaderMap) -> Response {
    let bearer =
        headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    let families = service.families();
    // The tokens before the last ones stay valid until they expire.
    let valid = bearer.and_then(|bearer| token("a", bearer)).filter(|(user, generation)| {
        let family = usize::try_from(*user).ok().and_then(|user| families.get(user));
        family.is_some_and(|it| it.revoked.is_none() && generation + 1 >= it.generation)
    });
    if valid.is_some() {
        let account = json!({ "account_id": "id", "email_address": "me@example.com" });
        (StatusCode::OK, Json(json!({ "account": account })))
    } else {
        let error = json!({ "error_msg": "Unauthorized", "error_name": "unauthorized" });
        (StatusCode::UNAUTHORIZED, Json(json!({ "error": error })))
    }
}

/// User and generation of a token.
pub(crate) fn token(kind: &str, token: &str) -> Option<(u64, u64)> {
    let (user, generation) = token.strip_prefix(kind)?.strip_prefix('-')?.split_once('-')?;
    Some((user.parse().ok()?, generation.parse().ok()?))
}
