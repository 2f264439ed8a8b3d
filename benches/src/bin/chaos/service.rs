//! The service: refresh tokens that are replaced at each refresh, and families that are revoked.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long an access token is valid.
pub(crate) const LIFETIME: Duration = Duration::from_secs(20);

/// How long a response takes: a process may be killed meanwhile.
const LATENCY: Duration = Duration::from_millis(200);

/// The tokens of one user.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default, Debug)]
struct State {
    families: HashMap<u64, Family>,
    requests: u64,
    refreshes: u64,
}

impl Service {
    /// Starts the service with tokens of generation 0 for these users.
    pub(crate) fn start(users: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let service = Self { address: listener.local_addr()?, state: Arc::default() };
        for user in 0..users {
            let family = Family {
                generation: 0,
                issued_to: "controller".into(),
                issued_at: Instant::now(),
                revoked: None,
            };
            service.state().families.insert(user, family);
        }
        let accepting = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let service = accepting.clone();
                thread::spawn(move || drop(service.serve(&stream)));
            }
        });
        Ok(service)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The users' tokens.
    pub(crate) fn families(&self) -> HashMap<u64, Family> {
        self.state().families.clone()
    }

    /// Requests for accounts, and refreshes that succeeded.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.requests, state.refreshes)
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        loop {
            let mut request = String::new();
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let (mut len, mut bearer) = (0, String::new());
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let Some((name, value)) = line.split_once(':') else {
                    break;
                };
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => len = value.trim().parse().unwrap_or(0),
                    "authorization" => {
                        value.trim().trim_start_matches("Bearer ").clone_into(&mut bearer);
                    }
                    _ => {}
                }
            }
            let mut body = vec![0; len];
            reader.read_exact(&mut body)?;
            let (status, body) = if request.starts_with("POST") {
                // Issued before the wait: the response may not reach its process any more.
                let refreshed = self.refresh(&body);
                thread::sleep(LATENCY);
                refreshed
            } else {
                self.account(&bearer)
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            (&*stream).write_all((head + &body).as_bytes())?;
        }
    }

    fn refresh(&self, body: &[u8]) -> (&'static str, String) {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let rejected = |why: &str| {
            let body = format!(r#"{{"error":"invalid_grant","error_description":"{why}"}}"#);
            ("400 Bad Request", body)
        };
        let Some((user, generation)) = token("r", &text("refresh_token")) else {
            return rejected("not a token");
        };
        let process = text("client_id");
        let mut state = self.state();
        let Some(family) = state.families.get_mut(&user) else {
            return rejected("no such user");
        };
        if family.revoked.is_some() {
            return rejected("revoked");
        }
        if generation != family.generation {
            family.revoked = Some(format!(
                "{process} used tokens {generation} after {} had been issued to {} for {:?}",
                family.generation,
                family.issued_to,
                family.issued_at.elapsed(),
            ));
            return rejected("replaced");
        }
        family.generation += 1;
        family.issued_to = process;
        family.issued_at = Instant::now();
        let generation = family.generation;
        state.refreshes += 1;
        let body = format!(
            r#"{{"access_token":"a-{user}-{generation}","token_type":"Bearer","refresh_token":"r-{user}-{generation}","expires_in":{}}}"#,
            LIFETIME.as_secs()
        );
        ("200 OK", body)
    }

    fn account(&self, bearer: &str) -> (&'static str, String) {
        let rejected = r#"{"error":{"error_msg":"Unauthorized","error_name":"unauthorized"}}"#;
        let mut state = self.state();
        state.requests += 1;
        let Some((user, generation)) = token("a", bearer) else {
            return ("401 Unauthorized", rejected.into());
        };
        match state.families.get(&user) {
            // The tokens before the last ones stay valid until they expire.
            Some(family) if family.revoked.is_none() && generation + 1 >= family.generation => (
                "200 OK",
                r#"{"account":{"account_id":"id","email_address":"me@example.com"}}"#.into(),
            ),
            _ => ("401 Unauthorized", rejected.into()),
        }
    }
}

/// User and generation of a token.
pub(crate) fn token(kind: &str, token: &str) -> Option<(u64, u64)> {
    let mut parts = token.split('-');
    let is_kind = parts.next() == Some(kind);
    let user = parts.next()?.parse().ok()?;
    let generation = parts.next()?.parse().ok()?;
    is_kind.then_some((user, generation))
}
