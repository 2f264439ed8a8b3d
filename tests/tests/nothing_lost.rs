//! Two thousand codes through each adapter, 64 at a time, against a server that closes its
//! connections at moments of its own choice: no code is sent twice, none is spent on a dead
//! connection, and of every failure the right thing is known.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use dropbox_sign_oauth::{
    App, AuthorizationCode, CallError, Delivery, Endpoints, State, Token, TokenGenerate,
    TokenResponse,
};

const EXCHANGES: usize = 2_000;
const CONCURRENCY: usize = 64;
const SECRET: &str = "1d14434088507ffa390e6f5528465";

/// What the server has seen.
#[derive(Default)]
struct Seen {
    /// How often each code came, in whole requests.
    codes: Mutex<HashMap<String, usize>>,
    /// Requests of which at least a byte came.
    begun: AtomicUsize,
    /// Codes that came on a connection that was kept from an earlier request.
    on_kept: AtomicUsize,
}

/// Where in the life of a connection the server closes it.
#[derive(Clone, Copy, PartialEq)]
enum Close {
    AtOnce,
    /// After so many bytes of the request.
    AfterBytes(usize),
    AfterRequest,
    AfterHalfAnAnswer,
    /// After so many answers, while the connection is kept.
    AfterAnswers(usize),
}

impl Close {
    /// The fate of the connection of this number: the same in every run.
    fn choose(connection: usize) -> Self {
        match random(connection, "close") % 12 {
            0 => Self::AtOnce,
            1 => Self::AfterBytes(1 + random(connection, "bytes") % 400),
            2 => Self::AfterRequest,
            3 => Self::AfterHalfAnAnswer,
            _ => Self::AfterAnswers(1 + random(connection, "answers") % 4),
        }
    }
}

/// A number without a pattern that depends on its arguments alone.
fn random(connection: usize, what: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (connection, what).hash(&mut hasher);
    usize::try_from(hasher.finish() >> 33).unwrap()
}

/// Serves until the listener's process ends; returns its address.
fn serve(seen: &Arc<Seen>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let (close, seen) = (Close::choose(connection), Arc::clone(&seen));
            // Half of the closings are resets: what the client still sends is answered with RST.
            let reset = random(connection, "reset").is_multiple_of(2);
            thread::spawn(move || {
                let mut stream = stream?;
                let served = play(&mut stream, close, &seen);
                if !reset {
                    stream.shutdown(Shutdown::Both)?;
                }
                served
            });
        }
    });
    format!("http://{address}")
}

fn play(stream: &mut TcpStream, close: Close, seen: &Seen) -> io::Result<()> {
    if close == Close::AtOnce {
        return Ok(());
    }
    let mut answers = 0;
    loop {
        let limit = match close {
            Close::AfterBytes(bytes) => bytes,
            _ => usize::MAX,
        };
        let Some(body) = read_request(stream, limit, seen)? else {
            return Ok(());
        };
        if answers > 0 && body["code"].is_string() {
            seen.on_kept.fetch_add(1, Ordering::SeqCst);
        }
        // A code, or a refresh token.
        let code = body["code"].as_str().or(body["refresh_token"].as_str());
        let code = code.unwrap_or_default().to_owned();
        *seen.codes.lock().unwrap().entry(code.clone()).or_default() += 1;
        let body = format!(r#"{{"access_token":"{code}","token_type":"Bearer"}}"#);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = head + &body;
        match close {
            Close::AfterRequest | Close::AfterBytes(_) => return Ok(()),
            Close::AfterHalfAnAnswer => {
                return stream.write_all(&answer.as_bytes()[..answer.len() / 2]);
            }
            _ => stream.write_all(answer.as_bytes())?,
        }
        answers += 1;
        if close == Close::AfterAnswers(answers) {
            return Ok(());
        }
    }
}

/// Reads a request, and gives its body; `None` at the end of the connection or the limit.
fn read_request(
    stream: &mut TcpStream,
    limit: usize,
    seen: &Seen,
) -> io::Result<Option<serde_json::Value>> {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 512];
        let want = chunk.len().min(limit - request.len());
        let read = stream.read(&mut chunk[..want])?;
        if read == 0 {
            return Ok(None);
        }
        if request.is_empty() {
            seen.begun.fetch_add(1, Ordering::SeqCst);
        }
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return Ok(Some(body));
        }
    }
}

fn app(base: &str) -> App {
    App::builder("cc91c61d00f8bb2ece1428035716b", SECRET)
        .endpoints(Endpoints::at(base).unwrap())
        .build()
        .unwrap()
}

fn exchange(app: &App, code: &str) -> TokenGenerate {
    let state = State::from_stored("900e06e2").unwrap();
    app.generate(AuthorizationCode::new(code, state).unwrap())
}

type Outcomes = HashMap<String, Result<TokenResponse, CallError>>;

/// Checks what the clients say against what the server saw.
fn check(outcomes: &Outcomes, refreshes: usize, seen: &Seen) {
    let codes = seen.codes.lock().unwrap();
    let mut not_sent = 0;
    for (code, outcome) in outcomes {
        let times = codes.get(code).copied().unwrap_or_default();
        assert!(times <= 1, "{code} was sent {times} times");
        match outcome {
            Ok(tokens) => {
                assert_eq!(times, 1, "{code}");
                assert_eq!(tokens.access_token.expose(), code);
            }
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains(SECRET));
                match error.delivery() {
                    Delivery::NotSent => {
                        assert_eq!(times, 0, "{code} came, and yet {error}");
                        not_sent += 1;
                    }
                    Delivery::Unknown => {}
                    other @ Delivery::Answered => panic!("{code}: {other:?} {error}"),
                }
            }
        }
    }
    assert_eq!(outcomes.len(), EXCHANGES);
    let on_kept = seen.on_kept.load(Ordering::SeqCst);
    assert_eq!(on_kept, 0, "codes rode on kept connections");
    // Every request of which a byte came is one that its client does not call unsent.
    let begun = seen.begun.load(Ordering::SeqCst);
    assert!(
        begun <= EXCHANGES - not_sent + refreshes,
        "{begun} requests came, and {not_sent} of {EXCHANGES} are called unsent"
    );
    let succeeded = outcomes.values().filter(|outcome| outcome.is_ok()).count();
    // Two in three connections live long enough for the first answer.
    assert!(succeeded > EXCHANGES / 2, "{succeeded} succeeded");
}

/// How many refreshes go between the exchanges, so that there are kept connections to be closed.
const REFRESH_EVERY: usize = 4;

fn codes() -> impl Iterator<Item = (usize, String)> {
    (0..EXCHANGES).map(|n| (n, format!("code-{n:04}")))
}

#[test]
fn hyper_loses_nothing() {
    let seen = Arc::new(Seen::default());
    let app = app(&serve(&seen));
    let transport = dropbox_sign_oauth_hyper::Transport::builder()
        .deadline(Duration::from_secs(60))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let outcomes: Outcomes = runtime.block_on(async {
        let permits = Arc::new(tokio::sync::Semaphore::new(CONCURRENCY));
        let mut tasks = tokio::task::JoinSet::new();
        for (n, code) in codes() {
            let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
            let (app, transport) = (app.clone(), transport.clone());
            tasks.spawn(async move {
                if n % REFRESH_EVERY == 0 {
                    let token = Token::new(&format!("refresh-{n}")).unwrap();
                    let _ = transport.send(app.refresh(&token)).await;
                }
                let outcome = transport.send(exchange(&app, &code)).await;
                drop(permit);
                (code, outcome)
            });
        }
        tasks.join_all().await.into_iter().collect()
    });
    check(&outcomes, EXCHANGES / REFRESH_EVERY, &seen);
}

#[test]
fn ureq_loses_nothing() {
    let seen = Arc::new(Seen::default());
    let app = app(&serve(&seen));
    let transport = dropbox_sign_oauth_ureq::Transport::builder()
        .deadline(Duration::from_secs(60))
        .build()
        .unwrap();
    let codes = Mutex::new(codes());
    let outcomes = Mutex::new(Outcomes::new());
    thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            scope.spawn(|| {
                loop {
                    let next = codes.lock().unwrap().next();
                    let Some((n, code)) = next else { break };
                    if n % REFRESH_EVERY == 0 {
                        let token = Token::new(&format!("refresh-{n}")).unwrap();
                        let _ = transport.send(app.refresh(&token));
                    }
                    let outcome = transport.send(exchange(&app, &code));
                    outcomes.lock().unwrap().insert(code, outcome);
                }
            });
        }
    });
    check(
        &outcomes.into_inner().unwrap(),
        EXCHANGES / REFRESH_EVERY,
        &seen,
    );
}
