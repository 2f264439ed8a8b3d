//! Sessions: runs the core's state machine with a transport, a store and a clock.

use std::{
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    App, AuthorizationCode, CallError, Failure, Operation, Replay, Token, TokenResponse, TokenSet,
    UnixTime, rejects_access_token,
    session::{
        Attempts, Background, Job, Outcome, Record, SendError, SessionError, SessionPolicy, Step,
    },
};
use dropbox_sign_oauth_store::{Exchange, Live, SessionOptions, State, Store};
use http::{Request, Response};

use crate::{
    Transport,
    workers::{TaskKey, Workers},
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// How many calls of the store run at a time: more than the default size of most connection pools.
const STORE_THREADS: usize = 16;

/// How many refreshes run at a time. A refresh usually takes less than a second, and at most the
/// transport's deadline if the server does not respond.
const REFRESH_THREADS: usize = 64;

/// The longest time that a refresh waits for a thread. After a longer wait, its claim could expire
/// before the server responds, so the refresh is abandoned.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);

/// How long a thread waits for work before it ends.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The limit of one sleep, after which the clock is read again: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The sessions of a program's users, by key. A session keeps the tokens of one user valid.
///
/// Create one `Sessions` for the program and clone it. [`get`](Self::get) returns the session
/// stored under a key, for example the id of a user. Any number of threads, and processes that
/// share the store, can use a session at the same time: one of them refreshes its tokens.
///
/// Refreshes and calls of the store run on background threads: at most 16 for the store, 64 for
/// refreshes, and one timer. They start when needed and end when idle.
///
/// ```no_run
/// use dropbox_sign_oauth_ureq::{App, FileStore, Sessions, State, Transport};
///
/// # fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
/// // Once:
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let transport = Transport::new()?;
/// let store = FileStore::open("sessions")?;
/// let sessions = Sessions::new(app.clone(), transport, store);
///
/// // When the user has authorized:
/// let session = sessions.get("user-17");
/// session.exchange(app.callback(query, state)?)?;
///
/// // From then on, also after a restart:
/// let account = session.send(|token| app.account(token))?;
/// println!("connected to {}", account.email_address);
///
/// // Before the program ends:
/// sessions.flush()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sessions(Arc<Shared>);

/// The session stored under one key. [`Sessions::get`] returns the same session for the same key,
/// as long as one of its clones exists.
///
/// A valid access token in memory is returned at once, even while a refresh is in progress or the
/// store does not respond.
///
/// New tokens are stored before they are used. Storing them is retried in the background until they
/// are stored or superseded, even if all handles are dropped. Call [`flush`](Self::flush) before
/// the program ends, because that stops the background threads.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
}

struct Shared {
    app: App,
    transport: Transport,
    store: Box<dyn Store<Error = BoxError>>,
    policy: Arc<SessionPolicy>,
    options: SessionOptions,
    live: Live<Entry>,
    store_threads: Arc<Workers>,
    refresh_threads: Arc<Workers>,
    timer: Arc<Workers>,
}

type Entry = dropbox_sign_oauth_store::Entry<Condvar>;

/// A store with a boxed error.
struct Boxed<S>(S);

impl<S: Store> Store for Boxed<S> {
    type Error = BoxError;

    fn load(&self, key: &str) -> Result<Option<Record>, BoxError> {
        self.0.load(key).map_err(Into::into)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, BoxError> {
        self.0.compare_and_swap(key, expected, new).map_err(Into::into)
    }

    fn remove(&self, key: &str) -> Result<(), BoxError> {
        self.0.remove(key).map_err(Into::into)
    }
}

impl Sessions {
    /// Returns the sessions in `store`, with default options. The store may be empty.
    pub fn new(app: App, transport: Transport, store: impl Store + 'static) -> Self {
        Self::with_options(app, transport, store, SessionOptions::default())
    }

    /// Returns the sessions in `store`, with `options`.
    pub fn with_options(
        app: App,
        transport: Transport,
        store: impl Store + 'static,
        options: SessionOptions,
    ) -> Self {
        Self(Arc::new(Shared {
            app,
            transport,
            store: Box::new(Boxed(store)),
            policy: Arc::new(options.policy),
            live: Live::new(options.idle_limit),
            options,
            store_threads: Workers::new("dropbox-sign-store", STORE_THREADS, IDLE_TIME),
            refresh_threads: Workers::new("dropbox-sign-refresh", REFRESH_THREADS, IDLE_TIME),
            timer: Workers::new("dropbox-sign-timer", 1, IDLE_TIME),
        }))
    }

    /// Returns the app of the sessions.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.0.app
    }

    /// Returns the session of `key`, which need not be stored yet. Does not call the store.
    #[must_use]
    pub fn get(&self, key: &str) -> Session {
        let (app, clock) = (self.0.app.clone(), self.0.options.clock.clone());
        let new = |key| Entry::new(key, app, &self.0.policy, clock, Condvar::notify_all);
        Session { shared: Arc::clone(&self.0), entry: self.0.live.get(key, new) }
    }

    /// Waits until the code exchanges in progress have ended and the new tokens of all sessions are
    /// stored or superseded. Call this before the program ends.
    ///
    /// # Errors
    /// [`SessionError::Store`] if tokens are not stored within
    /// [`flush_timeout`](SessionOptions::flush_timeout). If the program ends then, they are lost.
    pub fn flush(&self) -> Result<(), SessionError> {
        let deadline = self.0.options.clock.now().saturating_add(self.0.options.flush_timeout);
        let mut flushed = Ok(());
        for entry in self.0.live.values() {
            let shared = Arc::clone(&self.0);
            let outcome = Session { shared, entry }.flush_until(deadline);
            flushed = flushed.and(outcome);
        }
        flushed
    }
}

impl Session {
    /// The key under which the session is stored.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.entry.key
    }

    /// Exchanges a code for tokens, and begins or restarts the session with them.
    ///
    /// A browser may request a callback twice, for example because the user reloads a slow page,
    /// but a code can be exchanged once. If the session has exchanged a code of the same login (the
    /// same [`state`](AuthorizationCode::state)), or is doing so, this returns the outcome of that
    /// exchange instead, unless the code was provably not sent or was rate-limited (429): then it is
    /// sent again. The last four logins are remembered, in this process.
    ///
    /// # Errors
    /// [`SendError::Send`] with the error of [`Transport::send`], or [`SendError::Session`] with
    /// that of [`begin`](Self::begin).
    pub fn exchange(&self, code: AuthorizationCode) -> Result<(), Arc<SendError<CallError>>> {
        let mut exchange = Exchange::join(&self.entry, code.state());
        if exchange.is_new() {
            exchange.end(self.call(self.shared.app.generate(code)));
        }
        let outcome = self.drive(State::next_job, |state, now| exchange.poll(state, now));
        outcome.unwrap_or_else(|error| Err(Arc::new(error.into())))
    }

    fn call<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        match self.shared.options.retry {
            Some(retry) => self.shared.transport.send_with_retry(operation, retry),
            None => self.shared.transport.send(operation),
        }
    }

    /// Begins or restarts the session with the response to a code exchange. Prefer
    /// [`exchange`](Self::exchange), which sends it as well.
    ///
    /// # Errors
    /// The same as [`replace_tokens`](Self::replace_tokens).
    pub fn begin(&self, response: TokenResponse) -> Result<(), SessionError> {
        self.replace_tokens(TokenSet::new(response, self.entry.now()))
    }

    /// Replaces the session's tokens with those of a new authorization, and stores them.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the store failed. The tokens are kept in memory, and storing them
    /// is retried in the background.
    pub fn replace_tokens(&self, tokens: TokenSet) -> Result<(), SessionError> {
        self.entry.change(|machine, now, entropy| machine.replace_tokens(now, entropy, tokens));
        self.drive(State::next_job, |state, now| state.machine.poll_stored(now))
    }

    /// Returns a valid access token. Waits for a refresh only if there is no valid token. Call this
    /// for each request instead of keeping the token.
    ///
    /// # Errors
    /// [`SessionError`] tells whether the user must authorize again, or when to retry.
    pub fn access_token(&self) -> Result<Token, SessionError> {
        self.drive(State::next_job, |state, now| state.machine.poll(now))
    }

    /// Sets the `Authorization` header of a request, with a valid access token.
    ///
    /// # Errors
    /// The same as [`access_token`](Self::access_token).
    pub fn authorize<B>(&self, request: Request<B>) -> Result<Request<B>, SessionError> {
        Ok(self.access_token()?.authorize(request))
    }

    /// Sends an operation with a valid access token. If the server rejects the token (401), the
    /// session refreshes it and sends the operation once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no valid access token, and [`SendError::Send`] with the
    /// error of [`Transport::send`].
    pub fn send<O: Operation>(
        &self,
        operation: impl Fn(&Token) -> O,
    ) -> Result<O::Output, SendError<CallError>> {
        let attempt = |token: &Token| self.call(operation(token));
        let is_rejected = |outcome: &Result<_, CallError>| match outcome {
            Ok(_) => false,
            Err(error) => error.rejects_access_token(),
        };
        let outcome = self.retry_once_on_401(attempt, is_rejected)?;
        outcome.map_err(SendError::Send)
    }

    /// Sends a request with a valid access token, through any HTTP client. If the server rejects
    /// the token (401), the session refreshes it and sends the request once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no valid access token, and [`SendError::Send`] with the
    /// error of `send`.
    pub fn send_request<B: Clone, R, E>(
        &self,
        request: &Request<B>,
        send: impl Fn(Request<B>) -> Result<Response<R>, E>,
    ) -> Result<Response<R>, SendError<E>> {
        let attempt = |token: &Token| send(token.authorize(request.clone()));
        let is_rejected = |outcome: &Result<Response<R>, E>| matches!(outcome, Ok(response) if rejects_access_token(response.status()));
        let outcome = self.retry_once_on_401(attempt, is_rejected)?;
        outcome.map_err(SendError::Send)
    }

    /// Ends the session: deletes its tokens from memory and its record from the store. Other
    /// processes keep using the session until they next read the store. The vendor documents no way
    /// to revoke tokens, so the server accepts the access token until it expires.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the store failed. Removing the record is retried in the
    /// background.
    pub fn end(&self) -> Result<(), SessionError> {
        self.entry.change(|machine, _, _| machine.end());
        self.drive(State::next_job, |state, now| state.machine.poll_stored(now))
    }

    /// Records that the server rejected `access_token` with a 401, so that the session refreshes
    /// it. Does nothing if the token is not the current one, or was refreshed less than a minute
    /// ago. [`send`](Self::send) and [`send_request`](Self::send_request) call this themselves.
    pub fn mark_rejected(&self, access_token: &Token) {
        self.entry.change(|machine, now, _| machine.handle_rejection(now, access_token));
    }

    /// Returns whether the user must authorize, as far as this process knows: the session was
    /// revoked or ended, or has no tokens. Does not call the store.
    #[must_use]
    pub fn needs_authorization(&self) -> bool {
        self.entry.state().machine.needs_authorization()
    }

    /// Waits until the code exchanges in progress have ended and the new tokens of this session are
    /// stored or superseded.
    ///
    /// # Errors
    /// The same as [`Sessions::flush`].
    pub fn flush(&self) -> Result<(), SessionError> {
        let limit = self.shared.options.flush_timeout;
        self.flush_until(self.entry.now().saturating_add(limit))
    }

    fn flush_until(&self, deadline: UnixTime) -> Result<(), SessionError> {
        self.drive(|_, _| None, |state, now| state.poll_flushed(now, deadline))
    }

    /// Runs `attempt` with an access token. If the server rejects the token, runs it once more with
    /// another token.
    fn retry_once_on_401<T>(
        &self,
        attempt: impl Fn(&Token) -> T,
        is_rejected: impl Fn(&T) -> bool,
    ) -> Result<T, SessionError> {
        let mut attempts = Attempts::new();
        let mut rejected = None;
        loop {
            let token = self.access_token()?;
            let is_new = attempts.start(&token);
            if let Some(outcome) = rejected.take_if(|_| !is_new) {
                return Ok(outcome);
            }
            let outcome = attempt(&token);
            if !attempts.is_rejected(is_rejected(&outcome)) {
                return Ok(outcome);
            }
            self.mark_rejected(&token);
            rejected = Some(outcome);
        }
    }

    /// Starts the jobs that `next` returns until `poll` returns a result or an error.
    fn drive<T>(
        &self,
        next: impl Fn(&mut State, UnixTime) -> Option<Job>,
        poll: impl Fn(&State, UnixTime) -> Step<T>,
    ) -> Result<T, SessionError> {
        let mut state = self.entry.state();
        loop {
            let now = self.entry.now();
            // In a loop, because a job may already be finished and another one due.
            while let Some(job) = next(&mut state, now) {
                drop(state);
                self.start(job);
                state = self.entry.state();
            }
            match poll(&state, now) {
                Step::Ready(ready) => return Ok(ready),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => state = self.wait(state, until),
            }
        }
    }

    /// Runs a job on a background thread.
    fn start(&self, job: Job) {
        let (session, queued) = (self.clone(), Instant::now());
        let (threads, timeout) = match job {
            Job::Refresh(_) => (&self.shared.refresh_threads, None),
            _ => (&self.shared.store_threads, self.schedule_timeout(&job)),
        };
        threads.run(move || {
            session.run_job(job, queued);
            drop(timeout.map(|timeout| session.shared.timer.cancel(timeout)));
            session.start_background_job();
        });
    }

    /// Schedules the timeout of a call of the store. The thread of the call cannot be stopped.
    fn schedule_timeout(&self, job: &Job) -> Option<TaskKey> {
        let (id, limit) = (job.id(), self.shared.policy.store_timeout);
        // Weak references, so that the timer keeps neither the session nor the store alive.
        let (shared, entry) = (Arc::downgrade(&self.shared), Arc::downgrade(&self.entry));
        // Without a timeout if `Instant` cannot represent its time.
        let due = Instant::now().checked_add(limit)?;
        let timeout = move || {
            let (Some(shared), Some(entry)) = (shared.upgrade(), entry.upgrade()) else {
                return;
            };
            let error = StoreTimedOut(limit);
            entry.change(|machine, now, _| machine.give_up(now, id, error));
            Self { shared, entry }.start_background_job();
        };
        Some(self.shared.timer.run_at(due, timeout))
    }

    fn run_job(&self, job: Job, queued: Instant) {
        let (entry, store, key) = (&self.entry, &*self.shared.store, &*self.entry.key);
        match job {
            Job::Load(load) => {
                let outcome = catch_panic(|| store.load(key));
                entry.change(|machine, now, _| machine.handle_load(now, load, outcome));
            }
            Job::Swap(swap) => {
                let call = || store.compare_and_swap(key, swap.expected(), swap.record());
                let outcome = catch_panic(call);
                entry.change(|machine, now, _| machine.handle_swap(now, swap, outcome));
            }
            Job::Remove(remove) => {
                let outcome = catch_panic(|| store.remove(key));
                entry.change(|machine, now, _| machine.handle_remove(now, remove, outcome));
            }
            Job::Refresh(_) if queued.elapsed() > LONGEST_QUEUE => {
                entry.change(|machine, _, _| machine.abandon(job.id()));
            }
            Job::Refresh(refresh) => {
                let (operation, retry) = (refresh.operation(), refresh.retry());
                let transport = &self.shared.transport;
                let outcome = catch_panic(|| Ok(transport.send_with_retry(operation, retry)));
                let outcome = outcome.unwrap_or_else(|panicked| {
                    let failure = Failure::exchange(panicked);
                    Err(CallError::Unknown { failure, replay: Replay::Safe })
                });
                entry.change(|machine, now, entropy| {
                    machine.handle_refresh(now, entropy, refresh, outcome);
                });
            }
        }
    }

    /// Starts the next background job, now or when it is due.
    fn start_background_job(&self) {
        let mut state = self.entry.state();
        let now = self.entry.now();
        match state.background(now) {
            Background::Idle => {}
            Background::Job(job) => {
                drop(state);
                self.start(job);
            }
            Background::Wait(until) => {
                if state.wakes_at.is_some_and(|at| at <= until) {
                    return;
                }
                state.wakes_at = Some(until);
                drop(state);
                let session = self.clone();
                let delay = until.saturating_since(now).min(LONGEST_SLEEP);
                self.shared.timer.run_at(Instant::now() + delay, move || {
                    // An earlier time may have been scheduled meanwhile.
                    session.entry.state().wakes_at.take_if(|at| *at == until);
                    session.start_background_job();
                });
            }
        }
    }

    /// Waits until the state changes, or the time is `until`. May return earlier.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, until: UnixTime) -> MutexGuard<'a, State> {
        let time = until.saturating_since(self.entry.now()).min(LONGEST_SLEEP);
        let waited = self.entry.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Runs a call and converts a panic into an error.
fn catch_panic<T>(call: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("the call panicked".into()))
}

#[derive(Debug)]
struct StoreTimedOut(Duration);

impl fmt::Display for StoreTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store did not respond within {:?}", self.0)
    }
}

impl StdError for StoreTimedOut {}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("options", &self.0.options)
            .field("live", &self.0.live)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}
