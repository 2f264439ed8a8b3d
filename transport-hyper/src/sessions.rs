//! Sessions: runs the core's state machine with a transport, a store and a clock.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dropbox_sign_oauth::{
    App, AuthorizationCode, CallError, Failure, Operation, Replay, Token, TokenResponse, TokenSet,
    UnixTime, rejects_access_token,
    session::{Attempts, Background, Job, JobId, SendError, SessionError, SessionPolicy, Step},
};
use dropbox_sign_oauth_store::{AsyncStore as Store, Exchange, Live, SessionOptions, State};
use http::{Request, Response};
use http_body::Body;
use tokio::{
    sync::{Notify, futures::Notified},
    task::JoinHandle,
    time::timeout,
};
use tower_service::Service;

use crate::{
    body::RequestBody,
    client::Client,
    store::{self, AnyStore, catch_panic},
    transport::Transport,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The limit of one sleep, after which the clock is read again: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The sessions of a program's users, by key. A session keeps the tokens of one user valid.
///
/// Create one `Sessions` for the program and clone it. [`get`](Self::get) returns the session
/// stored under a key, for example the id of a user. Any number of tasks, and processes that share
/// the store, can use a session at the same time: one of them refreshes its tokens.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::{App, Blocking, FileStore, Sessions, State, Transport};
///
/// # async fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
/// // Once:
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let transport = Transport::new()?;
/// let store = Blocking::new(FileStore::open("sessions")?);
/// let sessions = Sessions::new(app.clone(), transport, store);
///
/// // When the user has authorized:
/// let session = sessions.get("user-17");
/// session.exchange(app.callback(query, state)?).await?;
///
/// // From then on, also after a restart:
/// let account = session.send(|token| app.account(token)).await?;
/// println!("connected to {}", account.email_address);
///
/// // Before the program ends:
/// sessions.flush().await?;
/// # Ok(())
/// # }
/// ```
pub struct Sessions<S = Client>(Arc<Shared<S>>);

/// The session stored under one key. [`Sessions::get`] returns the same session for the same key,
/// as long as one of its clones exists.
///
/// A valid access token in memory is returned at once, even while a refresh is in progress or the
/// store does not respond.
///
/// Refreshes and calls of the store run in their own tasks, which continue if the caller is
/// dropped. New tokens are stored before they are used, and storing them is retried until they are
/// stored or superseded. A runtime that shuts down cancels these tasks; call [`flush`](Self::flush)
/// first.
pub struct Session<S = Client> {
    shared: Arc<Shared<S>>,
    entry: Arc<Entry>,
}

struct Shared<S> {
    app: App,
    transport: Transport<S>,
    store: Box<dyn AnyStore>,
    policy: Arc<SessionPolicy>,
    options: SessionOptions,
    live: Live<Entry>,
}

type Entry = dropbox_sign_oauth_store::Entry<Notify>;

impl<S> Sessions<S> {
    /// Returns the sessions in `store`, with default options. The store may be empty.
    pub fn new(app: App, transport: Transport<S>, store: impl Store) -> Self {
        Self::with_options(app, transport, store, SessionOptions::default())
    }

    /// Returns the sessions in `store`, with `options`.
    pub fn with_options(
        app: App,
        transport: Transport<S>,
        store: impl Store,
        options: SessionOptions,
    ) -> Self {
        Self(Arc::new(Shared {
            app,
            transport,
            store: Box::new(store),
            policy: Arc::new(options.policy),
            live: Live::new(options.idle_limit),
            options,
        }))
    }

    /// Returns the app of the sessions.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.0.app
    }

    /// Returns the session of `key`, which need not be stored yet. Does not call the store.
    #[must_use]
    pub fn get(&self, key: &str) -> Session<S> {
        let (app, clock) = (self.0.app.clone(), self.0.options.clock.clone());
        let new = |key| Entry::new(key, app, &self.0.policy, clock, Notify::notify_waiters);
        Session { shared: Arc::clone(&self.0), entry: self.0.live.get(key, new) }
    }
}

impl<S> Session<S> {
    /// The key under which the session is stored.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.entry.key
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
}

impl<S, B> Sessions<S>
where
    S: Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    /// Waits until the code exchanges in progress have ended and the new tokens of all sessions are
    /// stored or superseded. Call this before the program ends.
    ///
    /// # Errors
    /// [`SessionError::Store`] if tokens are not stored within
    /// [`flush_timeout`](SessionOptions::flush_timeout). If the program ends then, they are lost.
    pub async fn flush(&self) -> Result<(), SessionError> {
        let deadline = self.0.options.clock.now().saturating_add(self.0.options.flush_timeout);
        let mut flushed = Ok(());
        for entry in self.0.live.values() {
            let shared = Arc::clone(&self.0);
            let session = Session { shared, entry };
            let outcome = session.flush_until(deadline).await;
            flushed = flushed.and(outcome);
        }
        flushed
    }
}

impl<S, B> Session<S>
where
    S: Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    /// Exchanges a code for tokens, and begins or restarts the session with them.
    ///
    /// A browser may request a callback twice, for example because the user reloads a slow page,
    /// but a code can be exchanged once. If the session has exchanged a code of the same login (the
    /// same [`state`](AuthorizationCode::state)), or is doing so, this returns the outcome of that
    /// exchange instead, unless the code was provably not sent or was rate-limited (429): then it is
    /// sent again. The last four logins are remembered, in this process.
    ///
    /// The exchange runs in its own task, which continues if the caller is dropped. Web frameworks
    /// drop a handler whose client disconnects, and the new tokens would be lost.
    ///
    /// # Errors
    /// [`SendError::Send`] with the error of [`Transport::send`], or [`SendError::Session`] with
    /// that of [`begin`](Self::begin).
    pub async fn exchange(&self, code: AuthorizationCode) -> Result<(), Arc<SendError<CallError>>> {
        let mut exchange = Exchange::join(&self.entry, code.state());
        let session = self.clone();
        let task = tokio::spawn(async move {
            if exchange.is_new() {
                exchange.end(session.call(session.shared.app.generate(code)).await);
            }
            session.drive(State::next_job, |state, now| exchange.poll(state, now)).await
        });
        let outcome = match task.await {
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            outcome => outcome.unwrap_or(Err(SessionError::ShutDown)),
        };
        outcome.unwrap_or_else(|error| Err(Arc::new(error.into())))
    }

    async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        match self.shared.options.retry {
            Some(retry) => self.shared.transport.send_with_retry(operation, retry).await,
            None => self.shared.transport.send(operation).await,
        }
    }

    /// Begins or restarts the session with the response to a code exchange. Prefer
    /// [`exchange`](Self::exchange), which sends it as well.
    ///
    /// # Errors
    /// The same as [`replace_tokens`](Self::replace_tokens).
    pub async fn begin(&self, response: TokenResponse) -> Result<(), SessionError> {
        let tokens = TokenSet::new(response, self.entry.now());
        self.replace_tokens(tokens).await
    }

    /// Replaces the session's tokens with those of a new authorization, and stores them.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the store failed. The tokens are kept in memory, and storing them
    /// is retried in the background.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), SessionError> {
        self.entry.change(|machine, now, entropy| machine.replace_tokens(now, entropy, tokens));
        self.drive(State::next_job, |state, now| state.machine.poll_stored(now)).await
    }

    /// Returns a valid access token. Waits for a refresh only if there is no valid token. Call this
    /// for each request instead of keeping the token.
    ///
    /// # Errors
    /// [`SessionError`] tells whether the user must authorize again, or when to retry.
    pub async fn access_token(&self) -> Result<Token, SessionError> {
        self.drive(State::next_job, |state, now| state.machine.poll(now)).await
    }

    /// Sets the `Authorization` header of a request, with a valid access token.
    ///
    /// # Errors
    /// The same as [`access_token`](Self::access_token).
    pub async fn authorize<T>(&self, request: Request<T>) -> Result<Request<T>, SessionError> {
        Ok(self.access_token().await?.authorize(request))
    }

    /// Sends an operation with a valid access token. If the server rejects the token (401), the
    /// session refreshes it and sends the operation once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no valid access token, and [`SendError::Send`] with the
    /// error of [`Transport::send`].
    pub async fn send<O: Operation>(
        &self,
        operation: impl Fn(&Token) -> O,
    ) -> Result<O::Output, SendError<CallError>> {
        let attempt = |token: &Token| self.call(operation(token));
        let is_rejected = |outcome: &Result<_, CallError>| match outcome {
            Ok(_) => false,
            Err(error) => error.rejects_access_token(),
        };
        let outcome = self.retry_once_on_401(attempt, is_rejected).await?;
        outcome.map_err(SendError::Send)
    }

    /// Sends a request with a valid access token, through any HTTP client. If the server rejects
    /// the token (401), the session refreshes it and sends the request once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no valid access token, and [`SendError::Send`] with the
    /// error of `send`.
    pub async fn send_request<T: Clone, R, E, F>(
        &self,
        request: &Request<T>,
        send: impl Fn(Request<T>) -> F,
    ) -> Result<Response<R>, SendError<E>>
    where
        F: Future<Output = Result<Response<R>, E>>,
    {
        let attempt = |token: &Token| send(token.authorize(request.clone()));
        let is_rejected = |outcome: &Result<Response<R>, E>| matches!(outcome, Ok(response) if rejects_access_token(response.status()));
        let outcome = self.retry_once_on_401(attempt, is_rejected).await?;
        outcome.map_err(SendError::Send)
    }

    /// Ends the session: deletes its tokens from memory and its record from the store. Other
    /// processes keep using the session until they next read the store. The vendor documents no way
    /// to revoke tokens, so the server accepts the access token until it expires.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the store failed. Removing the record is retried in the
    /// background.
    pub async fn end(&self) -> Result<(), SessionError> {
        self.entry.change(|machine, _, _| machine.end());
        self.drive(State::next_job, |state, now| state.machine.poll_stored(now)).await
    }

    /// Waits until the code exchanges in progress have ended and the new tokens of this session are
    /// stored or superseded.
    ///
    /// # Errors
    /// The same as [`Sessions::flush`].
    pub async fn flush(&self) -> Result<(), SessionError> {
        let limit = self.shared.options.flush_timeout;
        self.flush_until(self.entry.now().saturating_add(limit)).await
    }

    async fn flush_until(&self, deadline: UnixTime) -> Result<(), SessionError> {
        // A runtime that shut down may have canceled the task of this job.
        let next = |state: &mut State, now| match state.background(now) {
            Background::Job(job) => Some(job),
            Background::Wait(_) | Background::Idle => None,
        };
        self.drive(next, |state, now| state.poll_flushed(now, deadline)).await
    }

    /// Runs `attempt` with an access token. If the server rejects the token, runs it once more with
    /// another token.
    async fn retry_once_on_401<F: Future>(
        &self,
        attempt: impl Fn(&Token) -> F,
        is_rejected: impl Fn(&F::Output) -> bool,
    ) -> Result<F::Output, SessionError> {
        let mut attempts = Attempts::new();
        let mut rejected = None;
        loop {
            let token = self.access_token().await?;
            let is_new = attempts.start(&token);
            if let Some(outcome) = rejected.take_if(|_| !is_new) {
                return Ok(outcome);
            }
            let outcome = attempt(&token).await;
            if !attempts.is_rejected(is_rejected(&outcome)) {
                return Ok(outcome);
            }
            self.mark_rejected(&token);
            rejected = Some(outcome);
        }
    }

    /// Starts the jobs that `next` returns until `poll` returns a result or an error.
    async fn drive<T>(
        &self,
        next: impl Fn(&mut State, UnixTime) -> Option<Job>,
        poll: impl Fn(&State, UnixTime) -> Step<T>,
    ) -> Result<T, SessionError> {
        loop {
            // Created before the machine is polled, so that no notification is missed.
            let changed = self.entry.changed.notified();
            let (job, step) = {
                let (mut state, now) = (self.entry.state(), self.entry.now());
                let job = next(&mut state, now);
                (job, poll(&state, now))
            };
            let task = job.map(|job| self.start(job));
            match step {
                Step::Ready(ready) => return Ok(ready),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => wait(&self.entry, until, changed, task).await?,
            }
        }
    }

    /// Starts a task for a job and the background jobs that follow.
    fn start(&self, job: Job) -> JoinHandle<()> {
        let session = self.clone();
        // Created here, because a runtime that shuts down drops the task without polling it.
        let active = ActiveJob::new(&self.entry, &job);
        tokio::spawn(async move {
            session.run_job(job).await;
            drop(active);
            while let Some(job) = session.next_background_job().await {
                let _active = ActiveJob::new(&session.entry, &job);
                session.run_job(job).await;
            }
        })
    }

    /// Waits for the next background job. Returns `None` if there is none, or if another task
    /// already waits for it.
    async fn next_background_job(&self) -> Option<Job> {
        let mut waiting = None;
        loop {
            let changed = self.entry.changed.notified();
            let until = {
                let (mut state, now) = (self.entry.state(), self.entry.now());
                match state.background(now) {
                    Background::Job(job) => return Some(job),
                    Background::Idle => return None,
                    Background::Wait(_) if waiting.is_none() && state.wakes_at.is_some() => {
                        return None;
                    }
                    Background::Wait(until) => {
                        state.wakes_at = Some(until);
                        until
                    }
                }
            };
            waiting.get_or_insert_with(|| WaitingTask(&self.entry));
            // This cannot fail: no other task is awaited.
            let _ = wait(&self.entry, until, changed, None).await;
        }
    }

    async fn run_job(&self, job: Job) {
        let (entry, store) = (&*self.entry, &*self.shared.store);
        let (key, limit) = (&*entry.key, self.shared.policy.store_timeout);
        match job {
            Job::Load(load) => {
                let outcome = store::call(limit, store.load(key)).await;
                entry.change(|machine, now, _| machine.handle_load(now, load, outcome));
            }
            Job::Swap(swap) => {
                let call = store.compare_and_swap(key, swap.expected(), swap.record());
                let outcome = store::call(limit, call).await;
                entry.change(|machine, now, _| machine.handle_swap(now, swap, outcome));
            }
            Job::Remove(remove) => {
                let outcome = store::call(limit, store.remove(key)).await;
                entry.change(|machine, now, _| machine.handle_remove(now, remove, outcome));
            }
            Job::Refresh(refresh) => {
                let (operation, retry) = (refresh.operation(), refresh.retry());
                let call = self.shared.transport.send_with_retry(operation, retry);
                let outcome = catch_panic(call).await.unwrap_or_else(|panicked| {
                    Err(CallError::Unknown {
                        failure: Failure::exchange(panicked),
                        replay: Replay::Safe,
                    })
                });
                entry.change(|machine, now, entropy| {
                    machine.handle_refresh(now, entropy, refresh, outcome);
                });
            }
        }
    }
}

/// Waits until the state changes, `task` ends, or the time is `until`. May return earlier.
///
/// # Errors
/// [`SessionError::ShutDown`] if the task was canceled.
async fn wait(
    entry: &Entry,
    until: UnixTime,
    changed: Notified<'_>,
    mut task: Option<JoinHandle<()>>,
) -> Result<(), SessionError> {
    let mut changed = pin!(changed);
    let woken = poll_fn(|cx| {
        if let Some(task) = &mut task {
            if let Poll::Ready(ended) = Pin::new(task).poll(cx) {
                return Poll::Ready(ended);
            }
        }
        changed.as_mut().poll(cx).map(Ok)
    });
    let time = until.saturating_since(entry.now()).min(LONGEST_SLEEP);
    match timeout(time, woken).await {
        Ok(Err(error)) if error.is_cancelled() => Err(SessionError::ShutDown),
        _ => Ok(()),
    }
}

/// A job in progress. If its task is dropped, the machine may start the job again.
struct ActiveJob {
    entry: Arc<Entry>,
    job: JobId,
}

impl ActiveJob {
    fn new(entry: &Arc<Entry>, job: &Job) -> Self {
        Self { entry: Arc::clone(entry), job: job.id() }
    }
}

impl Drop for ActiveJob {
    fn drop(&mut self) {
        // This has no effect on a job whose outcome was handled.
        self.entry.change(|machine, _, _| machine.abandon(self.job));
    }
}

/// Resets `wakes_at` when the waiting task ends.
struct WaitingTask<'a>(&'a Entry);

impl Drop for WaitingTask<'_> {
    fn drop(&mut self) {
        self.0.state().wakes_at = None;
    }
}

impl<S> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("options", &self.0.options)
            .field("live", &self.0.live)
            .finish_non_exhaustive()
    }
}

impl<S> Clone for Session<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), entry: Arc::clone(&self.entry) }
    }
}

impl<S> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use dropbox_sign_oauth_store::MemoryStore;

    use super::*;

    /// A multi-threaded runtime requires this of the futures of a task.
    #[test]
    fn futures_are_send() {
        fn is_send(_: &impl Send) {}
        let app = App::new("client-id", "client-secret").unwrap();
        let transport = Transport::new().unwrap();
        let sessions = Sessions::new(app.clone(), transport, MemoryStore::default());
        let session = sessions.get("key");
        let request = Request::new(());
        is_send(&session);
        is_send(&sessions.flush());
        is_send(&session.access_token());
        is_send(&session.end());
        let code = AuthorizationCode::new("code", dropbox_sign_oauth::State::random()).unwrap();
        is_send(&session.exchange(code));
        is_send(&session.authorize(request.clone()));
        is_send(&session.send(|token| app.account(token)));
        let send = |_: Request<()>| ready(Ok::<_, String>(Response::new(())));
        is_send(&session.send_request(&request, send));
    }
}
